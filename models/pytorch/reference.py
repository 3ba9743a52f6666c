"""The preset `reference` from drawn pictures, on a processor: the network that the small ones are measured against.

    python models/pytorch/reference.py WORK WORK/reference.keras

WORK holds the set `validation` and those that the small networks' bases learn from, as `models/recipe-reference.sh`
draws them, which also runs this. It costs a hundred times as much as `edge`. So it is fed with views of 160x96 pixels,
of which it answers each, twice as finely as `edge` does; and with smaller ones first: it is all convolutions, whose
weights fit any size. It enters WORK/models as `reference.keras`, with its summary. An interrupted training goes on from
its last checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from chances import draw_chances
from network import Network, draw_weights
from operations import see
from pictures import PictureSet, load_set
from processor import OnProcessor
from steps import WEIGHT_DECAY, counted, dice_and_cross_entropy, schedule
from train import DRAWN, described, keep, tell

from unetlite.vision.cli import Command
from unetlite.vision.contract import OutputSpec
from unetlite.vision.dataset import find_samples
from unetlite.vision.files import atomic_path


@dataclass(frozen=True)
class Stage:
    """Steps with views of one size.

    Attributes:
        size_wh: the views' pixels.
        batch: views a step.
        steps: how many.
        share: of the time that all stages of the round take; the rate falls with time.
    """

    size_wh: tuple[int, int]
    batch: int
    steps: int
    share: float


@dataclass(frozen=True)
class Round:
    """Stages in which the rate rises and falls once.

    Attributes:
        sets: which pictures are seen.
        rate: the highest, of `RATE_BATCH` views a step; other batches move at one that grows with their root.
        stages: one after the other.
    """

    sets: tuple[str, ...]
    rate: float
    stages: tuple[Stage, ...]

    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)


ROUNDS = (
    Round(("first",), 0.003, (Stage((80, 48), 64, 1200, 0.16), Stage((160, 96), 32, 3000, 0.84))),
    Round(tuple(DRAWN), 0.002, (Stage((160, 96), 32, 3600, 1.0),)),
)
RATE_BATCH, SEED = 64, 1
TOLD_EVERY, KEPT_EVERY = 3200, 12800  # pictures


class Training:
    """The network, its optimizer, and how far they are."""

    def __init__(self, start: Path, checkpoint: Path) -> None:
        self.network = Network(start)
        draw_weights(self.network, SEED)
        self.network.train()
        self.done = 0
        self.course: list[dict[str, Any]] = []
        self._learned = [value for value in self.network.parameters() if value.requires_grad]
        self._optimizer = torch.optim.AdamW(self._learned, eps=1e-7, weight_decay=WEIGHT_DECAY, fused=True)
        self._forward = OnProcessor(self.network)
        self._rng = np.random.default_rng(SEED)
        self._checkpoint = checkpoint
        torch.manual_seed(SEED)
        if checkpoint.is_file():
            kept = torch.load(checkpoint, weights_only=False)
            self.network.load_state_dict(kept["network"])
            self._optimizer.load_state_dict(kept["optimizer"])
            self.done, self.course = kept["done"], kept["course"]
            self._rng.bit_generator.state = kept["rng"]
            torch.set_rng_state(kept["torch_rng"])

    def run(self, load: Callable[[tuple[str, ...]], PictureSet]) -> None:
        """Go through the rounds that are left, and keep a checkpoint now and then.

        Args:
            load: reads sets by their names.
        """
        first = 0
        for number, each in enumerate(ROUNDS, 1):
            last = first + each.steps()
            if self.done < last:
                data = load(each.sets)
                tell(f"round {number}: {len(data.planes)} pictures read")
                self._go_round(each, first, data)
            first = last

    def _go_round(self, each: Round, first: int, data: PictureSet) -> None:
        """The steps of a round that are left; before its first one `first` were done."""
        planes = torch.from_numpy(data.planes)
        sums, told, began = torch.zeros(3), self.done, time.perf_counter()
        spent = 0.0
        for stage in each.stages:
            for number in range(self.done - first, stage.steps):
                rate = each.rate * schedule(spent + stage.share * number / stage.steps)
                sums += self._step(data, planes, stage, rate * math.sqrt(stage.batch / RATE_BATCH))
                self.done += 1
                last = number == stage.steps - 1
                if self.done % (TOLD_EVERY // stage.batch) == 0 or last:
                    loss, shared, joined = sums.tolist()
                    seconds, steps = time.perf_counter() - began, self.done - told
                    row = {"step": self.done, "loss": loss / steps, "iou": shared / joined, "seconds": seconds}
                    self.course.append(row)
                    speed = steps * stage.batch / seconds
                    tell(f"step {self.done}: loss {row['loss']:.4f}, IoU {row['iou']:.4f}, {speed:.0f} pictures/s")
                    sums.zero_()
                    told, began = self.done, time.perf_counter()
                    if last or self.done % (KEPT_EVERY // stage.batch) == 0:
                        self._keep()
            first, spent = first + stage.steps, spent + stage.share

    def _step(self, data: PictureSet, planes: torch.Tensor, stage: Stage, rate: float) -> torch.Tensor:
        """What `counted` says of it."""
        numbers = self._rng.choice(len(planes), stage.batch, replace=False)
        chances = draw_chances(self._rng, data.boxes[numbers], data.aspects[numbers], stage.size_wh)
        with torch.no_grad():
            given = (torch.from_numpy(values) for values in chances.arrays())
            x, y = see(planes[torch.from_numpy(numbers)], *given, stage.size_wh, stage.size_wh[::-1])
        logits = self._forward(x)
        loss = dice_and_cross_entropy(logits, y)
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learned, 1.0)
        self._optimizer.step()
        return counted(loss, logits, y)

    def _keep(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "done": self.done,
            "course": self.course,
            "rng": self._rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
        }
        with atomic_path(self._checkpoint) as temporary:
            torch.save(state, temporary)


@click.command(cls=Command)
@click.argument("work", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("start", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(work: Path, start: Path) -> None:
    """Train the untrained network START, whose weights are drawn anew, with the sets in WORK."""
    path = work / "models" / "reference.keras"
    path.parent.mkdir(exist_ok=True)

    def load(names: tuple[str, ...]) -> PictureSet:
        return load_set([work / name for name in names], torch.get_num_threads(), on_disk=work)

    training = Training(start, path.with_suffix(".checkpoint"))
    training.run(load)
    names = sorted({name for each in ROUNDS for name in each.sets})
    keep(
        training.network,
        start,
        path,
        torch.from_numpy(load(("validation",)).planes),
        preset="reference",
        min_confidence=OutputSpec().min_confidence,
        settings={"rounds": [asdict(each) for each in ROUNDS], "seed": SEED},
        data=[described(name, "drawn", len(find_samples(work / name)), work / name) for name in names],
        course=training.course,
    )


if __name__ == "__main__":
    main()
