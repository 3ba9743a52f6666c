"""How often the portrait on a document tells which way up it is read, how often it misleads, and what that costs.

    python benchmarks/upright.py DLC2021_DEV --drawn DRAWN

Both know each document's corners in its reading order. The document is flattened along them and turned by a quarter, a
half and three quarters; right is what stands again as it is read. DRAWN is what `unet-data synthesize` wrote: the faces
on its documents are cartoons, and bank cards have none.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from tables import table, write_tables

from unetlite.edge.portrait import FaceDetector, turn_upright
from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.vision.dataset import find_samples
from unetlite.vision.files import read_json
from unetlite.vision.image import RgbImage, read_image

ROOT = Path(__file__).resolve().parents[1]


def flattened(image: RgbImage, corners: list[list[float]]) -> RgbImage:
    """The document as it is read, from corners that begin at its own top-left; as large as its longer sides."""
    quad = np.array(corners, np.float32)
    sides = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    width, height = (max(1, round(float(max(pair)))) for pair in (sides[::2], sides[1::2]))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    return cv2.warpPerspective(image, cv2.getPerspectiveTransform(quad, target), (width, height))


def documents(frames: Path, drawn: Path) -> Iterator[tuple[str, str, RgbImage]]:
    """What a document is, its picture's name, and it as it is read."""
    for sample in find_samples(frames):
        if sample.polygon is not None:
            corners = read_json(sample.polygon)["quad"]
            yield sample.document, sample.image.name, flattened(read_image(sample.image), corners)
    for path in sorted((drawn / "ground_truth").glob("*.json")):
        truth = read_json(path)
        if truth["quad"] is not None:
            image = read_image(drawn / "images" / f"{path.stem}.jpg")
            yield f"drawn {truth['kind']}", path.stem, flattened(image, truth["quad"])


def line(what: str, rows: list[dict[str, Any]]) -> list[Any]:
    """N, and of three turns each the percentages that were right, wrong and not told."""
    percent = 100 / (3 * len(rows))
    right, wrong = (percent * sum(row[answer] for row in rows) for answer in ("right", "wrong"))
    return [what, len(rows), f"{right:.1f} %", f"{wrong:.1f} %", f"{100 - right - wrong:.1f} %"]


@click.command()
@click.argument("frames", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--drawn", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--report", type=click.Path(path_type=Path), default=ROOT / "docs" / "results" / "upright.json")
def main(frames: Path, drawn: Path, report: Path) -> None:
    """Turn every document three ways, and write the tables."""
    faces, network = FaceDetector(), load_segmenter(shipped_model()).network
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    turning, invoking = [], []
    for what, name, read in documents(frames, drawn):
        row: dict[str, Any] = {"image": name, "what": what, "right": 0, "wrong": 0}
        for turn in (1, 2, 3):
            began = time.perf_counter()
            answer = turn_upright(np.ascontiguousarray(np.rot90(read, turn)), faces)
            turning.append(time.perf_counter() - began)
            stands = answer.image.shape == read.shape and np.array_equal(answer.image, read)
            row["right"] += answer.told and stands
            row["wrong"] += answer.told and not stands
        began = time.perf_counter()
        network.invoke()
        invoking.append(time.perf_counter() - began)
        groups[what].append(row)
    real = [row for what, rows in groups.items() if not what.startswith("drawn") for row in rows]
    costs = [1000 * float(np.median(times)) for times in (turning, invoking)]
    write_tables(
        report,
        [
            table(
                "Documents that were turned, and stand upright again",
                ["what", "N", "upright", "turned wrong", "not told: as it lay"],
                [*(line(what, rows) for what, rows in sorted(groups.items())), line("all photographed", real)],
            ),
            table(
                "What it costs, once a crop",
                ["turning a crop", "one inference of `unetlite`", "ratio"],
                [[f"{costs[0]:.1f} ms", f"{costs[1]:.1f} ms", f"{costs[0] / costs[1]:.1f}"]],
            ),
        ],
        data="DLC-2021 development frames and drawn pictures, flattened along their corners, each turned three ways",
        command="benchmarks/upright.py",
        images=[row for rows in groups.values() for row in rows],
    )


if __name__ == "__main__":
    main()
