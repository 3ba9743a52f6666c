"""Training steps. On a GPU each is replayed from one recording: a small network would wait for Python otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from chances import draw_chances, no_chances
from network import Network
from operations import see as see_on_processor
from pictures import STORED_WH, PictureSet
from processor import OnProcessor
from torch import Tensor
from torch.nn import functional as F
from views import see

_RISE = 0.04  # share of the steps in which the rate rises
WEIGHT_DECAY = 1e-4
_TOLD_EVERY = 500  # steps


@dataclass(frozen=True)
class Source:
    """Pictures to choose from.

    Attributes:
        data: the set.
        planes: the set's planes on the device.
        numbers: which of them.
        share: of what a batch shows, against the other sources' shares.
    """

    data: PictureSet
    planes: Tensor
    numbers: np.ndarray
    share: float


@dataclass(frozen=True)
class Settings:
    """What shapes a stage: `steps` of `batch` pictures, at a rate that rises to `rate` and falls to its hundredth."""

    batch: int
    steps: int
    rate: float
    seed: int


class Trainer:
    """One network in training: its optimizer, and the buffers that a step reads."""

    def __init__(self, network: Network, settings: Settings, device: torch.device) -> None:
        """Raises SettingsError where neither a GPU nor a processor of the kind that `kernels.c` wants is at hand."""
        self.settings, self.device = settings, device
        self.done = 0
        self._recorded = device.type == "cuda"
        self.network = network.to(device).to(memory_format=torch.channels_last) if self._recorded else network
        self._pass = self.network if self._recorded else OnProcessor(network)
        self._see = see if self._recorded else see_on_processor
        self._learned = [value for value in network.parameters() if value.requires_grad]
        self._rate = torch.tensor(0.0, device=device)
        self._optimizer = torch.optim.AdamW(
            self._learned,
            lr=self._rate if self._recorded else 0.0,
            eps=1e-7,
            weight_decay=WEIGHT_DECAY,
            capturable=self._recorded,
            fused=True,
        )
        torch.manual_seed(settings.seed)
        self._rng = np.random.default_rng(settings.seed)
        plain = no_chances(settings.batch)
        self._planes = torch.zeros((settings.batch, 4, *STORED_WH[::-1]), dtype=torch.uint8, device=device)
        self._chances = [torch.from_numpy(values).to(device) for values in plain.arrays()]
        self._map_hw = map_size(network, device)
        self._sums = torch.zeros(3, device=device)  # loss, shared pixels, joined pixels
        self._recording: Any = None

    def run(self, sources: Sequence[Source], until: int, tell: Callable[[str], None]) -> list[dict[str, float]]:
        """Go on to step `until` of the schedule with these pictures; returns the course, a row every 500 steps."""
        rows = []
        began, told = time.perf_counter(), self.done
        self.network.train()
        while self.done < until:
            self._fill(sources)
            self._advance(self.settings.rate * schedule(self.done / self.settings.steps))
            self.done += 1
            if self.done % _TOLD_EVERY == 0 or self.done == until:
                loss, shared, joined = self._sums.tolist()
                self._sums.zero_()
                seconds, steps = time.perf_counter() - began, self.done - told
                began, told = time.perf_counter(), self.done
                row = {"step": self.done, "loss": loss / steps, "iou": shared / max(joined, 1.0), "seconds": seconds}
                rows.append(row)
                speed = steps * self.settings.batch / seconds
                tell(f"step {self.done}: loss {row['loss']:.4f}, IoU {row['iou']:.4f}, {speed:.0f} pictures/s")
        return rows

    def _fill(self, sources: Sequence[Source]) -> None:
        """Choose the next pictures and their chances, and bring both to where a step reads."""
        shares = np.array([each.share for each in sources])
        counts = self._rng.multinomial(self.settings.batch, shares / shares.sum())
        boxes, aspects, place = [], [], 0
        for source, count in zip(sources, counts, strict=True):
            numbers = self._rng.choice(source.numbers, count)
            boxes.append(source.data.boxes[numbers])
            aspects.append(source.data.aspects[numbers])
            torch.index_select(source.planes, 0, self._sent(numbers), out=self._planes[place : place + count])
            place += count
        chances = draw_chances(self._rng, np.concatenate(boxes), np.concatenate(aspects), self.network.size_wh)
        for buffer, values in zip(self._chances, chances.arrays(), strict=True):
            buffer.copy_(self._sent(values))

    def _sent(self, array: np.ndarray) -> Tensor:
        """The array on the device, by way of pinned memory: from any other, the copy would wait for the step before."""
        value = torch.from_numpy(array)
        return value.pin_memory().to(self.device, non_blocking=True) if self._recorded else value

    def _advance(self, rate: float) -> None:
        if not self._recorded:
            self._optimizer.param_groups[0]["lr"] = rate
            self._step()
            return
        self._rate.fill_(rate)
        if self._recording is None:
            self._record()
        self._recording.replay()

    def _step(self) -> None:
        self._optimizer.zero_grad(set_to_none=False)
        with torch.no_grad():
            x, y = self._see(self._planes, *self._chances, self.network.size_wh, self._map_hw)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._recorded):
            logits = self._pass(x)
        logits = logits.float()
        loss = dice_and_cross_entropy(logits, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learned, 1.0)
        self._optimizer.step()
        self._sums += counted(loss, logits, y)

    def _record(self) -> None:
        """Record a step. What the steps before it, which warm the libraries up, have learned is undone."""
        kept = {name: value.clone() for name, value in self.network.state_dict().items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        self._recording = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._recording, capture_error_mode="thread_local"):  # sets are read in another thread
            self._step()
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                value.copy_(kept[name])
            for state in self._optimizer.state.values():
                for value in state.values():
                    value.zero_()
        self._sums.zero_()


def schedule(share: float) -> float:
    """The rate's factor after a share of the steps: a short rise, then half a cosine down to a hundredth."""
    if share < _RISE:
        return (share + 1e-3) / _RISE
    return 0.01 + 0.99 * (1 + float(np.cos(np.pi * (share - _RISE) / (1 - _RISE)))) / 2


