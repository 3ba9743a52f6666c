"""Drawn pictures with known answers."""

from __future__ import annotations

import numpy as np

from unetlite.vision.quad import quad_mask


def draw_card(
    quad: np.ndarray, size_wh: tuple[int, int] = (320, 240), background: int = 40, card: int = 220
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 picture of a bright card on a dark desk, and its (H, W) bool mask."""
    mask = quad_mask(quad, (size_wh[1], size_wh[0]))
    picture = np.full((size_wh[1], size_wh[0], 3), background, np.uint8)
    picture[mask] = (card, card - 10, card - 20)
    return picture, mask
