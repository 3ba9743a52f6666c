"""Latencies of many runs as percentiles: a mean hides the frames that stutter.

Stands apart so that benchmark and live capture state the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

STAGES = ("preprocess", "invoke", "postprocess")


def percentiles(values_ms: Sequence[float], which: Sequence[int] = (50, 90, 99)) -> dict[str, float]:
    """p50, p90 and p99 of at least one latency, linearly interpolated, in milliseconds to a microsecond."""
    return {f"p{q}": round(float(np.percentile(values_ms, q)), 3) for q in which}


def total_ms(run: Mapping[str, float]) -> float:
    """All stages of one `Segmentation.latency_ms` together."""
    return sum(run[stage] for stage in STAGES)


def summarise(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Percentiles by stage and of each run's total.

    Args:
        runs: at least one `Segmentation.latency_ms`.
    """
    summary = {stage: percentiles([run[stage] for run in runs]) for stage in STAGES}
    return {**summary, "total": percentiles([total_ms(run) for run in runs])}


def paired_ratio(own: Sequence[float], others: Sequence[float], clean: Sequence[bool]) -> float | None:
    """How many times the other's time something takes: the median over rounds of each round's own ratio.

    What slows a machine down for a while meets both turns of a round alike, and so leaves this ratio as it is, where
    the ratio of two medians over all rounds moves.

    Args:
        own, others: of each round, both in one unit.
        clean: whether the round counts; None is returned where no round does.
    """
    ratios = [a / b for a, b, good in zip(own, others, clean, strict=True) if good]
    return float(np.median(ratios)) if ratios else None
