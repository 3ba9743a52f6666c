"""Whether the preview page's visitors slow the capture down: slow readers, short connections, silent ones.

    python benchmarks/page_load.py --to docs/results/page-load.json

Capture and page are the real ones, on a camera with its own pace; the visitors are another process.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
from tables import table, write_tables

from unetlite.edge.capture.camera import CameraOptions, open_camera
from unetlite.edge.capture.config import CaptureConfig
from unetlite.edge.capture.latest import LatestFrames
from unetlite.edge.capture.loop import CaptureLoop, View
from unetlite.edge.capture.preview import Preview
from unetlite.edge.capture.store import CaptureStore, StoreSettings
from unetlite.edge.segmenter import load_segmenter, shipped_model

RATE = 30.0
SECONDS = 15.0
SLOW, SHORT, SILENT = 200, 1000, 500
AT_A_TIME = 20  # of the short ones
LEAST_SHARE = 0.95
PHASES = ("nobody", "slow", "short", "silent", "nobody again")


def connected(port: int, sent: bytes = b"") -> socket.socket | None:
    with suppress(OSError):
        connection = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        with suppress(OSError):
            connection.sendall(sent)
        return connection
    return None


def answer_of(connection: socket.socket | None) -> str:
    """The status of what comes back, or what else happened."""
    if connection is None:
        return "refused"
    try:
        head = connection.recv(1024)
    except TimeoutError:
        return "no answer"
    except OSError:
        return "broken off"
    return head.split(b" ")[1].decode() if head.startswith(b"HTTP/") else "broken off"


def visit(kind: str, port: int) -> None:
    """Be a visitor of this kind, many times over, for the phase; prints what came back, counted."""
    end_s = time.monotonic() + SECONDS
    host = f"Host: 127.0.0.1:{port}\r\n\r\n".encode()
    counts: Counter[str] = Counter()
    if kind == "slow":
        readers = [connected(port, b"GET /live.mjpg HTTP/1.1\r\n" + host) for _ in range(SLOW)]
        counts.update(answer_of(reader) for reader in readers)
        while time.monotonic() < end_s:
            time.sleep(0.5)
            for reader in readers:
                with suppress(OSError):
                    if reader is not None:
                        reader.setblocking(False)
                        reader.recv(1)
    elif kind == "short":

        def once(_: int) -> str:
            connection = connected(port, b"GET /state.json HTTP/1.1\r\n" + host)
            answer = answer_of(connection)
            if connection is not None:
                connection.close()
            return answer

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            counts.update(pool.map(once, range(SHORT)))
    elif kind == "silent":
        silent = [connected(port, b"GET / HTTP/1.1\r\nHo") for _ in range(SILENT)]
        time.sleep(max(0.0, end_s - time.monotonic()))
        counts.update(answer_of(connection) for connection in silent)
    time.sleep(max(0.0, end_s - time.monotonic()))
    print(json.dumps(counts))


def measure(folder: Path) -> dict[str, dict[str, Any]]:
    segmenter = load_segmenter(shipped_model())
    store = CaptureStore(folder, StoreSettings())
    seen = 0
    results: dict[str, dict[str, Any]] = {}
    with Preview("127.0.0.1:0", store) as preview:

        def publish(view: View) -> None:
            nonlocal seen
            seen += 1
            preview.show(view)

        options = CameraOptions(rate=RATE)
        frames = LatestFrames(lambda: open_camera("synthetic:9999", options), fit=segmenter.contract.input)
        loop = CaptureLoop(frames, segmenter, store, CaptureConfig(), {}, publish=publish)
        running = threading.Thread(target=loop.run)
        running.start()
        try:
            time.sleep(2.0)
            for kind in PHASES:
                before, dropped, begin_s = seen, frames.dropped, time.monotonic()
                visitors = subprocess.run(
                    [sys.executable, __file__, "--visit", kind, str(preview.port)], capture_output=True, text=True
                )
                rate = (seen - before) / (time.monotonic() - begin_s)
                answers = json.loads(visitors.stdout or "{}")
                results[kind] = {"frames_per_s": rate, "dropped": frames.dropped - dropped, "answers": answers}
        finally:
            loop.stop()
            running.join()
            frames.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, help="the JSON to write, for docs/fill.py")
    parser.add_argument("--visit", nargs=2, metavar=("KIND", "PORT"), help="be the visitors")
    given = parser.parse_args()
    if given.visit:
        visit(given.visit[0], int(given.visit[1]))
        return
    if given.to is None:
        parser.error("--to is missing")
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        results = measure(Path(name) / "captures")
    names = {
        "nobody": "nobody",
        "slow": f"{SLOW} readers of the live picture, 2 bytes a second",
        "short": f"{SHORT} short connections, {AT_A_TIME} at a time",
        "silent": f"{SILENT} connections that never finish their request",
        "nobody again": "nobody again",
    }
    alone = (results["nobody"]["frames_per_s"] + results["nobody again"]["frames_per_s"]) / 2
    rows = []
    for kind, result in results.items():
        answers = ", ".join(f"{count} times {answer}" for answer, count in sorted(result["answers"].items()))
        share = f"{100 * result['frames_per_s'] / alone:.1f} %"
        rows.append([names[kind], f"{result['frames_per_s']:.1f}", share, str(result["dropped"]), answers])
    columns = ["visitors of the page", "frames/s looked at", "of those with nobody", "dropped", "what they got"]
    write_tables(
        given.to,
        [table("", columns, rows)],
        data=(
            f"the synthetic camera at {RATE:g} frames/s, the shipped model, 1 thread, {SECONDS:g} s a row; the aim is "
            f"{100 * LEAST_SHARE:g} %"
        ),
        command="benchmarks/page_load.py",
        results=results,
    )


if __name__ == "__main__":
    main()
