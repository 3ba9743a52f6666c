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
from unetlite.vision.quad import Quad, as_quad

# Shares below are of the card's width, the quad's longest side.
SEARCH_SHARE = 0.06  # the corners of a map of 64x64 pixels are rarely further off
_FINE_SHARE = 0.01  # how far off the first pass may be: a little slope, the shoulder of a blurred edge
_WINDOW_SHARE = 0.006  # what is compared on either side of a would-be edge: less than from the edge to the lettering
_ON_LINE_SHARE = 0.0025  # so far from the line a piece's edge may lie and still agree: paper lies so straight
_LEAST_WINDOW_PX = 2.0  # as blurred as edges in photographs are
_LEAST_BAND_PX = 4.0  # two windows
_LEAST_ON_LINE_PX = 0.75

_CELLS = 16  # pieces of a side that vote one by one: an object over a quarter of it takes a quarter of the votes
_PROFILES = 6  # per piece, over which texture averages out
_SAMPLES = 48  # per profile: 2 in a pixel of a card 200 pixels wide, 1 in 3 pixels of one of 1200
_FINE_SAMPLES = 32  # enough for a tenth of a pixel in 8: the vertex of a parabola is read between them
_GRID = 2  # samples between neighbouring ends of the lines that are tried
_CORNER_SHARE = 0.08  # of a side's length at each end that is not looked at: ID-1 corners are rounded over 6 %

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
    given = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)  # (side, start and end, xy)
    card_width = float(np.linalg.norm(given[:, 1] - given[:, 0], axis=1).max())
    band = search_share * card_width
    if band < _LEAST_BAND_PX:
        return _unmoved(corners)

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
    if (visible.any(axis=1) & (agreement < _AGREEMENT)).sum() >= 2:
        moved &= away <= _FAINT_REACH * band
    refined = _meetings(np.where(moved[:, None, None], found, given))
    # Where neighbouring sides nearly line up, a little turn of one takes the corner far: such a view decides nothing.
    if refined is None or np.abs(refined - corners).max() > 2 * band or not moved.any():
        return _unmoved(corners, agreement)
    first = int(np.argmin(refined.sum(axis=1)))  # of a card turned by 45 degrees another corner may now come first
    moved, agreement, residual = (np.roll(a, -first) for a in (moved, agreement, np.where(moved, residual, np.nan)))
    return Refinement(
        np.roll(refined, -first, axis=0).astype(np.float32),
        tuple(moved.tolist()),
        tuple(agreement.tolist()),
        tuple(residual.tolist()),
    )


def _unmoved(corners: np.ndarray, agreement: np.ndarray | None = None) -> Refinement:
    shares = (0.0,) * 4 if agreement is None else tuple(agreement.tolist())
    return Refinement(corners.astype(np.float32), (False,) * 4, shares, (float("nan"),) * 4)


def _normals(sides: np.ndarray) -> np.ndarray:
    """(4, 2) unit vectors that point out of the card: corners run clockwise as seen, y points down."""
    along = sides[:, 1] - sides[:, 0]
    return np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1)[:, None]


