"""The rule that tells which files would crawl."""

from __future__ import annotations

import pytest

from unetlite.edge.delegation import Delegation
from unetlite.export.delegation import slow_reason


def left_over(*operations: str) -> Delegation:
    return Delegation(20, 20 - len(operations), 3, operations)


@pytest.mark.parametrize(
    ("level", "operation"),
    [("dynamic", "TRANSPOSE_CONV"), ("int16x8", "CONV_2D"), ("int16x8", "DEPTHWISE_CONV_2D")],
)
def test_reference_kernels_are_named_and_counted(level: str, operation: str) -> None:
    reason = slow_reason(level, left_over("RESHAPE", operation, operation))
    assert reason is not None
    assert f"2 {operation}" in reason


@pytest.mark.parametrize(
    ("level", "operation"),
    [
        ("dynamic", "DEPTHWISE_CONV_2D"),  # an optimized kernel of its own: whole networks kept their speed
        ("float32", "TRANSPOSE_CONV"),
        ("int8", "QUANTIZE"),
        ("int8", "TILE"),
    ],
)
def test_left_over_operations_with_fast_kernels_pass(level: str, operation: str) -> None:
    assert slow_reason(level, left_over(operation)) is None


def test_a_runtime_that_does_not_tell_is_not_held_against_a_file() -> None:
    assert slow_reason("dynamic", Delegation()) is None
