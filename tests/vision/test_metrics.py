from __future__ import annotations

import numpy as np
import pytest

from unetlite.vision.metrics import class_iou, confusion, corner_error, mask_iou, mean_iou, quad_iou
from unetlite.vision.quad import quad_mask

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)


def test_mask_iou_of_known_areas() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:, :2], b[:, 1:3] = True, True
    assert mask_iou(a, b) == pytest.approx(1 / 3)
    assert mask_iou(a, a) == 1.0
    assert mask_iou(a, ~a) == 0.0
    assert mask_iou(a & False, b & False) == 1.0  # nothing there, nothing said: right


def test_quad_iou_of_known_areas() -> None:
    assert quad_iou(SQUARE, SQUARE + [5, 0]) == pytest.approx(1 / 3, abs=1e-6)
    assert quad_iou(SQUARE, SQUARE + [20, 0]) == 0.0
    assert quad_iou(SQUARE, np.roll(SQUARE, 2, axis=0)[::-1]) == pytest.approx(1.0, abs=1e-6)
    assert quad_iou(None, None) == 1.0
    assert quad_iou(None, SQUARE) == quad_iou(SQUARE, None) == 0.0


def test_polygon_and_pixel_routes_to_iou_agree() -> None:
    rng = np.random.default_rng(3)
    base = np.array([[120, 80], [520, 110], [500, 380], [90, 350]], np.float64)
    for _ in range(20):
        a, b = base + rng.normal(0, 15, (4, 2)), base + rng.normal(0, 15, (4, 2))
        pixels = mask_iou(quad_mask(a, (480, 640)), quad_mask(b, (480, 640)))
        assert quad_iou(a, b) == pytest.approx(pixels, abs=0.003)


def test_corner_error_is_a_share_of_the_cards_width_and_forgives_the_reading_order() -> None:
    card = np.array([[0, 0], [100, 0], [100, 50], [0, 50]], np.float32)
    assert corner_error(np.roll(card, 2, axis=0) + [3, 4], card) == pytest.approx(0.05)


def test_class_iou_and_mean_iou_match_keras(tmp_path) -> None:
    keras = pytest.importorskip("keras", reason="the second route is Keras: pip install 'unetlite[train-cpu]'")
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, (2, 40, 50)), rng.integers(0, 3, (2, 40, 50))
    theirs = keras.metrics.MeanIoU(num_classes=3)
    theirs.update_state(truth, predicted)
    assert mean_iou(confusion(predicted, truth, 3)) == pytest.approx(float(theirs.result()), abs=1e-6)


def test_a_class_that_does_not_occur_has_no_iou() -> None:
    matrix = confusion(np.array([0, 1]), np.array([0, 1]), 3)
    assert np.isnan(class_iou(matrix)[2])
    assert mean_iou(matrix) == 1.0
