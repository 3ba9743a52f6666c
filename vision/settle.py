"""A quad moved over a map until it holds the most of what is document and the least of what is not.

Stands apart from the fit to an outline: where a mask also covers a pen, a toy or some print beside the card, its
outline bends the sides, while the sum over the area hardly changes.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from unetlite.vision.quad import BEFORE, turns

_STATIONS = 24  # cells of the unit square that the quad is warped to, and of a side
_OFFSETS = 13  # places tried for either end of a side
_REACHES = (0.45, 0.2, 0.08)  # pass by pass, how far an end may move, as a share of the quad
_BEYOND = -0.3  # of the weights 0.5 a pixel: what lies beyond the map is less surely no document than what is seen
_FARTHEST = 4.0  # map sizes: corners beyond come of sides that nearly line up
_STILL_PX = 0.05


def settle_quad(weights: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """Move a quad's sides to where the sum of the weights inside is largest.

    Pass by pass the map is warped to the quad's own unit square with a margin. For each side apart, cumulative sums
    across it give what every line through the margin would gain, and the best of a table of lines is taken.

    Args:
        weights: (H, W) float32, positive on the document, negative beside it; probability less threshold.
        quad: (4, 2) pixels of the map, convex, clockwise as seen; corners may lie outside.

    Returns:
        (4, 2) float64; the last convex quad of the passes.

    Source: Boykov & Jolly, Interactive Graph Cuts (2001), for the region term; here its shape is four lines.
    """
    quad = np.asarray(quad, np.float64)
    farthest = _FARTHEST * max(weights.shape)
    for reach in _REACHES:
        margin = round(reach * _STATIONS)
        size = _STATIONS + 2 * margin
        back = cv2.getPerspectiveTransform(_square(margin), quad.astype(np.float32))
        own = cv2.warpPerspective(
            weights,
            back,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(_BEYOND,),
        )
        starts, ends = _best_lines(own, margin)
        corners = _meetings(starts, ends)
        if corners is None:
            break
        moved = cv2.perspectiveTransform((corners * _STATIONS + margin - 0.5)[None], back)[0]
        if min(turns(moved.tolist())) <= 1e-3 or np.abs(moved).max() > farthest:
            break
        step = np.abs(moved - quad).max()
        quad = moved
        if step < _STILL_PX:
            break
    return quad


@lru_cache(maxsize=len(_REACHES))
def _square(margin: int) -> np.ndarray:
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    return corners * np.float32(_STATIONS) + np.float32(margin - 0.5)


@lru_cache(maxsize=len(_REACHES))
def _line_table(margin: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All lines through the margin: (L,), (L,) outward shares of the square's side at start and end, and
    (L, stations) indices of the cells, flat in (2 * margin + 1, stations), that end below the line."""
    places = np.linspace(-1.0, 1.0, _OFFSETS)
    start, end = (offsets.ravel() for offsets in np.meshgrid(places, places, indexing="ij"))
    along = (np.arange(_STATIONS) + 0.5) / _STATIONS
    cells = np.rint((start[:, None] * (1.0 - along) + end[:, None] * along) * margin).astype(np.intp) + margin
    share = margin / _STATIONS
    return start * share, end * share, cells * _STATIONS + np.arange(_STATIONS)


def _best_lines(own: np.ndarray, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """(4, 2), (4, 2) where the best line of each side starts and ends, in the unit square."""
    start, end, table = _line_table(margin)
    gained = np.zeros((4, 2 * margin + 1, _STATIONS), np.float32)  # by a line outside of so many cells, per station
    for side in range(4):  # each turned to the top; from within outward
        band = np.rot90(own, side)[2 * margin - 1 :: -1]
        np.cumsum(band[:, margin : margin + _STATIONS], axis=0, out=gained[side, 1:])
    best = gained.reshape(4, -1).take(table, axis=1).sum(axis=2).argmax(axis=1)
    a, b = start[best], end[best]
    starts = np.array([[0.0, -a[0]], [1.0 + a[1], 0.0], [1.0, 1.0 + a[2]], [-a[3], 1.0]])
    ends = np.array([[1.0, -b[0]], [1.0 + b[1], 1.0], [0.0, 1.0 + b[2]], [-b[3], 0.0]])
    return starts, ends


def _meetings(starts: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """(4, 2) where each line meets the one before; None where two do not turn clockwise."""
    along = ends - starts
    before, before_along = starts[BEFORE], along[BEFORE]
    turns = _cross(before_along, along)
    if (turns < 1e-3).any():
        return None
    return before + before_along * (_cross(starts - before, along) / turns)[:, None]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
