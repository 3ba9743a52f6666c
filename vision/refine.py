"""Corners to a fraction of a pixel: a quad's sides moved onto the edges that the full-resolution image shows.

Stands apart because it reads the picture, where the fit reads the network's map, which is too coarse for corners.
A side that the picture does not speak for stays where the map put it, unless no flat document looks like that.
"""

from __future__ import annotations

import math
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
from unetlite.vision.quad import NEXT, Quad, as_quad
from unetlite.vision.shape import PLAIN_COST, shape_cost
from unetlite.vision.sides import chosen_together, lengths, meetings, shifted

# Shares below are of the card's width, the quad's longest side.
SEARCH_SHARE = 0.06  # the corners of a map of 64x64 pixels are rarely further off
_FINE_SHARE = 0.01  # how far off the first pass may be: a little slope, the shoulder of a blurred edge
_WINDOW_SHARE = 0.006  # what is compared on either side of a would-be edge: less than from the edge to the lettering
_ON_LINE_SHARE = 0.0025  # so far from the line a piece's edge may lie and still agree: paper lies so straight
_LEAST_WINDOW_PX = 2.0  # as blurred as edges in photographs are
LEAST_BAND_PX = 4.0  # two windows
_LEAST_ON_LINE_PX = 0.75

# Of a good map the corners are mostly nearer. Where within this share all sides show, one pass is enough.
_NEAR_SHARE = 0.04
_NEAR_SAMPLES = 36
_NEAR_PROFILES = 2  # per piece; where a good map says where the side lies, more would only cost time
_NEAR_COST = 2.0  # of the shape: one frame in a hundred of a flat document has more
_PROFILES = 4  # per piece
_SAMPLES = 36  # per profile: 2 in a pixel of a card 150 pixels wide, 1 in 4 pixels of one of 1200
_FINE_SAMPLES = 24  # enough for a tenth of a pixel in 8: the vertex of a parabola is read between them

_AGREEMENT = 0.5  # of the visible pieces: what half a side does not show is not its edge
# Of the band. Two sides in full view without an edge: faint print on a sheet, whose clearest lines are its lettering.
_FAINT_REACH = 0.4
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
    card_width = float(lengths(given).max())
    band = search_share * card_width
    if band < LEAST_BAND_PX:
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
    found = shifted(given, line_offsets(places)[(votes - distrust).argmax(axis=1)])
    worth = None  # of each line, apart from the picture
    if belief is not None and _shape_cost(found, belief) > PLAIN_COST:
        worth = _map_gains(belief, given, places, band) - distrust
        picture_wh = belief.placement.image_size_wh
        found = chosen_together(found, given, line_offsets(places), votes + worth, range(4), picture_wh)
    fine = max(_FINE_SHARE * card_width, LEAST_BAND_PX) + window
    sides, seen = _fitted(image, given, found, visible, band, window, _FINE_SAMPLES, _PROFILES, fine)
    cost = math.nan if belief is None else _shape_cost(sides, belief)
    if belief is not None and cost > PLAIN_COST and not seen.moved.all():
        worth = _map_gains(belief, given, places, band) - distrust if worth is None else worth
        unseen = np.flatnonzero(~seen.moved).tolist()
        sides = chosen_together(sides, given, line_offsets(places), worth, unseen, belief.placement.image_size_wh)
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
    card_width = float(lengths(given).max())
    fine_band = band + window if fine_band is None else fine_band
    on_line = max(_ON_LINE_SHARE * card_width, _LEAST_ON_LINE_PX)
    strip = profiles(image, found, fine_band, samples, per_piece)
    evidence, contrast, places = edge_evidence(strip, visible, fine_band, window)
    lines = line_offsets(places)[line_votes(evidence, visible).argmax(axis=1)]
    lines, agreement, residual = fit_lines(evidence, contrast, places, visible, lines, on_line)
    found = shifted(found, lines)
    away = np.abs(((found - given) * normals(given)[:, None]).sum(axis=2)).max(axis=1)
    moved = (agreement >= _AGREEMENT) & (away <= band)
    if np.count_nonzero(visible.any(axis=1) & (agreement < _AGREEMENT)) >= 2:
        moved &= away <= _FAINT_REACH * band
    return np.where(moved[:, None, None], found, given), _Seen(moved, agreement, residual)


def _refinement(corners: np.ndarray, sides: np.ndarray, seen: _Seen, cost: float, band: float) -> Refinement:
    refined = meetings(sides)
    # Where neighbouring sides nearly line up, a little turn of one takes the corner far: such a view decides nothing.
    if refined is None or np.abs(refined - corners).max() > 2 * band:
        return _unmoved(corners, seen.agreement)
    first = int(refined.sum(axis=1).argmin())  # of a card turned by 45 degrees another corner may now come first
    moved, agreement = seen.moved.tolist(), seen.agreement.tolist()
    residual = [px if is_moved else math.nan for px, is_moved in zip(seen.residual_px.tolist(), moved, strict=True)]
    return Refinement(
        np.concatenate([refined[first:], refined[:first]]).astype(np.float32),
        tuple(moved[first:] + moved[:first]),
        tuple(agreement[first:] + agreement[:first]),
        tuple(residual[first:] + residual[:first]),
        cost,
    )


def _unmoved(corners: np.ndarray, agreement: np.ndarray | None = None, cost: float = math.nan) -> Refinement:
    shares = (0.0,) * 4 if agreement is None else tuple(agreement.tolist())
    return Refinement(corners.astype(np.float32), (False,) * 4, shares, (math.nan,) * 4, cost)


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
    quad = meetings(sides)
    return math.inf if quad is None else float(shape_cost(quad[None], belief.placement.image_size_wh)[0])
