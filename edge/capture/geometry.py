"""How a card lies in space, from its four corners: tilt, true aspect, format.

Stands apart from the gates because it is geometry alone and knows no threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unetlite.vision.contract import DocumentFormat
from unetlite.vision.quad import Quad

_SAME_ASPECT = 0.03  # ID-2 and ID-3 differ by less than any camera can tell


@dataclass(frozen=True)
class Lie:
    """How a card lies before the camera.

    Attributes:
        tilt_deg: angle between the card's plane and the sensor's, 0..90.
        aspect: longer over shorter side, as seen from straight above; 1 or more.
        long_px: mean length in the image of the two longer sides.
        format: the document format of that aspect.
    """

    tilt_deg: float
    aspect: float
    long_px: float
    format: DocumentFormat

    @property
    def px_per_mm(self) -> float:
        return self.long_px / max(self.format.size_mm)

    @property
    def ppi(self) -> float:
        """Pixels per inch of the card."""
        return self.px_per_mm * 25.4


def lie_of(
    quad: Quad, size_wh: tuple[int, int], formats: Sequence[DocumentFormat], focal_share: float
) -> Lie:
    """Tilt and format from the quad's perspective.

    The opposite sides' vanishing points span the horizon of the card's plane, which gives its normal without knowing
    the card's size. Where formats share an aspect the largest is taken, so that the resolution is not overstated.

    Args:
        quad: (4, 2) float32 pixels, clockwise.
        size_wh: of the frame, whose middle is taken for the optical axis.
        formats: those that may occur.
        focal_share: focal length over the frame's longer side.

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., ch. 8.
    """
    focal = focal_share * max(size_wh)
    rays = np.ones((4, 3))
    rays[:, :2] = (np.asarray(quad, np.float64) + 0.5 - np.divide(size_wh, 2)) / focal
    sides = np.cross(rays, rays[[1, 2, 3, 0]])  # top, right, bottom, left
    across, along = np.cross(sides[:2], sides[[2, 3]])
    normal = np.cross(across, along)
    length = float(np.linalg.norm(normal))
    normal = np.array([0.0, 0.0, 1.0]) if length < 1e-12 else normal / length
    tilt_deg = float(np.degrees(np.arccos(min(1.0, abs(normal[2])))))
    depths = rays @ normal
    # A plane seen nearly from its edge, or corners beyond its horizon: no length on it means anything.
    flat = rays / depths[:, None] if np.abs(depths).min() > 1e-3 else rays
    widths, heights = _side_pairs(flat)
    aspect = max(widths, heights) / max(min(widths, heights), 1e-9)
    return Lie(tilt_deg, aspect, max(_side_pairs(rays * focal)), _format_of(aspect, formats))


def _side_pairs(corners: np.ndarray) -> tuple[float, float]:
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(sides[0] + sides[2]) / 2.0, float(sides[1] + sides[3]) / 2.0


def _format_of(aspect: float, formats: Sequence[DocumentFormat]) -> DocumentFormat:
    off = [abs(np.log(aspect * min(f.size_mm) / max(f.size_mm))) for f in formats]
    near = [f for f, o in zip(formats, off, strict=True) if o <= min(off) + _SAME_ASPECT]
    return max(near, key=lambda f: max(f.size_mm))
