"""Timing in rounds: every contestant has a short turn in each, so that what drifts meets all of them alike.

Stands apart because which model, how many threads and what is done with the figures concern others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unetlite.edge.benchmark.gemm import GEMM_MACS
from unetlite.edge.benchmark.watch import DeviceState, held_back, moved
from unetlite.edge.segmenter import Segmenter
from unetlite.vision.image import RgbImage

WARM_UP = 3  # frames of each model before the first round: kernels choose and pack their weights
ROUND_IMAGES = 4  # frames of each model in a round


@dataclass
class Contestant:
    """One model with one number of threads.

    Attributes:
        segmenter: the loaded model.
        threads: None where the runtime takes what it finds.
        rounds: of each round, its frames' milliseconds by stage.
    """

    segmenter: Segmenter
    threads: int | None
    rounds: list[list[Mapping[str, float]]] = field(default_factory=list)


@dataclass
class Gemm:
    """A bare matrix product through one runtime: this device's ceiling.

    Attributes:
        interpreter: loaded with `gemm_model(dtype)`.
        invoke_ms: of every call.
    """

    interpreter: Any
    runtime: str
    threads: int
    dtype: str
    invoke_ms: list[float] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """The product's speed, fit for JSON; the peak is the fastest call."""
        return {
            "runtime": self.runtime,
            "threads": self.threads,
            "dtype": self.dtype,
            "gmac_per_s": round(GEMM_MACS / min(self.invoke_ms) / 1e6, 2),
            "gmac_per_s_median": round(GEMM_MACS / float(np.median(self.invoke_ms)) / 1e6, 2),
        }


@dataclass(frozen=True)
class Watched:
    """What the device did in one round; both empty where nothing is known against it."""

    throttled: tuple[str, ...]
    moved: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether the round's times may be averaged in."""
        return not (self.throttled or self.moved)


def time_in_rounds(
    contestants: Sequence[Contestant],
    gemms: Sequence[Gemm],
    pictures: Callable[[int], Sequence[RgbImage]],
    rounds: int,
    *,
    look: Callable[[], DeviceState],
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> list[Watched]:
    """Time all contestants over the same pictures; each turn begins with an untimed frame.

    Args:
        contestants: get one entry a round.
        gemms: get two calls a round.
        pictures: of a round, those that each contestant sees.
        rounds: how many.
        look: at the device, after every round.
        track: wraps the rounds' numbers, to show progress.

    Returns:
        What the device did, by round.
    """
    first = pictures(0)[0]
    for contestant in contestants:
        for _ in range(WARM_UP):
            contestant.segmenter(first, hurried=True)
    start = earlier = look()
    watched = []
    for number in track(range(rounds)):
        shown = pictures(number)
        turn = number % len(contestants)  # another one begins each round: nobody always follows the same one
        for contestant in (*contestants[turn:], *contestants[:turn]):
            contestant.segmenter(shown[0], hurried=True)
            contestant.rounds.append([contestant.segmenter(image, hurried=True).latency_ms for image in shown])
        for gemm in gemms:
            _invoke(gemm)
        now = look()
        watched.append(Watched(tuple(held_back(earlier, now)), tuple(moved(start, now))))
        earlier = now
    return watched


def _invoke(gemm: Gemm) -> None:
    gemm.interpreter.invoke()
    begin = time.perf_counter()
    gemm.interpreter.invoke()
    gemm.invoke_ms.append((time.perf_counter() - begin) * 1000.0)
