from __future__ import annotations

import cv2
import numpy as np
import pytest

from unetlite.vision.contract import FITS, InputSpec
from unetlite.vision.metrics import mask_iou
from unetlite.vision.preprocess import place, preprocess, preprocess_mask, to_real

SIZES = [(540, 960), (960, 540), (64, 64), (1, 1), (37, 201), (1920, 1080)]


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size_wh", SIZES)
def test_points_come_back_from_the_input_to_where_they_were(fit: str, size_wh: tuple[int, int]) -> None:
    placement = place(size_wh, InputSpec((256, 192), fit=fit))
    points = np.array([[0.0, 0.0], [size_wh[0] - 1, size_wh[1] - 1], [-50.0, 12.5]])
    assert np.allclose(placement.to_image(placement.to_input(points)), points)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size_wh", SIZES)
def test_the_input_has_the_contracts_size(fit: str, size_wh: tuple[int, int]) -> None:
    pixels, _ = preprocess(np.full((size_wh[1], size_wh[0], 3), 9, np.uint8), InputSpec((96, 64), fit=fit))
    assert pixels.shape == (64, 96, 3)
    assert pixels.dtype == np.uint8


def test_the_corners_of_the_picture_are_the_corners_of_a_stretched_input() -> None:
    placement = place((540, 960), InputSpec((256, 256)))
    assert np.allclose(placement.to_input([[-0.5, -0.5], [539.5, 959.5]]), [[-0.5, -0.5], [255.5, 255.5]])


def test_a_letterbox_keeps_the_aspect_and_pads_with_grey() -> None:
    pixels, placement = preprocess(np.zeros((100, 200, 3), np.uint8), InputSpec((64, 64), fit="letterbox"))
    assert (pixels[:16] == 114).all() and (pixels[48:] == 114).all() and (pixels[16:48] == 0).all()
    assert placement.scale_xy == (0.32, 0.32)


@pytest.mark.parametrize(
    ("fit", "size_wh"), [("stretch", (256, 256)), ("letterbox", (256, 256)), ("turn", (320, 192))]
)
def test_a_mask_goes_through_the_input_and_back_to_the_same_place(fit: str, size_wh: tuple[int, int]) -> None:
    mask = np.zeros((960, 540), np.uint8)
    mask[300:620, 81:470] = 1
    spec = InputSpec(size_wh, fit=fit)
    fitted = preprocess_mask(mask, spec)
    _, placement = preprocess(np.zeros((960, 540, 3), np.uint8), spec)
    back = placement.map_to_image(placement.upright(fitted).astype(np.float32)) >= 0.5
    assert mask_iou(back, mask == 1) > 0.99


def test_a_standing_picture_lies_down_in_a_lying_input_and_a_lying_one_stays() -> None:
    spec = InputSpec((320, 192), fit="turn")
    standing = np.zeros((960, 576, 3), np.uint8)
    standing[:480] = 255  # its top
    pixels, placement = preprocess(standing, spec)
    assert placement.turned and (pixels[:, :156] == 255).all() and (pixels[:, 164:] == 0).all()  # now on the left
    assert np.array_equal(placement.upright(pixels), cv2.resize(standing, (192, 320), interpolation=cv2.INTER_AREA))
    lying = np.ascontiguousarray(np.rot90(standing))
    pixels_of_lying, placement = preprocess(lying, spec)
    assert not placement.turned and np.array_equal(pixels_of_lying, pixels)
    assert not place((500, 500), spec).turned
    assert InputSpec((256, 256), fit="turn") == InputSpec((256, 256))


def test_a_map_of_a_quarter_of_the_input_returns_to_the_same_place() -> None:
    _, placement = preprocess(np.zeros((960, 540, 3), np.uint8), InputSpec((256, 256)))
    quarter = np.zeros((64, 64), np.float32)
    quarter[16:32, 8:40] = 1.0
    truth = np.zeros((960, 540), bool)
    truth[240:480, round(8 * 540 / 64) : round(40 * 540 / 64)] = True
    assert mask_iou(placement.map_to_image(quarter) >= 0.5, truth) > 0.99


def test_class_indices_stay_class_indices() -> None:
    mask = np.zeros((50, 50), np.uint8)
    mask[:, 25:] = 7
    assert set(np.unique(preprocess_mask(mask, InputSpec((32, 16))))) == {0, 7}


@pytest.mark.parametrize("size_wh", [(1920, 1080), (3840, 2160), (960, 540), (1280, 720)])
def test_samples_give_nearly_the_averages_of_areas(size_wh: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)  # as sharp as a lens
    fitted, _ = preprocess(picture, InputSpec((256, 256)))
    direct = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    difference = np.abs(fitted.astype(int) - direct)
    assert difference.mean() < 1.5 and np.percentile(difference, 99.9) <= 8  # of 255


@pytest.mark.parametrize("size_wh", [(1920, 1080), (4056, 3040)])
def test_a_large_mask_keeps_its_edges(size_wh: tuple[int, int]) -> None:
    # Were a few samples taken for a pixel, half of those on an edge would be drawn to the background.
    edges = np.cumsum(np.random.default_rng(3).integers(20, 60, 60))
    edges = edges[edges < size_wh[0]]
    row = np.searchsorted(edges, np.arange(size_wh[0]), side="right") % 2
    fitted = preprocess_mask(np.tile(row.astype(np.uint8), (size_wh[1], 1)), InputSpec((320, 192)))
    missing = row.mean() * 320 - fitted.mean() * 320  # pixels of the input, of all stripes together
    assert abs(missing) / len(edges) < 0.12


def test_bytes_become_the_real_range_that_the_network_saw() -> None:
    assert to_real(np.array([0, 255], np.uint8), InputSpec()).tolist() == [0.0, 1.0]
    assert to_real(np.array([0, 255], np.uint8), InputSpec(real_range=(-1.0, 1.0))).tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("size_wh", [(1920, 1080), (3840, 2160), (960, 540), (540, 960), (1280, 720), (640, 480)])
def test_shrinking_averages_and_folds_no_fine_pattern_into_a_coarse_one(size_wh: tuple[int, int]) -> None:
    # As fine as a camera's colour filters and lens pass them on: a pixel wide, a little blurred.
    stripes = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    stripes[:, ::2] = 200
    stripes[::2] += 50
    fitted, _ = preprocess(cv2.GaussianBlur(stripes, (0, 0), 0.7), InputSpec((256, 256)))
    assert np.abs(fitted.astype(int) - 125).max() <= 25  # picking pixels would show 0 and 250
    assert abs(fitted.mean() - 125) < 1
