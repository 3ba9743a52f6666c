"""What `benchmarks/growth.py` calls linear and flat."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from growth import judged  # noqa: E402


def runs(seconds: list[float], peaks: list[float]) -> list[dict[str, float]]:
    return [{"pictures": n, "seconds": s, "peak_mb": p} for n, s, p in zip((10, 40, 160), seconds, peaks, strict=True)]


@pytest.mark.parametrize(
    ("seconds", "peaks", "verdict"),
    [
        ([2.1, 2.4, 3.6], [100, 101, 104], "yes"),  # a dear start, then 10 ms each
        ([1.0, 4.0, 17.0], [100, 100, 100], "yes"),
        ([1.0, 4.0, 24.0], [100, 100, 100], "no"),  # the later ones take longer
        ([0.1, 0.4, 1.6], [100, 110, 150], "no"),  # something is kept
    ],
)
def test_linear_time_and_flat_memory(seconds: list[float], peaks: list[float], verdict: str) -> None:
    row = judged("step", runs(seconds, peaks))
    assert row[-1] == verdict and row[0] == "step"
    assert len(row) == 11


def test_the_time_of_a_picture_is_without_the_start() -> None:
    row = judged("step", runs([2.1, 2.4, 3.6], [100, 100, 100]))
    assert row[4] == "10.0 ms" and row[5] == "1.00"
