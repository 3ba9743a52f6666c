"""Quad IoU on real photographs: each document type by a model that never saw it, condition by condition.

    python benchmarks/accuracy.py DLC2021_DEV --fold unetlite 01_alb_id,02_aze_passport fold1.int8.tflite ... \\
        --seed-samples DIR --negatives DIR --model MODEL ... --report docs/results/accuracy.json

DLC2021_DEV holds the frames in MIDV's layout and `conditions.tsv` (image, cut, occluders). A fold is a shipped model's
name, the types left out, and a model trained like it without them. The shipped models, which were trained on all of
these frames, are scored on them too, and on the seed samples and pictures without a document, which no training saw.
"""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from tables import table, write_tables

from unetlite.edge.segmenter import Segmenter, load_segmenter
from unetlite.vision.dataset import find_samples, read_quad
from unetlite.vision.document import find_document
from unetlite.vision.image import RgbImage, read_image
from unetlite.vision.metrics import corner_error, quad_iou
from unetlite.vision.quad import Quad, as_quad

CONDITIONS = ("cut", "uncut", "occluders")
GOALS = {"cut": "mean 0.97, 97 % >= 0.9", "uncut": "mean 0.95, 93 % >= 0.9", "occluders": "mean 0.94"}
PICTURES = {".jpg", ".jpeg", ".png"}


def usual_recipe(image: RgbImage) -> Quad | None:
    """OpenCV's document scanner as tutorials teach it: Canny, the largest contour that is four-sided."""
    scale = 500.0 / image.shape[0]
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    edges = cv2.Canny(cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (5, 5), 0), 75, 200)
    contours, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    for contour in sorted(contours, key=cv2.contourArea, reverse=True)[:5]:
        corners = cv2.approxPolyDP(contour, 0.02 * cv2.arcLength(contour, True), True)
        if len(corners) == 4 and cv2.isContourConvex(corners):
            return as_quad(corners[:, 0] / scale)
    return None


def score(segmenter: Segmenter, image: RgbImage, truth: Quad, *, hurried: bool = False) -> dict[str, float | None]:
    """Of one picture: quad IoU before and after refinement, of the usual recipe, and the corner error."""
    seen = segmenter(image, hurried=hurried)
    found = seen.finding.quad
    coarse = find_document(seen.probability, seen.placement, seen.output).quad
    return {
        "quad_iou": quad_iou(found, truth),
        "quad_iou_map": quad_iou(coarse, truth),
        "quad_iou_recipe": quad_iou(usual_recipe(image), truth),
        "corner_error": None if found is None else corner_error(found, truth),
        "corner_error_map": None if coarse is None else corner_error(coarse, truth),
        "confidence": seen.finding.confidence,
    }


def turned(image: RgbImage, truth: Quad) -> tuple[RgbImage, Quad]:
    """The picture and its truth as a camera held the other way gives them: turned by a quarter, clockwise."""
    x, y = truth.T
    return np.ascontiguousarray(np.rot90(image, -1)), as_quad(np.stack([image.shape[0] - 1 - y, x], axis=1))


def read_conditions(frames: Path) -> dict[str, str]:
    """One of `CONDITIONS` by the image's path below the frames' folder."""
    with open(frames / "conditions.tsv", newline="") as file:
        return {row["image"]: condition(row) for row in csv.DictReader(file, delimiter="\t")}


def condition(row: dict[str, str]) -> str:
    return "occluders" if row["occluders"] == "1" else "cut" if row["cut"] == "1" else "uncut"


def summary(rows: list[dict[str, Any]]) -> list[Any]:
    """N, mean, share >= 0.9, before refinement, corner errors in percent of the card's width, the recipe.

    Mean and share are rounded down: what reads like a goal has reached it.
    """
    iou = np.array([row["quad_iou"] for row in rows])
    error, error_map = (
        np.median([row[k] for row in rows if row[k] is not None]) for k in ("corner_error", "corner_error_map")
    )
    return [
        len(rows),
        f"{math.floor(1000 * iou.mean()) / 1000:.3f}",
        f"{100 * np.count_nonzero(iou >= 0.9) // len(iou)} %",
        f"{np.mean([row['quad_iou_map'] for row in rows]):.3f}",
        f"{100 * error_map:.1f} -> {100 * error:.1f} %",
        f"{np.mean([row['quad_iou_recipe'] for row in rows]):.3f}",
    ]


