"""Damaged and malicious `.tflite` files, each made from a good one by a seed and a number.

Stands apart because it speaks the flatbuffer's own schema: random bytes rarely reach what a runtime trusts.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from hostile_files import mutate_text

INTEGERS = (0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 4096, 65535, 65536, 1 << 24, (1 << 31) - 1, -(1 << 31))
NUMBERS = (0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e38, 1.0, 2.0)
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
Rng = np.random.Generator


def model_case(seeds: Sequence[Path], seed: int, number: int) -> tuple[bytes, str]:
    """Case `number`: the file's bytes, and in words what was done to which model."""
    rng = np.random.default_rng([seed, number])
    path = seeds[number % len(seeds)]
    whole = path.read_bytes()
    names = list(MUTATIONS)
    name = names[number // len(seeds) % len(names)]
    content, what = MUTATIONS[name](rng, whole)
    return content, f"{path.name}: {name}{': ' if what else ''}{what}"


def split_file(whole: bytes) -> tuple[bytes, dict[str, bytes]]:
    """The flatbuffer, and the files packed behind it."""
    if not zipfile.is_zipfile(io.BytesIO(whole)):
        return whole, {}
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = min(entry.header_offset for entry in archive.infolist())
        return whole[:start], {entry.filename: archive.read(entry) for entry in archive.infolist()}


def join_file(flatbuffer: bytes, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A flatbuffer with files packed behind it."""
    if not files:
        return flatbuffer
    whole = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(whole, "a", compression) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content, compression)
    return whole.getvalue()


def pick(rng: Rng, items: Sequence[Any]) -> Any:
    """One of them."""
    return items[int(rng.integers(len(items)))]


def flip_bits(rng: Rng, content: bytes, start: int, stop: int) -> bytes:
    """One to eight bits between two offsets turned over."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        changed[int(rng.integers(start, max(stop, start + 1)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def structure_ranges(flatbuffer: bytes) -> list[tuple[int, int]]:
    """Where the flatbuffer holds tables rather than weights."""
    model = schema.Model.GetRootAs(flatbuffer, 0)
    holes = []
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength() > 64:
            at = buffer._tab.Vector(buffer._tab.Offset(4))
            holes.append((at, at + buffer.DataLength()))
    ranges, at = [], 0
    for start, stop in sorted(holes):
        if start > at:
            ranges.append((at, start))
        at = max(at, stop)
    return [*ranges, (at, len(flatbuffer))]


def _structure_offset(rng: Rng, flatbuffer: bytes) -> int:
    ranges = [r for r in structure_ranges(flatbuffer) if r[1] - r[0] >= 4]
    sizes = np.array([stop - start for start, stop in ranges], float)
    start, stop = ranges[int(rng.choice(len(ranges), p=sizes / sizes.sum()))]
    return int(rng.integers(start, stop - 3))


def _anywhere(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    return flip_bits(rng, whole, 0, len(whole)), ""


def _in_structure(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    flatbuffer, files = split_file(whole)
    for _ in range(int(rng.integers(1, 4))):
        at = _structure_offset(rng, split_file(whole)[0])  # of the good one: a damaged one cannot be walked
        flatbuffer = flip_bits(rng, flatbuffer, at, at + 1)
    return join_file(flatbuffer, files), ""


def _number_in_structure(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    flatbuffer, files = split_file(whole)
    at, value = _structure_offset(rng, flatbuffer) & ~3, pick(rng, INTEGERS)
    changed = bytearray(flatbuffer)
    struct.pack_into("<i", changed, at, value)
    return join_file(bytes(changed), files), f"{value} at {at}"


def _truncated(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    length = int(rng.integers(len(whole)))
    return whole[:length], f"to {length} bytes"


def _block_moved(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    size = int(rng.integers(4, 4096))
    source, target = (int(v) for v in rng.integers(0, len(whole) - size, 2))
    return whole[:target] + whole[source : source + size] + whole[target + size :], f"{size} bytes"


def _zip_trailer(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    flatbuffer, files = split_file(whole)
    if not files:
        return flip_bits(rng, whole, max(0, len(whole) - 400), len(whole)), "none there"
    start = len(flatbuffer)
    kind = pick(rng, ["bits", "bits", "cut", "comment", "number", "bomb", "twice", "encrypted"])
    if kind == "bits":
        return flip_bits(rng, whole, start, len(whole)), kind
    if kind == "cut":
        return whole[: int(rng.integers(start, len(whole)))], kind
    if kind == "comment":
        return whole + rng.bytes(int(rng.integers(1, 70_000))), kind
    if kind == "bomb":
        files["contract.json"] = b" " * (64 << 20)
        return join_file(flatbuffer, files, zipfile.ZIP_DEFLATED), kind
    if kind == "twice":
        return whole + join_file(b"", files), kind
    directory = whole.rindex(b"PK\5\6")
    at = int(rng.integers(4, 20)) if kind == "number" else whole.index(b"PK\1\2", start) - directory + 8
    changed = bytearray(whole)
    struct.pack_into("<H", changed, directory + at, int(rng.integers(1 << 16)) if kind == "number" else 1)
    return bytes(changed), kind


def _contract(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    flatbuffer, files = split_file(whole)
    name = pick(rng, sorted(files)) if files else "contract.json"
    files[name] = mutate_text(rng, files.get(name, b"{}"))
    return join_file(flatbuffer, files), name


def _metadata(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    flatbuffer, files = split_file(whole)
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    entries = list(model.metadata or [])
    if not entries:
        return _edited(rng, whole)
    buffer = model.buffers[pick(rng, entries).buffer]
    if buffer.data is not None and len(buffer.data):
        buffer.data = np.frombuffer(flip_bits(rng, bytes(bytearray(buffer.data)), 0, len(buffer.data)), np.uint8)
    # Without its contract a model is judged by these metadata.
    kept = {name: content for name, content in files.items() if name != "contract.json" or rng.random() < 0.3}
    return join_file(_packed(model), kept), ""


def _swapped_buffers(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    flatbuffer, files = split_file(whole)
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    tensors = model.subgraphs[0].tensors
    a, b = pick(rng, tensors), pick(rng, tensors)
    a.buffer, b.buffer = b.buffer, a.buffer
    return join_file(_packed(model), files), ""


def _edited(rng: Rng, whole: bytes) -> tuple[bytes, str]:
    flatbuffer, files = split_file(whole)
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    done = []
    for _ in range(int(rng.integers(1, 4))):
        if model.subgraphs and model.operatorCodes:  # an earlier edit may have left nothing to edit
            done.append(pick(rng, EDITS)(rng, model))
    try:
        return join_file(_packed(model), files), ", ".join(done)
    except Exception:  # a value that the schema's own packer refuses: damage the bytes instead
        return _in_structure(rng, whole)


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _shape(rng: Rng, model: Any) -> str:
    tensor = pick(rng, model.subgraphs[0].tensors)
    shape = list(np.atleast_1d(tensor.shape if tensor.shape is not None else []))
    kind = pick(rng, ["set", "set", "drop", "add", "none", "signature"])
    if kind == "set" and shape:
        shape[int(rng.integers(len(shape)))] = pick(rng, INTEGERS)
    elif kind == "drop" and shape:
        shape.pop()
    elif kind == "add":
        shape.append(pick(rng, INTEGERS))
    elif kind == "signature":
        tensor.shapeSignature = np.array([pick(rng, INTEGERS) for _ in shape], np.int32)
        return "shape signature"
    tensor.shape = None if kind == "none" else np.array(shape, np.int32)
    return f"shape {shape}"


def _type(rng: Rng, model: Any) -> str:
    tensor = pick(rng, model.subgraphs[0].tensors)
    tensor.type = int(rng.integers(0, 20))
    return f"type {tensor.type}"


def _buffer(rng: Rng, model: Any) -> str:
    if rng.random() < 0.5:
        tensor = pick(rng, model.subgraphs[0].tensors)
        tensor.buffer = int(pick(rng, [*range(len(model.buffers)), len(model.buffers), 1 << 31]))
        return f"buffer {tensor.buffer}"
    buffer = pick(rng, model.buffers)
    data = bytes(bytearray(buffer.data)) if buffer.data is not None else b""
    size = int(pick(rng, [0, 1, len(data) // 2, max(len(data) - 1, 0), len(data) + 1, len(data) * 2]))
    buffer.data = np.frombuffer((data * 2 + b"\xff" * size)[:size], np.uint8) if size else None
    return f"buffer of {size} bytes"


def _quantization(rng: Rng, model: Any) -> str:
    tensor = pick(rng, model.subgraphs[0].tensors)
    kind = pick(rng, ["none", "scale", "zero", "counts", "axis"])
    if kind == "none" or tensor.quantization is None:
        tensor.quantization = None
    elif kind == "scale":
        count = len(tensor.quantization.scale) if tensor.quantization.scale is not None else 1
        tensor.quantization.scale = np.full(count, pick(rng, NUMBERS), np.float32)
    elif kind == "zero":
        count = len(tensor.quantization.zeroPoint) if tensor.quantization.zeroPoint is not None else 1
        tensor.quantization.zeroPoint = np.full(count, pick(rng, INTEGERS), np.int64)
    elif kind == "counts":
        tensor.quantization.scale = np.full(int(rng.integers(0, 9)), 0.01, np.float32)
        tensor.quantization.zeroPoint = np.zeros(int(rng.integers(0, 9)), np.int64)
    else:
        tensor.quantization.quantizedDimension = pick(rng, INTEGERS)
    return f"quantization {kind}"


def _tensor_flags(rng: Rng, model: Any) -> str:
    tensor = pick(rng, model.subgraphs[0].tensors)
    if rng.random() < 0.5:
        tensor.isVariable = not tensor.isVariable
        return "variable"
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder = np.array([pick(rng, INTEGERS) for _ in range(4)], np.int32)
    return "sparsity"


def _operands(rng: Rng, model: Any) -> str:
    graph = model.subgraphs[0]
    owner, field = pick(rng, [(pick(rng, graph.operators), "inputs"), (pick(rng, graph.operators), "outputs"),
                              (graph, "inputs"), (graph, "outputs")])  # fmt: skip
    given = getattr(owner, field)
    values = [int(v) for v in given] if given is not None else []
    choices = [*range(len(graph.tensors)), -1, len(graph.tensors), 1 << 30]
    kind = pick(rng, ["set", "set", "drop", "add", "none"])
    if kind == "set" and values:
        values[int(rng.integers(len(values)))] = int(pick(rng, choices))
    elif kind == "drop" and values:
        values.pop(int(rng.integers(len(values))))
    elif kind == "add":
        values.append(int(pick(rng, choices)))
    setattr(owner, field, None if kind == "none" else np.array(values, np.int32))
    return f"{field} {kind}"


def _order(rng: Rng, model: Any) -> str:
    nodes = model.subgraphs[0].operators
    a, b = (int(v) for v in rng.integers(0, len(nodes), 2))
    nodes[a], nodes[b] = nodes[b], nodes[a]
    return "order of operators"


def _code(rng: Rng, model: Any) -> str:
    if rng.random() < 0.4:
        node = pick(rng, model.subgraphs[0].operators)
        node.opcodeIndex = int(rng.integers(len(model.operatorCodes) + 1))
        return "operator's code"
    code = pick(rng, model.operatorCodes)
    if rng.random() < 0.4:
        code.version = pick(rng, INTEGERS)
        return f"version {code.version}"
    code.builtinCode = int(rng.integers(0, 210))
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    return f"operator {code.builtinCode}"


def _options(rng: Rng, model: Any) -> str:
    node = pick(rng, model.subgraphs[0].operators)
    options = node.builtinOptions
    numbers = [name for name, value in vars(options).items() if isinstance(value, int)] if options is not None else []
    if not numbers or rng.random() < 0.2:
        if rng.random() < 0.5:
            node.builtinOptions, node.builtinOptionsType = None, 0
        else:
            node.builtinOptionsType = int(rng.integers(0, 126))
        return "options gone or of another kind"
    name = pick(rng, numbers)
    value = pick(rng, INTEGERS)
    is_small = name in ("padding", "fusedActivationFunction", "weightsFormat", "quantizedBiasType")
    setattr(options, name, bool(value) if isinstance(getattr(options, name), bool) else
            int(np.int8(value & 0x7F)) if is_small else value)  # fmt: skip
    return f"{name} {value}"


def _graphs(rng: Rng, model: Any) -> str:
    kind = pick(rng, ["none", "two", "version", "no codes", "no buffers", "signature"])
    if kind == "none":
        model.subgraphs = []
    elif kind == "two":
        model.subgraphs = [model.subgraphs[0], model.subgraphs[0]]
    elif kind == "version":
        model.version = int(rng.integers(0, 9))
    elif kind == "no codes":
        model.operatorCodes = []
    elif kind == "no buffers":
        model.buffers = model.buffers[:1]
    else:
        for signature in model.signatureDefs or []:
            signature.subgraphIndex = int(pick(rng, [1, 7, 1 << 31]))
            for entry in signature.inputs or []:
                entry.tensorIndex = int(pick(rng, [9999, 1 << 31]))
    return f"graphs: {kind}"


EDITS: tuple[Callable[[Rng, Any], str], ...] = (
    _shape, _shape, _type, _buffer, _buffer, _quantization, _quantization, _tensor_flags, _operands, _operands, _order,
    _code, _options, _options, _graphs,
)  # fmt: skip
MUTATIONS: dict[str, Callable[[Rng, bytes], tuple[bytes, str]]] = {
    "bits anywhere": _anywhere,
    "bits in the structure": _in_structure,
    "a number in the structure": _number_in_structure,
    "truncated": _truncated,
    "a block moved": _block_moved,
    "buffers swapped": _swapped_buffers,
    "fields edited": _edited,
    "contract or labels edited": _contract,
    "metadata edited": _metadata,
    "zip trailer edited": _zip_trailer,
}
