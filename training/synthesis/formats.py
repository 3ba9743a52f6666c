"""The physical sizes of identity documents.

Stands apart because faces, poses and the scene must agree on millimetres.

Source: ISO/IEC 7810 (ID-1, ID-2, ID-3), ICAO Doc 9303 part 4 for the passport's data page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DocumentFormat:
    """A document's outline in millimetres; `corner_mm` is the radius of its rounded corners."""

    name: str
    width_mm: float
    height_mm: float
    corner_mm: float

    @property
    def corners_mm(self) -> np.ndarray:
        """(4, 2) float64, clockwise from the top-left, the document's centre at the origin, y down."""
        half = np.array([self.width_mm, self.height_mm]) / 2.0
        return np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) * half


FORMATS = {
    "ID-1": DocumentFormat("ID-1", 85.60, 53.98, 3.18),
    "ID-2": DocumentFormat("ID-2", 105.0, 74.0, 3.18),
    "ID-3": DocumentFormat("ID-3", 125.0, 88.0, 3.18),
}


def nearest_format(aspect: float) -> tuple[DocumentFormat, float]:
    """The format whose width/height is closest to `aspect`, and the relative difference."""
    candidates = [(abs(f.width_mm / f.height_mm / aspect - 1.0), f) for f in FORMATS.values()]
    difference, best = min(candidates, key=lambda pair: pair[0])
    return best, difference
