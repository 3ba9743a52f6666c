"""Live capture under faults, counted: killed at random moments, disk full and read-only, cameras that fail, clocks.

    python benchmarks/capture_faults.py --to docs/results/capture-faults.json

The real command runs on the synthetic camera, whose cards are drawn; what it leaves behind is read back. Disk faults
need root, for a file system in memory that no other process sees.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tables import table, write_tables

from unetlite.edge.capture.camera import Camera, CameraOptions, LiveFrame, open_camera
from unetlite.edge.capture.config import CaptureConfig
from unetlite.edge.capture.latest import LatestFrames, RecoverySettings
from unetlite.edge.capture.loop import CaptureLoop, View
from unetlite.edge.capture.store import CaptureStore, StoreSettings
from unetlite.edge.segmenter import Segmenter, load_segmenter, shipped_model

COMMAND = [sys.executable, "-c", "from unetlite.edge.capture.cli import main; main()"]
CARDS = 3
PER_CARD = 68  # frames of the synthetic camera, 4.5 s at 15 a second
SEED = 5
LONGEST_S = 120.0  # of any one run


def unsound(folder: Path) -> list[str]:
    """Files under their final names that are not whole: pictures that do not decode, records that name what is not
    there."""
    wrong = []
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue  # half-written, and named so
        if path.suffix == ".json":
            try:
                files = json.loads(path.read_text())["files"]
            except ValueError:
                wrong.append(path.name)
                continue
            wrong += [name for name in files if not (folder / name).is_file()]
        elif cv2.imread(str(path)) is None:
            wrong.append(path.name)
    return wrong


def start(folder: Path, *options: object) -> subprocess.Popen[str]:
    command = [*COMMAND, "--every-frame", "--to", str(folder), *map(str, options)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, start_new_session=True, **pipes)  # what does not end is ended as a whole


def told_by(running: subprocess.Popen[str]) -> str:
    try:
        return running.communicate(timeout=LONGEST_S)[0]
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        return running.communicate()[0] + "\nhung"


def kill_at_random(trials: int, rng: random.Random, folder: Path) -> dict[str, Any]:
    """SIGKILL while captures are written and old ones removed; the next run starts in the same folder."""
    config = folder / "capture.toml"
    config.write_text("[store]\nkeep_frame = true\nmost_count = 12\n[states]\nhold_s = 0.2\n")
    captures = folder / "captures"
    wrong = half = 0
    for _ in range(trials):
        running = start(captures, "--camera", "synthetic:9999", "--config", config)
        for line in running.stdout:
            if line.startswith("watching"):
                break
        time.sleep(rng.uniform(0.0, 2.5))
        running.kill()
        running.communicate()
        wrong += len(unsound(captures))
        half += any(path.name.startswith(".") for path in captures.iterdir())
    last = start(captures, "--camera", f"synthetic:{CARDS}", "--config", config)
    told = told_by(last)
    tidy = not any(path.name.startswith(".") for path in captures.iterdir())
    held = trials if wrong == 0 and last.returncode == 0 and tidy and f"{CARDS} captures in" in told else 0
    return {"trials": trials, "held": held, "note": f"{half} times a file was being written"}


def in_memory(folder: Path, size_kb: int, script: str) -> subprocess.CompletedProcess[str]:
    """A shell script beside a small file system of its own at `folder`; its unsound files are printed at the end."""
    check = [sys.executable, __file__, "--check", str(folder)]
    lines = f'mount -t tmpfs -o size={size_kb}k tmpfs "$0" || exit 99\n{script}\nexec "$@"'
    words = ["unshare", "--mount", "sh", "-c", lines, str(folder), *check]
    return subprocess.run(words, capture_output=True, text=True, timeout=LONGEST_S)


def shell(*words: object) -> str:
    return " ".join("'" + str(word).replace("'", "'\\''") + "'" for word in words)


def disk_full(trials: int, rng: random.Random, folder: Path) -> dict[str, Any]:
    """A disk that is full after so many kilobytes, of which the first capture may need more."""
    held = said = 0
    for _ in range(trials):
        command = shell(*COMMAND, "--camera", f"synthetic:{CARDS}", "--every-frame", "--to", folder)
        done = in_memory(folder, rng.choice([4, 8, 12, 16, 24, 32, 48, 64, 96]), f"{command} 2>&1; echo status $?")
        said += "Error: " in done.stdout
        held += "status 0" in done.stdout and "unsound: 0" in done.stdout
    return {"trials": trials, "held": held, "note": f"{said} times the disk was too small, and said so"}


def read_only(trials: int, folder: Path) -> dict[str, Any]:
    """A file system that turns read-only while the capture runs, and back again."""
    held = 0
    for _ in range(trials):
        command = shell(*COMMAND, "--camera", f"synthetic:{CARDS}", "--rate", "15", "--to", folder)
        # The first card is captured, the second one cannot be saved, the third one can.
        script = (
            f'{command} >"$0.log" 2>&1 & '
            'until grep -q "^captured" "$0.log"; do sleep 0.1; done; mount -o remount,ro "$0"; '
            'until grep -q "^Error: " "$0.log"; do sleep 0.1; done; mount -o remount,rw "$0"; '
            'wait $!; echo "status $?"; ls "$0"/*.json | wc -l'
        )
        done = in_memory(folder, 4096, script)
        lines = done.stdout.split("\n")
        held += lines[0] == "status 0" and int(lines[1]) >= 2 and "unsound: 0" in done.stdout
    return {"trials": trials, "held": held, "note": ""}


def model_replaced(trials: int, rng: random.Random, folder: Path) -> dict[str, Any]:
    """The model's file overwritten in place by something else, or cut short, while it runs."""
    held = 0
    for number in range(trials):
        model, captures = folder / "model.tflite", folder / f"captures{number}"
        shutil.copy(shipped_model(), model)
        running = start(captures, "--camera", f"synthetic:{CARDS}", "--model", model)
        for line in running.stdout:
            if line.startswith("watching"):
                break
        time.sleep(rng.uniform(0.0, 0.3))
        model.write_bytes(rng.randbytes(rng.choice([0, 100, 100_000])))
        told = told_by(running)
        hashes = {json.loads(path.read_text())["model"]["sha256"] for path in captures.glob("*.json")}
        held += running.returncode == 0 and f"{CARDS} captures in" in told and len(hashes) == 1
    return {"trials": trials, "held": held, "note": ""}