def dice_and_cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """`dice+bce` of `unetlite.training.losses`, from logits (B, 1, h, w) and coverage alike."""
    p = torch.sigmoid(logits)
    shared, both = (p * y).sum((1, 2, 3)), (p + y).sum((1, 2, 3))
    dice = 1.0 - ((2.0 * shared + 1.0) / (both + 1.0)).mean()
    return dice + F.binary_cross_entropy_with_logits(logits, y)


@torch.no_grad()
def counted(loss: Tensor, logits: Tensor, y: Tensor) -> Tensor:
    """(3,) the loss, and pixels that answer and truth share and join."""
    said, true = logits > 0, y > 0.5
    return torch.stack([loss, (said & true).sum().float(), (said | true).sum().float()])


@torch.no_grad()
def map_size(network: Network, device: torch.device) -> tuple[int, int]:
    """Rows and columns of the network's map."""
    logits = network.eval()(torch.zeros((1, 3, *network.size_wh[::-1]), device=device))
    return logits.shape[2], logits.shape[3]


@torch.no_grad()
def validate(network: Network, planes: Tensor) -> float:
    """IoU of map and truth over the pixels of all pictures together, seen as they are."""
    map_hw = map_size(network, planes.device)
    shared = joined = 0.0
    for part in planes.split(32):  # a large network has no room for many more
        chances = [torch.from_numpy(values).to(part.device) for values in no_chances(len(part)).arrays()]
        x, y = see(part, *chances, network.size_wh, map_hw)
        said, true = network(x) > 0, y > 0.5
        shared += float((said & true).sum())
        joined += float((said | true).sum())
    return shared / max(joined, 1.0)
