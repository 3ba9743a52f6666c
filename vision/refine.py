"""Corners to a fraction of a pixel: a quad's sides moved onto the edges that the full-resolution image shows.

Stands apart because it reads the picture, where the fit reads the network's map, which is too coarse for corners.
A side that the picture does not speak for stays where the map put it, unless no flat document looks like that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from unetlite.vision.edges import CELLS, PIECE_PLACES, edge_evidence, fit_lines, normals, profiles, visible_pieces
from unetlite.vision.image import RgbImage
from unetlite.vision.preprocess import Placement
from unetlite.vision.quad import BEFORE, NEXT, Quad, as_quad
from unetlite.vision.shape import PLAIN_COST, shape_cost

# Shares below are of the card's width, the quad's longest side.
SEARCH_SHARE = 0.06  # the corners of a map of 64x64 pixels are rarely further off
_FINE_SHARE = 0.01  # how far off the first pass may be: a little slope, the shoulder of a blurred edge
_WINDOW_SHARE = 0.006  # what is compared on either side of a would-be edge: less than from the edge to the lettering
_ON_LINE_SHARE = 0.0025  # so far from the line a piece's edge may lie and still agree: paper lies so straight
_LEAST_WINDOW_PX = 2.0  # as blurred as edges in photographs are
_LEAST_BAND_PX = 4.0  # two windows
_LEAST_ON_LINE_PX = 0.75

_SAMPLES = 36  # per profile: 2 in a pixel of a card 150 pixels wide, 1 in 4 pixels of one of 1200
_FINE_SAMPLES = 24  # enough for a tenth of a pixel in 8: the vertex of a parabola is read between them
_GRID = 2  # samples between neighbouring ends of the lines that are tried

_AGREEMENT = 0.5  # of the visible pieces: what half a side does not show is not its edge
# Of the band. Two sides in full view without an edge: faint print on a sheet, whose clearest lines are its lettering.
_FAINT_REACH = 0.4
# Of a side's votes, for a shape cost of 1. An absurd quad costs 5 more than a plain one: half of a side in full view.
_SHAPE_VOTES = 0.1
_SWEEPS = 2  # over the sides, each with the others as they are
_BEYOND = -0.3  # of the map's weights, beyond its rim: less surely no document than what is seen


@dataclass(frozen=True)
class Belief:
    """What the network says about a picture: (h, w) float32 probability, how it was placed, and the threshold."""

    probability: np.ndarray
    placement: Placement
    threshold: float


@dataclass(frozen=True)
class Refinement:
    """A quad after its sides were looked for in the picture; side i runs from corner i to corner i + 1 of `quad`.

    Attributes:
        quad: (4, 2) float32 pixels, clockwise from the top-left as seen in the image.
        moved: per side, whether it lies where the picture shows an edge; False where it stayed as given.
        agreement: per side, the share 0..1 of its visible pieces that show an edge on the best line found.
        residual_px: per side, root mean square distance of those edges from that line; NaN where it stayed.
    """

    quad: Quad
    moved: tuple[bool, ...]
    agreement: tuple[float, ...]
    residual_px: tuple[float, ...]


def refine_quad(
    image: RgbImage, quad: Quad, *, search_share: float = SEARCH_SHARE, belief: Belief | None = None
) -> Refinement:
    """Move the sides of a document's quad onto the edges that the picture shows near them.

    Profiles across each side are cut into pieces; at each place of a piece's profiles the evidence for an edge is
    how much of the colours' variance near it a step explains. Every line through the band then collects its
    pieces' evidence, less the nearer it comes to the band's end; the best is fitted once more, finely, and taken
    where at least half of the visible pieces agree. Evidence is bounded, so neither lettering nor an object,
    however black, outweighs a faint edge along the whole side. The cost does not depend on the picture's size.

    With a belief, sides whose best lines make no plausible shape are chosen together, for what picture, map and shape
    say of them; and a side that the picture does not show is drawn where map and shape want it.

    Args:
        image: (H, W, 3) uint8, RGB.
        quad: (4, 2) pixels (x, y) of that image; corners may lie outside it.
        search_share: how far a side may move at its ends, as a share of the quad's longest side. Lines lose
            evidence with the square of their distance, all of it at this one; 0 leaves the quad as it is.
        belief: of the whole picture as the camera saw it; None where the image is a part of one.

    Raises:
        InvalidQuadError: not four finite corners of a convex shape.

    Source: Duda & Hart, Use of the Hough Transformation (1972), for the vote; Beaton & Tukey, The Fitting of
        Power Series (1974), for the weights of the fit.
    """
    corners = as_quad(quad).astype(np.float64)
    given = np.stack([corners, corners[NEXT]], axis=1)  # (side, start and end, xy)
    card_width = float(_lengths(given).max())
    band = search_share * card_width
    if band < _LEAST_BAND_PX:
        return _unmoved(corners)

    image = np.ascontiguousarray(image)  # once: OpenCV would copy a view for each side
    window = max(_WINDOW_SHARE * card_width, _LEAST_WINDOW_PX)
    visible = visible_pieces(image, given, band)
    evidence, _, places = edge_evidence(profiles(image, given, band, _SAMPLES), visible, band, window)
    votes = _votes(evidence, visible)
    offsets, distrust = _offsets(places), _distrust(places, band)
    found = _shifted(given, offsets[(votes - distrust).argmax(axis=1)])
    worth = None  # of each line, apart from the picture
    if belief is not None and not _is_plain(found, belief):
        worth = _map_gains(belief, given, places, band) - distrust
        found = _chosen_together(found, given, offsets, votes + worth, belief, range(4))

    fine_band = max(_FINE_SHARE * card_width, _LEAST_BAND_PX) + window
    on_line = max(_ON_LINE_SHARE * card_width, _LEAST_ON_LINE_PX)
    evidence, contrast, fine = edge_evidence(
        profiles(image, found, fine_band, _FINE_SAMPLES), visible, fine_band, window
    )
    lines = _offsets(fine)[_votes(evidence, visible).argmax(axis=1)]
    lines, agreement, residual = fit_lines(evidence, contrast, fine, visible, lines, on_line)
    found = _shifted(found, lines)

    away = np.abs(((found - given) * normals(given)[:, None]).sum(axis=2)).max(axis=1)
    moved = (agreement >= _AGREEMENT) & (away <= band)
    if np.count_nonzero(visible.any(axis=1) & (agreement < _AGREEMENT)) >= 2:
        moved &= away <= _FAINT_REACH * band
    sides = np.where(moved[:, None, None], found, given)
    if belief is not None and not moved.all() and not _is_plain(sides, belief):
        if worth is None:
            worth = _map_gains(belief, given, places, band) - distrust
        sides = _chosen_together(sides, given, offsets, worth, belief, np.flatnonzero(~moved))
    refined = _meetings(sides)
    # Where neighbouring sides nearly line up, a little turn of one takes the corner far: such a view decides nothing.
    if refined is None or np.abs(refined - corners).max() > 2 * band or np.array_equal(sides, given):
        return _unmoved(corners, agreement)
    first = int(refined.sum(axis=1).argmin())  # of a card turned by 45 degrees another corner may now come first
    order = np.arange(first, first + 4) % 4
    return Refinement(
        refined[order].astype(np.float32),
        tuple(moved[order].tolist()),
        tuple(agreement[order].tolist()),
        tuple(np.where(moved, residual, np.nan)[order].tolist()),
    )


def _unmoved(corners: np.ndarray, agreement: np.ndarray | None = None) -> Refinement:
    shares = (0.0,) * 4 if agreement is None else tuple(agreement.tolist())
    return Refinement(corners.astype(np.float32), (False,) * 4, shares, (float("nan"),) * 4)


def _lengths(sides: np.ndarray) -> np.ndarray:
    along = sides[:, 1] - sides[:, 0]
    return np.hypot(along[:, 0], along[:, 1])


def _shifted(sides: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The sides with their start and end moved outward by (4, 2) pixels."""
    return sides + normals(sides)[:, None] * offsets[..., None]


