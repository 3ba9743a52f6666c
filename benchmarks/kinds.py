"""Quad IoU on drawn pictures that no training saw, by what the document is made of; several models beside each other.

    unet-data synthesize --to DRAWN --count 900 --seed 9002 --backgrounds ... --faces ... --poses ...
    python benchmarks/kinds.py DRAWN --model unetlite edge/models/unetlite.int8.tflite

DRAWN is what `unet-data synthesize` wrote: its ground truth says kind and whether something lies on the document. The
pictures without a document count apart: how many are taken for one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from tables import table, write_tables

from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.errors import DatasetError
from unetlite.vision.files import read_json
from unetlite.vision.image import RgbImage, read_image
from unetlite.vision.metrics import quad_iou
from unetlite.vision.quad import as_quad

ROOT = Path(__file__).resolve().parents[1]


@click.command()
@click.argument("drawn", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--model",
    "models",
    type=(str, click.Path(exists=True, dir_okay=False, path_type=Path)),
    multiple=True,
    required=True,
    help="NAME FILE.tflite",
)
@click.option("--report", type=click.Path(path_type=Path), default=ROOT / "docs" / "results" / "kinds.json")
def main(drawn: Path, models: tuple[tuple[str, Path], ...], report: Path) -> None:
    """Score the models on each picture, and write the table."""
    segmenters = {name: load_segmenter(path) for name, path in models}
    rows: list[dict[str, Any]] = []
    for picture, truth, image in pictures(drawn):
        quad = None if truth["quad"] is None else as_quad(truth["quad"])
        scores = {}
        for name, segmenter in segmenters.items():
            found = segmenter(image).finding.quad
            scores[name] = float(found is not None) if quad is None else quad_iou(found, quad)
        covered = ", things on it" if truth["occluded"] else ""
        rows.append({"image": picture, "kind": truth["kind"] + covered, "negative": quad is None, **scores})
    write_tables(
        report,
        [table("", ["what", "N", *(f"`{name}`" for name in segmenters)], lines(rows, list(segmenters)))],
        data=f"{len(rows)} drawn pictures that were in no training: mean quad IoU, and the share >= 0.9",
        command="benchmarks/kinds.py",
        images=rows,
    )


def pictures(drawn: Path) -> Iterator[tuple[str, dict[str, Any], RgbImage]]:
    """Of each drawn picture its name, its ground truth as it was written, and itself."""
    truths = sorted((drawn / "ground_truth").glob("*.json"))
    if not truths:
        raise DatasetError(f"{drawn}: expected ground_truth/ as unet-data synthesize writes it, found none")
    for path in truths:
        yield path.stem, read_json(path), read_image(drawn / "images" / f"{path.stem}.jpg")


def lines(rows: list[dict[str, Any]], models: list[str]) -> list[list[Any]]:
    """A line for each kind, one for all with a document, one for those without."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if not row["negative"]:
            groups[row["kind"]].append(row)
    said: list[list[Any]] = []
    documents = [row for row in rows if not row["negative"]]
    for kind, group in [*sorted(groups.items()), ("all with a document", documents)]:
        said.append([kind, len(group), *(told([row[model] for row in group]) for model in models)])
    without = [row for row in rows if row["negative"]]
    if without:
        counts = (sum(row[model] for row in without) for model in models)
        said.append(["no document, taken for one", len(without), *(f"{count:.0f}" for count in counts)])
    return said


def told(scores: list[float]) -> str:
    return f"{np.mean(scores):.3f}, {100 * np.mean(np.array(scores) >= 0.9):.0f} %" if scores else "-"


if __name__ == "__main__":
    main()
