"""A `.tflite` file's graph, read so that nothing in it points outside the file or past another list.

Stands apart from the reader below, which knows no schema, and from what is made of the graph.

Source: TensorFlow Lite's schema.fbs, version 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unetlite.edge.flatbuffer import Table
from unetlite.vision.errors import ModelError

# Field numbers of schema.fbs.
_MODEL_VERSION, _MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS, _MODEL_DESCRIPTION, _MODEL_BUFFERS = 0, 1, 2, 3, 4
_MODEL_METADATA_BUFFER, _MODEL_METADATA, _MODEL_SIGNATURES = 5, 6, 7
_CODE_OLD, _CODE_CUSTOM, _CODE_VERSION, _CODE_BUILTIN = 0, 1, 2, 3
_SUBGRAPH_TENSORS, _SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _SUBGRAPH_OPERATORS, _SUBGRAPH_NAME = 0, 1, 2, 3, 4
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_QUANTIZATION, _TENSOR_VARIABLE = 0, 1, 2, 3, 4, 5
_TENSOR_SPARSITY, _TENSOR_SIGNATURE, _TENSOR_VARIANTS = 6, 7, 9
_QUANTIZATION_SCALE, _QUANTIZATION_ZERO_POINT, _QUANTIZATION_DETAILS, _QUANTIZATION_AXIS = 2, 3, 5, 6
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS_KIND, _OPERATOR_OPTIONS = 0, 1, 2, 3, 4
_OPERATOR_CUSTOM, _OPERATOR_MUTATED, _OPERATOR_INTERMEDIATES, _OPERATOR_LARGE, _OPERATOR_MORE = 5, 7, 8, 9, 12
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS, _SIGNATURE_KEY, _SIGNATURE_SUBGRAPH = 0, 1, 2, 4
_MAP_NAME, _MAP_TENSOR = 0, 1
SCHEMA_VERSION = 3


@dataclass(frozen=True)
class Tensor:
    """A tensor as the file declares it.

    Attributes:
        shape: its sizes; empty for a scalar.
        kind: of the schema's enum TensorType.
        content: its constant bytes; empty where it is computed.
        scale, zero_point: of its quantization, one or one a slice along `axis`; empty where it has none.
        plain: no variable, not sparse, nothing of its shape left open, no quantization by a custom scheme.
    """

    shape: tuple[int, ...]
    kind: int
    content: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int
    plain: bool


@dataclass(frozen=True)
class Node:
    """An operator; a tensor number of -1 is an input left out.

    Attributes:
        code: of the schema's enum BuiltinOperator.
        options_kind: of the union BuiltinOptions.
        plain: neither a custom operator nor one with parts that only few newer operators have.
    """

    code: int
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_kind: int
    options: Table | None
    plain: bool


@dataclass(frozen=True)
class Graph:
    """A subgraph: tensors by number, operators in the order in which they run."""

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graphs(content: bytes, where: str) -> list[Graph]:
    """The graphs of a model, the main one first.

    Args:
        content: the bytes of a `.tflite` file.
        where: what to call it in an error.

    Raises:
        ModelError: truncated or damaged: something points outside the file, or at an entry that is not there.
    """
    model = Table.root(content, where)
    if model.scalar(_MODEL_VERSION, "I") != SCHEMA_VERSION:
        raise ModelError(
            f"{where}: expected a TFLite model of schema version {SCHEMA_VERSION}, got "
            f"{model.scalar(_MODEL_VERSION, 'I')}; the file is damaged, or export it again"
        )
    model.text(_MODEL_DESCRIPTION)
    buffers = [_buffer_content(buffer, len(content), where) for buffer in model.tables(_MODEL_BUFFERS)]
    _check_indices(model.array(_MODEL_METADATA_BUFFER, "<i4"), len(buffers), "buffer", where)
    for entry in model.tables(_MODEL_METADATA):
        entry.text(_METADATA_NAME)
        _check_indices([entry.scalar(_METADATA_BUFFER, "I")], len(buffers), "buffer", where)
    codes = [_code(entry) for entry in model.tables(_MODEL_OPERATOR_CODES)]
    subgraphs = model.tables(_MODEL_SUBGRAPHS)
    if not subgraphs:
        raise ModelError(f"{where}: expected a TFLite model with a graph, got none; export it again")
    graphs = [_graph(subgraph, codes, buffers, where) for subgraph in subgraphs]
    for signature in model.tables(_MODEL_SIGNATURES):
        _check_signature(signature, graphs, where)
    return graphs


def _buffer_content(buffer: Table, file_bytes: int, where: str) -> np.ndarray:
    # Models over 2 GB keep weights behind the flatbuffer, by offset and size.
    if buffer.scalar(_BUFFER_OFFSET, "Q") + buffer.scalar(_BUFFER_SIZE, "Q") > file_bytes:
        raise ModelError(f"{where}: expected weights inside the file, got an offset beyond it; copy it again")
    return buffer.array(_BUFFER_DATA, "u1")


def _code(entry: Table) -> tuple[int, int, bool]:
    # Writers before 2020 know the one-byte field alone; the larger of the two counts.
    code = max(entry.scalar(_CODE_OLD, "b"), entry.scalar(_CODE_BUILTIN, "i"))
    return code, entry.scalar(_CODE_VERSION, "i", 1), not entry.text(_CODE_CUSTOM)


def _graph(subgraph: Table, codes: list[tuple[int, int, bool]], buffers: list[np.ndarray], where: str) -> Graph:
    subgraph.text(_SUBGRAPH_NAME)
    tensors = tuple(_tensor(tensor, buffers, where) for tensor in subgraph.tables(_SUBGRAPH_TENSORS))
    nodes = []
    for node in subgraph.tables(_SUBGRAPH_OPERATORS):
        number = node.scalar(_OPERATOR_CODE, "I")
        _check_indices([number], len(codes), "operator code", where)
        inputs, outputs = (node.array(field, "<i4") for field in (_OPERATOR_INPUTS, _OPERATOR_OUTPUTS))
        intermediates = node.array(_OPERATOR_INTERMEDIATES, "<i4")
        for indices in (inputs, outputs, intermediates):
            _check_indices(indices, len(tensors), "tensor", where)
        more = node.scalar(_OPERATOR_LARGE, "Q") or node.table(_OPERATOR_MORE) or len(intermediates)
        own = len(node.array(_OPERATOR_CUSTOM, "u1")) or node.array(_OPERATOR_MUTATED, "u1").any()
        code, version, builtin = codes[number]
        nodes.append(
            Node(
                code,
                version,
                tuple(inputs.tolist()),
                tuple(outputs.tolist()),
                node.scalar(_OPERATOR_OPTIONS_KIND, "B"),
                node.table(_OPERATOR_OPTIONS),
                builtin and not more and not own,
            )
        )
    ends = [subgraph.array(field, "<i4") for field in (_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS)]
    for indices in ends:
        _check_indices(indices, len(tensors), "tensor", where)
    return Graph(tensors, tuple(nodes), tuple(ends[0].tolist()), tuple(ends[1].tolist()))


def _tensor(tensor: Table, buffers: list[np.ndarray], where: str) -> Tensor:
    tensor.text(_TENSOR_NAME)
    shape, signature = (tuple(tensor.array(field, "<i4").tolist()) for field in (_TENSOR_SHAPE, _TENSOR_SIGNATURE))
    buffer = tensor.scalar(_TENSOR_BUFFER, "I")
    _check_indices([buffer], len(buffers), "buffer", where)
    scale, zero_point, axis, custom = np.zeros(0, "<f4"), np.zeros(0, "<i8"), 0, None
    quantization = tensor.table(_TENSOR_QUANTIZATION)
    if quantization is not None:
        scale, zero_point = quantization.array(_QUANTIZATION_SCALE, "<f4"), quantization.array(
            _QUANTIZATION_ZERO_POINT, "<i8"
        )
        axis, custom = quantization.scalar(_QUANTIZATION_AXIS, "i"), quantization.table(_QUANTIZATION_DETAILS)
    plain = (
        not tensor.scalar(_TENSOR_VARIABLE, "B")
        and tensor.table(_TENSOR_SPARSITY) is None
        and not tensor.tables(_TENSOR_VARIANTS)
        and custom is None
        and signature in ((), shape)
    )
    return Tensor(shape, tensor.scalar(_TENSOR_TYPE, "b"), buffers[buffer], scale, zero_point, axis, plain)


def _check_signature(signature: Table, graphs: list[Graph], where: str) -> None:
    number = signature.scalar(_SIGNATURE_SUBGRAPH, "I")
    _check_indices([number], len(graphs), "graph", where)
    signature.text(_SIGNATURE_KEY)
    for field in (_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS):
        for entry in signature.tables(field):
            entry.text(_MAP_NAME)
            _check_indices([entry.scalar(_MAP_TENSOR, "I")], len(graphs[number].tensors), "tensor", where)


def _check_indices(indices: np.ndarray | list[int], count: int, what: str, where: str) -> None:
    if len(indices) and (max(indices) >= count or min(indices) < -1):  # -1: an optional tensor left out
        raise ModelError(
            f"{where}: expected {what} numbers below {count}, got {max(indices)}; the file is damaged, copy it again"
        )
