"""Corners to a fraction of a pixel: a quad's sides moved onto the edges that the full-resolution image shows.

Stands apart because it reads the picture, where the fit reads the network's map, which is too coarse for corners.
A side that the picture does not speak for stays where the map put it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from unetlite.vision.image import RgbImage
from unetlite.vision.quad import BEFORE, NEXT, Quad, as_quad

# Shares below are of the card's width, the quad's longest side.
SEARCH_SHARE = 0.06  # the corners of a map of 64x64 pixels are rarely further off
_FINE_SHARE = 0.01  # how far off the first pass may be: a little slope, the shoulder of a blurred edge
_WINDOW_SHARE = 0.006  # what is compared on either side of a would-be edge: less than from the edge to the lettering
_ON_LINE_SHARE = 0.0025  # so far from the line a piece's edge may lie and still agree: paper lies so straight
_LEAST_WINDOW_PX = 2.0  # as blurred as edges in photographs are
_LEAST_BAND_PX = 4.0  # two windows
_LEAST_ON_LINE_PX = 0.75

_CELLS = 16  # pieces of a side that vote one by one: an object over a quarter of it takes a quarter of the votes
_PROFILES = 4  # per piece, over which texture averages out
_SAMPLES = 36  # per profile: 2 in a pixel of a card 150 pixels wide, 1 in 4 pixels of one of 1200
_FINE_SAMPLES = 24  # enough for a tenth of a pixel in 8: the vertex of a parabola is read between them
_GRID = 2  # samples between neighbouring ends of the lines that are tried
_CORNER_SHARE = 0.08  # of a side's length at each end that is not looked at: ID-1 corners are rounded over 6 %

_PROFILE_PLACES = np.linspace(_CORNER_SHARE, 1.0 - _CORNER_SHARE, _CELLS * _PROFILES)  # shares of a side's length
_PIECE_PLACES = _PROFILE_PLACES.reshape(_CELLS, _PROFILES).mean(axis=1)
_ENDS = np.stack([1.0 - _PIECE_PLACES, _PIECE_PLACES])  # what a side's start and end weigh in its pieces
_END_PRODUCTS = np.stack([_ENDS[0] ** 2, _ENDS[0] * _ENDS[1], _ENDS[1] ** 2], axis=1)
_OUTWARD = np.array([1.0, -1.0])

_NOISE_LEVELS = 1.0  # grey levels by which a sensor and JPEG make flat paper uneven
_TEXTURE = 0.25  # a step counts half where it is as high as the colours deviate on its two sides: paper on newsprint
_EVIDENCE = 0.4  # from which a piece agrees: a step 0.8 of that deviation; noise alone does not reach it
_AGREEMENT = 0.5  # of the visible pieces: what half a side does not show is not its edge
# Of the band. Two sides in full view without an edge: faint print on a sheet, whose clearest lines are its lettering.
_FAINT_REACH = 0.4


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


def refine_quad(image: RgbImage, quad: Quad, *, search_share: float = SEARCH_SHARE) -> Refinement:
    """Move the sides of a document's quad onto the edges that the picture shows near them.

    Profiles across each side are cut into pieces; at each place of a piece's profiles the evidence for an edge is
    how much of the colours' variance near it a step explains. Every line through the band then collects its
    pieces' evidence, less the nearer it comes to the band's end; the best is fitted once more, finely, and taken
    where at least half of the visible pieces agree. Evidence is bounded, so neither lettering nor an object,
    however black, outweighs a faint edge along the whole side. The cost does not depend on the picture's size.

    Args:
        image: (H, W, 3) uint8, RGB.
        quad: (4, 2) pixels (x, y) of that image; corners may lie outside it.
        search_share: how far a side may move at its ends, as a share of the quad's longest side. Lines lose
            evidence with the square of their distance, all of it at this one; 0 leaves the quad as it is.

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
    visible = _visible_pieces(image, given, band)
    evidence, _, places = _evidence(_profiles(image, given, band, _SAMPLES), visible, band, window)
    found = _shifted(given, _best_lines(evidence, places, visible, band, distrust=1.0))

    fine_band = max(_FINE_SHARE * card_width, _LEAST_BAND_PX) + window
    on_line = max(_ON_LINE_SHARE * card_width, _LEAST_ON_LINE_PX)
    strip = _profiles(image, found, fine_band, _FINE_SAMPLES)
    evidence, contrast, places = _evidence(strip, visible, fine_band, window)
    lines = _best_lines(evidence, places, visible, fine_band, distrust=0.0)
    lines, agreement, residual = _fit_lines(evidence, contrast, places, visible, lines, on_line)
    found = _shifted(found, lines)

    away = np.abs(((found - given) * _normals(given)[:, None]).sum(axis=2)).max(axis=1)
    moved = (agreement >= _AGREEMENT) & (away <= band)
    if np.count_nonzero(visible.any(axis=1) & (agreement < _AGREEMENT)) >= 2:
        moved &= away <= _FAINT_REACH * band
    refined = _meetings(np.where(moved[:, None, None], found, given))
    # Where neighbouring sides nearly line up, a little turn of one takes the corner far: such a view decides nothing.
    if refined is None or np.abs(refined - corners).max() > 2 * band or not moved.any():
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


