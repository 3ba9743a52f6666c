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
    """Read the division from an allocated interpreter: any of the three runtimes', after `allocate_tensors`."""
    divided = divide_ops(interpreter)
    if divided is None:
        return Delegation()
    names, partitions = divided
    taken = frozenset().union(*partitions)
    left = tuple(name for i, name in enumerate(names) if i not in taken)
    return Delegation(len(names), len(taken), len(partitions), left)


def divide_ops(interpreter: Any) -> tuple[list[str], list[frozenset[int]]] | None:
    """The names of all operations in order of execution, and which of them each partition runs, by their numbers.

    A runtime keeps the original operations and appends one DELEGATE node a partition. Which operations a partition
    replaced is not stated; they are those on the way back from its outputs to its inputs. None where the runtime does
    not tell.
    """
    try:
        nodes = interpreter._get_ops_details()  # no public way; the name is the same in all three
    except AttributeError:
        return None
    original = [node for node in nodes if node["op_name"] != _DELEGATE]
    producer = {int(tensor): i for i, node in enumerate(original) for tensor in node["outputs"]}
    partitions: list[frozenset[int]] = []
    taken: set[int] = set()
    for partition in (node for node in nodes if node["op_name"] == _DELEGATE):
        inputs = {int(tensor) for tensor in partition["inputs"]}
        pending = [int(tensor) for tensor in partition["outputs"]]
        own: set[int] = set()
        while pending:
            tensor = pending.pop()
            index = producer.get(tensor)
            if tensor in inputs or index is None or index in taken:
                continue
            taken.add(index)
            own.add(index)
            pending += [int(source) for source in original[index]["inputs"]]
        partitions.append(frozenset(own))
    return [str(node["op_name"]) for node in original], partitions
