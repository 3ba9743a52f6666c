"""How the capture fares right now: frames a second, latency, what was dropped, heat.

Stands apart so that the loop measures and the page shows, and neither does both.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from unetlite.edge.device import read_temperature_c, read_throttling

_SPAN = 60  # cycles that a figure speaks for
_DEVICE_EVERY_S = 5.0


@dataclass(frozen=True)
class Figures:
    """Medians over the last cycles; None where nothing is known.

    Attributes:
        frames_per_s: looked at, not those of the camera.
        latency_ms: of each stage, and of the whole cycle as "cycle".
        dropped, reopened: frames not looked at, and how often the camera came back.
        captures: saved since the start.
        temperature_c: of the processor.
        throttled: what holds the processor back now, such as "under-voltage"; None where nobody says.
    """

    frames_per_s: float | None
    latency_ms: Mapping[str, float]
    dropped: int
    reopened: int
    captures: int
    temperature_c: float | None
    throttled: tuple[str, ...] | None


class FigureKeeper:
    """Collects a cycle's latencies and sums them up."""

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=_SPAN)
        self._latencies: deque[Mapping[str, float]] = deque(maxlen=_SPAN)
        self._asked_s = float("-inf")
        self._temperature_c: float | None = None
        self._throttled: tuple[str, ...] | None = None

    def add(self, latency_ms: Mapping[str, float]) -> None:
        self._ends.append(time.monotonic())
        self._latencies.append(latency_ms)

    def sum_up(self, *, dropped: int, reopened: int, captures: int) -> Figures:
        now_s = time.monotonic()
        if now_s - self._asked_s > _DEVICE_EVERY_S:
            self._asked_s = now_s
            self._temperature_c = read_temperature_c()
            throttling = read_throttling()
            self._throttled = None if throttling is None else throttling.now
        span_s = self._ends[-1] - self._ends[0] if len(self._ends) > 1 else 0.0
        stages = self._latencies[-1] if self._latencies else {}
        return Figures(
            (len(self._ends) - 1) / span_s if span_s > 0 else None,
            {stage: median(one[stage] for one in self._latencies if stage in one) for stage in stages},
            dropped,
            reopened,
            captures,
            self._temperature_c,
            self._throttled,
        )
