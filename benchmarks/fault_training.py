"""Kill a training in the middle of an epoch, let it go on, and hold its end against undisturbed ones.

Stands apart because noise has to be known first: the same training with other seeds says how much ends differ anyway.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from fault_work import Runner
from tables import table

from unetlite.vision.cli import tell
from unetlite.vision.files import write_json
from unetlite.vision.image import write_image

EPOCHS = 12
SIZE = "32x32"


def write_cards(root: Path) -> Path:
    """A prepared data set: light cards on dark, noisy ground, small enough for a training of a minute."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 48), ("validation", 16)):
        for i in range(count):
            x, y = (int(v) for v in rng.integers(2, 16, 2))
            w, h = (int(v) for v in rng.integers(20, 30, 2))
            picture = rng.integers(0, 90, (48, 48, 3)).astype(np.uint8)
            mask = np.zeros((48, 48), bool)
            mask[y : y + h, x : x + w] = True
            picture[mask] = rng.integers(140, 256, 3).astype(np.uint8)
            write_image(root / part / "images" / f"{i:02}.png", picture)
            write_image(root / part / "masks" / f"{i:02}.png", mask)
    write_json(root / "split.json", {"name": "cards", "licence": None})
    return root


def training_tables(folder: Path, count: int, rng: random.Random) -> list[dict[str, Any]]:
    """One table: undisturbed trainings by seed, and killed ones that went on."""
    data = write_cards(folder / "data")
    runner = Runner("unetlite.training.cli", "main", "unetlite.training.fit")
    try:
        whole = [_train(runner, data, folder / f"whole{seed}", seed) for seed in range(count + 2)]
        killed = [_killed(runner, data, folder / f"killed{n}", n, rng) for n in range(count)]
    finally:
        runner.close()
    rows = [["undisturbed", f"seeds 0..{len(whole) - 1}", EPOCHS, _span([iou for iou, _ in whole]),
             _span([loss for _, loss in whole])]]  # fmt: skip
    for epoch, iou, loss in killed:
        rows.append(["killed, then `--resume`", f"in epoch {epoch}", EPOCHS, f"{iou:.4f}", f"{loss:.4f}"])
    columns = ["training", "which", "epochs", "best validation IoU", "its loss"]
    return [table("Training killed in the middle of an epoch", columns, rows)]


def _span(values: list[float]) -> str:
    return f"{min(values):.4f} to {max(values):.4f}"


def _arguments(data: Path, to: Path, seed: int) -> list[str]:
    return [
        "--data", str(data), "--epochs", str(EPOCHS), "--patience", str(EPOCHS), "--preset", "nano", "--size", SIZE,
        "--batch-size", "8", "--seed", str(seed), "--learning-rate", "0.01", "--model-out", str(to / "unet.keras"),
    ]  # fmt: skip


def _score(to: Path) -> tuple[float, float]:
    validation = json.loads((to / "unet.training.json").read_text("utf-8"))["validation"]
    return validation["document_iou"], validation["loss"]


def _train(runner: Runner, data: Path, to: Path, seed: int) -> tuple[float, float]:
    status, said = runner.run(_arguments(data, to, seed))
    if status != 0:
        raise RuntimeError(f"training ended with {status}: {said}")
    return _score(to)


def _killed(runner: Runner, data: Path, to: Path, seed: int, rng: random.Random) -> tuple[int, float, float]:
    """Killed at a random moment after its first epoch; the epoch, and what the resumed training reached."""
    begin = time.monotonic()
    status, said = runner.run(_arguments(data, to.with_name(f"{to.name}-timed"), seed))
    seconds = time.monotonic() - begin
    for _ in range(20):
        shutil.rmtree(to, ignore_errors=True)
        status, _ = runner.run(_arguments(data, to, seed), kill_after_s=rng.uniform(0.3, 0.95) * seconds)
        history = to / "unet.training" / "history.csv"
        done = history.read_text("utf-8").count("\n") - 1 if history.is_file() else 0
        if status == -9 and 0 < done < EPOCHS:
            break
    else:
        raise RuntimeError(f"no kill hit an epoch: {said}")
    status, said = runner.run([*_arguments(data, to, seed), "--resume"])
    if status != 0:
        raise RuntimeError(f"the resumed training ended with {status}: {said}")
    tell(f"training {seed}: killed in epoch {done + 1}")
    return done + 1, *_score(to)
