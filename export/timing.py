"""How long files take for one picture, measured side by side.

Stands apart because the report, the search for layers to keep in float and the delegation report must mean the same
by a time: the median over single runs of the calling thread's processor time, files taking turns. On an idle machine
that is the time that passes; on a busy one the clock would tell of the others (a file of 2 ms had medians of 26 ms).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from unetlite.edge.network import TfliteNetwork
from unetlite.edge.segmenter import Segmenter

ROUNDS = 15
ENOUGH_S = 4.0  # for all files together: one that crawls is known after a run


def invoke_ms(interpreters: Mapping[str, Any], rounds: int = ROUNDS) -> dict[str, float]:
    """Median milliseconds of processor time of one `invoke` by name.

    Args:
        interpreters: allocated, of one thread, which is then the calling one; their inputs are filled with noise.
        rounds: how many runs each after one to warm up, fewer where `ENOUGH_S` has passed; where warming up alone
            took longer, its times stand.
    """
    runs: dict[str, list[float]] = {name: [] for name in interpreters}
    begin = time.perf_counter()
    for interpreter in interpreters.values():
        _fill(interpreter)
    for _ in range(1 + rounds):
        for name, interpreter in interpreters.items():
            start = time.thread_time()
            interpreter.invoke()
            runs[name].append((time.thread_time() - start) * 1000.0)
        if time.perf_counter() - begin > ENOUGH_S:
            break
    return {name: float(np.median(values[1:] or values)) for name, values in runs.items()}

def segmenters_ms(segmenters: Mapping[str, Segmenter]) -> dict[str, float]:
    """`invoke_ms` of the networks behind segmenters, those of `.tflite` files."""
    networks = {name: segmenter.network for name, segmenter in segmenters.items()}
    return invoke_ms({name: net.interpreter for name, net in networks.items() if isinstance(net, TfliteNetwork)})


def _fill(interpreter: Any) -> None:
    """Noise as input: zeros or what memory held may be faster or slower (denormal floats) than a picture."""
    rng = np.random.default_rng(0)
    for given in interpreter.get_input_details():
        kind = np.dtype(given["dtype"])
        if kind.kind == "f":
            values = rng.random(given["shape"]).astype(kind)
        else:
            ends = np.iinfo(kind)
            values = rng.integers(max(ends.min, -(1 << 15)), min(ends.max, 1 << 15), given["shape"]).astype(kind)
        interpreter.set_tensor(given["index"], values)
