"""Four sides as lines: where they meet, and which of many lines make the best quad together.

Stands apart because it reads no picture: what the lines are worth is known before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unetlite.vision.edges import normals
from unetlite.vision.quad import NEXT, turns
from unetlite.vision.shape import shape_cost

# Of a side's votes, for a shape cost of 1. An absurd quad costs 5 more than a plain one: half of a side in full view.
_SHAPE_VOTES = 0.1
_MOST_LINES = 64  # of a side's 300 or so that are tried with the others: no shape makes up for the votes of the rest
_SWEEPS = 2  # over the sides, each with the others as they are


def lengths(sides: np.ndarray) -> np.ndarray:
    """(4,) of sides (4, start and end, xy)."""
    along = sides[:, 1] - sides[:, 0]
    return np.hypot(along[:, 0], along[:, 1])


def shifted(sides: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The sides with their start and end moved outward by (4, 2) pixels."""
    return sides + normals(sides)[:, None] * offsets[..., None]


def meetings(sides: np.ndarray) -> np.ndarray | None:
    """(4, 2) where each side meets the one before it; None where that is no convex shape, clockwise as seen."""
    ends = sides.tolist()
    corners = []
    for ((px, py), (qx, qy)), ((sx, sy), (tx, ty)) in zip([ends[3], *ends[:3]], ends, strict=True):
        turn = (qx - px) * (ty - sy) - (qy - py) * (tx - sx)
        if turn <= 0.0:
            return None
        share = ((sx - px) * (ty - sy) - (sy - py) * (tx - sx)) / turn
        corners.append([px + (qx - px) * share, py + (qy - py) * share])
    return np.array(corners) if min(turns(corners)) > 0 else None


def convex_fours(lines: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All quads that lines make, one of each side: (N, 4) which, and (N, 4, 2) the corners; convex ones only.

    Args:
        lines: of each side (L, start and end, xy), clockwise as seen; L may differ.
    """
    which = np.stack(np.meshgrid(*(np.arange(len(each)) for each in lines), indexing="ij"), axis=-1).reshape(-1, 4)
    of_lines = [_homogeneous(each) for each in lines]
    corners = np.empty((len(which), 4, 2))
    convex = np.ones(len(which), bool)
    for side in range(4):
        met = np.cross(of_lines[side - 1][:, None], of_lines[side][None])
        pairs = which[:, side - 1], which[:, side]
        convex &= (met[..., 2] > 0)[pairs]
        corners[:, side] = (met[..., :2] / np.maximum(met[..., 2:], 1e-9))[pairs]
    runs = corners[:, NEXT] - corners
    for side in range(4):  # each runs as its line does: along (a, b, c) goes (b, -a)
        a, b, _ = of_lines[side][which[:, side]].T
        convex &= runs[:, side, 0] * b > runs[:, side, 1] * a
    return which[convex], corners[convex]


def chosen_together(
    sides: np.ndarray,
    given: np.ndarray,
    offsets: np.ndarray,
    worth: np.ndarray,
    free: Sequence[int],
    picture_wh: tuple[int, int],
) -> np.ndarray:
    """The sides with the free ones moved, one after the other, to the line with the most worth less shape cost.

    Args:
        sides: (4, start and end, xy) pixels of the picture, clockwise as seen.
        given: (4, start and end, xy), from which the lines are told.
        offsets: (L, 2) pixels outward of each line at either end.
        worth: (4, L) of each line, in votes.
        free: which sides may move.
        picture_wh: the picture's size.
    """
    kept = np.argsort(-worth, axis=1)[:, :_MOST_LINES]
    worth = np.take_along_axis(worth, kept, axis=1)
    lines = given[:, None] + normals(given)[:, None, None] * offsets[kept][..., None]  # (4, L, start and end, xy)
    found, whole, of_lines = sides.copy(), _homogeneous(sides), _homogeneous(lines)
    still = 0  # sides that stayed since the last one moved, or since the start
    for side in [*free] * _SWEEPS:
        still += 1
        quads, convex = _with_side(whole.tolist(), side, of_lines[side])
        if convex.any():
            gain = np.where(convex, worth[side], -np.inf)
            gain[convex] -= _SHAPE_VOTES * shape_cost(quads[convex], picture_wh)
            best = int(gain.argmax())
            if not np.array_equal(found[side], lines[side, best]):
                found[side], whole[side], still = lines[side, best], of_lines[side, best], 1
        if still == len(free):
            break
    return found


def _homogeneous(sides: np.ndarray) -> np.ndarray:
    """(..., 3) of sides (..., start and end, xy): two meet at their cross product, whose third is their turn."""
    x, y, to_x, to_y = sides.reshape(-1, 4).T
    u, v = to_x - x, to_y - y
    return np.stack([-v, u, v * x - u * y], axis=-1).reshape(*sides.shape[:-2], 3)


def _with_side(whole: list[list[float]], side: int, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(L, 4, 2) the quads that each line (L, 3) makes in the place of a side, and (L,) whether they are convex."""
    after, opposite, before = (whole[(side + k) % 4] for k in (1, 2, 3))
    (a, b, c), (d, e, f) = before, after
    # Where every line meets both its neighbours: before x line and line x after.
    met = lines @ np.array([[0.0, c, -b, 0.0, -f, e], [-c, 0.0, a, f, 0.0, -d], [b, -a, 0.0, -e, d, 0.0]])
    convex = (met[:, 2] > 0) & (met[:, 5] > 0)
    quads = np.empty((len(lines), 4, 2))
    quads[:, side] = start = met[:, :2] / np.maximum(met[:, 2:3], 1e-9)
    quads[:, (side + 1) % 4] = end = met[:, 3:5] / np.maximum(met[:, 5:], 1e-9)
    third, fourth = _meeting(after, opposite), _meeting(opposite, before)
    if third is None or fourth is None:
        return quads, np.zeros_like(convex)
    quads[:, (side + 2) % 4], quads[:, (side + 3) % 4] = third, fourth
    # Each side runs forward: along a line (a, b, c) goes (b, -a).
    convex &= start @ (b, -a) > fourth[0] * b - fourth[1] * a
    convex &= end @ (e, -d) < third[0] * e - third[1] * d
    run = end - start
    convex &= run[:, 0] * lines[:, 1] > run[:, 1] * lines[:, 0]
    forward = (fourth[0] - third[0]) * opposite[1] > (fourth[1] - third[1]) * opposite[0]
    return quads, convex if forward else np.zeros_like(convex)


def _meeting(one: list[float], other: list[float]) -> tuple[float, float] | None:
    """Where a line meets the next one; None where that turns counterclockwise."""
    (a, b, c), (d, e, f) = one, other
    turn = a * e - b * d
    return ((b * f - c * e) / turn, (c * d - a * f) / turn) if turn > 0 else None
