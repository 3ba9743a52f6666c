"""The result of one quality gate.

Stands apart because the gates measure pixels, and the state machine that reads their results must not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Gate:
    """One gate's word on one frame.

    Attributes:
        name: what it looks at.
        value: what it measured, in the unit of `threshold`; None where there was nothing to measure.
        threshold: where it closes.
        passed: whether the frame is good enough.
        sentence: what the person should do where it is not.
    """

    name: str
    value: float | None
    threshold: float
    passed: bool
    sentence: str


def first_failed(gates: Iterable[Gate]) -> Gate | None:
    """The gate whose hint matters most: the first closed one, in the order of judging."""
    return next((gate for gate in gates if not gate.passed), None)
