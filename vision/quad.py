"""Four corners: from outline points to a quad, from a quad to a flat crop.

Stands apart from the network: whatever draws the outline, the sides are fitted to it as straight lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from unetlite.vision.contract import DOCUMENT_FORMATS
from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.image import RgbImage

Quad = np.ndarray  # (4, 2) float32 xy pixels, clockwise as seen, pixel centres at integers
_Point = tuple[float, float]
_Line = tuple[_Point, _Point]  # a point of it, and the unit vector along it

# Shares of the outline's diagonal: how far from a side a point may lie and still speak for it, pass by pass.
# The first must hold a rough hypothesis, the last leaves out rounded corners' ends and a finger's bite.
_BANDS = (0.04, 0.015)
_CORNER_SHARE = 0.08  # of a side's length at each end that is not fitted: ID-1 corners are rounded over 6 %
_FOUR_SHARE = 0.02  # of the outline's length
_MIN_POINTS = 6  # fewer cannot outvote the hypothesis
_LEAST_SINE = 0.05  # under 3 degrees apart two sides meet in no corner of a card

_STANDING = 1.1  # of the width: nearer to a square nothing says which side is the long one
_ASPECTS = tuple(form.size_mm[0] / form.size_mm[1] for form in DOCUMENT_FORMATS)
_NEAR_FORMAT = 0.08  # of the aspect's logarithm: so far off a card tilted by 25 degrees is seen

NEXT = np.array([1, 2, 3, 0])  # the corner or side after each; indexing takes a tenth of np.roll's time
BEFORE = np.array([3, 0, 1, 2])
_ROLLED = (np.arange(4) + np.arange(4)[:, None]) % 4


def as_quad(points: object) -> Quad:
    """Four finite points as a quad, clockwise from the top-left as seen in the image.

    Raises:
        InvalidQuadError: not four points, not finite, no area, or not convex.
    """
    try:
        quad = np.asarray(points, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidQuadError(f"expected four corners [x, y], got {points!r:.80}") from error
    if quad.shape != (4, 2):
        raise InvalidQuadError(f"expected four corners [x, y], got an array of shape {quad.shape}")
    if not np.isfinite(quad).all():
        raise InvalidQuadError(f"expected four finite corners, got {quad.tolist()}")
    corners = quad.tolist()
    at_corners = turns(corners)
    if not (min(at_corners) > 0 or max(at_corners) < 0):
        raise InvalidQuadError(f"expected four corners of a convex shape with an area, got {corners}")
    return _ordered(corners, at_corners)


def order_corners(quad: np.ndarray) -> Quad:
    """The same convex corners, clockwise as seen, beginning with the one nearest the image's top-left direction."""
    corners = np.asarray(quad, np.float64).tolist()
    return _ordered(corners, turns(corners))


def _ordered(corners: list[list[float]], at_corners: list[float]) -> Quad:
    if sum(at_corners) < 0:  # y points down: positive cross products turn clockwise as seen
        corners.reverse()
    sums = [x + y for x, y in corners]
    first = sums.index(min(sums))
    return np.array(corners[first:] + corners[:first], np.float32)


def turns(corners: list[list[float]]) -> list[float]:
    """Of a polygon, at each corner, the cross product of the sides beside it: positive clockwise, as seen."""
    sides = [(qx - px, qy - py) for (px, py), (qx, qy) in zip(corners, corners[1:] + corners[:1], strict=True)]
    return [ux * vy - uy * vx for (ux, uy), (vx, vy) in zip(sides, sides[1:] + sides[:1], strict=True)]


def fit_quad(points: np.ndarray) -> Quad | None:
    """Fit four straight sides to the outline of a card.

    The convex hull is reduced to four sides by extending, time and again, the two neighbours of the side whose
    loss adds the least area; so rounded or cut corners become sharp ones. Each side is then fitted by least squares
    to the outline points near its middle part, in two narrowing passes; a bite taken by a finger comes to lie
    outside the band and has no vote.

    Args:
        points: (N, 2) xy, unordered.

    Returns:
        (4, 2) float32, clockwise as seen from the top-left; None where the points enclose no four-sided area.
    """
    if len(points) < 4:
        return None
    points = np.asarray(points, np.float64)
    hull = cv2.convexHull(points.astype(np.float32))
    length = cv2.arcLength(hull, True)
    quad = cv2.approxPolyDP(hull, _FOUR_SHARE * length, True)[:, 0]
    if len(quad) != 4:
        # A tenth of the hull's corners, same sides.
        collapsed = _collapse_to_four(cv2.approxPolyDP(hull, 0.001 * length, True)[:, 0])
        if collapsed is None:
            return None
        quad = collapsed
    diagonal = float(np.linalg.norm(np.ptp(points, axis=0)))
    try:
        return as_quad(fit_sides(quad, points, [band * diagonal for band in _BANDS]))
    except InvalidQuadError:
        return None


