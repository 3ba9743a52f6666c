"""The course of a training, from its TensorBoard logs: IoU by epoch, and how long it took.

    python benchmarks/curve.py base.logs unetlite.logs --svg docs/training-curve.svg

Several logs are stages of one training, one after the other, as `models/recipe-two-cores.sh` runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from tables import table, write_tables

from unetlite.vision.errors import DatasetError
from unetlite.vision.files import write_text

ROOT = Path(__file__).resolve().parents[1]
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 320, 52, 16, 30, 40
_COLOURS = {"training, augmented": "#c98a00", "validation": "#20639b"}


@dataclass(frozen=True)
class Stage:
    """One run of a training.

    Attributes:
        name: the model's.
        training, validation: mean IoU of the document after each epoch, or as often as it was told; may be empty.
        minutes: from the first epoch's end to the last one's, and one epoch more.
    """

    name: str
    training: list[float]
    validation: list[float]
    minutes: float


def read_stage(logs: Path) -> Stage:
    """What a log folder says; of an interrupted and resumed run all its files together.

    Raises:
        DatasetError: no epoch in it.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorflow import make_ndarray

    series, minutes = {}, 0.0
    for split in ("train", "validation"):
        events = EventAccumulator(str(logs / split), size_guidance={"tensors": 0})
        events.Reload()
        if "epoch_document_iou" not in events.Tags()["tensors"]:
            raise DatasetError(f"{logs}: expected the logs of a training, found no epoch of {split}")
        steps = {event.step: event for event in events.Tensors("epoch_document_iou")}
        series[split] = [float(make_ndarray(steps[step].tensor_proto)) for step in sorted(steps)]
        times = np.diff(sorted(event.wall_time for event in steps.values()))
        # A pause between two sittings is no training: no epoch counts for more than three times the usual.
        minutes = float(np.minimum(times, 3 * np.median(times)).sum() + np.median(times)) / 60 if len(times) else 0.0
    return Stage(logs.stem, series["train"], series["validation"], minutes)


def drawing(stages: list[Stage], axis: str) -> str:
    """The curves as SVG, stages parted by a line; `axis` says what lies along it."""
    values = [v for stage in stages for v in (*stage.training, *stage.validation)]
    low, high = np.floor(min(values) * 10) / 10, np.ceil(max(values) * 10) / 10
    epochs = sum(len(stage.training) for stage in stages)
    bottom = _HEIGHT - _BOTTOM

    def x(epoch: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (epoch - 0.5) / epochs

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * (value - low) / (high - low)

    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' font-family='sans-serif' "
        "font-size='12'><title>Mean IoU of the document by epoch</title>"
        f"<rect width='{_WIDTH}' height='{_HEIGHT}' fill='#fff'/>"
    ]
    for value in np.arange(low, high + 0.01, 0.1):
        parts.append(
            f"<path d='M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}' stroke='#ddd'/>"
            f"<text x='{_LEFT - 8}' y='{y(value) + 4:.1f}' text-anchor='end'>{value:.1f}</text>"
        )
    done = 0
    for stage in stages:
        count = len(stage.training)
        if done:
            edge = (x(done) + x(done + 1)) / 2
            parts.append(f"<path d='M{edge:.1f} {_TOP}V{bottom}' stroke='#999' stroke-dasharray='4 3'/>")
        middle = x(done + (count + 1) / 2)
        parts.append(f"<text x='{middle:.1f}' y='{_TOP - 10}' text-anchor='middle'>{stage.name}</text>")
        for name, series in zip(_COLOURS, (stage.training, stage.validation), strict=True):
            if not series:
                continue
            points = "L".join(f"{x(done + n + 1):.1f} {y(v):.1f}" for n, v in enumerate(series))
            parts.append(f"<path d='M{points}' fill='none' stroke='{_COLOURS[name]}' stroke-width='2'/>")
        done += count
    drawn = zip(_COLOURS.items(), (stages[0].training, stages[0].validation), strict=True)
    for number, (name, colour) in enumerate(each for each, series in drawn if series):
        left = _LEFT + 12 + 170 * number
        parts.append(
            f"<path d='M{left} {bottom - 12}h22' stroke='{colour}' stroke-width='2'/>"
            f"<text x='{left + 28}' y='{bottom - 8}'>{name}</text>"
        )
    parts.append(
        f"<text x='{(_LEFT + _WIDTH) / 2:.0f}' y='{_HEIGHT - 12}' text-anchor='middle'>{axis}; mean IoU of the document"
        "</text></svg>\n"
    )
    return "".join(parts)


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--svg", type=click.Path(path_type=Path), default=ROOT / "docs" / "training-curve.svg")
@click.option("--report", type=click.Path(path_type=Path), default=ROOT / "docs" / "results" / "training.json")
def main(logs: tuple[Path, ...], svg: Path, report: Path) -> None:
    """Read the logs, and write the drawing and the table."""
    stages = [read_stage(folder) for folder in logs]
    write_text(svg, drawing(stages, f"{sum(len(stage.training) for stage in stages)} epochs"))
    rows = [
        [s.name, len(s.training), f"{s.minutes:.0f} min", f"{s.training[-1]:.3f}", f"{max(s.validation):.3f}"]
        for s in stages
    ]
    columns = ["stage", "epochs", "duration", "IoU on augmented training pictures, last", "IoU on validation, best"]
    write_tables(
        report,
        [table("", columns, rows)],
        data="drawn pictures, and real frames in the last stage; other work ran on the machine at the same time",
        command="benchmarks/curve.py",
    )


if __name__ == "__main__":
    main()
