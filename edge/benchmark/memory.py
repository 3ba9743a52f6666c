"""How much memory one model needs, and its first frame's time, in a process of its own.

Stands apart because in a process that holds several models nobody can say which of them a byte belongs to, and
because the first frame after a start is what a person waits for: `python -m unetlite.edge.benchmark.memory JSON`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from unetlite.edge.segmenter import Segmenter
from unetlite.vision.errors import ModelError

FRAMES = 5  # after the first: by then every buffer that inference needs has been touched


def measure_start(path: Path, segmenter: Segmenter, threads: int, size_wh: tuple[int, int]) -> dict[str, Any]:
    """Load a model in a fresh process and run some grey frames.

    Args:
        path: the model's file.
        segmenter: the same model as it was loaded here; the other process takes its runtime and contract.
        threads: of the interpreter.
        size_wh: of the frames, pixels.

    Returns:
        `load_ms`, `first_invoke_ms`, `first_frame_ms`; `base_rss_bytes` (Python, NumPy, OpenCV, before the runtime),
        `steady_rss_bytes` (after the frames) and `peak_rss_bytes`.

    Raises:
        ModelError: the process failed.
    """
    contract = segmenter.contract
    asked = {
        "model": str(path),
        "runtime": None if segmenter.runtime.name == "keras" else segmenter.runtime.name,
        "threads": threads,
        "input_range": contract.input.real_range,
        "fit": contract.input.fit,
        "threshold": contract.output.threshold,
        "labels": contract.output.class_names,
        "size_wh": size_wh,
    }
    command = [sys.executable, "-m", "unetlite.edge.benchmark.memory", json.dumps(asked)]
    result = subprocess.run(command, capture_output=True, text=True)
    try:
        return json.loads(result.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        said = (result.stderr.strip().splitlines() or ["nothing"])[-1][:200]
        raise ModelError(
            f"{path}: loads here, but a fresh process ended with status {result.returncode} and said: {said}"
        ) from error


def _status_bytes(field: str) -> int | None:
    # getrusage would count what the parent had before it started this process.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None


def main() -> None:
    """Run what the one argument asks for; the answer is the last line of stdout."""
    import numpy as np

    from unetlite.edge.segmenter import load_segmenter

    asked = json.loads(sys.argv[1])
    width, height = asked.pop("size_wh")
    image = np.full((height, width, 3), 128, np.uint8)
    base = _status_bytes("VmRSS")
    begin = time.perf_counter()
    segmenter = load_segmenter(Path(asked.pop("model")), **asked)
    loaded = time.perf_counter()
    first = segmenter(image, hurried=True).latency_ms
    for _ in range(FRAMES):
        segmenter(image, hurried=True)
    answer = {
        "load_ms": round((loaded - begin) * 1000.0, 3),
        "first_invoke_ms": round(first["invoke"], 3),
        "first_frame_ms": round(sum(first.values()), 3),
        "base_rss_bytes": base,
        "steady_rss_bytes": _status_bytes("VmRSS"),
        "peak_rss_bytes": _status_bytes("VmHWM"),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
