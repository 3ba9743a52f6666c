"""Which operations a delegate (XNNPACK on a CPU) took over; the rest runs on slower kernels.

Stands apart because export refuses and the benchmark reports by it, with any of the three runtimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class Delegation:
    """How an interpreter divided its operations. All None where the runtime does not tell.

    Attributes:
        total_ops: operations of the model's main graph.
        delegated_ops: how many of them a delegate runs.
        partitions: delegate kernels; each further one means copies between two worlds.
        undelegated: names of the operations left over, in order of execution.
    """

    total_ops: int | None = None
    delegated_ops: int | None = None
    partitions: int | None = None
    undelegated: tuple[str, ...] | None = None


def delegated_ops(interpreter: Any) -> Delegation:
    """Read the division from an allocated interpreter.

    A runtime keeps the original operations and appends one DELEGATE node a partition. Which operations a partition
    replaced is not stated; they are those on the way back from its outputs to its inputs.

    Args:
        interpreter: any of the three runtimes', after `allocate_tensors`.
    """
    try:
        nodes = interpreter._get_ops_details()  # no public way; the name is the same in all three
    except AttributeError:
        return Delegation()
    original = [node for node in nodes if node["op_name"] != _DELEGATE]
    partitions = [node for node in nodes if node["op_name"] == _DELEGATE]
    producer = {int(tensor): i for i, node in enumerate(original) for tensor in node["outputs"]}
    taken: set[int] = set()
    for partition in partitions:
        inputs = {int(tensor) for tensor in partition["inputs"]}
        pending = [int(tensor) for tensor in partition["outputs"]]
        while pending:
            tensor = pending.pop()
            index = producer.get(tensor)
            if tensor in inputs or index is None or index in taken:
                continue
            taken.add(index)
            pending += [int(source) for source in original[index]["inputs"]]
    left = tuple(str(node["op_name"]) for i, node in enumerate(original) if i not in taken)
    return Delegation(len(original), len(taken), len(partitions), left)
