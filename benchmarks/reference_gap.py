"""What the small network gives up against the preset `reference`: both trained on drawn pictures alone.

    python benchmarks/reference_gap.py DLC2021_DEV DRAWN \\
        --model reference models/reference.int8.tflite models/reference.training.json \\
        --model unetlite-base WORK/exported/unetlite-base.int8.tflite models/unetlite-base.training.json \\
        --model unetlite-small WORK/exported/unetlite-small.int8.tflite models/unetlite-small.training.json

Beside each summary lie those of the stages before it. No frame of DLC2021_DEV was in any of these trainings, nor a
picture of DRAWN (see `benchmarks/kinds.py`). Quads are found as `unet-infer` finds them. How much each network has been
taught stands beside what it reaches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from accuracy import CONDITIONS, read_conditions, score
from courses import chain
from kinds import pictures as drawn_pictures
from kinds import told
from tables import table, write_tables

from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.dataset import find_samples, read_quad
from unetlite.vision.image import RgbImage, read_image
from unetlite.vision.quad import Quad, as_quad

ROOT = Path(__file__).resolve().parents[1]
DRAWN, WITHOUT = "drawn", "drawn, without a document"
STAGE_COLUMNS = ["sets", "size of the views", "steps", "views", "duration", "IoU on augmented training pictures, last"]
TAUGHT_COLUMNS = ["model", "parameters", "views in training", "of pictures", "IoU of maps"]
FRAMES = "all frames"
COLUMNS = [*TAUGHT_COLUMNS, FRAMES, *CONDITIONS, DRAWN, f"{WITHOUT}, taken for one"]


def pictures(frames: Path, drawn: Path) -> Iterator[tuple[str, RgbImage, Quad | None]]:
    """Each picture with its group and its truth."""
    conditions = read_conditions(frames)
    for sample in find_samples(frames):
        group = conditions[sample.image.relative_to(frames).as_posix()]
        yield group, read_image(sample.image), read_quad(sample.polygon)
    for _, truth, image in drawn_pictures(drawn):
        quad = truth["quad"]
        yield (WITHOUT, image, None) if quad is None else (DRAWN, image, as_quad(quad))


def line(name: str, trainings: list[dict[str, Any]], scores: dict[str, list[dict[str, Any]]]) -> list[Any]:
    """A model's row, with the summaries of all its trainings: mean quad IoU, share >= 0.9, mean by the map alone."""
    summary = trainings[-1]
    views = sum(views_of(each["settings"]) for each in trainings)
    pictures_seen = sum(each["pictures"] for each in summary["data"])
    cells = []
    for groups in (tuple(CONDITIONS), *((each,) for each in CONDITIONS), (DRAWN,)):
        shown = [each for group in groups for each in scores[group]]
        found, coarse = ([each[key] for each in shown] for key in ("quad_iou", "quad_iou_map"))
        cells.append(f"{told(found)} ({np.mean(coarse):.3f})")
    taken = [each["found"] for each in scores[WITHOUT]]
    iou = summary["validation"]["document_iou"]
    sizes = [f"{count / 1e6:.2f} million" for count in (summary["parameters"], views)]
    return [f"`{name}`", *sizes, pictures_seen, f"{iou:.3f}", *cells, f"{sum(taken)} of {len(taken)}"]


def views_of(settings: dict[str, Any]) -> int:
    """How many views of pictures a stage with these settings has shown."""
    in_stages = [stage for each in settings.get("rounds", []) for stage in each["stages"]] or [settings]
    return sum(stage["batch"] * stage["steps"] for stage in in_stages)


def stages(summary: dict[str, Any]) -> list[list[Any]]:
    """Of a training in rounds a row for each stage: what it was shown, steps, views, duration, IoU at its end."""
    rows, first = [], 0
    for each in summary["settings"]["rounds"]:
        for stage in each["stages"]:
            last = first + stage["steps"]
            course = [row for row in summary["course"] if first < row["step"] <= last]
            seconds = sum(row["seconds"] for row in course)
            size = "x".join(str(side) for side in stage["size_wh"])
            views = stage["batch"] * stage["steps"]
            iou = f"{course[-1]['iou']:.3f}"
            rows.append([", ".join(each["sets"]), size, stage["steps"], views, f"{seconds / 60:.0f} min", iou])
            first = last
    return rows


@click.command()
@click.argument("frames", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("drawn", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--model",
    "models",
    type=(str, click.Path(exists=True, path_type=Path), click.Path(exists=True, path_type=Path)),
    multiple=True,
    required=True,
    help="NAME FILE.tflite SUMMARY.training.json",
)
@click.option("--report", type=click.Path(path_type=Path), default=ROOT / "docs" / "results" / "reference-gap.json")
def main(frames: Path, drawn: Path, models: tuple[tuple[str, Path, Path], ...], report: Path) -> None:
    """Score the models on each picture, and write the table."""
    segmenters = {name: load_segmenter(path) for name, path, _ in models}
    scores: dict[str, dict[str, list[dict[str, Any]]]] = {name: defaultdict(list) for name in segmenters}
    for group, image, truth in pictures(frames, drawn):
        for name, segmenter in segmenters.items():
            if truth is None:
                scores[name][group].append({"found": segmenter(image).finding.quad is not None})
            else:
                scores[name][group].append(score(segmenter, image, truth))
    trainings = {
        name: list(chain(path.parent, path.name.removesuffix(".training.json")).values()) for name, _, path in models
    }
    tables = [table("", COLUMNS, [line(name, each, scores[name]) for name, each in trainings.items()])]
    for name, (*_, summary) in trainings.items():
        if "rounds" in summary["settings"]:
            title = f"How `{name}` was trained: {summary['date']}, {summary['machine']}"
            tables.append(table(title, STAGE_COLUMNS, stages(summary)))
    counts = {group: len(each) for group, each in scores[models[0][0]].items()}
    numbers = ", ".join(f"{counts[group]} {group}" for group in (*CONDITIONS, DRAWN, WITHOUT))
    write_tables(
        report,
        tables,
        data=f"int8 models; {numbers}; mean quad IoU, share >= 0.9, and in brackets the mean before refinement",
        command="benchmarks/reference_gap.py",
        images=scores,
    )


if __name__ == "__main__":
    main()
