"""What `unet-capture` costs on this machine: its cycle over the network alone, memory, start, growth.

    python benchmarks/capture.py --to docs/results/capture.json

The cycle is measured frame by frame on a 1080p video of cards shown in turn. For memory, start and growth the real
command is run with its page open and watched: on that video, and on the synthetic camera for 10,000 frames.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import fmean, median
from typing import Any

import cv2
import numpy as np
from card_video import plain_table
from quality_gates import SEED, lay, pose
from tables import table, write_tables

from unetlite.edge.capture.camera import CameraOptions, open_camera
from unetlite.edge.capture.config import CaptureConfig
from unetlite.edge.capture.latest import LatestFrames
from unetlite.edge.capture.loop import CaptureLoop, View
from unetlite.edge.capture.store import CaptureStore, StoreSettings
from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.training.synthesis.faces import draw_face
from unetlite.training.synthesis.randomness import stream

FULL_HD_WH = (1920, 1080)
RATE = 30.0
AWAY_S, SLIDE_S, SHOWN_S = 1.5, 0.5, 3.0
TREMOR_PX = 1.5
CARDS = (4, 6, 8)  # numbers of drawn faces, light ones
PREPARED = 100  # frames whose scaling is timed apart
FRAME_MS = 1000 / 15  # of the synthetic camera
EVERY_S = 0.5
MOST_RSS_MB, MOST_START_S = 150.0, 1.5
MOST_GROWTH_MB = 5.0  # over the whole run: an allocator's, not a leak's
GROUPS = {
    "searching": ("searching",),
    "adjusting": ("adjusting",),
    "holding still": ("hold still",),
    "captured, not yet removed": ("captured", "remove the card"),
}
_STATES = ("searching", "adjusting", "hold still", "captured", "remove the card")


def write_video(path: Path) -> int:
    """Three cards, laid under the camera one after another by a hand that trembles, 1080p; returns the frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, FULL_HD_WH)
    table = in_full_hd(plain_table())
    count = 0
    for number in CARDS:
        rng = stream(SEED, "video", number)
        face = draw_face(rng, f"card {number}")
        plane, _ = pose(rng, face)
        card = in_full_hd(lay(plain_table(), face, plane))
        for begin_s, end_s, scene in ((0.0, AWAY_S, table), (AWAY_S, AWAY_S + SHOWN_S, card)):
            for frame in range(round(begin_s * RATE), round(end_s * RATE)):
                # It slides in from below and comes to rest.
                still_to_go = max(0.0, 1.0 - (frame / RATE - AWAY_S) / SLIDE_S) if scene is card else 0.0
                shift = rng.normal(0.0, TREMOR_PX, 2) + [0.0, still_to_go**2 * FULL_HD_WH[1]]
                matrix = np.column_stack([np.eye(2), shift])
                moved = cv2.warpAffine(scene, matrix, FULL_HD_WH, dst=table.copy(), borderMode=cv2.BORDER_TRANSPARENT)
                writer.write(np.ascontiguousarray(moved[..., ::-1]))
                count += 1
    writer.release()
    return count


def in_full_hd(scene: np.ndarray) -> np.ndarray:
    larger = cv2.resize(scene, (1440, 1080), interpolation=cv2.INTER_CUBIC)
    return cv2.copyMakeBorder(larger, 0, 0, 240, 240, cv2.BORDER_REPLICATE)


