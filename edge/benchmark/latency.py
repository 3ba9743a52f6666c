"""Latencies of many runs as percentiles: a mean hides the frames that stutter.

Stands apart so that benchmark and live capture state the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

STAGES = ("preprocess", "invoke", "postprocess")
HOLDS_WITHIN = 1.1  # two reports of one machine are to agree in their ratios that closely


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


@dataclass(frozen=True)
class Ratio:
    """How many times another's time something takes.

    Attributes:
        median: over all pairs of each pair's own ratio. What slows a machine down for a while meets both of a pair,
            and so leaves this as it is, where the ratio of two medians moves.
        low, high: within these the median would come to lie in 19 of 20 repetitions, as far as the pairs tell.
    """

    median: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether another run of the benchmark would find nearly the same, as far as the pairs tell."""
        return self.high <= self.low * HOLDS_WITHIN


def paired_ratio(own: Sequence[float], others: Sequence[float], clean: Sequence[bool]) -> Ratio | None:
    """Compare two that were timed in pairs: on the same picture in the same round.

    Args:
        own, others: of each pair, both in one unit.
        clean: whether the pair counts; None is returned where none does.
    """
    ratios = sorted(a / b for a, b, good in zip(own, others, clean, strict=True) if good)
    if not ratios:
        return None
    rank = _interval_rank(len(ratios))
    return Ratio(float(np.median(ratios)), ratios[rank], ratios[-1 - rank])


def _interval_rank(count: int) -> int:
    """How many values to leave out at each end for a 95 % interval of the median; with fewer than 6 values, none.

    Each value is above the median or below it with even odds, whatever the values' distribution.

    Source: Conover, Practical Nonparametric Statistics, 3rd ed., 3.2.
    """
    below, rank = 0, -1
    while (below := below + comb(count, rank + 1)) <= 0.025 * 2**count:
        rank += 1
    return max(rank, 0)