def _collapse_to_four(hull: np.ndarray) -> np.ndarray | None:
    corners = [(x, y) for x, y in hull.tolist()]
    costs = [_loss(corners, i) for i in range(len(corners))]
    while len(corners) > 4:
        _, i, apex = min((cost[0], i, cost[1]) for i, cost in enumerate(costs))
        if apex is None:
            return None
        count = len(corners)
        corners[i] = apex
        del corners[(i + 1) % count], costs[(i + 1) % count]
        if i == count - 1:  # the corner that went was the first: those after it moved up
            i -= 1
        for k in (i - 2, i - 1, i, i + 1):  # only the sides about the new corner cost something else now
            costs[k % (count - 1)] = _loss(corners, k % (count - 1))
    return np.array(corners) if len(corners) == 4 else None


def _loss(corners: list[tuple[float, float]], i: int) -> tuple[float, tuple[float, float] | None]:
    """What the loss of the side from corner i adds, in double areas, and the corner that takes its place."""
    start, end = corners[i], corners[(i + 1) % len(corners)]
    apex = _meeting(corners[i - 1], start, end, corners[(i + 2) % len(corners)])
    if apex is None:
        return math.inf, None
    return abs((end[0] - start[0]) * (apex[1] - start[1]) - (end[1] - start[1]) * (apex[0] - start[0])), apex


def _meeting(
    before: tuple[float, float], start: tuple[float, float], end: tuple[float, float], after: tuple[float, float]
) -> tuple[float, float] | None:
    """Where the neighbours of the side start->end meet when both are drawn beyond it; None where they part."""
    ax, ay = start[0] - before[0], start[1] - before[1]
    bx, by = end[0] - after[0], end[1] - after[1]
    determinant = ax * by - ay * bx
    if abs(determinant) < 1e-12:
        return None
    dx, dy = end[0] - start[0], end[1] - start[1]
    t = (dx * by - dy * bx) / determinant
    u = (dx * ay - dy * ax) / determinant
    return (start[0] + t * ax, start[1] + t * ay) if t >= -1e-9 and u >= -1e-9 else None


def fit_sides(quad: np.ndarray, points: np.ndarray, bands: Sequence[float]) -> np.ndarray:
    """Fit a quad's sides to the points beside their middle parts by least squares of the distances, pass by pass.

    Args:
        quad: (4, 2) convex, clockwise as seen.
        points: (N, 2) xy, unordered.
        bands: per pass, how far from its side a point may lie; a side with too few points stays.

    Returns:
        (4, 2) float64 where the sides meet; of the pass before, where two sides became parallel.
    """
    origin = points.sum(axis=0) / len(points)
    moments = np.empty((6, len(points)))  # sums of 1, x, y, xx, xy and yy
    moments[0] = 1.0
    moments[1:3] = (points - origin).T
    moments[3:5] = moments[1] * moments[1:3]
    moments[5] = moments[2] * moments[2]
    # Of four sides plain numbers: they cost a tenth of arrays of four.
    corners: list[_Point] = [(px, py) for px, py in (np.asarray(quad, np.float64) - origin).tolist()]
    for band in bands:
        ends = [*corners[1:], corners[0]]
        lengths = [math.dist(start, end) for start, end in zip(corners, ends, strict=True)]
        if min(lengths) < 1e-6:
            break
        sides: list[_Line] = [
            ((px, py), ((qx - px) / d, (qy - py) / d))
            for (px, py), (qx, qy), d in zip(corners, ends, lengths, strict=True)
        ]
        along = [  # 0 at a side's start, 1 at its end
            (-(ux * px + uy * py) / d, ux / d, uy / d)
            for ((px, py), (ux, uy)), d in zip(sides, lengths, strict=True)
        ]
        across = [(uy * px - ux * py, -uy, ux) for (px, py), (ux, uy) in sides]
        places = np.array([*along, *across]) @ moments[:3]  # (8, N)
        near = (np.abs(places[:4] - 0.5) < 0.5 - _CORNER_SHARE) & (np.abs(places[4:]) < band)
        sums = (near @ moments.T).tolist()
        lines = [_line_through(of_side) or side for of_side, side in zip(sums, sides, strict=True)]
        met = [_crossing(lines[i - 1], lines[i]) for i in range(4)]
        found = [point for point in met if point is not None]
        if len(found) < 4:
            break
        corners = found
    return np.array(corners) + origin


