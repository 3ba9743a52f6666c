"""How two reports are compared; measuring them needs a quiet machine and stays with the script."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def repeatability():
    sys.path.insert(0, str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("repeatability", BENCHMARKS / "repeatability.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(BENCHMARKS))
    return module


def report(*runs: tuple[str, int, float]) -> dict:
    """Three rounds of two frames, in which the machine becomes twice as slow; the last does not count."""
    return {
        "runs": [
            {"model": model, "threads": threads, "frame_total_ms": [ms, ms, 2 * ms, 2 * ms, 99.0, 99.0],
             "round_invoke_ms": [ms / 2, ms, 99.0], "round_clean": [True, True, False]}
            for model, threads, ms in runs
        ]
    }  # fmt: skip


def test_all_pairs_of_models_with_as_many_threads_are_compared(repeatability):
    first = report(("a", 1, 10.0), ("a", 2, 6.0), ("b", 1, 20.0), ("b", 2, 6.0), ("c", 1, 5.0))
    second = report(("a", 1, 50.0), ("a", 2, 6.0), ("b", 1, 100.0), ("b", 2, 7.5), ("c", 1, 24.0))
    rows, worst = repeatability.compare(first, second)
    assert [row[:2] for row in rows] == [[1, "b / a"], [1, "c / a"], [1, "c / b"], [2, "b / a"]]
    assert rows[0][2:5] == ["2.000", "2.000", "0.0 %"]
    assert rows[1][2:5] == ["0.500", "0.480", "4.2 %"]
    assert rows[3][5:] == ["1.000", "1.250", "25.0 %"]
    assert worst == pytest.approx(1.25)
