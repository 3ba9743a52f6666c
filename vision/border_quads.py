"""Quads of borders: of each side the few lines that the network for borders speaks for, and all fours of them weighed.

Stands apart from the refinement, where a line loses with its distance from the quad that the map gave. Where a map
lost a strip of the document to print beside it, or took a sheet's edge for that of the copy on it, the sides lie
further off.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.borders import Borders
from unetlite.vision.candidates import image_to_map, soft_ious
from unetlite.vision.edges import line_offsets, line_votes, normals
from unetlite.vision.refine import Belief
from unetlite.vision.shape import shape_cost
from unetlite.vision.sides import convex_fours

_APART = np.ones((9, 9), np.uint8)  # places of the table at either end: of lines within it the clearest stands for all
_LINES = 6  # per side, beside the given one
_WEIGHED = 96  # quads whose map is asked


def quad_of_borders(borders: Borders, belief: Belief, weights: tuple[float, float]) -> np.ndarray | None:
    """The best quad whose sides lie where the network for borders sees them.

    Args:
        borders: what it says about the strips across a quad's sides.
        belief: the map, of the whole picture.
        weights: what its votes count, and the shape's cost, against the IoU with the map.

    Returns:
        (4, 2) float64 pixels of the picture, perhaps the given quad; None where no four lines make a convex shape.
    """
    strips = borders.strips
    votes = line_votes(borders.votes, strips.visible)
    offsets = line_offsets(np.linspace(-strips.band, strips.band, borders.votes.shape[2]))
    clearest = [_clearest(of_side, offsets) for of_side in votes]
    lines = [
        side + outward * offsets[chosen][..., None]
        for side, outward, chosen in zip(strips.sides, normals(strips.sides), clearest, strict=True)
    ]
    which, quads = convex_fours(lines)
    if not len(quads):
        return None
    shown = sum(of_side[chosen][k] for of_side, chosen, k in zip(votes, clearest, which.T, strict=True)) / 4
    worth = weights[0] * shown - weights[1] * shape_cost(quads, belief.placement.image_size_wh)
    best = np.argsort(-worth)[:_WEIGHED]
    in_map = image_to_map(quads[best], belief.probability, belief.placement)
    return quads[best[(worth[best] + soft_ious(belief.probability, in_map)).argmax()]]


def _clearest(votes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Of a side's lines (L,) those that no line near them outdoes, the best few, and the given one: indices."""
    size = round(len(votes) ** 0.5)
    table = votes.reshape(size, size).astype(np.float32)
    peaks = np.flatnonzero(table >= cv2.dilate(table, _APART))
    best = peaks[np.argsort(-votes[peaks])[:_LINES]]
    return np.unique(np.append(best, np.abs(offsets).sum(axis=1).argmin()))
