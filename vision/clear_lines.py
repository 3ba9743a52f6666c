"""Quads of clear lines: of each side the few that a picture shows best, and all fours of them weighed together.

Stands apart from the refinement, where a line loses with its distance from the quad that the map gave. Where a map
lost a strip of the document to print beside it, the sides that the picture shows lie further off.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.borders import Borders, strips_of
from unetlite.vision.candidates import image_to_map, soft_ious
from unetlite.vision.edges import edge_evidence, line_offsets, line_votes, normals
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import Quad
from unetlite.vision.refine import LEAST_BAND_PX, LEAST_WINDOW_PX, WINDOW_SHARE, Belief
from unetlite.vision.shape import shape_cost
from unetlite.vision.sides import convex_fours, lengths

_APART = np.ones((9, 9), np.uint8)  # places of the table at either end: of lines within it the clearest stands for all
_LINES = 6  # per side, beside the given one
_WEIGHED = 96  # quads whose map is asked
_SAME_SHARE = 0.012  # of the card's width, the quad's longest side


def quads_of_clear_lines(
    image: RgbImage, quad: Quad, belief: Belief, weights: tuple[float, float], most: int
) -> list[np.ndarray]:
    """The best quads whose sides are clear lines of the picture, the best first.

    Args:
        image: (H, W, 3) uint8, RGB.
        quad: (4, 2) pixels of the picture, clockwise as seen, near which the lines are looked for.
        belief: the map, of the whole picture.
        weights: what the share of the sides that shows an edge counts, and the shape's cost, against the IoU with
            the map.
        most: how many.

    Returns:
        At most so many, (4, 2) float64 pixels of the picture each; the given one may be among them. None where it is
        so small that no line could lie beside it.
    """
    strips = strips_of(np.ascontiguousarray(image), quad)
    if strips.band < LEAST_BAND_PX:
        return []
    window = max(WINDOW_SHARE * float(lengths(strips.sides).max()), LEAST_WINDOW_PX)
    evidence, _, places = edge_evidence(strips.rows, strips.visible, strips.band, window)
    votes = line_votes(evidence, strips.visible)
    return _ranked(votes, line_offsets(places), strips.sides, belief, weights, most)


def quads_of_borders(
    borders: Borders, belief: Belief, weights: tuple[float, float], most: int
) -> list[np.ndarray]:
    """The best quads whose sides lie where the network for borders sees them; as `quads_of_clear_lines`.

    Args:
        borders: what it says about the strips across a quad's sides.
        belief: the map, of the whole picture.
        weights: what its votes count, and the shape's cost, against the IoU with the map.
        most: how many.
    """
    strips = borders.strips
    votes = line_votes(borders.votes, strips.visible)
    offsets = line_offsets(np.linspace(-strips.band, strips.band, borders.votes.shape[2]))
    return _ranked(votes, offsets, strips.sides, belief, weights, most)


def _ranked(
    votes: np.ndarray,
    offsets: np.ndarray,
    given: np.ndarray,
    belief: Belief,
    weights: tuple[float, float],
    most: int,
) -> list[np.ndarray]:
    """The best quads of the lines (4, L) beside the given sides, by votes, shape and map."""
    clearest = [_clearest(of_side, offsets) for of_side in votes]
    lines = [
        side + outward * offsets[chosen][..., None]
        for side, outward, chosen in zip(given, normals(given), clearest, strict=True)
    ]
    which, quads = convex_fours(lines)
    if not len(quads):
        return []
    shown = sum(of_side[chosen][k] for of_side, chosen, k in zip(votes, clearest, which.T, strict=True)) / 4
    worth = weights[0] * shown - weights[1] * shape_cost(quads, belief.placement.image_size_wh)
    best = np.argsort(-worth)[:_WEIGHED]
    in_map = image_to_map(quads[best], belief.probability, belief.placement)
    ranked = quads[best][np.argsort(-(worth[best] + soft_ious(belief.probability, in_map)))]
    found: list[np.ndarray] = []
    for candidate in ranked:
        if all(np.abs(candidate - other).max() > _SAME_SHARE * lengths(given).max() for other in found):
            found.append(candidate)
            if len(found) == most:
                break
    return found


def _clearest(votes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Of a side's lines (L,) those that no line near them outdoes, the best few, and the given one: indices."""
    size = round(len(votes) ** 0.5)
    table = votes.reshape(size, size).astype(np.float32)
    peaks = np.flatnonzero(table >= cv2.dilate(table, _APART))
    best = peaks[np.argsort(-votes[peaks])[:_LINES]]
    return np.unique(np.append(best, np.abs(offsets).sum(axis=1).argmin()))
