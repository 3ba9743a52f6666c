"""What an interpreter's partitions and left-over operations cost, each measured by itself.

Stands apart from `delegation`, which knows the traps by name: this takes a file to pieces and times them. No runtime
tells the time of its operations to Python, so each piece is cut out of the file as a model of its own, with its
weights and shapes, and runs as it does in the whole: a partition on the delegate, an operation without.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from unetlite.edge.delegation import divide_ops
from unetlite.edge.runtime import load_runtime, make_interpreter
from unetlite.export.model_tables import is_stored, read_model, write_model
from unetlite.export.quiet import hushed
from unetlite.export.timing import invoke_ms


@dataclass(frozen=True)
class PartitionCost:
    """Operations that the delegate runs in one go.

    Attributes:
        operations: how many.
        ms: median of one picture on one thread, alone.
    """

    operations: int
    ms: float


@dataclass(frozen=True)
class LeftOverCost:
    """An operation that no delegate takes.

    Attributes:
        operation: TFLite's name.
        shape: of its output.
        ms: median of one picture on one thread, alone, on the runtime's own kernel.
    """

    operation: str
    shape: tuple[int, ...]
    ms: float


@dataclass(frozen=True)
class OperationCosts:
    """A file's time by its pieces, each timed alone, so that they need not add up to the whole file's exactly.

    Attributes:
        partitions: in order of execution.
        left_over: likewise.
    """

    partitions: tuple[PartitionCost, ...]
    left_over: tuple[LeftOverCost, ...]

    @property
    def left_over_share(self) -> float:
        """How much of the time goes to operations that no delegate takes, 0..1."""
        left = sum(piece.ms for piece in self.left_over)
        return left / (left + sum(piece.ms for piece in self.partitions))


def operation_costs(content: bytes, interpreter: Any) -> OperationCosts | None:
    """Time a file's pieces; None where the runtime does not tell how it divided the file.

    Args:
        content: a TFLite flatbuffer without metadata.
        interpreter: of it, allocated.
    """
    divided = divide_ops(interpreter)
    if divided is None:
        return None
    names, partitions = divided
    taken = frozenset().union(*partitions)
    left = [number for number in range(len(names)) if number not in taken]
    pieces: dict[str, Any] = {}
    for number, partition in enumerate(partitions):
        with hushed():  # the runtime announces its delegate on stderr
            pieces[f"partition {number}"], _ = make_interpreter(cut_out(content, partition))
    for number in left:
        pieces[f"operation {number}"] = _undelegated(cut_out(content, [number]))
    # Piece by piece: taking turns, each would find its weights gone from the cache, as no whole file does.
    times = {name: invoke_ms({name: piece})[name] for name, piece in pieces.items()}
    shapes = [tuple(map(int, pieces[f"operation {n}"].get_output_details()[0]["shape"])) for n in left]
    return OperationCosts(
        tuple(PartitionCost(len(part), times[f"partition {n}"]) for n, part in enumerate(partitions)),
        tuple(LeftOverCost(names[n], shape, times[f"operation {n}"]) for n, shape in zip(left, shapes, strict=True)),
    )


def cut_out(content: bytes, numbers: Collection[int]) -> bytes:
    """Some operations of a model as a model of their own.

    Args:
        content: a TFLite flatbuffer.
        numbers: which operations of the main graph, by their place.

    Returns:
        A model whose inputs are what these operations take from others, and whose outputs what others, or the
        caller, take from them.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    inside = [graph.operators[number] for number in sorted(numbers)]
    outside = [node for number, node in enumerate(graph.operators) if number not in set(numbers)]
    made = [int(tensor) for node in inside for tensor in node.outputs]
    used = {int(tensor) for node in inside for tensor in node.inputs if tensor >= 0}
    wanted = {int(tensor) for node in outside for tensor in node.inputs} | set(map(int, graph.outputs))
    constant = {i for i in range(len(graph.tensors)) if is_stored(model, i)}
    graph.operators = inside
    graph.inputs = sorted(used - set(made) - constant)
    graph.outputs = [tensor for tensor in made if tensor in wanted]
    model.signatureDefs = None
    model.metadata, model.metadataBuffer = None, None
    kept = used | set(made)
    stored = {graph.tensors[i].buffer for i in kept}  # equal weights share a buffer
    for i, tensor in enumerate(graph.tensors):
        if i not in kept:  # numbers stay as they are; only the weights must not come along
            if tensor.buffer not in stored:
                model.buffers[tensor.buffer].data = None
            tensor.shape, tensor.shapeSignature, tensor.quantization = [], None, None
    return write_model(model)


def _undelegated(content: bytes) -> Any:
    """An interpreter without delegate: alone, an operation might be taken that was left over in company."""
    runtime, _ = load_runtime()
    resolvers = sys.modules[runtime.__module__].OpResolverType  # type: ignore[attr-defined]
    without = resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = runtime(model_content=content, num_threads=1, experimental_op_resolver_type=without)
    interpreter.allocate_tensors()
    return interpreter
