"""How long files take for one picture, measured side by side.

Stands apart because the report, the search for layers to keep in float and the delegation report must mean the same
by a time: the median of single runs on one thread, files taking turns, so that a busy moment hits all alike.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

ROUNDS = 15
ENOUGH_S = 4.0  # for all files together: one that crawls is known after a run


def invoke_ms(interpreters: Mapping[str, Any], rounds: int = ROUNDS) -> dict[str, float]:
    """Median milliseconds of one `invoke` by name.

    Args:
        interpreters: allocated, of one thread; inputs stay as they are.
        rounds: how many runs each, fewer where `ENOUGH_S` has passed, one at least after one to warm up.
    """
    runs: dict[str, list[float]] = {name: [] for name in interpreters}
    begin = time.perf_counter()
    for interpreter in interpreters.values():
        interpreter.invoke()
    for done in range(rounds):
        if done and time.perf_counter() - begin > ENOUGH_S:
            break
        for name, interpreter in interpreters.items():
            start = time.perf_counter()
            interpreter.invoke()
            runs[name].append((time.perf_counter() - start) * 1000.0)
    return {name: float(np.median(values)) for name, values in runs.items()}
