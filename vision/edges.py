"""Where a picture shows edges across the sides of a quad: colours, evidence, the line fitted to it.

Stands apart from the refinement, which decides what to believe.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from unetlite.vision.image import RgbImage

CELLS = 16  # pieces of a side that vote one by one: an object over a quarter of it takes a quarter of the votes
PIECE_PLACES = np.linspace(0.1, 0.9, CELLS)  # shares of a side's length; its ends go: ID-1 corners are rounded over 6 %
_PIECE_SHARE = 0.8 / (CELLS - 1)
_ENDS = np.stack([1.0 - PIECE_PLACES, PIECE_PLACES])  # what a side's start and end weigh in its pieces
_END_PRODUCTS = np.stack([_ENDS[0] ** 2, _ENDS[0] * _ENDS[1], _ENDS[1] ** 2], axis=1)
_OUTWARD = np.array([1.0, -1.0])

_GRID = 2  # samples between neighbouring ends of the lines that are tried
_ROW_OF_THREE = np.ones((1, 3), np.uint8)
_ONES = np.ones(CELLS, np.float32)

_NOISE_LEVELS = 1.0  # grey levels by which a sensor and JPEG make flat paper uneven
_TEXTURE = 0.25  # a step counts half where it is as high as the colours deviate on its two sides: paper on newsprint
_EVIDENCE = 0.4  # from which a piece agrees: a step 0.8 of that deviation; noise alone does not reach it


def normals(sides: np.ndarray) -> np.ndarray:
    """(4, 2) unit vectors out of the card; `sides` (4, 2, 2) from start to end, clockwise as seen, y down."""
    along = sides[:, 1] - sides[:, 0]
    return along[:, ::-1] * _OUTWARD / np.hypot(along[:, 0], along[:, 1])[:, None]


def piece_feet(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(..., pieces, xy) where the pieces of sides lie; `starts` and `ends` (..., xy)."""
    along = PIECE_PLACES[:, None]
    return starts[..., None, :] * (1.0 - along) + ends[..., None, :] * along


