"""Quad IoU on real photographs: each document type by a model that never saw it, condition by condition.

    python benchmarks/accuracy.py DLC2021_DEV --fold 01_alb_id,02_aze_passport=fold1.int8.tflite ... \\
        --seed-samples DIR --negatives DIR --model MODEL --report docs/results/accuracy.json

DLC2021_DEV holds the frames in MIDV's layout and `conditions.tsv` (image, cut, occluders). A fold is the types that
its model never saw. `--model` is scored on the seed samples and on the pictures without a document.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
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


def score(segmenter: Segmenter, image: RgbImage, truth: Quad) -> dict[str, float | None]:
    """Of one picture: quad IoU before and after refinement, of the usual recipe, and the corner error."""
    seen = segmenter(image)
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


def condition(row: dict[str, str]) -> str:
    return "occluders" if row["occluders"] == "1" else "cut" if row["cut"] == "1" else "uncut"


def summary(rows: list[dict[str, Any]]) -> list[Any]:
    """N, mean, share >= 0.9, before refinement, corner errors in percent of the card's width, the recipe."""
    iou = np.array([row["quad_iou"] for row in rows])
    error, error_map = (
        np.median([row[k] for row in rows if row[k] is not None]) for k in ("corner_error", "corner_error_map")
    )
    return [
        len(rows),
        f"{iou.mean():.3f}",
        f"{100 * (iou >= 0.9).mean():.0f} %",
        f"{np.mean([row['quad_iou_map'] for row in rows]):.3f}",
        f"{100 * error_map:.1f} -> {100 * error:.1f} %",
        f"{np.mean([row['quad_iou_recipe'] for row in rows]):.3f}",
    ]


@click.command()
@click.argument("frames", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--fold", "folds", multiple=True, help="TYPE,TYPE=MODEL: the model never saw these types.")
@click.option("--model", type=click.Path(exists=True, path_type=Path), required=True, help="The shipped model.")
@click.option("--seed-samples", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--negatives", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--report", type=click.Path(path_type=Path), default=Path("docs/results/accuracy.json"))
def main(
    frames: Path, folds: tuple[str, ...], model: Path, seed_samples: Path | None, negatives: Path | None, report: Path
) -> None:
    """Score folds and the shipped model, and write the tables."""
    model_of = {}
    for fold in folds:
        names, _, path = fold.partition("=")
        model_of.update(dict.fromkeys(names.split(","), load_segmenter(Path(path))))
    with open(frames / "conditions.tsv", newline="") as file:
        conditions = {row["image"]: condition(row) for row in csv.DictReader(file, delimiter="\t")}
    rows: list[dict[str, Any]] = []
    for sample in find_samples(frames):
        truth = read_quad(sample.polygon)
        if truth is None or sample.document not in model_of:
            continue
        name = sample.image.relative_to(frames).as_posix()
        scores = score(model_of[sample.document], read_image(sample.image), truth)
        rows.append({"image": name, "type": sample.document, "condition": conditions[name], **scores})

    columns = ["", "N", "quad IoU", ">= 0.9", "before refinement", "corner error", "OpenCV recipe"]
    tables = []
    if rows:
        per_condition, per_type = defaultdict(list), defaultdict(list)
        for row in rows:
            per_condition[row["condition"]].append(row)
            per_type[row["type"]].append(row)
        tables.append(
            table(
                "Types that were not trained on, by condition",
                [*columns, "goal"],
                [[name, *summary(per_condition[name]), GOALS[name]] for name in CONDITIONS if per_condition[name]],
            )
        )
        tables.append(
            table("The same, by type", columns, [[name, *summary(per_type[name])] for name in sorted(per_type)])
        )

    shipped = load_segmenter(model)
    others: list[list[Any]] = []
    if seed_samples:
        for path in sorted((seed_samples / "images").iterdir()):
            truth = as_quad(json.loads((seed_samples / "ground_truth" / f"{path.stem}.json").read_text())["quad"])
            scores = score(shipped, read_image(path), truth)
            rows.append({"image": path.name, "type": "seed", "condition": "seed", **scores})
            others.append([path.stem, f"quad IoU {scores['quad_iou']:.3f}", "0.96"])
    if negatives:
        pictures = sorted(p for p in negatives.rglob("*") if p.suffix.lower() in PICTURES)
        said = [path for path in pictures if shipped(read_image(path)).finding.quad is not None]
        share = f"{len(said)} of {len(pictures)} ({100 * len(said) / len(pictures):.1f} %)"
        others.append(["pictures without a document", f"{share} taken for one", "<= 2 %"])
    if others:
        tables.append(table("The shipped model", ["", "measured", "goal"], others))
    write_tables(
        report,
        tables,
        data=f"DLC-2021 development frames ({len([r for r in rows if r['type'] != 'seed'])}), int8 models",
        command="benchmarks/accuracy.py",
        images=rows,
    )


if __name__ == "__main__":
    main()
