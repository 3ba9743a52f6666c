"""Live capture for 100,000 frames: memory, open files, threads, and whether it grows slower.

    python benchmarks/soak.py --to docs/results/soak.json

Camera thread, network, gates, states, store and page are the real ones, with a viewer; the camera draws its cards.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from tables import table, write_tables

from unetlite.edge.capture.camera import CameraOptions, open_camera
from unetlite.edge.capture.config import CaptureConfig
from unetlite.edge.capture.latest import LatestFrames
from unetlite.edge.capture.loop import CaptureLoop, View
from unetlite.edge.capture.memory import give_frames_back
from unetlite.edge.capture.origin import origin_record
from unetlite.edge.capture.preview import Preview
from unetlite.edge.capture.store import CaptureStore, StoreSettings
from unetlite.edge.segmenter import load_segmenter, shipped_model

PER_CARD = 67.5  # frames of the synthetic camera
KEPT = 50  # captures: retention is part of the soak
EVERY = 500  # frames between two looks at memory and files
MOST_GROWTH_MB, MOST_SLOWER = 5.0, 1.1
VIEWER = "import sys, urllib.request\nlive = urllib.request.urlopen(sys.argv[1])\nwhile live.read(65536):\n    pass"


class Watch:
    """Collects what a run costs; all of its own memory is taken before the first frame."""

    def __init__(self, frames: int) -> None:
        self.cycle_ms = np.full(frames, -1.0)
        self.samples = np.full((frames // EVERY + 1, 3), -1.0)  # MB, open files, threads
        self.frames = self.taken = 0

    def __call__(self, view: View) -> None:
        if not view.latency_ms or self.frames == len(self.cycle_ms):
            return
        self.cycle_ms[self.frames] = view.latency_ms["cycle"]
        self.frames += 1
        if self.frames % EVERY == 0:
            self.samples[self.taken] = rss_mb(), len(os.listdir("/proc/self/fd")), threading.active_count()
            self.taken += 1


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(frames: int, folder: Path) -> dict[str, Any]:
    give_frames_back()
    cv2.setNumThreads(1)
    model = shipped_model()
    segmenter = load_segmenter(model)
    store = CaptureStore(folder, StoreSettings(most_count=KEPT))
    cards = int(-(-frames // PER_CARD))
    watch = Watch(frames)
    options = CameraOptions(paced=False)
    with Preview("127.0.0.1:0", store) as preview:

        def publish(view: View) -> None:
            preview.show(view)
            watch(view)

        source = LatestFrames(
            lambda: open_camera(f"synthetic:{cards}", options), every_frame=True, fit=segmenter.contract.input
        )
        loop = CaptureLoop(
            source, segmenter, store, CaptureConfig(), origin_record(model, segmenter), publish=publish
        )
        viewer = subprocess.Popen([sys.executable, "-c", VIEWER, f"{preview.url}live.mjpg"], stderr=subprocess.DEVNULL)
        try:
            loop.run()
        finally:
            viewer.kill()
            viewer.wait()
            source.close()
    cycle_ms, samples = watch.cycle_ms[: watch.frames], watch.samples[: watch.taken]
    tenth, sampled = len(cycle_ms) // 10, max(1, len(samples) // 10)
    # The first tenth is the warm-up of memory: allocator, caches and the remembered cards fill.
    first, last = samples[sampled : 2 * sampled], samples[-sampled:]
    p99 = [float(np.percentile(part, 99)) for part in (cycle_ms[:tenth], cycle_ms[-tenth:])]
    p50 = [median(part.tolist()) for part in (cycle_ms[:tenth], cycle_ms[-tenth:])]
    return {
        "frames": watch.frames,
        "captures": loop.captures,
        "cards": cards,
        "kept": len(store.names()),
        "growth_mb": float(np.median(last[:, 0]) - np.median(first[:, 0])),
        "rss_mb": float(samples[:, 0].max()),
        "open_files": [float(np.median(first[:, 1])), float(np.median(last[:, 1]))],
        "threads": [float(np.median(first[:, 2])), float(np.median(last[:, 2]))],
        "cycle_p50_ms": p50,
        "cycle_p99_ms": p99,
        "p99_last_over_first": p99[1] / p99[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="the JSON to write, for docs/fill.py")
    parser.add_argument("--frames", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = soak(given.frames, Path(name) / "captures")
    files, threads, p50, p99 = (result[key] for key in ("open_files", "threads", "cycle_p50_ms", "cycle_p99_ms"))
    rows = [
        ["frames looked at", f"{result['frames']}", f"{given.frames}"],
        ["cards shown, and captured", f"{result['cards']}, {result['captures']}", "all of them"],
        ["memory growth, last tenth less the second", f"{result['growth_mb']:.1f} MB", f"< {MOST_GROWTH_MB:g} MB"],
        ["largest resident memory", f"{result['rss_mb']:.0f} MB", ""],
        ["open files, second tenth and last", f"{files[0]:.0f}, {files[1]:.0f}", "the same"],
        ["threads, second tenth and last", f"{threads[0]:.0f}, {threads[1]:.0f}", "the same"],
        ["cycle, median, first tenth and last", f"{p50[0]:.1f}, {p50[1]:.1f} ms", ""],
        [
            "cycle, 99th percentile, first tenth and last",
            f"{p99[0]:.1f}, {p99[1]:.1f} ms (times {result['p99_last_over_first']:.2f})",
            f"<= {MOST_SLOWER:g} times",
        ],
    ]
    write_tables(
        given.to,
        [table("", ["figure", "measured", "aim"], rows)],
        data="the synthetic camera as fast as it is looked at, the shipped model, 1 thread, the page open and watched",
        command="benchmarks/soak.py",
        soak=result,
    )


if __name__ == "__main__":
    main()
