from __future__ import annotations

import numpy as np
import pytest

from unetlite.vision.metrics import quad_iou
from unetlite.vision.quad import quad_mask
from unetlite.vision.settle import settle_quad

CARD = np.array([[15, 14], [49, 17], [47, 42], [13, 39]], np.float64)
SHAPE_HW = (64, 64)


def weights_of(*quads: np.ndarray) -> np.ndarray:
    return np.any([quad_mask(quad, SHAPE_HW) for quad in quads], axis=0).astype(np.float32) - np.float32(0.5)


@pytest.mark.parametrize("shift", [(4, 3), (-5, 2), (3, -4)])
@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_a_quad_comes_to_lie_on_the_card_from_roughly_there(shift: tuple[int, int], scale: float) -> None:
    start = CARD.mean(axis=0) + (CARD - CARD.mean(axis=0)) * scale + shift
    assert quad_iou(start, CARD) < 0.85
    assert quad_iou(settle_quad(weights_of(CARD), start), CARD) > 0.92


def test_what_touches_the_card_hardly_bends_its_sides() -> None:
    pen = np.array([[44, 0], [48, 0], [48, 20], [44, 20]], np.float64)
    toy = np.array([[2, 22], [15, 22], [15, 32], [2, 32]], np.float64)
    box = np.array([[2, 0], [49, 0], [49, 42], [2, 42]], np.float64)  # about all three
    assert quad_iou(box, CARD) < 0.5
    assert quad_iou(settle_quad(weights_of(CARD, pen, toy), box), CARD) > 0.8


def test_a_quad_on_nothing_stays_a_convex_quad() -> None:
    settled = settle_quad(np.full(SHAPE_HW, -0.5, np.float32), CARD)
    assert np.isfinite(settled).all()
    assert quad_iou(settled, settled) == pytest.approx(1.0)
