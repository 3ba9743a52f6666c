from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from unetlite.edge.borders import TfliteBorders
from unetlite.vision.confidence import Signs
from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.document import find_document, locate_document
from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.mask import level_points
from unetlite.vision.metrics import quad_iou
from unetlite.vision.preprocess import place
from unetlite.vision.quad import as_quad, crop_quad, fit_quad, order_corners, polygon_area, quad_mask
from unetlite.vision.refine import Belief

CARD = np.array([[60, 50], [250, 64], [244, 180], [52, 170]], np.float32)


def find(mask: np.ndarray):
    """The answer for a mask of a picture's size, through a 256x256 map as a network would give it."""
    placement = place((mask.shape[1], mask.shape[0]), InputSpec())
    soft = cv2.resize(mask.astype(np.float32), (256, 256), interpolation=cv2.INTER_AREA)
    return find_document(soft, placement, OutputSpec())


def outline_of(mask: np.ndarray) -> np.ndarray:
    return level_points(mask.astype(np.float32), mask.astype(bool), 0.5)


def rounded(quad: np.ndarray, radius: int, shape_hw: tuple[int, int]) -> np.ndarray:
    mask = quad_mask(quad, shape_hw).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel).astype(bool)


def test_a_clean_card_is_found_to_a_fraction_of_a_pixel() -> None:
    finding = find(quad_mask(CARD, (240, 320)))
    assert np.abs(finding.quad - CARD).max() < 0.7
    assert finding.confidence > 0.95


@pytest.mark.parametrize("turn", range(0, 360, 30))
def test_a_card_is_found_however_it_is_turned(turn: int) -> None:
    centre = np.array([160, 120])
    matrix = cv2.getRotationMatrix2D((160, 120), turn, 0.7)
    quad = order_corners((CARD - CARD.mean(0) + centre) @ matrix[:, :2].T + matrix[:, 2])
    assert quad_iou(find(quad_mask(quad, (240, 320))).quad, quad) > 0.985


def test_rounded_corners_become_the_corners_of_the_sides() -> None:
    assert quad_iou(find(rounded(CARD, 12, (240, 320))).quad, CARD) > 0.985


@pytest.mark.parametrize("place_xy", [(150, 55), (248, 120), (140, 176), (55, 110)])
def test_a_bite_taken_by_a_finger_does_not_move_a_side(place_xy: tuple[int, int]) -> None:
    mask = rounded(CARD, 8, (240, 320)).astype(np.uint8)
    cv2.circle(mask, place_xy, 16, 0, -1)
    assert quad_iou(find(mask.astype(bool)).quad, CARD) > 0.975


def test_a_missing_corner_is_put_back() -> None:
    mask = quad_mask(CARD, (240, 320)).astype(np.uint8)
    cv2.circle(mask, (250, 64), 18, 0, -1)
    assert quad_iou(find(mask.astype(bool)).quad, CARD) > 0.975


def test_crumbs_beside_the_card_are_left_out() -> None:
    mask = quad_mask(CARD, (240, 320)).astype(np.uint8)
    cv2.circle(mask, (300, 220), 10, 1, -1)
    assert quad_iou(find(mask.astype(bool)).quad, CARD) > 0.985


def test_a_corner_outside_the_picture_is_extrapolated() -> None:
    quad = np.array([[-12, 60], [200, 40], [210, 170], [14, 190]], np.float32)
    found = find(quad_mask(quad, (240, 320))).quad
    assert found[0][0] < -4
    assert quad_iou(found, quad) > 0.97


def test_nothing_a_crumb_and_a_disc_are_no_document() -> None:
    nothing = np.zeros((240, 320), bool)
    assert find(nothing).quad is None and find(nothing).confidence == 0.0
    crumb = nothing.copy()
    crumb[10:14, 10:14] = True
    assert find(crumb).quad is None
    disc = cv2.circle(np.zeros((240, 320), np.uint8), (160, 120), 60, 1, -1).astype(bool)
    assert find(disc).confidence < find(quad_mask(CARD, (240, 320))).confidence - 0.1


@pytest.mark.parametrize("pen", [((150, 20), (150, 80)), ((200, 10), (120, 90))])
@pytest.mark.parametrize("toy_xy", [None, (150, 185)])
def test_a_pen_and_a_toy_in_the_mask_do_not_bend_the_sides(pen: tuple, toy_xy: tuple[int, int] | None) -> None:
    mask = quad_mask(CARD, (240, 320)).astype(np.uint8)
    cv2.line(mask, *pen, 1, 14)
    if toy_xy:
        cv2.circle(mask, toy_xy, 30, 1, -1)
    assert quad_iou(fit_quad(outline_of(mask)), CARD) < 0.8
    finding = find(mask.astype(bool))
    assert quad_iou(finding.quad, CARD) > 0.98
    assert finding.confidence > 0.8


