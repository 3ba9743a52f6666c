from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.vision.dataset import find_samples, read_quad
from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.image import read_image
from unetlite.vision.metrics import quad_iou
from unetlite.vision.quad import as_quad, order_corners, quad_mask
from unetlite.vision.refine import refine_quad

CARD = np.array([[130, 110], [520, 128], [508, 372], [118, 350]], np.float32)  # 390 pixels wide
SIZE_WH = (640, 480)
OVERSAMPLING = 4


def draw(
    quad: np.ndarray,
    *,
    card: tuple[int, int, int] = (205, 200, 190),
    desk: tuple[int, int, int] = (70, 60, 50),
    blur: float = 1.0,
    noise: float = 3.0,
    size_wh: tuple[int, int] = SIZE_WH,
) -> np.ndarray:
    """A card drawn with antialiased sides, then blurred and made noisy."""
    return photograph(paint(canvas(desk, size_wh), quad, card), blur=blur, noise=noise)


def canvas(colour: tuple[int, int, int], size_wh: tuple[int, int] = SIZE_WH) -> np.ndarray:
    return np.full((size_wh[1] * OVERSAMPLING, size_wh[0] * OVERSAMPLING, 3), colour, np.uint8)


def paint(picture: np.ndarray, polygon: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The picture of `OVERSAMPLING` times the size with a convex quad in pixels of the final picture filled."""
    picture[quad_mask((np.asarray(polygon, np.float64) + 0.5) * OVERSAMPLING - 0.5, picture.shape[:2])] = colour
    return picture


def photograph(picture: np.ndarray, *, blur: float = 1.0, noise: float = 3.0) -> np.ndarray:
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // OVERSAMPLING, height // OVERSAMPLING), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), blur).astype(np.float64)
    return np.clip(soft + np.random.default_rng(3).normal(0, noise, soft.shape), 0, 255).round().astype(np.uint8)


def on_card(quad: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The corners of a box (left, top, right, bottom) in shares of the card, in the picture."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    left, top, right, bottom = box
    corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float32)
    return cv2.perspectiveTransform(corners, cv2.getPerspectiveTransform(unit, quad.astype(np.float32)))[0]


def grown(quad: np.ndarray, share: float) -> np.ndarray:
    return quad.mean(axis=0) + (quad - quad.mean(axis=0)) * (1 + share)


def off(quad: np.ndarray, share: float = 0.012) -> np.ndarray:
    """The quad with its corners moved in four directions by a share of the card's width."""
    width = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1).max()
    return quad + np.array([[1, -0.8], [-0.7, -1], [1, 0.6], [-1, 1]]) * share * width


def turned(quad: np.ndarray, degrees: float, scale: float = 0.8) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((320, 240), degrees, scale)
    return order_corners(quad @ matrix[:, :2].T + matrix[:, 2])


def farthest(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=1).max())


@pytest.mark.parametrize(("blur", "noise", "limit_px"), [(0.6, 0.0, 0.1), (1.0, 5.0, 0.15), (2.5, 5.0, 0.35)])
def test_corners_come_within_a_fraction_of_a_pixel(blur: float, noise: float, limit_px: float) -> None:
    refinement = refine_quad(draw(CARD, blur=blur, noise=noise), off(CARD))
    assert farthest(refinement.quad, CARD) < limit_px
    assert refinement.moved == (True,) * 4
    assert max(refinement.residual_px) < 0.5


@pytest.mark.parametrize("share", [-0.05, -0.02, 0.02, 0.05])
def test_a_quad_that_is_too_small_or_too_large_all_round_is_set_right(share: float) -> None:
    assert farthest(refine_quad(draw(CARD), grown(CARD, share)).quad, CARD) < 0.4


@pytest.mark.parametrize("degrees", range(0, 360, 30))
def test_a_turned_card_is_refined(degrees: int) -> None:
    quad = turned(CARD, degrees)
    refinement = refine_quad(draw(quad), off(quad))
    assert farthest(refinement.quad, quad) < 0.4


def test_sides_are_told_in_the_order_of_the_refined_corners() -> None:
    quad = np.array([[319, 89], [510, 280], [360, 430], [171, 241]], np.float32)
    given = np.array([[318, 93], [511, 281], [359, 429], [168.5, 239.5]], np.float32)
    assert as_quad(quad).tolist()[0] != as_quad(given).tolist()[0]  # at 45 degrees the refined first corner is another
    picture = paint(canvas((70, 60, 50)), quad, (205, 200, 190))
    beyond = np.array([quad[1], [590, 360], [440, 510], quad[2]])  # hides the side from the right to the lower corner
    refinement = refine_quad(photograph(paint(picture, beyond, (205, 200, 190))), given)
    assert refinement.quad.tolist() == as_quad(refinement.quad).tolist()
    assert refinement.moved.count(False) == 1
    middle = (refinement.quad + np.roll(refinement.quad, -1, axis=0))[refinement.moved.index(False)] / 2
    assert np.abs(middle - (quad[1] + quad[2]) / 2).max() < 3


