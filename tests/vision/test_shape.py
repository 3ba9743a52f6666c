from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.vision.quad import order_corners
from unetlite.vision.shape import PLAIN_COST, shape_cost

FRAME_WH = (1080, 1920)
POSES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "pose-priors" / "quads.csv"


def seen(size: tuple[float, float], tilt_degrees: tuple[float, float, float], focal: float = 1900.0) -> np.ndarray:
    """The corners of a card of this size, four of its widths away, turned about x, y and z."""
    w, h = size
    corners = np.array([[-w, -h, 0], [w, -h, 0], [w, h, 0], [-w, h, 0]]) / 2
    rotation = np.eye(3)
    for axis, degrees in enumerate(tilt_degrees):
        vector = np.zeros(3)
        vector[axis] = np.radians(degrees)
        rotation = cv2.Rodrigues(vector)[0] @ rotation
    points = corners @ rotation.T + (0.3 * w, 0.2 * w, 4 * w)
    return (points[:, :2] / points[:, 2:] * focal + (539.5, 959.5))[None]


@pytest.mark.parametrize("size", [(85.6, 53.98), (125, 88)])
@pytest.mark.parametrize("tilt", [(0, 0, 0), (0, 0, 30), (15, -10, 80), (-5, 18, 200)])
def test_a_known_format_seen_by_a_phone_is_plain(size: tuple[float, float], tilt: tuple[float, float, float]) -> None:
    assert shape_cost(seen(size, tilt), FRAME_WH)[0] < PLAIN_COST


def test_a_card_drawn_out_at_one_corner_costs_more_the_farther() -> None:
    quads = np.repeat(seen((85.6, 53.98), (10, 5, 0)), 4, axis=0)
    quads[:, 0] -= np.outer([0, 20, 60, 120], [1, 0.5])
    cost = shape_cost(quads, FRAME_WH)
    assert (np.diff(cost) > 0.4).all() and cost[-1] > 4


def test_a_square_costs_more_than_a_card_and_less_than_a_skewed_card() -> None:
    skewed = seen((85.6, 53.98), (0, 0, 0))
    skewed[0, :2, 0] += 90
    square, card = seen((60, 60), (0, 0, 0)), seen((85.6, 53.98), (0, 0, 0))
    costs = shape_cost(np.concatenate([card, square, skewed]), FRAME_WH)
    assert costs[0] < costs[1] < costs[2]


def test_where_the_corners_begin_does_not_matter() -> None:
    quad = seen((85.6, 53.98), (12, 20, 40))[0]
    costs = shape_cost(np.stack([np.roll(quad, k, axis=0) for k in range(4)]), FRAME_WH)
    assert np.allclose(costs, costs[0])


def test_real_frames_of_documents_are_plain() -> None:
    if not POSES.is_file():
        pytest.skip(f"{POSES} is not here: corners of real frames to compare with")
    costs = []
    with open(POSES, newline="") as file:
        for row in list(csv.DictReader(file))[::20]:
            quad = np.array([float(row[f"{axis}{i}"]) for i in range(1, 5) for axis in "xy"]).reshape(4, 2)
            costs.append(shape_cost(order_corners(quad)[None], (int(row["width"]), int(row["height"])))[0])
    assert np.mean(np.array(costs) <= PLAIN_COST) > 0.93