def _line_through(sums: Sequence[float]) -> _Line | None:
    """The line by least squares through points of which these are the sums of 1, x, y, xx, xy and yy."""
    count = sums[0]
    if count < _MIN_POINTS:
        return None
    mx, my, mxx, mxy, myy = (value / count for value in sums[1:])
    # Through the mean, along the larger axis of the scatter.
    angle = 0.5 * math.atan2(2.0 * (mxy - mx * my), mxx - mx * mx - (myy - my * my))
    return (mx, my), (math.cos(angle), math.sin(angle))


def _crossing(one: _Line, other: _Line) -> _Point | None:
    """Where two lines meet; None where they are nearly parallel."""
    ((px, py), (ux, uy)), ((qx, qy), (vx, vy)) = one, other
    sine = ux * vy - uy * vx
    if abs(sine) < _LEAST_SINE:
        return None
    share = ((qx - px) * vy - (qy - py) * vx) / sine
    return px + share * ux, py + share * uy


def polygon_area(polygon: np.ndarray) -> float:
    """Area in square pixels of a simple polygon (N, 2)."""
    x, y = np.asarray(polygon, np.float64).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2.0


def quad_mask(quad: Quad, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, True where a pixel's centre lies inside the quad or on its outline."""
    # cv2.fillPoly also paints the pixels that the outline touches: half a pixel too many on every side.
    height, width = shape_hw
    corners = order_corners(quad).astype(np.float64)
    (x0, y0), (dx, dy) = corners.T, (corners[NEXT] - corners).T
    rows = dx[:, None] * (np.arange(height) - y0[:, None])
    columns = dy[:, None] * (np.arange(width) - x0[:, None])
    return np.logical_and.reduce(rows[:, :, None] >= columns[:, None])


def crop_quad(image: RgbImage, quad: Quad) -> RgbImage:
    """Flatten the document inside `quad` to a rectangle that lies as cards are read: on its long side.

    A document that stands on its short side in the image is turned clockwise by a quarter. Four corners do not say
    whether it then stands on its head, nor that an open passport, which has the form of its own page, is read standing.

    Args:
        image: (H, W, 3) uint8, RGB.
        quad: (4, 2) float32 pixels (x, y), clockwise from top-left; corners may lie outside the image.

    Returns:
        (h, w, 3) uint8; the long side follows the longer of its two in the image, the short one a known format
        (`DOCUMENT_FORMATS`) that is within 8 %, else the image too. What lies outside the image is black.

    Raises:
        InvalidQuadError: the quad has no area or is not convex.

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., ch. 4.
    """
    corners = as_quad(quad)
    sides = np.linalg.norm(corners[NEXT] - corners, axis=1).astype(float)
    if sides[1] + sides[3] > _STANDING * (sides[0] + sides[2]):
        corners, sides = corners[BEFORE], sides[BEFORE]  # its left side becomes the top
    width, height = max(sides[0], sides[2]), max(sides[1], sides[3])
    aspect = (sides[0] + sides[2]) / (sides[1] + sides[3])
    known = min(_ASPECTS, key=lambda form: abs(math.log(aspect / form)))
    if abs(math.log(aspect / known)) < _NEAR_FORMAT:
        height = width / known
    w, h = max(1, round(width)), max(1, round(height))
    # The quad runs along the document's outer edge: output pixel 0's outer edge lies at -0.5.
    target = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]], np.float32)
    return cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, target), (w, h), flags=cv2.INTER_LINEAR)
