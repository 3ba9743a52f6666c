"""From pictures to a shipped model and those that score it; what `models/recipe.sh` runs.

    models/pytorch/draw.sh BACKGROUNDS FACES POSES.csv DLC2021_DEV WORK &
    python models/pytorch/train.py DLC2021_DEV WORK --model unetlite WORK/edge.keras

A base learns from drawn pictures alone, while more of them are drawn; of some presets in a smaller shape at first. From
it one model is trained on the frames of all types, and three without two types each, which score them. On a GPU that
takes minutes; without one hours, on a processor of the kind that `kernels.c` wants.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from grow import grow
from network import Network, draw_weights
from pictures import PictureSet, load_set
from steps import Settings, Source, Trainer, validate
from torch import Tensor

from unetlite.edge.device import device_record
from unetlite.training.summary import summarize, summary_path
from unetlite.vision.cli import Command
from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.errors import DatasetError
from unetlite.vision.files import atomic_path, read_json, sha256_of, write_json

FOLDS = {
    "-fold1": ("01_alb_id", "02_aze_passport"),
    "-fold2": ("03_esp_id", "07_lva_passport"),
    "-fold3": ("05_fin_id", "09_srb_passport"),
    "": (),
}
DRAWN = {"first": 0.0, "more1": 0.25, "more2": 0.4, "more3": 0.55, "more4": 0.7}  # from which share of the base's steps
REAL, REPRINTS = 0.1, 0.3  # shares of what the last stage shows; the rest is drawn
LICENCES = {
    "drawn": "drawn by unetlite; surfaces and faces: CC0, MIT, free wallpapers, DLC-2021 crops (CC BY-SA 2.5)",
    "real": "CC BY-SA 2.5",
}
BEGAN = time.perf_counter()


@dataclass(frozen=True)
class Plan:
    """A model's preset, its stages, and what is made of its answers.

    Attributes:
        preset: of `unetlite.training.unet`.
        base: the stage on drawn pictures alone.
        last: the stage with real frames.
        min_confidence: from which a picture holds a document; a smaller network is less sure of what it finds.
        grown: a second one on drawn pictures, in the preset's shape; that of the first is then a smaller one's.
    """

    preset: str
    base: Settings
    last: Settings
    min_confidence: float
    grown: Settings | None = None


PLANS = {
    "unetlite": Plan(
        "edge",
        Settings(256, 10500, 0.006, seed=1),
        Settings(128, 1700, 0.0028, seed=2),
        0.5,
        Settings(128, 3515, 0.003, seed=1),
    ),
    "unetlite-nano": Plan("nano", Settings(256, 3000, 0.006, seed=1), Settings(256, 600, 0.004, seed=2), 0.35),
}


class Shelf:
    """The sets of a working folder, read one after the other in the background as they are finished."""

    def __init__(self, frames: Path, work: Path, device: torch.device) -> None:
        self._frames, self._work, self._device = frames, work, device
        self._types = sorted(path.name for path in frames.iterdir() if path.is_dir())
        names = ("validation", *DRAWN, "real", "reprints")
        reader = ThreadPoolExecutor(1)
        self._coming = {name: reader.submit(self._read, name) for name in names}
        self._there: dict[str, Source] = {}

    def take(self, name: str, without: tuple[str, ...] = ()) -> Source:
        """A set without these types, each picture of it counting as much as those of other sets; waits for it."""
        if name not in self._there:
            data = self._coming.pop(name).result()
            planes = torch.from_numpy(data.planes).to(self._device)
            self._there[name] = Source(data, planes, np.arange(len(planes)), float(len(planes)))
        source = self._there[name]
        numbers = np.flatnonzero(~np.isin(source.data.types, without))
        return replace(source, numbers=numbers, share=float(len(numbers)))

    def describe(self, name: str, source: Source) -> dict[str, Any]:
        """`described` of a set."""
        licence = "real" if name in ("real", "reprints") else "drawn"
        return described(name, licence, len(source.numbers), None if name == "real" else self._folders(name)[0])

    def _folders(self, name: str) -> list[Path]:
        if name == "real":
            return [self._frames / each for each in self._types]
        return [self._work / f"{name}-{each}" for each in self._types] if name == "reprints" else [self._work / name]

    def _read(self, name: str) -> PictureSet:
        folders = self._folders(name)
        while name != "real" and not all(folder.with_name(f"{folder.name}.done").exists() for folder in folders):
            if (self._work / "draw.failed").exists():
                raise DatasetError(f"{self._work}: expected the set {name}, but draw.sh failed; see what it said")
            time.sleep(0.2)
        on_disk = None if self._device.type == "cuda" else self._work  # together they are larger than memory
        data = load_set(folders, os.cpu_count() or 1, on_disk=on_disk)
        tell(f"{name}: {len(data.planes)} pictures read")
        return data


def described(name: str, licence: str, pictures: int, drawn: Path | None) -> dict[str, Any]:
    """What a summary says of a set: licence, pictures, and what those in the folder `drawn` were drawn from."""
    said: dict[str, Any] = {"name": name, "licence": LICENCES[licence], "pictures": pictures}
    if drawn is not None:
        record = read_json(drawn / "synthesis.json")
        keys = ("generator", "seed", "negatives", "backgrounds", "faces")
        said |= {key: record[key] for key in keys if key in record}
    return said


def train(name: str, start: Path, shelf: Shelf, out: Path, device: torch.device) -> None:
    """The base, then the last stage for each fold and for all types, those that are not there yet.

    Each leaves a `.keras` file and its summary.

    Args:
        name: of a plan.
        start: an untrained network of its preset; where the plan has a stage `grown`, the smaller one lies beside it,
            `edge-small.keras` beside `edge.keras`.
        shelf: the sets.
        out: where the networks go.
        device: that trains.
    """
    plan = PLANS[name]
    base_file = out / f"{name}-base.keras"
    if plan.grown is None:
        train_base(base_file, start, plan, shelf, device)
    else:
        small_file = out / f"{name}-small.keras"
        train_base(small_file, start.with_stem(f"{start.stem}-small"), plan, shelf, device)
        if not base_file.exists():
            network = Network(start)
            draw_weights(network, plan.grown.seed)
            grow(network, Network(small_file))
            sources = {each: shelf.take(each) for each in DRAWN}
            rows = Trainer(network, plan.grown, device).run(list(sources.values()), plan.grown.steps, tell)
            keep_planned(network, start, base_file, plan, plan.grown, rows, sources, shelf, began=small_file)
    for fold, without in FOLDS.items():
        path = out / f"{name}{fold}.keras"
        if path.exists():
            continue
        sources = {each: shelf.take(each) for each in DRAWN}
        total = sum(source.share for source in sources.values()) / (1 - REAL - REPRINTS)
        sources = {each: replace(source, share=source.share / total) for each, source in sources.items()}
        sources["real"] = replace(shelf.take("real", without), share=REAL)
        sources["reprints"] = replace(shelf.take("reprints", without), share=REPRINTS)
        network = Network(base_file)
        rows = Trainer(network, plan.last, device).run(list(sources.values()), plan.last.steps, tell)
        keep_planned(network, base_file, path, plan, plan.last, rows, sources, shelf, began=base_file)


def train_base(path: Path, start: Path, plan: Plan, shelf: Shelf, device: torch.device) -> None:
    """The stage on drawn pictures alone, from drawn weights, into `path` unless that is there."""
    if path.exists():
        return
    network = Network(start)
    draw_weights(network, plan.base.seed)
    trainer = Trainer(network, plan.base, device)
    sources: dict[str, Source] = {}
    rows = []
    for added, until in zip(DRAWN, [*list(DRAWN.values())[1:], 1.0], strict=True):
        sources[added] = shelf.take(added)
        rows += trainer.run(list(sources.values()), int(until * plan.base.steps), tell)
    keep_planned(network, start, path, plan, plan.base, rows, sources, shelf)


def keep_planned(
    network: Network,
    like: Path,
    path: Path,
    plan: Plan,
    settings: Settings,
    rows: list[dict[str, float]],
    sources: dict[str, Source],
    shelf: Shelf,
    *,
    began: Path | None = None,
) -> None:
    """`keep` after a stage of a plan."""
    keep(
        network,
        like,
        path,
        shelf.take("validation").planes,
        preset=plan.preset,
        min_confidence=plan.min_confidence,
        settings=asdict(settings),
        data=[{**shelf.describe(name, source), "share": source.share} for name, source in sources.items()],
        course=rows,
        began=began,
    )


def keep(
    network: Network,
    like: Path,
    path: Path,
    validation: Tensor,
    *,
    preset: str,
    min_confidence: float,
    settings: dict[str, Any],
    data: list[dict[str, Any]],
    course: list[dict[str, Any]],
    began: Path | None = None,
) -> None:
    """Write the network, and what export and the documents must know of it.

    Args:
        network: trained.
        like: a file of its shape.
        path: where it goes, its summary beside it.
        validation: planes of the pictures that say how good it is.
        preset: of `unetlite.training.unet`.
        min_confidence: from which a picture holds a document.
        settings: that shaped the training.
        data: the sets that it saw.
        course: rows with step, loss, IoU and seconds.
        began: the trained network whose weights it had at first, of this shape or a smaller one; None of drawn ones.
    """
    iou = validate(network, validation)
    tell(f"{path.name}: IoU {iou:.4f} on validation")
    with atomic_path(path) as temporary:
        network.save(temporary, like)
    started = {"model": began.name, "sha256": sha256_of(began)} if began is not None else None
    summary = summarize(
        InputSpec(network.size_wh, fit="turn"),
        OutputSpec(min_confidence=min_confidence),
        {
            "preset": preset,
            "settings": {**settings, "loss": "dice+bce", "schedule": "cosine"},
            "machine": machine(),
            "date": datetime.now(timezone.utc).date().isoformat(),
            "parameters": sum(value.numel() for value in network.parameters()),
            "start": started,
        },
        data,
        {"course": course, "validation": {"pictures": len(validation), "document_iou": iou}},
    )
    write_json(summary_path(path), summary)


def machine() -> str:
    """The GPU, or the processor where there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else str(device_record()["cpu"])


def tell(message: str) -> None:
    click.echo(f"{time.perf_counter() - BEGAN:7.1f} s  {message}")


@click.command(cls=Command)
@click.argument("frames", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("work", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--model",
    "models",
    type=(click.Choice(list(PLANS)), click.Path(exists=True, dir_okay=False, path_type=Path)),
    multiple=True,
    required=True,
    help="Which, and an untrained network of its preset; its weights are drawn anew.",
)
def main(frames: Path, work: Path, models: tuple[tuple[str, Path], ...]) -> None:
    """Train models with FRAMES and the sets that draw.sh leaves in WORK, into WORK/models."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    out = work / "models"
    out.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(frames, work, device)
    for name, start in models:
        train(name, start, shelf, out, device)


if __name__ == "__main__":
    main()
