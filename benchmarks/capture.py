"""What `unet-capture` costs on this machine: its cycle over the network alone, memory, start, growth.

    python benchmarks/capture.py --to docs/results/capture.json

The real command is run with its page open: on a 1080p video with a card always in view, which is the costliest, and
on the synthetic camera for 10,000 frames.
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
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from card_video import plain_table
from quality_gates import SEED, lay, pose
from tables import TABLES_FORMAT

from unetlite.edge.device import device_record
from unetlite.training.synthesis.faces import draw_face
from unetlite.training.synthesis.randomness import stream
from unetlite.vision.files import write_json

FULL_HD_WH = (1920, 1080)
FRAME_MS = 1000 / 15  # of the synthetic camera
EVERY_S = 0.5
MOST_CYCLE, MOST_RSS_MB, MOST_START_S = 1.6, 150.0, 1.5
MOST_GROWTH_MB = 5.0  # over the whole run: an allocator's, not a leak's
_STATES = ("searching", "adjusting", "hold still", "captured", "remove the card")


def write_video(path: Path, frames: int) -> None:
    """A card on a table, 1080p, trembling a little."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, FULL_HD_WH)
    rng = stream(SEED, "video", 4)
    face = draw_face(rng, "card 4")
    plane, _ = pose(rng, face)
    scene = cv2.resize(lay(plain_table(), face, plane), (1440, 1080), interpolation=cv2.INTER_CUBIC)
    scene = cv2.copyMakeBorder(scene, 0, 0, 240, 240, cv2.BORDER_REPLICATE)
    for _ in range(frames):
        matrix = np.column_stack([np.eye(2), rng.normal(0.0, 1.5, 2)])
        moved = cv2.warpAffine(scene, matrix, FULL_HD_WH, borderMode=cv2.BORDER_REPLICATE)
        writer.write(np.ascontiguousarray(moved[..., ::-1]))
    writer.release()


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


def measure_video(folder: Path, video: Path, states: str) -> dict[str, float]:
    """Cycle over invoke, resident memory and start, on a video; `states` is that section of the configuration."""
    config = folder / "capture.toml"
    config.write_text(f"[states]\n{states}\n")
    options = ("--camera", video, "--every-frame", "--config", config, "--to", folder / "captures")
    with running(*options) as (process, said):
        taken = list(samples_of(process, said))
    latencies = [figures["latency_ms"] for _, figures in taken if figures is not None]
    if not latencies or said["start_s"] is None:
        raise SystemExit("the capture ended before it could be measured; use more frames")
    cycle, invoke = (median(one[stage] for one in latencies) for stage in ("cycle", "invoke"))
    return {
        "cycle_ms": cycle,
        "invoke_ms": invoke,
        "cycle_over_invoke": cycle / invoke,
        "rss_mb": max(rss for rss, _ in taken),
        "start_s": said["start_s"],
    }


def measure_growth(folder: Path, frames: int) -> dict[str, float]:
    """Resident memory over many frames: that of the last tenth less that of the second."""
    cards = -(-frames * FRAME_MS // 4500)  # 4.5 s each
    options = ("--camera", f"synthetic:{cards:.0f}", "--every-frame", "--to", folder / "many")
    with running(*options) as (process, said):
        rss = [one for one, _ in samples_of(process, said)]
    tenth = max(1, len(rss) // 10)
    return {"frames": frames, "growth_mb": median(rss[-tenth:]) - median(rss[tenth : 2 * tenth] or rss)}


def table(
    deciding: dict[str, float], captured: dict[str, float], growth: dict[str, float], repeats: int
) -> dict[str, Any]:
    """For docs/fill.py."""
    device = device_record()
    rows = []
    for run, what in ((deciding, "every gate measured"), (captured, "captured, not yet removed")):
        ratio = f"{run['cycle_over_invoke']:.1f} ({run['cycle_ms']:.1f} ms over {run['invoke_ms']:.1f} ms)"
        rows.append([f"whole cycle over the network alone, 1080p, card in view, {what}", ratio, f"<= {MOST_CYCLE:g}"])
    rss_mb = max(deciding["rss_mb"], captured["rss_mb"])
    rows += [
        ["resident memory, page open, 1080p", f"{rss_mb:.0f} MB", f"<= {MOST_RSS_MB:g} MB"],
        ["start to first decision", f"{deciding['start_s']:.2f} s", f"<= {MOST_START_S:g} s"],
        [f"growth over {growth['frames']:.0f} frames", f"{growth['growth_mb']:.1f} MB", f"<= {MOST_GROWTH_MB:g} MB"],
    ]
    note = (
        f"{date.today().isoformat()}, {device['model'] or device['cpu']}, {device['cores']} cores, {device['os']}, "
        f"the shipped model, 1 thread. The cycle runs from the camera's decoded frame, already scaled for the network "
        f"by the camera's own thread, to the decision."
    )
    if repeats > 1:
        note += f" The start is the best of {repeats}."
    return {
        "format": TABLES_FORMAT,
        "tables": [{"title": "", "columns": ["figure", "measured", "aim"], "rows": rows}],
        "note": note,
        "deciding": deciding,
        "captured": captured,
        "growth": growth,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="the JSON to write, for docs/fill.py")
    parser.add_argument("--frames", type=int, default=10_000, help="frames of the growth run")
    parser.add_argument("--video-frames", type=int, default=600, help="frames of the 1080p video")
    parser.add_argument("--repeats", type=int, default=3, help="starts to take the best of")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = folder / "card.avi"
        write_video(video, given.video_frames)
        deciding = measure_video(folder, video, "hold_s = 1e6")
        captured = measure_video(folder, video, "hold_s = 0.3")
        for _ in range(given.repeats - 1):
            with running("--camera", "synthetic:1", "--to", folder / "start") as (process, said):
                while process.poll() is None and said["start_s"] is None:
                    time.sleep(0.01)
            deciding["start_s"] = min(deciding["start_s"], said["start_s"] or deciding["start_s"])
        growth = measure_growth(folder, given.frames)
    content = table(deciding, captured, growth, given.repeats)
    write_json(given.to, content)
    for row in content["tables"][0]["rows"]:
        print("   ".join(row))


if __name__ == "__main__":
    main()
