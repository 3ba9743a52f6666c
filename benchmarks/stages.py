"""Milliseconds of the stages about the network, on frames of 1920x1080 pixels, beside the network's own.

    python benchmarks/stages.py [MODEL.tflite]

`fit` finds a quad in the map, `refine` lays it on the picture's edges; `locate` does both, and where the map leaves
doubt tries several quads. The stages take turns on each frame, so that whatever else the machine does falls on all of
them alike; of each frame's stage the best of the rounds counts. One thread each, as a Raspberry Pi that also captures
would give.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.vision.document import document_probability, find_document, locate_document
from unetlite.vision.files import write_json
from unetlite.vision.image import read_image
from unetlite.vision.preprocess import preprocess
from unetlite.vision.refine import refine_quad

ROOT = Path(__file__).resolve().parents[1]
FRAME_WH = (1920, 1080)
ROUNDS = 15
_FRAME_CORNERS = np.array([[0, 0], [FRAME_WH[0], 0], FRAME_WH, [0, FRAME_WH[1]]], np.float32)


def main() -> None:
    cv2.setNumThreads(1)
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else shipped_model()
    segmenter = load_segmenter(model, threads=1)
    frames = [as_frame(read_image(path)) for path in sorted((ROOT / "samples" / "images").iterdir())]
    best: dict[str, list[float]] = {}
    for frame in frames:
        times: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            run_stages(segmenter, frame, times)
        for stage, seconds in times.items():
            best.setdefault(stage, []).append(min(seconds) * 1000.0)
    median = {stage: round(float(np.median(ms)), 3) for stage, ms in best.items()}
    around = median["preprocess"] + median["fit"] + median["refine"]
    result = {
        "model": model.name,
        "frame_wh": FRAME_WH,
        "frames": len(frames),
        "rounds": ROUNDS,
        "threads": 1,
        "median_ms": median,
        "ratio": round(around / median["invoke"], 3),
    }
    for stage, ms in median.items():
        print(f"{stage:<12} {ms:7.3f} ms")
    share = f"{result['ratio']:.2f} (N={len(frames)} frames, best of {ROUNDS} rounds)"
    print(f"(preprocess + fit + refine) / invoke: {share}")
    to = ROOT / "docs" / "results" / "stages.json"
    write_json(to, result)
    print(f"wrote {to.relative_to(ROOT)}", file=sys.stderr)


def as_frame(image: np.ndarray) -> np.ndarray:
    """A picture, stood on its longer side's end where it must be, at a camera's size: (1080, 1920, 3) uint8."""
    upright = image if image.shape[1] >= image.shape[0] else np.rot90(image)
    return cv2.resize(np.ascontiguousarray(upright), FRAME_WH, interpolation=cv2.INTER_CUBIC)


def run_stages(segmenter: Any, frame: np.ndarray, times: dict[str, list[float]]) -> None:
    """Run each stage once and note its seconds."""

    def timed(stage: str, run: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        answer = run()
        times.setdefault(stage, []).append(time.perf_counter() - begin)
        return answer

    network, contract = segmenter.network, segmenter.contract

    def enter() -> Any:
        pixels, placement = preprocess(frame, contract.input)
        network.feed(pixels)
        return placement

    def fit() -> Any:
        probability = document_probability(network.answer().real(), contract.output)
        return probability, find_document(probability, placement, contract.output)

    placement = timed("preprocess", enter)
    timed("invoke", network.invoke)
    probability, finding = timed("fit", fit)
    quad = finding.quad if finding.quad is not None else _FRAME_CORNERS / 2
    timed("refine", lambda: refine_quad(frame, quad))
    timed("locate", lambda: locate_document(frame, probability, placement, contract.output))


if __name__ == "__main__":
    main()