def visible_pieces(image: RgbImage, sides: np.ndarray, band: float) -> np.ndarray:
    """(4, pieces) bool: of which pieces the picture shows half the band on either side.

    A card that the picture's border cuts off must not be drawn in to its lettering. Of a side that shows less than
    half of its pieces none counts.
    """
    last = np.array([image.shape[1] - 1.0, image.shape[0] - 1.0])
    if (sides[:, 0] >= band).all() and (sides[:, 0] <= last - band).all():
        return np.ones((4, CELLS), bool)
    outer = PIECE_PLACES[:, None, None] + [[-_PIECE_SHARE / 2], [_PIECE_SHARE / 2]]  # what lies between shows as well
    feet = sides[:, None, None, 0] * (1.0 - outer) + sides[:, None, None, 1] * outer  # (4, pieces, 2, xy)
    across = (np.abs(normals(sides)) * (band / 2))[:, None, None]
    seen = ((feet >= across) & (feet <= last - across)).all(axis=(2, 3))
    return seen & (seen.sum(axis=1, keepdims=True) >= CELLS // 2)


def profiles(image: RgbImage, sides: np.ndarray, band: float, samples: int, per_piece: int) -> np.ndarray:
    """Colours across the sides from `band` pixels inside to `band` outside: (rows of all sides, samples, 3).

    Each piece has as many profiles, over which texture averages out. Beyond the picture's border its last pixels go on,
    so the border is no edge.
    """
    rows = CELLS * per_piece
    across = normals(sides) * band
    along = sides[:, 1] - sides[:, 0]
    step = _PIECE_SHARE / per_piece
    # Row and column of the strip to the picture: the columns run across the side, the rows along it.
    matrices = np.empty((4, 2, 3))
    matrices[:, :, 0] = across * (2.0 / (samples - 1))
    matrices[:, :, 1] = along * step
    matrices[:, :, 2] = sides[:, 0] + along * (PIECE_PLACES[0] - _PIECE_SHARE / 2 + step / 2) - across
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
    return strips.reshape(4 * rows, samples, 3)


def edge_evidence(
    strip: np.ndarray, visible: np.ndarray, band: float, window: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well a step explains the colours, for each piece and place between two samples.

    Args:
        strip: from `profiles`.
        visible: (4, pieces) bool; no evidence elsewhere.
        band: pixels, of the strip.
        window: pixels on either side of a place that are compared.

    Returns:
        (4, pieces, K) float32 in [0, 1], 0 where nothing is visible; (4, pieces, K) the variance that the step
        explains, grey levels squared; and (K,) the places, pixels outward.
    """
    rows, samples = strip.shape[:2]
    per_piece = rows // (4 * CELLS)
    step = 2.0 * band / (samples - 1)
    size = max(2, round(window / step))
    colours = strip.astype(np.float32)
    squares = cv2.transform(colours * colours, np.ones((1, 3), np.float32))
    mean, square = (_sums(each.reshape(4 * CELLS, per_piece, -1)) for each in (colours, squares))
    mean = mean.reshape(4 * CELLS, samples, 3)
    shape = (4, CELLS, samples - size + 1)
    windows, places = (size, 1), slice(shape[2])  # from each sample on, as many as fit
    mean = cv2.boxFilter(mean, cv2.CV_32F, windows, anchor=(0, 0))[:, places].reshape(*shape, 3)
    square = cv2.boxFilter(square, cv2.CV_32F, windows, anchor=(0, 0))[:, places].reshape(shape)
    mean, square = mean * np.float32(1 / per_piece), square * np.float32(1 / per_piece)
    variance = square - np.einsum("spkc,spkc->spk", mean, mean)
    apart = mean[..., size:, :] - mean[..., :-size, :]
    between = np.einsum("spkc,spkc->spk", apart, apart) * np.float32(0.25)
    within = (variance[..., :-size] + variance[..., size:]) * np.float32(_TEXTURE / 2)
    evidence = between / (between + within + np.float32(3 * _TEXTURE * _NOISE_LEVELS**2)) * visible[..., None]
    return evidence, between, (np.arange(evidence.shape[2]) + (size - 0.5)) * step - band


def _sums(profiles_of: np.ndarray) -> np.ndarray:
    """Over a piece's profiles, (pieces, two or more, N): so few that adding them one by one is faster than `sum`."""
    total = profiles_of[:, 0] + profiles_of[:, 1]
    for number in range(2, profiles_of.shape[1]):
        total += profiles_of[:, number]
    return total


@lru_cache(maxsize=8)  # a few numbers of places: they follow from the card's width alone where that is small
def line_table(count: int) -> tuple[np.ndarray, np.ndarray]:
    """All lines through a band: (L, 2) the place at either end of the side, and (L, pieces) indices into an array
    (pieces, count), flat, of the places that they take in the pieces."""
    grid = np.arange(0, count, _GRID)
    ends = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    taken = np.rint(ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * PIECE_PLACES).astype(np.intp)
    return ends, taken + np.arange(CELLS) * count


def line_offsets(places: np.ndarray) -> np.ndarray:
    """(L, 2) pixels outward of the lines of the table at either end."""
    return places[line_table(len(places))[0]]


def line_votes(evidence: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(4, L) evidence per visible piece of each line of the table."""
    count = evidence.shape[2]
    nearby = cv2.dilate(evidence.reshape(-1, count), _ROW_OF_THREE)  # a line may pass a sample beside the edge
    # Clipping never happens: no index is beyond the pieces. It spares a check of each.
    votes = nearby.reshape(4, -1).take(line_table(count)[1], axis=1, mode="clip") @ _ONES
    return votes / np.maximum(visible.sum(axis=1), 1)[:, None]


def line_distrust(places: np.ndarray, band: float) -> np.ndarray:
    """(L,) votes that a line loses: the mean square along it of the distance, as a share of the band."""
    a, b = (line_offsets(places) / band).T
    return (a * a + a * b + b * b) / 3


def fit_lines(
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
    peak = np.minimum(np.maximum((contrast * near).argmax(axis=2), 2), len(places) - 3)
    flat = peak + np.arange(0, contrast.size, len(places)).reshape(peak.shape)
    left, top, right = (contrast.take(flat + k) for k in (-2, 0, 2))
    apex = (left - right) / np.minimum(left - 2 * top + right, -1e-9)  # of the parabola, in places
    edge = places[peak] + np.minimum(np.maximum(apex, -1.0), 1.0) * (places[1] - places[0])
    strong = visible & (evidence.take(flat) >= _EVIDENCE)
    for _ in range(2):
        # Tukey's weights; then the normal equations of a line by its height at both ends.
        weight = strong * np.square(np.maximum(0.0, 1.0 - np.square((edge - line) / (2 * on_line))))
        products, heights = (weight @ _END_PRODUCTS).tolist(), ((weight * edge) @ _ENDS.T).tolist()
        lines = np.array([_solved(*of_side, *ends) for of_side, ends in zip(products, heights, strict=True)])
        line = lines @ _ENDS
    off = edge - line
    agreeing = strong & (np.abs(off) <= on_line)
    count = agreeing.sum(axis=1)
    residual = np.sqrt((agreeing * off * off).sum(axis=1) / np.maximum(count, 1))
    return lines, count / np.maximum(visible.sum(axis=1), 1), residual


def _solved(aa: float, ab: float, bb: float, a: float, b: float) -> tuple[float, float]:
    """The unknowns of two equations by Cramer's rule; zeros where there is nothing to say."""
    aa, bb = aa + 1e-9, bb + 1e-9
    determinant = aa * bb - ab * ab
    return (bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant
