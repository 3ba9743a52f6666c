"""Corners to a fraction of a pixel: a quad's sides moved onto the edges that the full-resolution image shows.

Stands apart because it reads the picture, where the fit reads the network's map, which is too coarse for corners.
A side that the picture does not speak for stays where the map put it, unless no flat document looks like that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from unetlite.vision.edges import (
    CELLS,
    PIECE_PLACES,
    edge_evidence,
    fit_lines,
    line_distrust,
    line_offsets,
    line_table,
    line_votes,
    normals,
    profiles,
    visible_pieces,
)
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

# Of a good map the corners are mostly nearer. Where within this share all sides show, one pass is enough.
_NEAR_SHARE = 0.04
_NEAR_SAMPLES = 44
_NEAR_PROFILES = 2  # per piece; where a good map says where the side lies, more would only cost time
_NEAR_COST = 2.0  # of the shape: one frame in a hundred of a flat document has more
_PROFILES = 4  # per piece
_SAMPLES = 36  # per profile: 2 in a pixel of a card 150 pixels wide, 1 in 4 pixels of one of 1200
_FINE_SAMPLES = 24  # enough for a tenth of a pixel in 8: the vertex of a parabola is read between them

_AGREEMENT = 0.5  # of the visible pieces: what half a side does not show is not its edge
# Of the band. Two sides in full view without an edge: faint print on a sheet, whose clearest lines are its lettering.
_FAINT_REACH = 0.4
# Of a side's votes, for a shape cost of 1. An absurd quad costs 5 more than a plain one: half of a side in full view.
_SHAPE_VOTES = 0.1
_MOST_LINES = 64  # of a side's 300 or so that are tried with the others: no shape makes up for the votes of the rest
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
        shape_cost: of the quad, from `shape_cost`; NaN without a belief.
    """

    quad: Quad
    moved: tuple[bool, ...]
    agreement: tuple[float, ...]
    residual_px: tuple[float, ...]
    shape_cost: float


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
        return _unmoved(corners, cost=math.nan if belief is None else _shape_cost(given, belief))

    image = np.ascontiguousarray(image)  # once: OpenCV would copy a view for each side
    window = max(_WINDOW_SHARE * card_width, _LEAST_WINDOW_PX)
    visible = visible_pieces(image, given, band)
    near = _NEAR_SHARE * card_width
    if belief is not None and search_share <= SEARCH_SHARE and near < band:
        sides, seen = _fitted(image, given, given, visible, near, window, _NEAR_SAMPLES, _NEAR_PROFILES)
        if seen.moved.all():
            cost = _shape_cost(sides, belief)
            if cost <= _NEAR_COST:
                return _refinement(corners, sides, seen, cost, band)
    strip = profiles(image, given, band, _SAMPLES, _PROFILES)
    evidence, _, places = edge_evidence(strip, visible, band, window)
    votes, distrust = line_votes(evidence, visible), line_distrust(places, band)
    found = _shifted(given, line_offsets(places)[(votes - distrust).argmax(axis=1)])
    worth = None  # of each line, apart from the picture
    if belief is not None and _shape_cost(found, belief) > PLAIN_COST:
        worth = _map_gains(belief, given, places, band) - distrust
        found = _chosen_together(found, given, places, votes + worth, belief, range(4))
    fine = max(_FINE_SHARE * card_width, _LEAST_BAND_PX) + window
    sides, seen = _fitted(image, given, found, visible, band, window, _FINE_SAMPLES, _PROFILES, fine)
    cost = math.nan if belief is None else _shape_cost(sides, belief)
    if belief is not None and cost > PLAIN_COST and not seen.moved.all():
        worth = _map_gains(belief, given, places, band) - distrust if worth is None else worth
        sides = _chosen_together(sides, given, places, worth, belief, np.flatnonzero(~seen.moved))
        cost = _shape_cost(sides, belief)
    refinement = _refinement(corners, sides, seen, cost, band)
    if belief is not None and np.array_equal(refinement.quad, corners):
        return replace(refinement, shape_cost=_shape_cost(given, belief))
    return refinement


@dataclass(frozen=True)
class _Seen:
    """What the picture says of four sides: whether it shows an edge, agreement and residual, (4,) each."""

    moved: np.ndarray
    agreement: np.ndarray
    residual_px: np.ndarray


def _fitted(
    image: RgbImage,
    given: np.ndarray,
    found: np.ndarray,
    visible: np.ndarray,
    band: float,
    window: float,
    samples: int,
    per_piece: int,
    fine_band: float | None = None,
) -> tuple[np.ndarray, _Seen]:
    """The sides found, fitted to the edges within `fine_band` of them; as given where there is no edge in `band`."""
    card_width = float(_lengths(given).max())
    fine_band = band + window if fine_band is None else fine_band
    on_line = max(_ON_LINE_SHARE * card_width, _LEAST_ON_LINE_PX)
    strip = profiles(image, found, fine_band, samples, per_piece)
    evidence, contrast, places = edge_evidence(strip, visible, fine_band, window)
    lines = line_offsets(places)[line_votes(evidence, visible).argmax(axis=1)]
    lines, agreement, residual = fit_lines(evidence, contrast, places, visible, lines, on_line)
    found = _shifted(found, lines)
    away = np.abs(((found - given) * normals(given)[:, None]).sum(axis=2)).max(axis=1)
    moved = (agreement >= _AGREEMENT) & (away <= band)
    if np.count_nonzero(visible.any(axis=1) & (agreement < _AGREEMENT)) >= 2:
        moved &= away <= _FAINT_REACH * band
    return np.where(moved[:, None, None], found, given), _Seen(moved, agreement, residual)


def _refinement(corners: np.ndarray, sides: np.ndarray, seen: _Seen, cost: float, band: float) -> Refinement:
    refined = _meetings(sides)
    # Where neighbouring sides nearly line up, a little turn of one takes the corner far: such a view decides nothing.
    if refined is None or np.abs(refined - corners).max() > 2 * band:
        return _unmoved(corners, seen.agreement)
    first = int(refined.sum(axis=1).argmin())  # of a card turned by 45 degrees another corner may now come first
    order = np.arange(first, first + 4) % 4
    return Refinement(
        refined[order].astype(np.float32),
        tuple(seen.moved[order].tolist()),
        tuple(seen.agreement[order].tolist()),
        tuple(np.where(seen.moved, seen.residual_px, np.nan)[order].tolist()),
        cost,
    )


def _unmoved(corners: np.ndarray, agreement: np.ndarray | None = None, cost: float = math.nan) -> Refinement:
    shares = (0.0,) * 4 if agreement is None else tuple(agreement.tolist())
    return Refinement(corners.astype(np.float32), (False,) * 4, shares, (math.nan,) * 4, cost)


def _lengths(sides: np.ndarray) -> np.ndarray:
    along = sides[:, 1] - sides[:, 0]
    return np.hypot(along[:, 0], along[:, 1])


def _shifted(sides: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The sides with their start and end moved outward by (4, 2) pixels."""
    return sides + normals(sides)[:, None] * offsets[..., None]


def _map_gains(belief: Belief, sides: np.ndarray, places: np.ndarray, band: float) -> np.ndarray:
    """(4, L) what the quad gains when a side moves to a line: the weights between, in bands per piece."""
    ends = belief.placement.to_input(sides)
    map_wh = np.array(belief.probability.shape[::-1])
    ends = (ends + 0.5) * (map_wh / belief.placement.input_size_wh) - 0.5
    along = ends[:, None, 0] + (ends[:, 1] - ends[:, 0])[:, None] * PIECE_PLACES[:, None]  # (4, pieces, xy)
    across = normals(sides) * belief.placement.scale_xy * (map_wh / belief.placement.input_size_wh)
    points = along[:, :, None] + across[:, None, None] * places[:, None]  # (4, pieces, K, xy)
    weights = cv2.remap(  # type: ignore[call-overload]  # its types know no call with one map
        belief.probability - np.float32(belief.threshold),
        points.reshape(4 * CELLS, len(places), 2).astype(np.float32),
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(_BEYOND,),
    )
    held = np.cumsum(weights.reshape(4, CELLS, -1), axis=2) * ((places[1] - places[0]) / band)
    held -= held[..., len(places) // 2, None]
    return held.reshape(4, -1).take(line_table(len(places))[1], axis=1).mean(axis=2)


def _shape_cost(sides: np.ndarray, belief: Belief) -> float:
    quad = _meetings(sides)
    return math.inf if quad is None else float(shape_cost(quad[None], belief.placement.image_size_wh)[0])


def _chosen_together(
    sides: np.ndarray,
    given: np.ndarray,
    places: np.ndarray,
    worth: np.ndarray,
    belief: Belief,
    free: Iterable[int],
) -> np.ndarray:
    """The sides with the free ones moved, one after the other, to the line with the most worth less shape cost."""
    kept = np.argsort(-worth, axis=1)[:, :_MOST_LINES]
    worth = np.take_along_axis(worth, kept, axis=1)
    # (4, L, start and end, xy)
    lines = given[:, None] + normals(given)[:, None, None] * line_offsets(places)[kept][..., None]
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
    return _corners(tried)


def _meetings(sides: np.ndarray) -> np.ndarray | None:
    """(4, 2) where each side meets the one before it; None where that is no convex shape, clockwise as seen."""
    corners, convex = _corners(sides)
    return corners if convex else None


def _corners(sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., 4, 2) where each side of (..., 4, 2, 2) meets the one before it, and (...) whether that is convex."""
    start, along = sides[..., 0, :], sides[..., 1, :] - sides[..., 0, :]
    before, before_along = start[..., BEFORE, :], along[..., BEFORE, :]
    turns = _cross(before_along, along)
    shares = _cross(start - before, along) / np.where(np.abs(turns) < 1e-9, 1e-9, turns)
    quads = before + before_along * shares[..., None]
    edges = quads[..., NEXT, :] - quads
    return quads, ((turns > 0) & (_cross(edges[..., BEFORE, :], edges) > 0)).all(axis=-1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