@lru_cache(maxsize=8)  # a few numbers of places: they follow from the card's width alone where that is small
def _line_table(count: int) -> tuple[np.ndarray, np.ndarray]:
    """All lines through a band: (L, 2) the place at either end of the side, and (L, pieces) indices into an array
    (pieces, count), flat, of the places that they take in the pieces."""
    grid = np.arange(0, count, _GRID)
    ends = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    taken = np.rint(ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * PIECE_PLACES).astype(np.intp)
    return ends, taken + np.arange(CELLS) * count


def _offsets(places: np.ndarray) -> np.ndarray:
    """(L, 2) pixels outward of the lines of the table at either end."""
    return places[_line_table(len(places))[0]]


def _votes(evidence: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(4, L) evidence per visible piece of each line of the table."""
    nearby = evidence.copy()  # a line may pass a sample beside the edge
    np.maximum(nearby[..., 1:], evidence[..., :-1], out=nearby[..., 1:])
    np.maximum(nearby[..., :-1], evidence[..., 1:], out=nearby[..., :-1])
    table = _line_table(evidence.shape[2])[1]
    votes = nearby.reshape(4, -1).take(table, axis=1).sum(axis=2)
    return votes / np.maximum(visible.sum(axis=1), 1)[:, None]


def _distrust(places: np.ndarray, band: float) -> np.ndarray:
    """(L,) votes that a line loses: the mean square along it of the distance, as a share of the band."""
    a, b = (_offsets(places) / band).T
    return (a * a + a * b + b * b) / 3


def _map_gains(belief: Belief, sides: np.ndarray, places: np.ndarray, band: float) -> np.ndarray:
    """(4, L) what the quad gains when a side moves to a line: the weights between, in bands per piece."""
    ends = belief.placement.to_input(sides)
    map_wh = np.array(belief.probability.shape[::-1])
    ends = (ends + 0.5) * (map_wh / belief.placement.input_size_wh) - 0.5
    along = ends[:, None, 0] + (ends[:, 1] - ends[:, 0])[:, None] * PIECE_PLACES[:, None]  # (4, pieces, xy)
    across = normals(sides) * belief.placement.scale_xy * (map_wh / belief.placement.input_size_wh)
    points = along[:, :, None] + across[:, None, None] * places[:, None]  # (4, pieces, K, xy)
    weights = cv2.remap(
        belief.probability - np.float32(belief.threshold),
        points.reshape(4 * CELLS, len(places), 2).astype(np.float32),
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(_BEYOND,),
    )
    held = np.cumsum(weights.reshape(4, CELLS, -1), axis=2) * ((places[1] - places[0]) / band)
    held -= held[..., len(places) // 2, None]
    return held.reshape(4, -1).take(_line_table(len(places))[1], axis=1).mean(axis=2)


def _is_plain(sides: np.ndarray, belief: Belief) -> bool:
    quad = _meetings(sides)
    return quad is not None and shape_cost(quad[None], belief.placement.image_size_wh)[0] <= PLAIN_COST


def _chosen_together(
    sides: np.ndarray,
    given: np.ndarray,
    offsets: np.ndarray,
    worth: np.ndarray,
    belief: Belief,
    free: Iterable[int],
) -> np.ndarray:
    """The sides with the free ones moved, one after the other, to the line with the most worth less shape cost."""
    lines = given[:, None] + normals(given)[:, None, None] * offsets[None, :, :, None]  # (4, L, start and end, xy)
    sides = sides.copy()
    for _ in range(_SWEEPS):
        before = sides.copy()
        for side in free:
            quads, convex = _with_side(sides, side, lines[side])
            if not convex.any():
                continue
            cost = np.full(len(convex), np.inf)
            cost[convex] = shape_cost(quads[convex], belief.placement.image_size_wh)
            sides[side] = lines[side, int((worth[side] - _SHAPE_VOTES * cost).argmax())]
        if np.array_equal(before, sides):
            break
    return sides


def _with_side(sides: np.ndarray, side: int, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(L, 4, 2) the quads that each line in the place of a side makes, and (L,) whether they are convex."""
    tried = np.repeat(sides[None], len(lines), axis=0)
    tried[:, side] = lines
    start, along = tried[:, :, 0], tried[:, :, 1] - tried[:, :, 0]
    before, before_along = start[:, BEFORE], along[:, BEFORE]
    turns = _cross(before_along, along)
    shares = _cross(start - before, along) / np.where(np.abs(turns) < 1e-9, 1e-9, turns)
    quads = before + before_along * shares[..., None]
    edges = quads[:, NEXT] - quads
    return quads, ((turns > 0) & (_cross(edges[:, BEFORE], edges) > 0)).all(axis=1)


def _meetings(sides: np.ndarray) -> np.ndarray | None:
    """(4, 2) where each side meets the one before it; None where that is no convex shape, clockwise as seen."""
    start, along = sides[:, 0], sides[:, 1] - sides[:, 0]
    before, before_along = start[BEFORE], along[BEFORE]
    turns = _cross(before_along, along)
    if (turns <= 0).any():
        return None
    corners = before + before_along * (_cross(start - before, along) / turns)[:, None]
    along = corners[NEXT] - corners
    return corners if (_cross(along[BEFORE], along) > 0).all() else None


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