@contextmanager
def running(*options: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command with its page open and watched; yields the process, and what it has said so far."""
    command = [sys.executable, "-c", "from unetlite.edge.capture.cli import main; main()", "--serve", "127.0.0.1:0"]
    begin = time.monotonic()
    command += map(str, options)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    said: dict[str, Any] = {"page": None, "start_s": None}

    def listen() -> None:
        for line in process.stderr:
            if line.startswith("page: "):
                said["page"] = line.split()[1]
                threading.Thread(target=watch, args=(said["page"],), daemon=True).start()
            if said["start_s"] is None and line.split(":")[0] in _STATES:
                said["start_s"] = time.monotonic() - begin

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield process, said
    finally:
        process.terminate()
        process.wait(30)


def watch(page: str) -> None:
    """A viewer: reads the live picture and throws it away."""
    with suppress(OSError, http.client.HTTPException), urllib.request.urlopen(f"{page}live.mjpg") as live:
        while live.read(65536):
            pass


def samples_of(process: subprocess.Popen[str], said: dict[str, Any]) -> Iterator[tuple[float, dict[str, Any] | None]]:
    """Resident memory in MB and the page's figures, twice a second, until the command ends."""
    while process.poll() is None:
        time.sleep(EVERY_S)
        figures = None
        with suppress(OSError, ValueError, KeyError):  # it has not begun yet, or has ended meanwhile
            figures = figures_of(said["page"])
        with suppress(OSError, StopIteration):
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            yield next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS")), figures


def figures_of(page: str | None) -> dict[str, Any]:
    if page is None:
        raise KeyError("page")
    with urllib.request.urlopen(f"{page}state.json", timeout=5) as answer:
        return json.load(answer)["figures"]


def measure_cycle(folder: Path, video: Path) -> dict[str, Any]:
    """Mean latencies over all frames of the video and by state, and what the camera's thread has done before."""
    segmenter = load_segmenter(shipped_model())
    options = CameraOptions(paced=False)
    spec = segmenter.contract.input
    frames = LatestFrames(lambda: open_camera(str(video), options), every_frame=True, fit=spec, small=False)
    views: list[View] = []
    store = CaptureStore(folder / "cycle", StoreSettings())
    loop = CaptureLoop(frames, segmenter, store, CaptureConfig(), {}, publish=views.append)
    loop.run()
    if loop.captures != len(CARDS):
        raise SystemExit(f"expected {len(CARDS)} captures of the video, got {loop.captures}: not the cycle to measure")
    camera = open_camera(str(video), options)
    fitted, shrunk = [], []
    while (frame := camera.read()) is not None and len(fitted) < PREPARED:
        begin = time.perf_counter()
        frame.fit(spec)
        between = time.perf_counter()
        _ = frame.small
        fitted.append((between - begin) * 1000.0)
        shrunk.append((time.perf_counter() - between) * 1000.0)
    by_state = {
        state: latency_of([view for view in views if view.step.state.value in states])
        for state, states in GROUPS.items()
    }
    prepared = {"fit_ms": fmean(fitted), "small_ms": fmean(shrunk)}
    return {**latency_of(views), "by_state": by_state, **prepared, "captures": loop.captures}


def latency_of(views: list[View]) -> dict[str, Any]:
    """Means, and means without the tenth of the frames that took longest: something else may have run then."""
    stages = {stage: [view.latency_ms[stage] for view in views] for stage in views[0].latency_ms}
    kept = {stage: sorted(values)[: max(1, len(values) * 9 // 10)] for stage, values in stages.items()}
    means = {stage: fmean(values) for stage, values in stages.items()}
    return {
        "frames": len(views),
        "latency_ms": means,
        "cycle_over_invoke": means["cycle"] / means["invoke"],
        "without_slowest": fmean(kept["cycle"]) / fmean(kept["invoke"]),
    }


def measure_command(folder: Path, video: Path) -> dict[str, float]:
    """Resident memory and start of the command with its page open."""
    with running("--camera", video, "--every-frame", "--to", folder / "captures") as (process, said):
        rss = [one for one, _ in samples_of(process, said)]
    if not rss or said["start_s"] is None:
        raise SystemExit("the capture ended before it could be measured; use a longer video")
    return {"rss_mb": max(rss), "start_s": said["start_s"]}


def measure_growth(folder: Path, frames: int) -> dict[str, float]:
    """Resident memory over many frames: that of the last tenth less that of the second."""
    cards = -(-frames * FRAME_MS // 4500)  # 4.5 s each
    options = ("--camera", f"synthetic:{cards:.0f}", "--every-frame", "--to", folder / "many")
    with running(*options) as (process, said):
        rss = [one for one, _ in samples_of(process, said)]
    tenth = max(1, len(rss) // 10)
    return {"frames": frames, "growth_mb": median(rss[-tenth:]) - median(rss[tenth : 2 * tenth] or rss)}


def rows_of(cycle: dict[str, Any], command: dict[str, float], growth: dict[str, float]) -> list[list[str]]:
    """For docs/fill.py."""

    def ratio(run: dict[str, Any]) -> str:
        ms = run["latency_ms"]
        return f"{run['cycle_over_invoke']:.2f} ({ms['cycle']:.1f} ms over {ms['invoke']:.1f} ms)"

    rows = [[f"whole cycle over the network alone, 1080p, mean of {cycle['frames']} frames", ratio(cycle), "<= 1.6"]]
    rows += [[f"of these while {state} ({run['frames']})", ratio(run), ""] for state, run in cycle["by_state"].items()]
    fit, small = (cycle[part] / cycle["latency_ms"]["invoke"] for part in ("fit_ms", "small_ms"))
    return [
        *rows,
        ["fitting, by the camera's thread meanwhile, over the network alone", f"{fit:.2f}", ""],
        ["the page's small picture, by the camera's thread as well while a page is served", f"{small:.2f}", ""],
        ["resident memory, page open, 1080p", f"{command['rss_mb']:.0f} MB", f"<= {MOST_RSS_MB:g} MB"],
        ["start to first decision", f"{command['start_s']:.2f} s", f"<= {MOST_START_S:g} s"],
        [f"growth over {growth['frames']:.0f} frames", f"{growth['growth_mb']:.1f} MB", f"<= {MOST_GROWTH_MB:g} MB"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="the JSON to write, for docs/fill.py")
    parser.add_argument("--frames", type=int, default=10_000, help="frames of the growth run")
    parser.add_argument("--repeats", type=int, default=3, help="starts to take the best of")
    given = parser.parse_args()
    cv2.setNumThreads(1)  # as the command does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = folder / "cards.avi"
        write_video(video)
        cycle = measure_cycle(folder, video)
        command = measure_command(folder, video)
        for number in range(given.repeats - 1):
            with running("--camera", "synthetic:1", "--to", folder / f"start{number}") as (process, said):
                while process.poll() is None and said["start_s"] is None:
                    time.sleep(0.01)
            command["start_s"] = min(command["start_s"], said["start_s"] or command["start_s"])
        growth = measure_growth(folder, given.frames)
    write_tables(
        given.to,
        [table("", ["figure", "measured", "aim"], rows_of(cycle, command, growth))],
        data=(
            f"the shipped model, 1 thread, a video of {len(CARDS)} drawn cards shown in turn. The cycle runs from the "
            f"frame as the camera's thread hands it over, fitted for the network, to the decision; the start is "
            f"the best of {given.repeats}"
        ),
        command="benchmarks/capture.py",
        cycle=cycle,
        capture_command=command,
        growth=growth,
    )


if __name__ == "__main__":
    main()