@click.command()
@click.argument("frames", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--fold",
    "folds",
    type=(str, str, click.Path(exists=True, path_type=Path)),
    multiple=True,
    help="NAME TYPE,TYPE MODEL: trained like the shipped model NAME, without these types.",
)
@click.option("--model", "models", type=click.Path(exists=True, path_type=Path), multiple=True, help="A shipped model.")
@click.option("--seed-samples", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--negatives", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--report", type=click.Path(path_type=Path), default=Path("docs/results/accuracy.json"))
def main(
    frames: Path,
    folds: tuple[tuple[str, str, Path], ...],
    models: tuple[Path, ...],
    seed_samples: Path | None,
    negatives: Path | None,
    report: Path,
) -> None:
    """Score folds and the shipped models, and write the tables."""
    of_type: dict[tuple[str, str], Segmenter] = {}
    for name, types, path in folds:
        of_type.update(dict.fromkeys(((name, each) for each in types.split(",")), load_segmenter(path)))
    shipped = {path.name.split(".")[0]: load_segmenter(path) for path in models}
    conditions = read_conditions(frames)
    unseen: list[dict[str, Any]] = []
    unseen_turned: list[dict[str, Any]] = []
    unseen_hurried: list[dict[str, Any]] = []
    trained_on: list[dict[str, Any]] = []
    for sample in find_samples(frames):
        truth = read_quad(sample.polygon)
        if truth is None:
            continue
        image = read_image(sample.image)
        name = sample.image.relative_to(frames).as_posix()
        known = {"image": name, "type": sample.document, "condition": conditions[name]}
        for (model, left_out), segmenter in of_type.items():
            if left_out == sample.document:
                unseen.append({"model": model, **known, **score(segmenter, image, truth)})
                unseen_turned.append({"model": model, **known, **score(segmenter, *turned(image, truth))})
                unseen_hurried.append({"model": model, **known, **score(segmenter, image, truth, hurried=True)})
        for model, segmenter in shipped.items():
            trained_on.append({"model": model, **known, **score(segmenter, image, truth)})

    columns = ["", "model", "N", "quad IoU", ">= 0.9", "before refinement", "corner error", "OpenCV recipe"]
    tables = []
    if unseen:
        lines = by(unseen, "condition", CONDITIONS)
        tables.append(
            table(
                "Types that were not trained on, by condition",
                [*columns, "goal"],
                [[*line, GOALS[line[0]]] for line in lines],
            )
        )
        types = sorted({row["type"] for row in unseen})
        tables.append(table("The same, by type", columns, by(unseen, "type", types)))
        lines = by(unseen_turned, "condition", CONDITIONS)
        tables.append(table("The same, each frame turned by a quarter", columns, lines))
        lines = by(unseen_hurried, "condition", CONDITIONS)
        tables.append(table("The same, as live capture looks at a frame", columns, lines))
    if trained_on:
        title = "The models as they ship, on these frames, which they were trained on"
        tables.append(table(title, columns, by(trained_on, "condition", CONDITIONS)))
    if shipped and (seed_samples or negatives):
        tables.append(never_seen(shipped, seed_samples, negatives))
    write_tables(
        report,
        tables,
        data="DLC-2021 development frames, int8 models",
        command="benchmarks/accuracy.py",
        images=unseen,
        images_turned=unseen_turned,
        images_hurried=unseen_hurried,
        shipped=trained_on,
    )


def by(rows: list[dict[str, Any]], key: str, values: Sequence[str]) -> list[list[Any]]:
    """The value, the model and its summary on each line; for each value the models one below the other."""
    groups = defaultdict(list)
    for row in rows:
        groups[row[key], row["model"]].append(row)
    models = list(dict.fromkeys(row["model"] for row in rows))
    return [
        [value, f"`{model}`", *summary(groups[value, model])]
        for value in values
        for model in models
        if (value, model) in groups
    ]


def never_seen(shipped: dict[str, Segmenter], seed_samples: Path | None, negatives: Path | None) -> dict[str, Any]:
    """The shipped models on what was in no training at all."""
    lines: list[list[Any]] = []
    if seed_samples:
        for path in sorted((seed_samples / "images").iterdir()):
            truth = as_quad(json.loads((seed_samples / "ground_truth" / f"{path.stem}.json").read_text())["quad"])
            image = read_image(path)
            ious = [quad_iou(segmenter(image).finding.quad, truth) for segmenter in shipped.values()]
            lines.append([f"quad IoU, {path.stem}", *(f"{iou:.3f}" for iou in ious), ">= 0.96"])
    if negatives:
        pictures = sorted(p for p in negatives.rglob("*") if p.suffix.lower() in PICTURES)
        counts = dict.fromkeys(shipped, 0)
        for path in pictures:
            image = read_image(path)
            for model, segmenter in shipped.items():
                counts[model] += segmenter(image).finding.quad is not None
        told = [f"{count} of {len(pictures)} ({100 * count / len(pictures):.1f} %)" for count in counts.values()]
        lines.append(["pictures without a document, taken for one", *told, "<= 2 %"])
    return table("Pictures that were in no training", ["", *(f"`{name}`" for name in shipped), "goal"], lines)


if __name__ == "__main__":
    main()
