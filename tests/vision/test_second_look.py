"""The closer view, and the map that two looks make together."""

import cv2
import numpy as np
import pytest

from unetlite.vision.contract import FITS, InputSpec
from unetlite.vision.preprocess import place
from unetlite.vision.second_look import fuse, place_view, view_of_region

PICTURE_WH = (1080, 1920)
CARD = np.array([[420.0, 700.0], [760.0, 740.0], [740.0, 960.0], [400.0, 920.0]])


def map_of(quad: np.ndarray, placement) -> np.ndarray:
    """What a perfect network would answer: coverage of each pixel of the map, drawn at eight times its size."""
    size_wh = (placement.input_size_wh[0] // 4, placement.input_size_wh[1] // 4)
    share = 8 * np.divide(size_wh, placement.input_size_wh)
    points = (placement.to_input(quad) + 0.5) * share - 0.5
    large = np.zeros((8 * size_wh[1], 8 * size_wh[0]), np.uint8)
    cv2.fillPoly(large, [np.round(points * 16).astype(int)], 255, shift=4)
    return cv2.resize(large, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


def looks(fit: str):
    spec = InputSpec(size_wh=(320, 192), fit=fit)
    placement = place(PICTURE_WH, spec)
    first = map_of(CARD, placement)
    view = view_of_region(first >= 0.5, placement)
    fitted = place((view.right - view.left, view.bottom - view.top), spec)
    closer = place_view(view, fitted, placement)
    return placement, first, view, closer


@pytest.mark.parametrize("fit", FITS)
def test_the_view_holds_the_region_and_a_margin(fit):
    placement, first, view, _ = looks(fit)
    rows, columns = np.nonzero(first >= 0.5)
    seen = placement.to_image(np.column_stack([columns, rows]).astype(float), first.shape[::-1])
    low, high = seen.min(axis=0), seen.max(axis=0)
    extent = high - low
    assert (np.array([view.left, view.top]) < low - 0.05 * extent).all()
    assert (np.array([view.right, view.bottom]) > high + 0.05 * extent).all()
    assert (view.right - view.left) * (view.bottom - view.top) < 0.25 * PICTURE_WH[0] * PICTURE_WH[1]
    picture = np.zeros((PICTURE_WH[1], PICTURE_WH[0], 3), np.uint8)
    assert view.of(picture).shape == (view.bottom - view.top, view.right - view.left, 3)


def test_the_view_ends_at_the_picture():
    placement = place((640, 480), InputSpec(size_wh=(256, 256)))
    region = np.zeros((64, 64), bool)
    region[:20, :12] = True
    view = view_of_region(region, placement)
    assert (view.left, view.top) == (0, 0)
    assert view.right > 12 * 10 and view.bottom > 20 * 7.5


def test_a_strip_gets_a_view_that_is_none():
    placement = place((640, 480), InputSpec(size_wh=(256, 256)))
    region = np.zeros((64, 64), bool)
    region[30:33, 20:40] = True
    view = view_of_region(region, placement)
    assert (view.bottom - view.top) >= 0.6 * (view.right - view.left) - 2


def test_there_is_nothing_closer_of_a_region_that_fills_the_picture():
    placement = place((640, 480), InputSpec(size_wh=(256, 256)))
    region = np.zeros((64, 64), bool)
    region[2:62, 2:62] = True
    assert view_of_region(region, placement) is None


@pytest.mark.parametrize("fit", FITS)
def test_both_looks_lie_on_each_other(fit):
    placement, first, view, closer = looks(fit)
    part = place((view.right - view.left, view.bottom - view.top), InputSpec(size_wh=(320, 192), fit=fit))
    second = map_of(CARD - (view.left, view.top), part)
    fused = fuse(first, placement, second, closer)
    inside, union = ((fused >= 0.5) & (second >= 0.5)).sum(), ((fused >= 0.5) | (second >= 0.5)).sum()
    assert inside / union > 0.97
    assert np.allclose(second, map_of(CARD, closer), atol=1e-3)  # the view is placed in the whole picture
    shifted = map_of(CARD + (0.0, 40.0), closer)  # the check itself would notice
    wrong = fuse(first, placement, shifted, closer)
    assert ((wrong >= 0.5) & (second >= 0.5)).sum() / ((wrong >= 0.5) | (second >= 0.5)).sum() < 0.93


def test_of_looks_that_contradict_each_other_the_closer_one_counts_more():
    placement, first, view, closer = looks("stretch")
    fused = fuse(first, placement, np.zeros_like(first), closer)
    assert fused.dtype == np.float32
    assert 0.02 < fused[24, 40] < 0.3
    assert fused[0, 0] < 0.01
    half = fuse(first, placement, np.full_like(first, 0.5), closer)
    assert 0.7 < half[24, 40] < 0.98  # a closer look that cannot tell leaves it to the first