class Faulty:
    """The synthetic camera, its frames passed through a function of their number."""

    name, live = "synthetic", True

    def __init__(self, camera: Camera, change: Callable[[int, LiveFrame], LiveFrame]) -> None:
        self._camera, self._change, self._count = camera, change, 0

    def read(self) -> LiveFrame | None:
        frame = self._camera.read()
        self._count += 1
        return None if frame is None else self._change(self._count - 1, frame)

    def close(self) -> None:
        self._camera.close()


def watched(
    segmenter: Segmenter, folder: Path, change: Callable[[int, LiveFrame], LiveFrame], recovery: RecoverySettings
) -> tuple[int, set[str]]:
    """Captures of a run whose frames are changed, and the troubles that were shown meanwhile."""
    camera = open_camera(f"synthetic:{CARDS}", CameraOptions(paced=False))  # one: opened anew it goes on, not back
    frames = LatestFrames(lambda: Faulty(camera, change), every_frame=True, recovery=recovery)
    troubles: set[str] = set()

    def watch(view: View) -> None:
        troubles.update([view.trouble] if view.trouble else [])

    store = CaptureStore(folder, StoreSettings())
    loop = CaptureLoop(frames, segmenter, store, CaptureConfig(), {}, publish=watch)
    loop.run()
    frames.close()
    if unsound(folder):
        raise SystemExit(f"{folder}: {unsound(folder)} are not whole")
    return loop.captures, troubles


