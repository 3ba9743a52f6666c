from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from unetlite.vision import document
from unetlite.vision.candidates import soft_iou, soft_ious
from unetlite.vision.clear_lines import quads_of_clear_lines
from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.metrics import quad_iou
from unetlite.vision.preprocess import place
from unetlite.vision.quad import NEXT, quad_mask
from unetlite.vision.refine import Belief
from unetlite.vision.sides import convex_fours, meetings

CARD = np.array([[150, 110], [493, 120], [488, 336], [145, 326]], np.float32)  # ID-1, a little turned
SIZE_WH = (640, 480)
WEIGHTS = (0.8, 0.05)


def picture_of(card: np.ndarray, desk: np.ndarray | None = None) -> np.ndarray:
    picture = np.full((480, 640, 3), (70, 60, 50), np.uint8) if desk is None else desk.copy()
    picture[quad_mask(card, (480, 640))] = (205, 200, 190)
    return picture


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
def test_a_side_that_the_map_has_far_inside_is_among_the_clear_lines(side: int) -> None:
    lost = CARD.copy()
    inward = 0.18 * (CARD[(side + 2) % 4] - CARD[(side + 1) % 4])
    lost[side], lost[(side + 1) % 4] = CARD[side] + inward, CARD[(side + 1) % 4] + inward
    found = quads_of_clear_lines(picture_of(CARD), lost, belief_of(lost), WEIGHTS, 4)
    assert 1 <= len(found) <= 4
    assert quad_iou(lost, CARD) < 0.87
    assert quad_iou(found[0], CARD) > 0.97


def test_lines_are_found_beside_the_border_of_the_picture() -> None:
    card = CARD - [0.0, CARD[:2, 1].min() - 8.0]  # far nearer than a quarter of its width
    lost = card + np.array([[0, 22], [0, 22], [0, 0], [0, 0]], np.float32)
    found = quads_of_clear_lines(picture_of(card), lost, belief_of(lost), WEIGHTS, 4)
    assert quad_iou(found[0], card) > 0.97


def test_a_document_that_lost_its_last_lines_to_the_map_gets_them_back() -> None:
    """Print on newsprint: the region's lower side lies near a ruled line, and three sides of the card show."""
    rng = np.random.default_rng(0)
    desk = np.full((480, 640, 3), (150, 146, 140), np.uint8)
    for y in range(6, 480, 11):
        for x in range(0, 640, 40):
            desk[y : y + 5, x : x + int(rng.integers(10, 36))] = 60
    picture = picture_of(CARD, desk)
    for down, start, end, colour in [(0.25, 0.1, 0.7, 60), (0.4, 0.1, 0.7, 60), (0.55, 0.1, 0.7, 60), (0.78, 0, 1, 60)]:
        left, right = CARD[[0, 1]] * (1 - down) + CARD[[3, 2]] * down
        ends = [tuple(int(v) for v in left * (1 - share) + right * share) for share in (start, end)]
        cv2.line(picture, ends[0], ends[1], (colour,) * 3, 3)
    lost = CARD.copy()
    lost[[2, 3]] = 0.85 * CARD[[2, 3]] + 0.15 * CARD[[1, 0]]
    belief = belief_of(lost)
    found = document.locate_document(picture, belief.probability, belief.placement, OutputSpec())
    assert quad_iou(found.quad, CARD) > 0.97


def test_a_quad_of_a_few_pixels_has_no_lines_beside_it() -> None:
    crumb = (CARD - CARD[0]) / 25 + CARD[0]
    assert quads_of_clear_lines(picture_of(CARD), crumb, belief_of(CARD), WEIGHTS, 4) == []


def test_the_quads_differ() -> None:
    rng = np.random.default_rng(7)
    desk = cv2.resize(rng.integers(40, 200, (60, 80, 3), dtype=np.uint8), SIZE_WH, interpolation=cv2.INTER_NEAREST)
    found = quads_of_clear_lines(picture_of(CARD, desk), CARD, belief_of(CARD), WEIGHTS, 8)
    assert len(found) == 8
    width = np.linalg.norm(CARD[1] - CARD[0])
    assert min(np.abs(a - b).max() for a, b in itertools.combinations(found, 2)) > 0.012 * width