def _shifted(sides: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The sides with their start and end moved outward by (4, 2) pixels."""
    return sides + _normals(sides)[:, None] * offsets[..., None]


@lru_cache(maxsize=1)
def _along() -> np.ndarray:
    """(pieces, profiles) shares of a side's length."""
    return np.linspace(_CORNER_SHARE, 1.0 - _CORNER_SHARE, _CELLS * _PROFILES).reshape(_CELLS, _PROFILES)


def _feet(sides: np.ndarray) -> np.ndarray:
    """(4, pieces * profiles, 2) where the profiles cross the sides."""
    along = _along().ravel()[:, None]
    return sides[:, None, 0] * (1.0 - along) + sides[:, None, 1] * along


def _visible_pieces(image: RgbImage, sides: np.ndarray, band: float) -> np.ndarray:
    """(4, pieces) bool: of which pieces the picture shows half the band on either side.

    A card that the picture's border cuts off must not be drawn in to its lettering. Of a side that shows less than
    half of its pieces none counts.
    """
    feet, across = _feet(sides), _normals(sides)[:, None] * (band / 2)
    last = np.array([image.shape[1] - 1.0, image.shape[0] - 1.0])
    ends = np.stack([feet - across, feet + across])
    seen = ((ends >= 0) & (ends <= last)).all(axis=(0, 3)).reshape(4, _CELLS, _PROFILES).all(axis=2)
    return seen & (seen.sum(axis=1, keepdims=True) >= _CELLS // 2)


def _profiles(image: RgbImage, sides: np.ndarray, band: float, samples: int) -> np.ndarray:
    """Colours across the sides from `band` pixels inside to `band` outside: (4 * pieces, profiles, samples, 3) float32.

    Beyond the picture's border its last pixels go on, so the border is no edge.
    """
    reach = np.linspace(-1.0, 1.0, samples, dtype=np.float32)[:, None]
    across = (_normals(sides) * band).astype(np.float32)[:, None, None]
    points = _feet(sides).astype(np.float32)[:, :, None] + across * reach  # (4, P, N, 2)
    maps = points.reshape(-1, samples, 2), np.empty(0, np.float32)  # x and y lie together in the first
    strip = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return strip.reshape(4 * _CELLS, _PROFILES, samples, 3).astype(np.float32)


def _evidence(
    strip: np.ndarray, visible: np.ndarray, band: float, window: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well a step explains the colours, for each piece and place between two samples.

    Returns:
        (4, pieces, K) float64 in [0, 1], 0 where nothing is visible; (4, pieces, K) the variance that the step
        explains, grey levels squared; and (K,) the places, pixels outward.
    """
    samples = strip.shape[2]
    flat = strip.reshape(4 * _CELLS, _PROFILES, samples * 3)
    mean = flat.mean(axis=1).reshape(4, _CELLS, samples, 3)
    square = np.einsum("cpn,cpn->cn", flat, flat).reshape(4, _CELLS, samples, 3).sum(axis=3) / _PROFILES
    step = 2.0 * band / (samples - 1)
    size = max(2, round(window / step))
    sums = np.zeros((4, 4, _CELLS, samples + 1))  # (colours and their square, side, piece, sample)
    np.cumsum(np.moveaxis(mean, 3, 0), axis=3, out=sums[:3, ..., 1:])
    np.cumsum(square, axis=2, out=sums[3, ..., 1:])
    windows = (sums[..., size:] - sums[..., :-size]) / size
    variance = windows[3] - (windows[:3] ** 2).sum(axis=0)
    within = (variance[..., :-size] + variance[..., size:]) / 2 + 3 * _NOISE_LEVELS**2
    between = ((windows[:3, ..., :-size] - windows[:3, ..., size:]) ** 2).sum(axis=0) / 4
    evidence = between / (between + _TEXTURE * within) * visible[..., None]
    places = (np.arange(evidence.shape[2]) + size - 0.5) * step - band
    return evidence, between, places


@lru_cache(maxsize=8)  # a few numbers of places: they follow from the card's width alone where that is small
def _line_table(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All lines through a band: the place at either end of the side, and the places they take in the pieces.

    Returns:
        (L,), (L,) indices of places, and (L, pieces) indices into an array (pieces, count), flat.
    """
    grid = np.arange(0, count, _GRID)
    start, end = (places.ravel() for places in np.meshgrid(grid, grid, indexing="ij"))
    taken = np.rint(start[:, None] + (end - start)[:, None] * _along().mean(axis=1)).astype(np.intp)
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
    votes = nearby.reshape(4, -1).T.take(table, axis=0).sum(axis=1) / np.maximum(visible.sum(axis=1), 1)  # (L, 4)
    a, b = places[start] / band, places[end] / band
    votes -= distrust * ((a * a + a * b + b * b) / 3)[:, None]  # mean square along the line
    best = votes.argmax(axis=0)
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
    design = np.stack([1.0 - _along().mean(axis=1), _along().mean(axis=1)], axis=1)  # (pieces, start and end)
    line = lines @ design.T  # (4, pieces)
    near = np.abs(places - line[..., None]) <= 2 * on_line
    # Where: at the highest step. The evidence of a blurred edge is as good on its shoulders.
    peak = np.clip(np.where(near, contrast, -1.0).argmax(axis=2), 2, len(places) - 3)[..., None]
    left, top, right = (np.take_along_axis(contrast, peak + k, axis=2)[..., 0] for k in (-2, 0, 2))
    apex = np.clip((left - right) / np.minimum(left - 2 * top + right, -1e-9), -1.0, 1.0)  # of the parabola, in places
    edge = places[peak[..., 0]] + apex * (places[1] - places[0])
    strong = visible & (np.take_along_axis(evidence, peak, axis=2)[..., 0] >= _EVIDENCE)
    for _ in range(3):
        weight = strong * np.maximum(0.0, 1.0 - ((edge - line) / (2 * on_line)) ** 2) ** 2
        normal = np.einsum("ci,kc,cj->kij", design, weight, design) + 1e-9 * np.eye(2)
        lines = np.linalg.solve(normal, np.einsum("ci,kc->ki", design, weight * edge)[..., None])[..., 0]
        line = lines @ design.T
    agreeing = strong & (np.abs(edge - line) <= on_line)
    count = agreeing.sum(axis=1)
    residual = np.sqrt((agreeing * (edge - line) ** 2).sum(axis=1) / np.maximum(count, 1))
    return lines, count / np.maximum(visible.sum(axis=1), 1), residual


def _meetings(sides: np.ndarray) -> np.ndarray | None:
    """(4, 2) where each side meets the one before it; None where that is no convex shape, clockwise as seen."""
    start, along = sides[:, 0], sides[:, 1] - sides[:, 0]
    before, before_along = np.roll(start, 1, axis=0), np.roll(along, 1, axis=0)
    turns = _cross(before_along, along)
    if (turns <= 0).any():
        return None
    corners = before + before_along * (_cross(start - before, along) / turns)[:, None]
    along = np.roll(corners, -1, axis=0) - corners
    return corners if (_cross(np.roll(along, 1, axis=0), along) > 0).all() else None


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
