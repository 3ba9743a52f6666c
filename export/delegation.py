"""Which levels would crawl on a device, and why: operations that no delegate takes and no fast kernel runs.

Stands apart because the rule is an experiment's outcome: single layers and whole U-Nets were timed against their
float32 selves, with ai-edge-litert 2.3 and tflite-runtime 2.14 (equal in this), on one thread.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from unetlite.edge.delegation import Delegation


@dataclass(frozen=True)
class SlowKernel:
    """An operation that, left over at a level, runs on a reference kernel.

    Attributes:
        levels: where that is so.
        operations: names of TFLite operations.
        reason: why, and by how much, for people.
    """

    levels: frozenset[str]
    operations: frozenset[str]
    reason: str


SLOW_KERNELS = (
    SlowKernel(
        frozenset({"dynamic"}),
        frozenset({"TRANSPOSE_CONV"}),
        # 3 to 11 times the float32 time of small U-Nets, 16 to 24 times the reference preset's. An open batch is
        # what leaves it over; with a fixed batch the same networks are delegated, at 0.7 to 2 times float32.
        "a transposed convolution with int8 weights outside XNNPACK runs on a reference kernel, which made U-Nets "
        "up to 24 times slower than float32",
    ),
    SlowKernel(
        frozenset({"int16x8"}),
        frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED"}),
        # Layer by layer.
        "XNNPACK takes no int16 activations, so every convolution runs on a reference kernel, 4 to 59 times "
        "slower than float32",
    ),
)


def slow_reason(level: str, delegation: Delegation) -> str | None:
    """Why a file of this level would crawl, or None.

    Args:
        level: its name.
        delegation: of its interpreter.
    """
    left = Counter(delegation.undelegated or ())
    for kernel in SLOW_KERNELS:
        found = {name: count for name, count in left.items() if name in kernel.operations}
        if level in kernel.levels and found:
            counted = ", ".join(f"{count} {name}" for name, count in found.items())
            return f"{kernel.reason} (here: {counted})"
    return None
