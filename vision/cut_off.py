"""A document that the picture's border cuts off: where the side lies that no camera saw.

Stands apart from the refinement: here neither map nor picture say anything, only the three sides that show and what
shapes documents have.
"""

from __future__ import annotations

import numpy as np

from unetlite.vision.edges import piece_feet
from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.quad import NEXT, Quad, as_quad
from unetlite.vision.shape import shape_cost

_AT_BORDER = 0.006  # of the card's width, the quad's longest side: what lies so near to the border is cut off
_CUT = 0.5  # of a side's pieces, from which it is
_HIDDEN = 0.8  # of the pieces of a side that may lie there instead: what shows would have been seen
_LEAST_COST = 0.3  # of the shape: a plainer quad ends at the border
_LENGTHS = np.linspace(0.4, 2.2, 91)  # of the sides beside it, as shares of the longer one as it was given
_RATIOS = np.linspace(0.8, 1.25, 19)  # of one of them to the other
_COST_WEIGHT = 2.0  # a shape as odd as 1 is so much less likely, as a logarithm
_GROWTH = 0.2  # of the area: a document that is larger by this share is less likely by as much


def with_unseen_side(quad: Quad, picture_wh: tuple[int, int]) -> Quad:
    """The quad with the one side that the picture's border cut off where documents' shapes want it.

    Of all places where that side would not show, each as likely as the shape that it gives and the less the further
    away, that one is taken whose quad has the highest IoU to be expected: between an ID-1 card and a passport that
    may both be meant it lies in the middle.

    Args:
        quad: (4, 2) pixels of the picture, clockwise as seen.
        picture_wh: the picture's size.

    Returns:
        (4, 2) float32; as given where no side or more than one is cut off, or the shape is that of a whole document.
    """
    corners = quad.astype(np.float64)
    sides = corners[NEXT] - corners
    margin = _AT_BORDER * float(np.hypot(sides[:, 0], sides[:, 1]).max())
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    if min(left, top) > margin and right < picture_wh[0] - 1 - margin and bottom < picture_wh[1] - 1 - margin:
        return quad
    cut = _hidden_share(corners, corners[NEXT], picture_wh, margin)
    if np.count_nonzero(cut >= _CUT) != 1 or float(shape_cost(corners[None], picture_wh)[0]) < _LEAST_COST:
        return quad
    first = int(cut.argmax())  # from start to end runs the side that was cut off
    start, end, after, before = np.roll(corners, -first, axis=0)
    quads = _candidates(start, end, after, before)
    hidden = _hidden_share(quads[..., 0, :], quads[..., 1, :], picture_wh, margin) >= _HIDDEN
    cost = np.where(hidden, shape_cost(quads.reshape(-1, 4, 2), picture_wh).reshape(hidden.shape), np.inf)
    plainest = cost.argmin(axis=1)  # of each length
    rows = np.arange(len(cost))
    quads, cost = quads[rows, plainest], cost[rows, plainest]
    if not np.isfinite(cost).any():
        return quad
    quads, cost = quads[np.isfinite(cost)], cost[np.isfinite(cost)]
    x, y = quads[..., 0], quads[..., 1]
    area = 0.5 * np.abs((x * y[:, NEXT] - y * x[:, NEXT]).sum(axis=1))
    likelihood = np.exp(-_COST_WEIGHT * cost - (area / area.min() - 1.0) / _GROWTH)
    ious = np.minimum(area[:, None], area) / np.maximum(area[:, None], area)  # of quads of which one holds the other
    try:
        return as_quad(np.roll(quads[(ious @ likelihood).argmax()], first, axis=0))
    except InvalidQuadError:
        return quad


def _candidates(start: np.ndarray, end: np.ndarray, after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """(lengths, ratios, 4, 2) quads whose side from start to end moves along the two sides beside it."""
    to_start, to_end = start - before, end - after
    seen = np.hypot(*to_start), np.hypot(*to_end)
    length = max(seen) * _LENGTHS[:, None, None]
    apart = np.sqrt(_RATIOS)[:, None]
    moved = before + to_start / seen[0] * length * apart, after + to_end / seen[1] * length / apart
    kept = (np.broadcast_to(each, moved[0].shape) for each in (after, before))
    return np.stack([*moved, *kept], axis=-2)


def _hidden_share(starts: np.ndarray, ends: np.ndarray, picture_wh: tuple[int, int], margin: float) -> np.ndarray:
    """(...) the share of the pieces of sides (..., xy) that lie beyond the picture's border, or so near to it."""
    feet = piece_feet(starts, ends)
    last = np.array(picture_wh) - 1.0
    return ((feet <= margin) | (feet >= last - margin)).any(axis=-1).mean(axis=-1)