@pytest.mark.parametrize("kind", ["clean", "spilled over"])
def test_where_the_mask_spills_over_the_picture_chooses_the_quad(kind: str) -> None:
    picture = np.full((480, 640, 3), (70, 60, 50), np.uint8)
    picture[quad_mask(CARD * 2 + 0.5, (480, 640))] = (205, 200, 190)
    probability = cv2.resize(quad_mask(CARD, (240, 320)).astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    if kind == "spilled over":  # a sheet of paper below the card, which the network takes for a document as well
        sheet = quad_mask(np.array([[40, 150], [290, 150], [290, 225], [40, 225]]), (240, 320))
        soft = cv2.resize(sheet.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA) * 0.65
        probability = np.maximum(probability, soft)
    placement = place((640, 480), InputSpec())
    found = locate_document(picture, Belief(probability, placement, 0.5), TfliteBorders())
    assert quad_iou(found.quad, CARD * 2 + 0.5) > 0.99
    assert found.confidence > 0.8
    if kind == "spilled over":
        assert quad_iou(find_document(probability, placement, OutputSpec()).quad, CARD * 2 + 0.5) < 0.9


def test_a_side_that_an_object_hides_lies_where_the_shape_of_a_card_wants_it() -> None:
    """A hand as dark as the desk covers a corner and most of two sides; the network's map ends at it."""
    card = np.array([[150, 130], [493, 130], [493, 346], [150, 346]], np.float32)  # ID-1
    picture = np.full((480, 640, 3), (70, 60, 50), np.uint8)
    picture[quad_mask(card, (480, 640))] = (205, 200, 190)
    hand = quad_mask(np.array([[380, 360], [500, 240], [520, 380], [460, 400]]), (480, 640))
    picture[hand] = (90, 70, 60)
    seen = quad_mask(card, (480, 640)) & ~hand
    probability = cv2.resize(seen.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    found = locate_document(picture, Belief(probability, place((640, 480), InputSpec()), 0.5), TfliteBorders())
    assert quad_iou(found.quad, card) > 0.97


def test_a_side_that_the_map_has_far_off_is_found_where_the_picture_shows_it() -> None:
    """The network takes a strip of newsprint below the card for part of it: a clean region, of no card's shape."""
    card = np.array([[150, 110], [493, 110], [493, 326], [150, 326]], np.float32)  # ID-1
    picture = np.full((480, 640, 3), (70, 60, 50), np.uint8)
    picture[quad_mask(card, (480, 640))] = (205, 200, 190)
    lower = card + np.array([[0, 0], [0, 0], [0, 48], [0, 48]], np.float32)
    probability = cv2.resize(quad_mask(lower, (480, 640)).astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    found = locate_document(picture, Belief(probability, place((640, 480), InputSpec()), 0.5), TfliteBorders())
    assert quad_iou(found.quad, card) > 0.97


def test_what_the_picture_does_not_show_is_less_sure() -> None:
    probability = cv2.resize(quad_mask(CARD, (240, 320)).astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    picture = np.full((480, 640, 3), (70, 60, 50), np.uint8)
    blank = locate_document(picture, Belief(probability, place((640, 480), InputSpec()), 0.5), TfliteBorders())
    picture[quad_mask(CARD * 2 + 0.5, (480, 640))] = (205, 200, 190)
    shown = locate_document(picture, Belief(probability, place((640, 480), InputSpec()), 0.5), TfliteBorders())
    assert shown.confidence > 0.95 and 1 - blank.confidence > 8 * (1 - shown.confidence)
    assert shown.signs is not None and shown.signs.agreement == 1.0


def test_a_map_that_is_unsure_and_a_shape_that_no_card_has_take_confidence() -> None:
    plain = Signs(likeness=0.97, certainty=0.97, shape_cost=0.3, agreement=0.95)
    worse = [replace(plain, **{name: value}) for name, value in [("likeness", 0.7), ("certainty", 0.6)]]
    worse += [replace(plain, shape_cost=5.0), replace(plain, agreement=0.2)]
    assert plain.confidence() > 0.95
    assert all(signs.confidence() < plain.confidence() - 0.02 for signs in worse)
    assert replace(plain, likeness=0.0, certainty=0.0).confidence() < 1e-6


def test_a_map_with_nothing_in_it_is_no_document_in_any_picture() -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    nothing = np.zeros((64, 64), np.float32)
    found = locate_document(picture, Belief(nothing, place((640, 480), InputSpec()), 0.5), TfliteBorders())
    assert found.quad is None and found.confidence == 0.0


def test_a_full_picture_is_a_document_with_the_pictures_corners() -> None:
    found = find(np.ones((240, 320), bool)).quad
    assert np.abs(found - [[-0.5, -0.5], [319.5, -0.5], [319.5, 239.5], [-0.5, 239.5]]).max() < 1.0


def test_corners_are_ordered_clockwise_from_the_top_left_whatever_the_input_order() -> None:
    for roll in range(4):
        for step in (1, -1):
            assert np.array_equal(order_corners(np.roll(CARD, roll, axis=0)[::step]), CARD)


@pytest.mark.parametrize(
    "points",
    [
        [[0, 0], [1, 0], [1, 1]],
        [[0, 0], [1, 0], [1, 1], [0, float("nan")]],
        [[0, 0], [1, 0], [2, 0], [3, 0]],
        [[0, 0], [4, 0], [1, 1], [0, 4]],
        [[0, 0], [4, 4], [4, 0], [0, 4]],
        "abcd",
    ],
    ids=["three", "nan", "line", "dent", "crossed", "text"],
)
def test_points_that_are_no_convex_quad_are_refused(points: object) -> None:
    with pytest.raises(InvalidQuadError, match="expected"):
        as_quad(points)


def test_too_few_or_straight_points_fit_no_quad() -> None:
    assert fit_quad(np.zeros((3, 2))) is None
    assert fit_quad(np.stack([np.arange(50.0), np.arange(50.0)], axis=1)) is None


def test_the_mask_of_a_quad_has_the_quads_area_without_a_rim() -> None:
    quad = np.array([[9.5, 19.5], [109.5, 19.5], [109.5, 69.5], [9.5, 69.5]])
    assert quad_mask(quad, (100, 200)).sum() == 100 * 50
    assert abs(quad_mask(CARD, (240, 320)).sum() / polygon_area(CARD) - 1) < 0.01


def test_the_crop_of_a_rotated_card_is_upright_and_its_colours_stay_in_place() -> None:
    card = np.zeros((100, 160, 3), np.uint8)
    card[:50, :80], card[:50, 80:], card[50:, :80], card[50:, 80:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3
    matrix = cv2.getRotationMatrix2D((80, 50), 25, 1.0)
    matrix[:, 2] += (120, 100)
    scene = cv2.warpAffine(card, matrix, (400, 300))
    outer = np.array([[-0.5, -0.5], [159.5, -0.5], [159.5, 99.5], [-0.5, 99.5]])
    crop = crop_quad(scene, (outer @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32))
    assert abs(crop.shape[0] - 100) <= 1 and abs(crop.shape[1] - 160) <= 1
    inner = crop[10:-10, 10:-10]
    h, w = inner.shape[:2]
    for (row, column), colour in {(5, 5): (255, 0, 0), (5, -5): (0, 255, 0), (-5, 5): (0, 0, 255)}.items():
        assert np.abs(inner[row % h, column % w].astype(int) - colour).max() < 30


def test_the_crop_of_a_standing_card_lies_and_its_left_side_is_the_top() -> None:
    scene = np.full((300, 200, 3), 255, np.uint8)
    scene[:, :60] = (255, 0, 0)
    crop = crop_quad(scene, np.array([[49.5, 39.5], [149.5, 39.5], [149.5, 198.1], [49.5, 198.1]], np.float32))
    assert crop.shape[:2] == (100, 159)
    assert crop[3, 80].tolist() == [255, 0, 0] and crop[-3, 80].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("size", "shape_hw"), [((400, 260), (252, 400)), ((400, 290), (282, 400)), ((400, 200), (200, 400))]
)
def test_a_crop_has_the_aspect_of_the_format_that_is_near(size: tuple[int, int], shape_hw: tuple[int, int]) -> None:
    width, height = size
    quad = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) + 20
    assert crop_quad(np.zeros((500, 500, 3), np.uint8), quad).shape[:2] == shape_hw


def test_a_crop_that_reaches_outside_is_black_there() -> None:
    quad = np.array([[-20, 10], [30, 10], [30, 40], [-20, 40]], np.float32)
    crop = crop_quad(np.full((50, 50, 3), 255, np.uint8), quad)
    assert crop[15, 5].tolist() == [0, 0, 0] and crop[15, 40].tolist() == [255, 255, 255]
