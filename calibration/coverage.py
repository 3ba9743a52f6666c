"""Whether the representative pictures are as dark, as light and as different as those that the model is scored on.

Stands apart from the audit, which knows one set only. What it finds is told and not refused: the gates measure what
it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unetlite.calibration.manifest import Manifest
from unetlite.calibration.measure import Measurement

OUTSIDE_VALUES = 0.02  # share of values: ten times what two draws of one set leave outside by construction
OUTSIDE_PICTURES = 0.05  # share of pictures
BRIGHTNESS_MARGIN = 16.0  # levels of mean luma beyond the darkest and the lightest calibration picture


@dataclass(frozen=True)
class Coverage:
    """How a calibration covers other pictures.

    Attributes:
        covered: the values (0..255) between which nearly all of the calibration's lie.
        outside_values: the share of the others' values beyond them.
        brightness: mean luma of the calibration's darkest and lightest picture.
        darker, lighter: how many of the others lie beyond those by more than `BRIGHTNESS_MARGIN`.
        pictures: how many others there are.
    """

    covered: tuple[int, int]
    outside_values: float
    brightness: tuple[float, float]
    darker: int
    lighter: int
    pictures: int

    def flaws(self) -> list[str]:
        """A sentence for each way in which the calibration falls short."""
        found = []
        if self.outside_values > OUTSIDE_VALUES:
            low, high = self.covered
            found.append(
                f"{self.outside_values:.1%} of the validation's values lie outside {low}..{high}, between which the "
                f"calibration's lie"
            )
        for count, kind, limit in ((self.darker, "darker", 0), (self.lighter, "lighter", 1)):
            if count > OUTSIDE_PICTURES * self.pictures:
                found.append(
                    f"{count} of {self.pictures} validation pictures are {kind} than every calibration picture "
                    f"(brightness {self.brightness[limit]:.0f} of 255)"
                )
        return found


def cover(manifest: Manifest, others: Sequence[Measurement]) -> Coverage:
    """Hold a calibration against pictures measured with the same input; at least one."""
    low, high = manifest.covered
    counts = np.sum([picture.histogram.sum(axis=0) for picture in others], axis=0)
    darkest, lightest = manifest.brightness.min, manifest.brightness.max
    return Coverage(
        covered=manifest.covered,
        outside_values=float(1.0 - counts[low : high + 1].sum() / counts.sum()),
        brightness=(darkest, lightest),
        darker=sum(picture.brightness < darkest - BRIGHTNESS_MARGIN for picture in others),
        lighter=sum(picture.brightness > lightest + BRIGHTNESS_MARGIN for picture in others),
        pictures=len(others),
    )
