"""One frame of a camera: its colours from every layout, what the network is fed, what page and outline get."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from camera_patches import PATCHES, in_layout, patch_picture, patches_of

from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.pixels import INTERLEAVED, LAYOUTS, picked, to_rgb
from unetlite.vision.contract import FITS, InputSpec
from unetlite.vision.preprocess import preprocess


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_colours_come_out_as_rgb_from_every_layout(layout: str, padding: int) -> None:
    image = to_rgb(in_layout(patch_picture(), layout, padding), layout, (64, 32))
    assert image.shape == (32, 64, 3)
    assert np.abs(patches_of(image) - PATCHES).max() <= (4 if layout in ("I420", "NV12") else 0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_luminance_of_a_part_is_that_of_the_whole(layout: str) -> None:
    buffer = in_layout(patch_picture(), layout, 32)
    frame = LiveFrame(0, 0.0, buffer, layout, (64, 32))
    assert np.array_equal(frame.part((10, 4), (40, 20)), frame.image[4:24, 10:50])
    part = frame.luminance_within((10, 4), (40, 20)).astype(float)
    whole = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)[4:24, 10:50]
    if layout in ("I420", "NV12"):
        part = (part - 16) * 255 / 219  # theirs is of limited range
    assert np.abs(part - whole).max() <= 3


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_large_picture_is_fitted_as_it_is_and_made_smaller_for_all_else(layout: str, fit: str) -> None:
    picture = cv2.resize(patch_picture(), (1944, 1080), interpolation=cv2.INTER_NEAREST)
    frame = LiveFrame(0, 0.0, in_layout(picture, layout, 32), layout, (1944, 1080))
    spec = InputSpec((96, 160) if fit == "turn" else (160, 96), fit=fit)
    pixels, placement = frame.fit(spec)
    assert not {"small", "image"} & set(vars(frame))  # nothing that large was made for it
    expected, whole = preprocess(frame.image, spec)
    if layout in INTERLEAVED:
        assert np.array_equal(pixels, expected)
    else:  # of which four pixels share a colour in another way
        assert np.abs(pixels.astype(int) - expected).mean() < 2
        shown = np.abs(patches_of(placement.upright(pixels)) - PATCHES) if fit != "letterbox" else np.zeros(1)
        assert shown.max() <= 4
    assert frame.small.shape == (360, 648, 3)
    assert frame.small_wh == placement.image_size_wh == (648, 360)
    quad = np.array([[100, 80], [700, 90], [690, 500], [90, 480]], np.float32)
    assert np.allclose(placement.to_input(quad), whole.to_input(frame.in_image(quad)), atol=1e-3)
    averaged = frame.image.reshape(360, 3, 648, 3, 3).mean(axis=(1, 3))
    assert np.abs(frame.small - averaged).max() <= 2


def test_small_pictures_stay_as_they_are_and_larger_ones_have_640_pixels_or_more() -> None:
    sizes = {(640, 480): (640, 480), (1279, 720): (1279, 720), (1280, 720): (640, 360), (1080, 1920): (360, 640)}
    for size_wh, expected in {**sizes, (2592, 1944): (648, 486), (4608, 2592): (768, 432)}.items():
        frame = LiveFrame(0, 0.0, np.zeros((size_wh[1], size_wh[0], 3), np.uint8), "BGR", size_wh)
        assert (frame.small_wh, frame.small.shape[1::-1]) == (expected, expected)


@pytest.mark.parametrize(("input_wh", "from_low"), [((320, 180), True), ((160, 90), False)])
def test_what_the_camera_has_scaled_itself_is_taken_unless_a_fraction_of_the_whole_is_enough(
    input_wh: tuple[int, int], from_low: bool
) -> None:
    low = np.ascontiguousarray(patch_picture((320, 180)))
    frame = LiveFrame(0, 0.0, np.zeros((540, 960, 3), np.uint8), "BGR", (960, 540), low)
    assert frame.small is low and frame.small_wh == (320, 180)
    pixels, placement = frame.fit(InputSpec(input_wh))
    assert bool(pixels.any()) == from_low
    assert placement.image_size_wh == (320, 180)
    corners = placement.to_input(np.array([[-0.5, -0.5], [319.5, 179.5]]))
    assert np.allclose(corners, [[-0.5, -0.5], np.array(input_wh) - 0.5])


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("layout", ["I420", "NV12"])
def test_picked_pixels_have_the_colours_of_their_places(layout: str, padding: int) -> None:
    rng = np.random.default_rng(3)
    coarse = rng.integers(40, 220, (6, 8, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_NEAREST)
    shown = picked(in_layout(picture, layout, padding), layout, (320, 240), (48, 36))
    whole = to_rgb(in_layout(picture, layout, padding), layout, (320, 240))
    assert shown.shape == (36, 48, 3)
    middles = shown[3::6, 3::6].astype(int), whole[20::40, 20::40]
    assert np.abs(middles[0] - middles[1]).max() <= 1
