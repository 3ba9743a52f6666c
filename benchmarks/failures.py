"""A sheet of the pictures that a model does worst on, for its card: the truth in blue, the answer in green.

    python benchmarks/failures.py DATA --model MODEL --to models/failures.jpg
"""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import numpy as np

from unetlite.edge.overlay import draw_overlay
from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.dataset import find_samples, read_quad
from unetlite.vision.document import Finding
from unetlite.vision.image import RgbImage, read_image, write_image
from unetlite.vision.metrics import quad_iou
from unetlite.vision.quad import Quad

TILE = 360  # pixels


def tile(image: RgbImage, truth: Quad | None, finding: Finding, score: float) -> RgbImage:
    """The picture fitted into a square, with both quads and the IoU."""
    scale = TILE / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scaled = None if finding.quad is None else finding.quad * scale
    marked = draw_overlay(
        small,
        Finding(scaled, finding.confidence),
        truth=None if truth is None else truth * scale,
        note=f"IoU {score:.2f}",
    )
    canvas = np.full((TILE, TILE, 3), 40, np.uint8)
    canvas[: marked.shape[0], : marked.shape[1]] = marked[:TILE, :TILE]
    return canvas


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--count", default=12)
@click.option("--to", type=click.Path(path_type=Path), required=True)
def main(data: Path, model: Path, count: int, to: Path) -> None:
    """Score every picture and draw the worst, spread evenly over the worst fifth so that not one kind fills it."""
    segmenter = load_segmenter(model)
    scored = []
    for sample in find_samples(data):
        image, truth = read_image(sample.image), read_quad(sample.polygon)
        finding = segmenter(image).finding
        scored.append((quad_iou(finding.quad, truth), sample.image, truth, finding))
    scored.sort(key=lambda entry: entry[0])
    fifth = scored[: max(count, len(scored) // 5)]
    chosen = [fifth[i] for i in np.linspace(0, len(fifth) - 1, count).astype(int)]
    tiles = [tile(read_image(path), truth, finding, score) for score, path, truth, finding in chosen]
    columns = 4
    tiles += [np.full_like(tiles[0], 40)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    write_image(to, np.vstack(rows), overwrite=True)
    click.echo(f"{to}   the worst fifth of {len(scored)} pictures of {data.name}")


if __name__ == "__main__":
    main()