@pytest.mark.parametrize(
    ("card", "desk"),
    [((50, 50, 60), (190, 185, 170)), ((235, 235, 235), (224, 224, 224)), ((120, 150, 120), (160, 132, 120))],
    ids=["dark on bright", "white on white", "another colour as bright"],
)
def test_dark_faint_and_coloured_edges_count(card: tuple[int, int, int], desk: tuple[int, int, int]) -> None:
    assert farthest(refine_quad(draw(CARD, card=card, desk=desk), off(CARD)).quad, CARD) < 0.6


@pytest.mark.parametrize("scale", [0.25, 2])
def test_small_and_large_pictures_are_refined(scale: float) -> None:
    quad = CARD * scale
    picture = draw(quad, size_wh=(int(640 * scale), int(480 * scale)))
    assert quad_iou(refine_quad(picture, off(quad)).quad, quad) > 0.99


def test_rounded_corners_leave_the_sides_where_they_are() -> None:
    picture = canvas((70, 60, 50))
    radius = 0.037 * 390 * OVERSAMPLING  # ID-1: 3.18 mm of 85.60
    card = paint(np.zeros_like(picture), CARD, (1, 1, 1))[..., 0]
    core = cv2.distanceTransform(card, cv2.DIST_L2, 5) > radius
    picture[cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5) <= radius] = (205, 200, 190)
    assert farthest(refine_quad(photograph(picture), off(CARD)).quad, CARD) < 0.5


def test_a_corner_outside_the_picture_is_extrapolated() -> None:
    quad = CARD - [230, 60]  # the left corners are 100 pixels outside, the sides above and below mostly inside
    refinement = refine_quad(draw(quad), off(quad))
    assert refinement.moved == (True, True, True, False)
    for i in (1, 2):
        assert farthest(refinement.quad[i : i + 1], quad[i : i + 1]) < 0.5


def test_a_card_that_the_border_cuts_off_keeps_the_border_as_its_side() -> None:
    picture = paint(canvas((70, 60, 50)), CARD, (205, 200, 190))
    paint(picture, on_card(CARD, (0.27, 0.0, 0.30, 1.0)), (40, 40, 90))  # a stripe just within the border
    cut = photograph(picture)[:, 225:]
    given = np.array([[3, 112], [296, 126], [284, 374], [3, 362]], np.float32)  # the map knows the border roughly
    refinement = refine_quad(cut, given)
    assert refinement.moved == (True, True, True, False)
    assert np.abs(refinement.quad[[0, 3], 0] - 3).max() < 0.2


@pytest.mark.parametrize("kind", ["flat", "noise", "soft noise", "gradient"])
def test_where_there_is_no_edge_the_quad_stays(kind: str) -> None:
    rng = np.random.default_rng(5)
    shape = (SIZE_WH[1], SIZE_WH[0], 3)
    level = {
        "flat": np.full(shape, 120.0),
        "noise": rng.normal(120, 8, shape),
        "soft noise": 120 + 40 * cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), 2),
        "gradient": np.linspace(20, 220, shape[1])[None, :, None] + rng.normal(0, 2, shape),
    }[kind]
    refinement = refine_quad(np.clip(level, 0, 255).round().astype(np.uint8), CARD)
    assert refinement.moved == (False,) * 4
    assert refinement.quad.tolist() == as_quad(CARD).tolist()
    assert np.isnan(refinement.residual_px).all()


def test_faint_print_whose_sides_are_not_seen_is_not_drawn_in_to_its_lettering() -> None:
    sheet = canvas((225, 224, 222))
    paint(sheet, on_card(CARD, (0.05, 0.06, 0.95, 0.12)), (60, 60, 60))
    paint(sheet, on_card(CARD, (0.05, 0.88, 0.95, 0.94)), (60, 60, 60))
    assert refine_quad(photograph(sheet), CARD).quad.tolist() == as_quad(CARD).tolist()


