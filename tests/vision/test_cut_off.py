"""Documents that the picture's border cuts off: where the unseen side is put."""

from __future__ import annotations

import numpy as np
import pytest

from unetlite.vision.cut_off import with_unseen_side
from unetlite.vision.metrics import quad_iou
from unetlite.vision.quad import as_quad

SIZE_WH = (640, 480)
ASPECTS = {"ID-1": 85.6 / 53.98, "ID-3": 125 / 88}


def seen_by_a_camera(aspect: float, centre: tuple[float, float], tilt: float = 0.15, turn: float = 0.05) -> np.ndarray:
    """(4, 2) a document of 300 pixels' width, tilted a little, clockwise from its top-left."""
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [150.0, 150.0 / aspect]
    cosine, sine = np.cos(turn), np.sin(turn)
    flat = half @ np.array([[cosine, sine], [-sine, cosine]])
    depth = 1.0 + tilt * flat[:, 1] / 640.0  # a camera whose focal length is the picture's longer side
    return flat / depth[:, None] + centre


def cut_at_the_border(quad: np.ndarray) -> np.ndarray:
    """What a map gives of it: the sides beside the one beyond the border end there."""
    low, high = np.zeros(2), np.array(SIZE_WH) - 1.0
    cut = quad.copy()
    for corner in range(4):
        for other in ((corner + 1) % 4, (corner - 1) % 4):
            inside = ((quad[other] >= low) & (quad[other] <= high)).all()
            outside = ((quad[corner] < low) | (quad[corner] > high)).any()
            if inside and outside:
                along = quad[corner] - quad[other]
                with np.errstate(divide="ignore"):
                    shares = np.where(along < 0, (low - quad[other]) / along, (high - quad[other]) / along)
                cut[corner] = quad[other] + along * min(shares[shares > 0].min(), 1.0)
    return cut


@pytest.mark.parametrize("format_name", ASPECTS)
@pytest.mark.parametrize("centre", [(320.0, 60.0), (320.0, 430.0), (60.0, 240.0), (590.0, 240.0)])
def test_the_side_beyond_the_border_is_found_by_the_shape(format_name: str, centre: tuple[float, float]) -> None:
    truth = as_quad(seen_by_a_camera(ASPECTS[format_name], centre))
    given = as_quad(cut_at_the_border(truth.astype(np.float64)))
    assert quad_iou(given, truth) < 0.93
    found = with_unseen_side(given, SIZE_WH)
    assert quad_iou(found, truth) > max(0.87, quad_iou(given, truth) + 0.01)


def test_the_sides_that_show_stay() -> None:
    truth = as_quad(seen_by_a_camera(ASPECTS["ID-1"], (590.0, 240.0)))
    given = as_quad(cut_at_the_border(truth.astype(np.float64)))
    found = with_unseen_side(given, SIZE_WH)
    assert np.abs(found - given)[[0, 3]].max() < 1e-3
    for side in ((0, 1), (3, 2)):  # longer, and along the same line
        (ax, ay), (bx, by) = given[list(side)].astype(float)
        x, y = found[side[1]]
        assert abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / np.hypot(bx - ax, by - ay) < 0.01
        assert x > bx > 600


@pytest.mark.parametrize(
    "quad",
    [
        seen_by_a_camera(ASPECTS["ID-1"], (320.0, 240.0)),  # all of it shows
        seen_by_a_camera(1.2, (320.0, 240.0)),  # all of it shows, and no document has such a shape
        seen_by_a_camera(ASPECTS["ID-1"], (320.0, 94.8), tilt=0.0, turn=0.0),  # a whole card that ends at the border
        np.array([[0, 0], [300, 0], [300, 250], [0, 250]]),  # cut off by two borders
    ],
)
def test_other_quads_are_left_as_they_are(quad: np.ndarray) -> None:
    given = as_quad(quad)
    assert with_unseen_side(given, SIZE_WH) is given