def camera_faults(trials: int, rng: random.Random, folder: Path) -> dict[str, dict[str, Any]]:
    """Each fault at random frames of a run that shows three cards."""
    segmenter = load_segmenter(shipped_model())
    counts: dict[str, dict[str, Any]] = {}

    def count(fault: str, held: bool) -> None:
        entry = counts.setdefault(fault, {"trials": 0, "held": 0, "note": ""})
        entry["trials"] += 1
        entry["held"] += held

    hasty = RecoverySettings(stall_s=0.5, first_wait_s=0.01)
    for number in range(trials):
        where = folder / f"faults{number}"
        at = rng.randrange(5, CARDS * PER_CARD - 5)

        def stall(n: int, frame: LiveFrame, at: int = at) -> LiveFrame:
            if n == at:
                time.sleep(1.5)
            return frame

        captures, troubles = watched(segmenter, where / "stall", stall, hasty)
        count("camera gives nothing for a while", captures == CARDS and any("no picture" in one for one in troubles))

        def resize(n: int, frame: LiveFrame, at: int = at) -> LiveFrame:
            size_wh = (640, 480) if n < at else (1280, 960)
            return replace(frame, buffer=cv2.resize(frame.buffer, size_wh), size_wh=size_wh)

        captures, _ = watched(segmenter, where / "resize", resize, hasty)
        count("camera changes its resolution", captures == CARDS)

        # While no card is shown: what a card looks like in green nobody can tell.
        green_at = rng.randrange(CARDS) * PER_CARD

        def green(n: int, frame: LiveFrame, at: int = green_at) -> LiveFrame:
            later = replace(frame, time_s=frame.time_s + (4.0 if n >= at + 60 else 0.0))
            return replace(later, buffer=np.full_like(frame.buffer, (0, 135, 0))) if at <= n < at + 64 else later

        captures, troubles = watched(segmenter, where / "green", green, hasty)
        count("camera gives all-green pictures", captures == CARDS - 1 and any("plain" in one for one in troubles))

        back_s = rng.choice([0.5, 60.0, 1e6])

        def turn_back(n: int, frame: LiveFrame, at: int = at, back_s: float = back_s) -> LiveFrame:
            return replace(frame, time_s=frame.time_s - (back_s if n >= at else 0.0))

        captures, _ = watched(segmenter, where / "clock", turn_back, hasty)
        count("frames' clock goes back", captures == CARDS)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, help="the JSON to write, for docs/fill.py")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--trials", type=int, default=10, help="of each other fault")
    parser.add_argument("--check", type=Path, help="only say how many files of a folder are not whole")
    given = parser.parse_args()
    if given.check is not None:
        print(f"unsound: {len(unsound(given.check))}")
        return
    if given.to is None:
        parser.error("--to is missing")
    rng = random.Random(SEED)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = folder / "disk"
        disk.mkdir()
        (folder / "kills").mkdir()
        results = {"killed (SIGKILL) at a random moment": kill_at_random(given.kills, rng, folder / "kills")}
        if os.getuid() == 0:
            results["disk full"] = disk_full(given.trials, rng, disk)
            results["disk turns read-only and back"] = read_only(max(1, given.trials // 3), disk)
        results["model file overwritten"] = model_replaced(max(1, given.trials // 2), rng, folder)
        results |= camera_faults(given.trials, rng, folder)
    rows = [[fault, str(r["trials"]), str(r["held"]), r["note"]] for fault, r in results.items()]
    if os.getuid() != 0:
        rows.append(["disk full, read-only", "0", "0", "not tried: needs root"])
    write_tables(
        given.to,
        [table("", ["fault during capture", "trials", "held", ""], rows)],
        data=(
            f"drawn cards, {CARDS} in a run. Held: the run ends well, every file under its final name is whole, and "
            f"each card that could be captured is"
        ),
        command="benchmarks/capture_faults.py",
        results=results,
    )
    if any(r["held"] != r["trials"] for r in results.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