@pytest.mark.parametrize("pieces", [40, 1], ids=["lettering", "inner frame"])
def test_a_black_line_inside_does_not_draw_a_faint_side_in(pieces: int) -> None:
    picture = paint(canvas((190, 188, 180)), CARD, (202, 200, 192))
    share = 0.6 if pieces > 1 else 1.0  # of a letter's room that its strokes take
    for left in np.arange(pieces) / pieces:
        paint(picture, on_card(CARD, (left, 0.05, left + share / pieces, 0.09)), (45, 45, 50))
    picture = photograph(picture, noise=2.0)
    assert farthest(refine_quad(picture, off(CARD)).quad, CARD) < 0.6
    assert farthest(refine_quad(picture, grown(CARD, 0.02)).quad, CARD) < 0.6


def test_an_object_over_a_side_does_not_move_it() -> None:
    picture = paint(canvas((70, 60, 50)), CARD, (205, 200, 190))
    paint(picture, on_card(CARD, (0.3, -0.3, 0.62, 0.03)), (200, 40, 40))  # its end lies along the side, inside
    paint(picture, on_card(CARD, (0.96, 0.4, 1.4, 0.65)), (230, 170, 150))
    refinement = refine_quad(photograph(picture), off(CARD))
    assert farthest(refinement.quad, CARD) < 0.5
    assert refinement.agreement[0] < 0.8 < refinement.agreement[2]


def test_shadow_stripes_over_card_and_desk_do_not_move_the_sides() -> None:
    picture = paint(canvas((110, 100, 90)), CARD, (215, 210, 200)).astype(np.float64)
    phase = np.arange(picture.shape[1]) / 140 + np.arange(picture.shape[0])[:, None] / 500
    light = cv2.GaussianBlur(np.where(np.sin(phase) > 0, 1.0, 0.5), (0, 0), 8)
    picture = (picture * light[..., None]).astype(np.uint8)
    assert farthest(refine_quad(photograph(picture), off(CARD)).quad, CARD) < 0.6


def test_a_side_that_cannot_be_seen_stays_and_the_others_move() -> None:
    picture = paint(canvas((70, 60, 50)), CARD, (205, 200, 190))
    below = np.array([CARD[3], CARD[2], [508, 479], [118, 479]])
    picture = photograph(paint(picture, below, (205, 200, 190)))  # the desk below is as bright as the card
    given = off(CARD)
    refinement = refine_quad(picture, given)
    assert refinement.moved == (True, True, False, True)
    assert np.isnan(refinement.residual_px[2])
    assert farthest(refinement.quad[:2], CARD[:2]) < 0.4
    start, end = given[2], given[3]
    along = (end - start) / np.linalg.norm(end - start)
    for corner in refinement.quad[2:]:
        assert abs(along[0] * (corner - start)[1] - along[1] * (corner - start)[0]) < 0.05


@pytest.mark.parametrize(("off_px", "moves"), [(12.0, True), (15.9, False)])
def test_no_side_moves_beyond_the_search(off_px: float, moves: bool) -> None:
    given = CARD - [[0, off_px], [0, off_px], [0, 0], [0, 0]]
    refinement = refine_quad(draw(CARD, noise=0.0), given, search_share=0.04)  # 15.6 pixels
    assert refinement.moved == (moves, True, True, True)
    assert np.abs(refinement.quad[:2, 1] - (CARD if moves else given)[:2, 1]).max() < 0.2


def test_where_two_sides_nearly_line_up_the_quad_stays() -> None:
    given = np.array([[100, 200], [300, 190], [500, 200], [300, 420]], np.float32)
    truth = given + np.array([[0, 0], [91, 1.3], [0, 0], [0, 0]], np.float32)  # its sides are at most 6 pixels away
    assert refine_quad(draw(truth), given).quad.tolist() == as_quad(given).tolist()


def test_a_search_of_nothing_leaves_the_quad() -> None:
    given = off(CARD)
    assert refine_quad(draw(CARD), given, search_share=0.0).quad.tolist() == as_quad(given).tolist()


def test_four_points_that_are_no_quad_are_refused() -> None:
    with pytest.raises(InvalidQuadError):
        refine_quad(draw(CARD), np.array([[0, 0], [10, 10], [10, 0], [0, 10]]))


def test_real_photographs_gain(real_data: Path) -> None:
    rng = np.random.default_rng(0)
    before, after = [], []
    for sample in find_samples(real_data / "dlc2021-dev")[::15]:
        quad = read_quad(sample.polygon)
        width = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1).max()
        given = quad + rng.normal(0, 0.015 * width, (4, 2))
        before.append(quad_iou(given, quad))
        after.append(quad_iou(refine_quad(read_image(sample.image), given).quad, quad))
    assert np.mean(after) > np.mean(before) + 0.02
    assert np.percentile(after, 5) > np.percentile(before, 5) + 0.01
