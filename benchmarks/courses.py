"""The courses of the shipped models' trainings, from their summaries: IoU by step, and how long it took.

    python benchmarks/courses.py WORK/models

WORK/models is what `models/on_gpu/train.py` leaves. Writes docs/training-curve*.svg and docs/results/training*.json.
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
@click.option("--docs", type=click.Path(file_okay=False, path_type=Path), default=ROOT / "docs")
def main(folder: Path, docs: Path) -> None:
    """Read the summaries in FOLDER, and write drawings and tables."""
    for model, suffix in MODELS.items():
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


if __name__ == "__main__":
    main()
