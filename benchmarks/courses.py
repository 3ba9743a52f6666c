"""The courses of the shipped models' trainings, from their summaries: IoU by step, and how long it took.

    python benchmarks/courses.py WORK/models

WORK/models is what `models/pytorch/train.py` leaves. Writes docs/training-curve*.svg and docs/results/training*.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from curve import ROOT, Stage, drawing
from tables import table, write_tables

from unetlite.vision.files import read_json, write_text

MODELS = {"unetlite": "", "unetlite-nano": "-nano"}
COLUMNS = [
    "stage",
    "steps",
    "pictures seen",
    "duration",
    "IoU on augmented training pictures, last",
    "IoU on validation",
]


def chain(folder: Path, model: str) -> dict[str, dict[str, Any]]:
    """The summaries of a model's stages by name, the first one first: each says which it started from."""
    stages: dict[str, dict[str, Any]] = {}
    name: str | None = model
    while name is not None:
        stages[name] = read_json(folder / f"{name}.training.json")
        start = stages[name]["start"]
        name = None if start is None else Path(start["model"]).stem
    return dict(reversed(stages.items()))


def line(name: str, summary: dict[str, Any]) -> list[Any]:
    """A stage's row."""
    settings, course = summary["settings"], summary["course"]
    return [
        name,
        settings["steps"],
        f"{settings['steps'] * settings['batch'] / 1e6:.2f} million",
        f"{sum(row['seconds'] for row in course):.0f} s",
        f"{course[-1]['iou']:.3f}",
        f"{summary['validation']['document_iou']:.3f}",
    ]


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--borders",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=ROOT / "models" / "borders.training.json",
    help="The record of models/borders.py.",
)
@click.option("--docs", type=click.Path(file_okay=False, path_type=Path), default=ROOT / "docs")
def main(folder: Path, borders: Path, docs: Path) -> None:
    """Read the summaries in FOLDER, of those models that are there, and write drawings and tables."""
    for model, suffix in MODELS.items():
        if not (folder / f"{model}.training.json").is_file():
            continue
        summaries = chain(folder, model)
        stages = [
            Stage(name, [row["iou"] for row in each["course"]], [], sum(row["seconds"] for row in each["course"]) / 60)
            for name, each in summaries.items()
        ]
        steps = sum(each["settings"]["steps"] for each in summaries.values())
        write_text(docs / f"training-curve{suffix}.svg", drawing(stages, f"{steps} steps"))
        machines = list(dict.fromkeys(f"{each['date']}, {each['machine']}" for each in summaries.values()))
        write_tables(
            docs / "results" / f"training{suffix}.json",
            [table("", COLUMNS, [line(name, each) for name, each in summaries.items()])],
            data="",
            command="benchmarks/courses.py",
            note=f"{'; '.join(machines)}. The base waits for pictures that are still being drawn. Written by "
            f"`benchmarks/courses.py` (training{suffix}.json).",
        )
    record = read_json(borders)
    write_tables(
        docs / "results" / "training-borders.json",
        [
            table(
                "",
                ["epoch", "loss", "loss on pictures held back"],
                [[row["epoch"], f"{row['loss']:.3f}", f"{row['validation_loss']:.3f}"] for row in record["course"]],
            )
        ],
        data="",
        command="benchmarks/courses.py",
        note=f"{record['date']}, {record['machine']}; the rims of {record['quads']} quads of {record['pictures']} "
        f"drawn pictures, {record['parameters']} parameters, {record['seconds'] / 60:.0f} minutes; other work "
        f"ran on the machine at the same time. Written by `benchmarks/courses.py` (training-borders.json).",
    )


if __name__ == "__main__":
    main()