def _normals(sides: np.ndarray) -> np.ndarray:
    """(4, 2) unit vectors that point out of the card: corners run clockwise as seen, y points down."""
    along = sides[:, 1] - sides[:, 0]
    return along[:, ::-1] * _OUTWARD / np.hypot(along[:, 0], along[:, 1])[:, None]


def _shifted(sides: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The sides with their start and end moved outward by (4, 2) pixels."""
    return sides + _normals(sides)[:, None] * offsets[..., None]


def _visible_pieces(image: RgbImage, sides: np.ndarray, band: float) -> np.ndarray:
    """(4, pieces) bool: of which pieces the picture shows half the band on either side.

    A card that the picture's border cuts off must not be drawn in to its lettering. Of a side that shows less than
    half of its pieces none counts.
    """
    outer = _PROFILE_PLACES.reshape(_CELLS, _PROFILES)[:, [0, -1], None]  # what lies between them shows as well
    feet = sides[:, None, None, 0] * (1.0 - outer) + sides[:, None, None, 1] * outer  # (4, pieces, 2, xy)
    across = (np.abs(_normals(sides)) * (band / 2))[:, None, None]
    last = np.array([image.shape[1] - 1.0, image.shape[0] - 1.0])
    seen = ((feet >= across) & (feet <= last - across)).all(axis=(2, 3))
    return seen & (seen.sum(axis=1, keepdims=True) >= _CELLS // 2)


def _profiles(image: RgbImage, sides: np.ndarray, band: float, samples: int) -> np.ndarray:
    """Colours across the sides from `band` pixels inside to `band` outside: (4 * pieces, profiles, samples, 3) uint8.

    Beyond the picture's border its last pixels go on, so the border is no edge.
    """
    rows = _CELLS * _PROFILES
    across = _normals(sides) * band
    # Row and column of the strip to the picture: the columns run across the side, the rows along it.
    matrices = np.empty((4, 2, 3))
    matrices[:, :, 0] = across * (2.0 / (samples - 1))
    matrices[:, :, 1] = (sides[:, 1] - sides[:, 0]) * ((1.0 - 2.0 * _CORNER_SHARE) / (rows - 1))
    matrices[:, :, 2] = sides[:, 0] + (sides[:, 1] - sides[:, 0]) * _CORNER_SHARE - across
    strips = np.empty((4, rows, samples, 3), np.uint8)
    for strip, matrix in zip(strips, matrices, strict=True):
        cv2.warpAffine(
            image,
            matrix,
            (samples, rows),
            dst=strip,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return strips.reshape(4 * _CELLS, _PROFILES, samples, 3)


def _evidence(
    strip: np.ndarray, visible: np.ndarray, band: float, window: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well a step explains the colours, for each piece and place between two samples.

    Returns:
        (4, pieces, K) float64 in [0, 1], 0 where nothing is visible; (4, pieces, K) the variance that the step
        explains, grey levels squared; and (K,) the places, pixels outward.
    """
    samples = strip.shape[2]
    colours = strip.reshape(4 * _CELLS, _PROFILES, samples * 3).astype(np.float32)
    mean = colours.sum(axis=1).reshape(4, _CELLS, samples, 3)
    square = np.square(colours, out=colours).sum(axis=1).reshape(4, _CELLS, samples, 3)
    step = 2.0 * band / (samples - 1)
    size = max(2, round(window / step))
    sums = np.zeros((4, 4, _CELLS, samples + 1))  # (colours and their square, side, piece, sample)
    np.cumsum(mean.transpose(3, 0, 1, 2), axis=3, out=sums[:3, ..., 1:])
    np.cumsum(square[..., 0] + square[..., 1] + square[..., 2], axis=2, out=sums[3, ..., 1:])
    windows = (sums[..., size:] - sums[..., :-size]) * (1.0 / (size * _PROFILES))
    variance = windows[3] - np.square(windows[:3]).sum(axis=0)
    within = (variance[..., :-size] + variance[..., size:]) * (_TEXTURE / 2) + 3 * _TEXTURE * _NOISE_LEVELS**2
    between = np.square(windows[:3, ..., :-size] - windows[:3, ..., size:]).sum(axis=0) * 0.25
    evidence = between / (between + within) * visible[..., None]
    places = (np.arange(evidence.shape[2]) + (size - 0.5)) * step - band
    return evidence, between, places


@lru_cache(maxsize=8)  # a few numbers of places: they follow from the card's width alone where that is small
def _line_table(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All lines through a band: the place at either end of the side, and the places they take in the pieces.

    Returns:
        (L,), (L,) indices of places, and (L, pieces) indices into an array (pieces, count), flat.
    """
    grid = np.arange(0, count, _GRID)
    start, end = (places.ravel() for places in np.meshgrid(grid, grid, indexing="ij"))
    taken = np.rint(start[:, None] + (end - start)[:, None] * _PIECE_PLACES).astype(np.intp)
    return start, end, taken + np.arange(_CELLS) * count


def _best_lines(
    evidence: np.ndarray, places: np.ndarray, visible: np.ndarray, band: float, *, distrust: float
) -> np.ndarray:
    """(4, 2) pixels: where the line with the most evidence per piece leaves each side's ends.

    `distrust` is the evidence that a line loses at the distance `band`; it grows with the square.
    """
    start, end, table = _line_table(len(places))
    nearby = evidence.copy()  # a line may pass a sample beside the edge
    np.maximum(nearby[..., 1:], evidence[..., :-1], out=nearby[..., 1:])
    np.maximum(nearby[..., :-1], evidence[..., 1:], out=nearby[..., :-1])
    votes = nearby.reshape(4, -1).take(table, axis=1).sum(axis=2) / np.maximum(visible.sum(axis=1), 1)[:, None]
    if distrust:
        a, b = places[start] / band, places[end] / band
        votes -= distrust / 3 * (a * a + a * b + b * b)  # mean square along the line
    best = votes.argmax(axis=1)
    return np.stack([places[start[best]], places[end[best]]], axis=1)


def _fit_lines(
    evidence: np.ndarray,
    contrast: np.ndarray,
    places: np.ndarray,
    visible: np.ndarray,
    lines: np.ndarray,
    on_line: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit the lines to their pieces' edges, each found to a fraction of a sample.

    Returns:
        (4, 2) pixels, (4,) share of the visible pieces that agree, (4,) root mean square of their distances, pixels.
    """
    line = lines @ _ENDS  # (4, pieces)
    near = np.abs(places - line[..., None]) <= 2 * on_line
    # Where: at the highest step. The evidence of a blurred edge is as good on its shoulders.
    peak = (contrast * near).argmax(axis=2).clip(2, len(places) - 3)
    flat = peak + np.arange(0, contrast.size, len(places)).reshape(peak.shape)
    left, top, right = (contrast.take(flat + k) for k in (-2, 0, 2))
    apex = ((left - right) / np.minimum(left - 2 * top + right, -1e-9)).clip(-1.0, 1.0)  # of the parabola, in places
    edge = places[peak] + apex * (places[1] - places[0])
    strong = visible & (evidence.take(flat) >= _EVIDENCE)
    for _ in range(3):
        # Tukey's weights; then the normal equations of a line by its height at both ends, solved by Cramer's rule.
        weight = strong * np.square(np.maximum(0.0, 1.0 - np.square((edge - line) / (2 * on_line))))
        aa, ab, bb = (weight @ _END_PRODUCTS).T
        aa, bb = aa + 1e-9, bb + 1e-9
        a, b = ((weight * edge) @ _ENDS.T).T
        lines = np.stack([bb * a - ab * b, aa * b - ab * a], axis=1) / (aa * bb - ab * ab)[:, None]
        line = lines @ _ENDS
    off = edge - line
    agreeing = strong & (np.abs(off) <= on_line)
    count = agreeing.sum(axis=1)
    residual = np.sqrt((agreeing * off * off).sum(axis=1) / np.maximum(count, 1))
    return lines, count / np.maximum(visible.sum(axis=1), 1), residual


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
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
