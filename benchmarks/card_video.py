"""A video of three drawn cards shown in turn, and whether its captures are the right ones.

    python benchmarks/card_video.py make cards.avi                 # and cards.json, the truth of each frame
    unet-capture --camera cards.avi --every-frame --to captures
    python benchmarks/card_video.py check cards.json captures      # exit status 1 where they are not

Cards and tables are the generator's, of the kind that benchmarks/quality_gates.py draws; a hand trembles.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from quality_gates import LENS_BLUR_PX, NOISE, SEED, SIZE_WH, lay, pose, quad_of

from unetlite.training.synthesis.faces import draw_face
from unetlite.training.synthesis.randomness import stream
from unetlite.vision.files import write_json
from unetlite.vision.metrics import quad_iou

CARDS = (4, 6, 8)  # numbers of drawn faces, light ones
RATE = 10.0
SHOWN_S, AWAY_S = 2.0, 1.2
TREMOR_PX = 1.5
LEAST_IOU = 0.95


def make(path: Path) -> None:
    """Write the video, lossless, and beside it the quad of each frame, null where no card is shown."""
    table = plain_table()
    noise = stream(SEED, "noise", 0).normal(0.0, NOISE, (*SIZE_WH[::-1], 3))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), RATE, SIZE_WH)
    truth: list[list[list[float]] | None] = []
    for number in CARDS:
        rng = stream(SEED, "video", number)
        face = draw_face(rng, f"card {number}")
        plane, _ = pose(rng, face, tilt_deg=rng.uniform(0.0, 15.0))
        for _ in range(round(AWAY_S * RATE)):
            writer.write(film(rng, table, noise))
            truth.append(None)
        for _ in range(round(SHOWN_S * RATE)):
            shift = rng.normal(0.0, TREMOR_PX, 2)
            moved = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]], [0.0, 0.0, 1.0]]) @ plane
            writer.write(film(rng, lay(table, face, moved), noise))
            truth.append(np.round(quad_of(face, moved).astype(float), 2).tolist())
    writer.release()
    write_json(path.with_suffix(".json"), truth)


def film(rng: np.random.Generator, image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """One frame, BGR, through a lens and a sensor; the same noise elsewhere is as good as new and drawn at once."""
    shift = tuple(int(s) for s in rng.integers(0, min(SIZE_WH), 2))
    seen = cv2.GaussianBlur(image, (0, 0), LENS_BLUR_PX) + np.roll(noise, shift, (0, 1))
    return np.ascontiguousarray(np.clip(seen, 0, 255).astype(np.uint8)[..., ::-1])


def plain_table() -> np.ndarray:
    """(H, W, 3) uint8: dark wood under a lamp."""
    rng = stream(SEED, "table", 0)
    grain = cv2.GaussianBlur(rng.normal(0.0, 40.0, SIZE_WH[::-1]), (0, 0), 30.0, sigmaY=1.0)
    light = np.linspace(1.1, 0.8, SIZE_WH[0])[None, :, None]
    return np.clip((np.array([96.0, 70.0, 50.0]) + grain[..., None]) * light, 0, 255).astype(np.uint8)


def check(truth: Path, captures: Path) -> bool:
    """Compare each capture's quad with the truth of its frame; whether all is as it should be."""
    quads = json.loads(truth.read_text())
    records = [json.loads(path.read_text()) for path in sorted(captures.glob("*.json"))]
    good = 0
    for record in records:
        quad = quads[record["frame"]]
        iou = 0.0 if quad is None else quad_iou(np.float32(record["quad"]), np.float32(quad))
        good += iou >= LEAST_IOU
        print(f"{record['files'][0]}: frame {record['frame']}, quad IoU {iou:.3f}")
    print(f"{len(records)} captures of {len(CARDS)} cards, {good} with a quad IoU of {LEAST_IOU:g} or more")
    return len(records) == good == len(CARDS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write the video and its truth")
    making.add_argument("video", type=Path)
    checking = commands.add_parser("check", help="compare captures with the truth")
    checking.add_argument("truth", type=Path)
    checking.add_argument("captures", type=Path)
    given = parser.parse_args()
    if given.command == "make":
        make(given.video)
        return 0
    return 0 if check(given.truth, given.captures) else 1


if __name__ == "__main__":
    sys.exit(main())
