"""Whether the choice of representative pictures matters: the same level from two disjoint halves of them.

Stands apart because it converts twice more, and judges the calibration, not a file that ships.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unetlite.calibration.audit import MIN_PICTURES
from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import Comparison
from unetlite.export.build import build
from unetlite.export.exporter import Network, file_segmenter, open_file
from unetlite.export.levels import Level

RANGE_TOLERANCE = 0.2  # of the wider of two ranges; halves of 32 photographs or drawings stayed below
IOU_TOLERANCE = 0.003  # what in-domain sets of 1 to 200 pictures differed by
DRAWS = ("half 1 of the calibration", "half 2 of the calibration")


@dataclass(frozen=True)
class Draws:
    """Two files from disjoint halves, not judged yet.

    Attributes:
        level: what both were converted to.
        pictures: in each half.
        gaps: by tensor, the difference of both ranges' widths as a share of the wider.
        segmenters: by a name of `DRAWS`.
    """

    level: str
    pictures: int
    gaps: Mapping[str, float]
    segmenters: Mapping[str, Segmenter]


@dataclass(frozen=True)
class Stability:
    """How far two disjoint halves of a calibration agree.

    Attributes:
        level: what was converted.
        pictures: in each half.
        tensors: activations whose ranges were compared.
        apart: how many of them differ by more than `RANGE_TOLERANCE`.
        gap_max: the largest difference, as a share of the wider range.
        tensor: where that is.
        ious: mean IoU of each half's file, against the truth or else against Keras's masks; None where nothing was run.
    """

    level: str
    pictures: int
    tensors: int
    apart: int
    gap_max: float
    tensor: str
    ious: tuple[float, float] | None

    def flaws(self) -> list[str]:
        """A sentence for each way in which the choice of pictures matters."""
        found = []
        if self.apart:
            found.append(
                f"{self.apart} of {self.tensors} activation ranges differ by more than {RANGE_TOLERANCE:.0%} between "
                f"two halves of the calibration ({self.pictures} pictures each), {self.tensor} by {self.gap_max:.0%}: "
                f"the result depends on which pictures were chosen; calibrate with more"
            )
        if self.ious is not None and abs(self.ious[0] - self.ious[1]) > IOU_TOLERANCE:
            found.append(
                f"two halves of the calibration ({self.pictures} pictures each) give {self.level} files of mean IoU "
                f"{self.ious[0]:.4f} and {self.ious[1]:.4f}, more than {IOU_TOLERANCE:g} apart; calibrate with more "
                f"pictures"
            )
        return found


def convert_draws(network: Network, level: Level, pixels: Sequence[np.ndarray], seed: int) -> Draws | None:
    """Convert a level from each half of the representative pictures.

    Args:
        network: from `exporter.open_network`.
        level: a calibrated one that converts.
        pixels: all representative pictures, (h, w, 3) uint8 RGB each.
        seed: of the division.

    Returns:
        None where a half would be smaller than any calibration may be.

    Raises:
        ExportError: the converter refused.
    """
    half = len(pixels) // 2
    if half < MIN_PICTURES:
        return None
    order = random.Random(seed).sample(range(len(pixels)), 2 * half)
    ranges, segmenters = [], {}
    for name, chosen in zip(DRAWS, (order[:half], order[half:]), strict=True):
        content = build(network.keras, level, network.contract.input, [pixels[i] for i in chosen])
        interpreter, runtime = open_file(content, level)
        ranges.append(_activation_widths(interpreter))
        segmenters[name] = file_segmenter(interpreter, runtime, network.contract, level)
    first, second = ranges
    gaps = {
        name: abs(width - second[name]) / max(width, second[name])
        for name, width in first.items()
        if second.get(name, 0.0) > 0.0
    }
    return Draws(level.name, half, gaps, segmenters)


def _activation_widths(interpreter: Any) -> dict[str, float]:
    """Real range by tensor, of what operations write; weights are the same in every draw. Empty if not told."""
    try:
        nodes = interpreter._get_ops_details()  # no public way; see edge.delegation
    except AttributeError:
        return {}
    written = {int(tensor) for node in nodes if node["op_name"] != "DELEGATE" for tensor in node["outputs"]}
    widths = {}
    for detail in interpreter.get_tensor_details():
        scale = float(detail["quantization"][0])
        if detail["index"] in written and scale > 0.0:
            span = np.iinfo(detail["dtype"])
            widths[str(detail["name"]).partition(";")[0]] = scale * (int(span.max) - int(span.min))
    return widths


def settle(draws: Draws, compared: Comparison | None) -> Stability:
    """What both halves' ranges and answers say.

    Args:
        draws: from `convert_draws`.
        compared: over files of which both halves' are some; None where nothing was run.
    """
    tensor = max(draws.gaps, key=lambda name: draws.gaps[name], default="")
    ious = None
    if compared is not None and set(DRAWS) <= compared.levels.keys():
        first, second = (
            float(np.mean([p.agreement if p.level is None else p.level for p in compared.levels[name].pictures]))
            for name in DRAWS
        )
        ious = (first, second)
    return Stability(
        level=draws.level,
        pictures=draws.pictures,
        tensors=len(draws.gaps),
        apart=sum(gap > RANGE_TOLERANCE for gap in draws.gaps.values()),
        gap_max=draws.gaps.get(tensor, 0.0),
        tensor=tensor,
        ious=ious,
    )
