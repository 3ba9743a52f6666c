from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from border_networks import certain_of, seeing_nothing

from unetlite.vision.border_quads import quad_of_borders
from unetlite.vision.borders import read_borders
from unetlite.vision.candidates import soft_iou, soft_ious
from unetlite.vision.contract import InputSpec
from unetlite.vision.metrics import quad_iou
from unetlite.vision.preprocess import place
from unetlite.vision.quad import NEXT, quad_mask
from unetlite.vision.refine import Belief
from unetlite.vision.sides import convex_fours, meetings

CARD = np.array([[150, 110], [493, 120], [488, 336], [145, 326]], np.float32)  # ID-1, a little turned
SIZE_WH = (640, 480)
BLANK = np.full((480, 640, 3), 128, np.uint8)
WEIGHTS = (1.5, 0.1)


def map_of(mask: np.ndarray) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)


def belief_of(quad: np.ndarray) -> Belief:
    return Belief(map_of(quad_mask(quad, (480, 640))), place(SIZE_WH, InputSpec()), 0.5)


@pytest.mark.parametrize(
    ("quad", "tolerance"),
    [([[20, 10], [60, 12], [62, 40], [18, 38]], 0.01), ([[-15, 10], [50, -8], [70, 60], [-10, 40]], 0.04)],
    ids=["inside", "across the map's border"],
)
def test_the_soft_iou_of_many_quads_is_that_of_each(quad: list[list[float]], tolerance: float) -> None:
    rng = np.random.default_rng(5)
    probability = cv2.GaussianBlur(rng.random((48, 80)).astype(np.float32), (0, 0), 4)
    probability = (probability - probability.min()) / np.ptp(probability)
    quads = np.array(quad) + rng.normal(0, 4, (50, 4, 2))
    assert np.abs(soft_ious(probability, quads) - [soft_iou(probability, each) for each in quads]).max() < tolerance


def test_fours_of_lines_are_all_that_meet_in_a_convex_quad() -> None:
    rng = np.random.default_rng(6)
    sides = np.stack([CARD, CARD[NEXT]], axis=1)
    lines = [side + rng.normal(0, 70, (count, 2, 2)) for side, count in zip(sides, (5, 4, 3, 4), strict=True)]
    which, quads = convex_fours(lines)
    expected = {}
    for numbers in itertools.product(range(5), range(4), range(3), range(4)):
        fours = np.stack([each[number] for each, number in zip(lines, numbers, strict=True)])
        corners = meetings(fours)
        along = fours[:, 1] - fours[:, 0]
        # Sides that cross leave a quad whose corners turn clockwise as well, along a line that ran the other way.
        if corners is not None and (((corners[NEXT] - corners) * along).sum(axis=1) > 0).all():
            expected[numbers] = corners
    assert 20 < len(expected) < 240
    assert {tuple(numbers) for numbers in which.tolist()} == set(expected)
    for numbers, corners in zip(which.tolist(), quads, strict=True):
        assert np.allclose(corners, expected[tuple(numbers)])


@pytest.mark.parametrize("side", range(4))
def test_a_side_that_the_map_has_far_inside_lies_where_the_network_sees_it(side: int) -> None:
    lost = CARD.copy()
    inward = 0.18 * (CARD[(side + 2) % 4] - CARD[(side + 1) % 4])
    lost[side], lost[(side + 1) % 4] = CARD[side] + inward, CARD[(side + 1) % 4] + inward
    assert quad_iou(lost, CARD) < 0.87
    borders = read_borders(BLANK, lost, certain_of(CARD, lost, BLANK))
    assert borders is not None
    assert quad_iou(quad_of_borders(borders, belief_of(lost), WEIGHTS), CARD) > 0.97


def test_where_the_network_sees_nothing_the_given_quad_stays() -> None:
    borders = read_borders(BLANK, CARD, seeing_nothing)
    assert borders is not None
    assert np.abs(quad_of_borders(borders, belief_of(CARD), WEIGHTS) - CARD).max() < 4  # a place of the network


@pytest.mark.parametrize("likely", ["the card's", "the sheet's"])
def test_of_two_lines_that_the_network_sees_the_map_chooses(likely: str) -> None:
    """A sheet's edge beside the card's, for which the network speaks as loudly."""
    sheet = CARD.copy()
    sheet[[2, 3]] += 0.12 * (CARD[[2, 3]] - CARD[[1, 0]])
    both = (certain_of(CARD, CARD, BLANK)(None) + certain_of(sheet, CARD, BLANK)(None)) / 2
    borders = read_borders(BLANK, CARD, lambda shown: both)
    assert borders is not None
    expected = CARD if likely == "the card's" else sheet
    assert quad_iou(quad_of_borders(borders, belief_of(expected), WEIGHTS), expected) > 0.97
