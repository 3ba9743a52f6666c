"""Flat things on the table: a picture with a size in millimetres, laid on the document's plane.

Stands apart because sheets under documents and things beside them lie there in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unetlite.training.synthesis.layers import (
    cast_shadow,
    flat_homography,
    is_in_view,
    lay_over,
    rounded_alpha,
    warp_flat,
)
from unetlite.training.synthesis.patterns import as_colour, draw_curve, hsv_colour, value_noise
from unetlite.training.synthesis.randomness import chance


@dataclass(frozen=True)
class Flat:
    """A flat thing: its picture uint8 (H, W, 3), its size and corner radius in millimetres."""

    image: np.ndarray
    size_mm: tuple[float, float]
    corner_mm: float
    thickness_mm: float


def lay_flat(
    rng: np.random.Generator,
    canvas: np.ndarray,
    flat: Flat,
    plane: np.ndarray,
    centre_mm: np.ndarray,
    turn: float,
) -> bool:
    """Lay `flat` on the plane around `centre_mm`, turned by `turn` radians, in place.

    Returns False, with nothing drawn, where a part of it would be near the plane's horizon.
    """
    half = np.array(flat.size_mm) / 2
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ rotation + centre_mm
    if not is_in_view(plane, corners):
        return False
    height, width = flat.image.shape[:2]
    alpha = rounded_alpha((width, height), flat.corner_mm * width / flat.size_mm[0])
    homography = flat_homography(plane, corners, (width, height))
    seen = warp_flat(flat.image, alpha, homography, (canvas.shape[1], canvas.shape[0]))
    if seen is None:
        return True
    colours, coverage, corner = seen
    scale = abs(np.linalg.det(plane)) ** 0.5
    lift = max(flat.thickness_mm * scale, 0.6)
    offset = rng.normal(0, 0.8, 2) * lift
    cast_shadow(
        canvas,
        coverage,
        corner,
        (float(offset[0]), float(offset[1])),
        min(lift + 0.5, 12.0),
        float(rng.uniform(0.2, 0.6)),
    )
    lay_over(canvas, colours, coverage, corner)
    return True


def paper_sheet(rng: np.random.Generator, size_wh: tuple[int, int]) -> np.ndarray:
    """Plain paper with faint shading and folds, uint8 (h, w, 3)."""
    width, height = size_wh
    tone = rng.uniform(205, 255) * rng.uniform([0.96, 0.96, 0.9], 1.0)
    if chance(rng, 0.1):
        tone = hsv_colour(rng.random(), rng.uniform(0.1, 0.4), rng.uniform(0.8, 1))
    shade = 1 + (value_noise(rng, (height, width), (3, 3), 2) - 0.5) * rng.uniform(0, 0.15)
    sheet = np.clip(shade[..., None] * tone, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 3)) if chance(rng, 0.25) else 0):
        ends = rng.uniform([0, 0], [width, height], (2, 2))
        ends[:, int(rng.integers(2))] = rng.uniform(0.2, 0.8) * min(width, height)
        draw_curve(sheet, ends, as_colour(tone * 0.88))
        draw_curve(sheet, ends + 1, as_colour(np.minimum(tone * 1.04, 255)))
    return sheet
