from __future__ import annotations

import numpy as np
import pytest

from unetlite.vision.quad import NEXT
from unetlite.vision.shape import shape_cost
from unetlite.vision.sides import chosen_together, meetings, shifted

FRAME_WH = (1920, 1080)
CARD = np.array([[500.0, 300.0], [1300.0, 320.0], [1290.0, 820.0], [510.0, 830.0]])


def sides_of(quad: np.ndarray) -> np.ndarray:
    return np.stack([quad, quad[NEXT]], axis=1)


def test_sides_meet_in_the_corners_that_they_were_drawn_from() -> None:
    sides = sides_of(CARD)
    along = sides[:, 1] - sides[:, 0]
    sides[:, 0], sides[:, 1] = sides[:, 0] + 0.2 * along, sides[:, 1] + 0.3 * along  # other ends, the same lines
    corners = meetings(sides)
    assert corners is not None and np.allclose(corners, CARD)


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [0, 2, 1, 3]])
def test_sides_that_make_no_convex_shape_clockwise_meet_nowhere(order: list[int]) -> None:
    assert meetings(sides_of(CARD[order])) is None


def test_a_side_shifted_outward_lies_so_far_outside() -> None:
    moved = shifted(sides_of(CARD), np.array([[10.0, 10.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]))
    assert np.allclose(np.linalg.norm(moved[0] - sides_of(CARD)[0], axis=1), 10)
    assert (moved[0, :, 1] < CARD[:2, 1]).all()  # up: out of the card
    assert np.array_equal(moved[1:], sides_of(CARD)[1:])


def best_of_all(sides: np.ndarray, side: int, lines: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """The line that one look at each quad would take."""
    gains = []
    for line, value in zip(lines, worth, strict=True):
        tried = sides.copy()
        tried[side] = line
        corners = meetings(tried)
        gains.append(-np.inf if corners is None else value - 0.1 * shape_cost(corners[None], FRAME_WH)[0])
    return lines[int(np.argmax(gains))]


@pytest.mark.parametrize("side", range(4))
def test_a_free_side_goes_where_worth_less_shape_cost_is_most(side: int) -> None:
    rng = np.random.default_rng(side)
    offsets = rng.uniform(-90, 90, (60, 2))
    worth = rng.uniform(0, 0.3, (4, 60))
    given = sides_of(CARD)
    start = shifted(given, np.where(np.arange(4)[:, None] == side, 70.0, 0.0) * [[1.0, -1.0]])
    found = chosen_together(start, given, offsets, worth, [side], FRAME_WH)
    lines = np.stack([shifted(given, np.tile(offset, (4, 1)))[side] for offset in offsets])
    assert np.allclose(found[side], best_of_all(start, side, lines, worth[side]))
    others = [k for k in range(4) if k != side]
    assert np.array_equal(found[others], start[others])


def test_shape_decides_between_lines_that_the_picture_shows_equally() -> None:
    given = sides_of(CARD)
    offsets = np.array([[0.0, 0.0], [60.0, -60.0], [-60.0, 60.0], [80.0, 0.0]])
    start = shifted(given, np.array([[60.0, -60.0], [0.0, 0.0], [-60.0, 60.0], [0.0, 0.0]]))
    found = meetings(chosen_together(start, given, offsets, np.full((4, 4), 0.5), range(4), FRAME_WH))
    skewed = meetings(start)
    assert found is not None and skewed is not None
    assert shape_cost(found[None], FRAME_WH)[0] < shape_cost(skewed[None], FRAME_WH)[0] / 2
