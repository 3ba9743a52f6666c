"""Milliseconds of the stages about the network, on frames of 1920x1080 pixels, beside the network's own.

    python benchmarks/stages.py DATA [--model MODEL.tflite]

DATA is a data set of real frames, brought to a camera's size; standing ones are turned to lie, as a camera's do.
`postprocess` is all that comes after the network: a quad in its map, laid on the picture's edges; where the map leaves
doubt closer looks are taken and several quads tried, of photographs more than of camera frames. The stages take turns
on each frame, so that whatever else the machine does falls on all of them alike; of each frame's stage the best of the
rounds counts. One thread each, as a Raspberry Pi that also captures would give.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from streams import FRAMES, FRAMES_PER_S, hand_held
from tables import table, write_tables

from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.quality import QualitySettings
from unetlite.edge.capture.sight import Sight
from unetlite.edge.segmenter import chosen_model, load_segmenter
from unetlite.vision.dataset import Sample, find_samples
from unetlite.vision.image import read_image

FRAME_WH = (1920, 1080)
ROUNDS, LIVE_ROUNDS = 15, 5
MOST_FRAMES = 60
STAGES = ("preprocess", "invoke", "postprocess")
LIVE = "live capture"
WAYS = {"camera frames": True, "photographs": False}  # as unet-capture and as unet-infer look at a picture: in a hurry?
COLUMNS = ["", *STAGES, "(preprocess + postprocess) / invoke"]


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--model", type=click.Path(path_type=Path), help="A .tflite; the shipped one by default.")
@click.option("--to", type=click.Path(path_type=Path), default=Path("docs/results/stages.json"), show_default=True)
def main(data: Path, model: Path | None, to: Path) -> None:
    cv2.setNumThreads(1)
    segmenter = load_segmenter(chosen_model(model), threads=1)
    samples = chosen_samples(data)
    frames = [as_frame(read_image(sample.image)) for sample in samples]
    best = {what: [fastest(segmenter, frame, hurried) for frame in frames] for what, hurried in WAYS.items()}
    best[LIVE] = [ms for number, frame in enumerate(frames) for ms in fastest_live(segmenter, frame, number)]
    rows, figures = [], {}
    for what, times in best.items():
        own_rows, own_figures = summary({stage: [ms[stage] for ms in times] for stage in STAGES}, "{:.2f} ms")
        rows += [[f"{what}, {name}", *cells] for name, *cells in own_rows]
        figures |= {f"{what}, {name}": row for name, row in own_figures.items()}
    write_tables(
        to,
        [table("What stands around the network", COLUMNS, rows)],
        data=f"{len(samples)} frames of {data.name} at 1920x1080, one thread, best of {ROUNDS} rounds; live "
        f"capture: {FRAMES} frames about each, {FRAMES_PER_S} a second, best of {LIVE_ROUNDS}",
        command="benchmarks/stages.py",
        figures=figures,
    )


def chosen_samples(data: Path) -> list[Sample]:
    """Every so many of a data set's pictures, at most `MOST_FRAMES`."""
    samples = find_samples(data)
    return samples[:: -(-len(samples) // MOST_FRAMES)]


def summary(of_stage: Mapping[str, Sequence[float]], shown: str) -> tuple[list[list[str]], dict[str, dict[str, float]]]:
    """Of each stage's values, one a frame: the table's rows, and their figures by the rows' names."""
    figures = {}
    for name, middle in (("mean over frames", statistics.fmean), ("median over frames", statistics.median)):
        values = {stage: middle(of_stage[stage]) for stage in STAGES}
        figures[name] = {**values, "ratio": (values["preprocess"] + values["postprocess"]) / values["invoke"]}
    rows = [
        [name, *(shown.format(row[stage]) for stage in STAGES), f"{row['ratio']:.2f}"] for name, row in figures.items()
    ]
    return rows, figures


def as_frame(image: np.ndarray) -> np.ndarray:
    """A picture at a camera's size, lying: (1080, 1920, 3) uint8."""
    lying = image if image.shape[1] >= image.shape[0] else cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
    return cv2.resize(lying, FRAME_WH, interpolation=cv2.INTER_CUBIC)


def fastest(segmenter: Any, frame: np.ndarray, hurried: bool) -> dict[str, float]:
    """Milliseconds of each stage, the best of the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        rounds.append(segmenter(frame, hurried=hurried).latency_ms)
        time.sleep(0)  # whoever waits for the core runs between the rounds
    return {stage: min(latency_ms[stage] for latency_ms in rounds) for stage in STAGES}


def fastest_live(segmenter: Any, frame: np.ndarray, seed: int) -> list[dict[str, float]]:
    """The same of each frame of a stream about a frame, as live capture looks at it; fitting included."""
    pictures = list(hand_held(frame, seed))
    rounds = []
    for _ in range(LIVE_ROUNDS):
        sight = Sight(segmenter, QualitySettings())
        # Copies: a camera has just written what it hands over.
        shown = (LiveFrame(n, n / FRAMES_PER_S, picture.copy(), "RGB", FRAME_WH) for n, picture in enumerate(pictures))
        rounds.append([sight(each, known=lambda _: False, every=False).latency_ms for each in shown])
    best = [{stage: min(ms[stage] for ms in of_frame) for stage in STAGES} for of_frame in zip(*rounds, strict=True)]
    return best[1:]


if __name__ == "__main__":
    main()
