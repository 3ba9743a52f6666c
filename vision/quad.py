"""Four corners: from outline points to a quad, from a quad to a flat crop.

Stands apart from the network: whatever draws the outline, the sides are fitted to it as straight lines.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.image import RgbImage

Quad = np.ndarray  # (4, 2) float32 xy pixels, clockwise as seen, pixel centres at integers

# Shares of the outline's diagonal: how far from a side a point may lie and still speak for it, pass by pass.
# The first must hold a rough hypothesis, the last leaves out rounded corners' ends and a finger's bite.
_BANDS = (0.05, 0.025, 0.015)
_CORNER_SHARE = 0.08  # of a side's length at each end that is not fitted: ID-1 corners are rounded over 6 %
_MIN_POINTS = 6  # fewer cannot outvote the hypothesis


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
    turns = _turns(quad)
    if not ((turns > 0).all() or (turns < 0).all()):
        raise InvalidQuadError(f"expected four corners of a convex shape with an area, got {quad.tolist()}")
    return order_corners(quad)


def order_corners(quad: np.ndarray) -> Quad:
    """The same convex corners, clockwise as seen, beginning with the one nearest the image's top-left direction."""
    quad = np.asarray(quad, np.float64)
    if _turns(quad).sum() < 0:  # y points down: positive cross products turn clockwise as seen
        quad = quad[::-1]
    return np.roll(quad, -int(np.argmin(quad.sum(axis=1))), axis=0).astype(np.float32)


def _turns(quad: np.ndarray) -> np.ndarray:
    sides = np.roll(quad, -1, axis=0) - quad
    following = np.roll(sides, -1, axis=0)
    return sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]


def fit_quad(points: np.ndarray) -> Quad | None:
    """Fit four straight sides to the outline of a card.

    The convex hull is reduced to four sides by extending, time and again, the two neighbours of the side whose
    loss adds the least area; so rounded or cut corners become sharp ones. Each side is then fitted by least squares
    to the outline points near its middle part, in three narrowing passes; a bite taken by a finger comes to lie
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
    hull = cv2.approxPolyDP(hull, 0.001 * cv2.arcLength(hull, True), True)  # a tenth of the corners, same sides
    quad = _collapse_to_four(hull[:, 0])
    if quad is None:
        return None
    diagonal = float(np.linalg.norm(np.ptp(points, axis=0)))
    for band in _BANDS:
        fitted = _fit_sides(quad, points, band * diagonal)
        if fitted is None:
            break  # two sides became parallel: the pass before is the answer
        quad = fitted
    try:
        return as_quad(quad)
    except InvalidQuadError:
        return None


def _collapse_to_four(hull: np.ndarray) -> np.ndarray | None:
    corners: list[tuple[float, float]] = [(float(x), float(y)) for x, y in hull]
    while len(corners) > 4:
        count = len(corners)
        best: tuple[float, int, tuple[float, float]] | None = None
        for i in range(count):
            start, end = corners[i], corners[(i + 1) % count]
            apex = _meeting(corners[i - 1], start, end, corners[(i + 2) % count])
            if apex is None:
                continue
            added = abs((end[0] - start[0]) * (apex[1] - start[1]) - (end[1] - start[1]) * (apex[0] - start[0]))
            if best is None or added < best[0]:
                best = (added, i, apex)
        if best is None:
            return None
        _, i, apex = best
        corners[i] = apex
        del corners[(i + 1) % count]
    return np.array(corners) if len(corners) == 4 else None


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


def _least_squares_line(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line with the least squared distances: through the mean, along the larger axis of the scatter."""
    middle = points.mean(axis=0)
    x, y = (points - middle).T
    angle = 0.5 * np.arctan2(2.0 * (x @ y), x @ x - y @ y)
    return middle, np.array([np.cos(angle), np.sin(angle)])


def _cross(a: np.ndarray, b: np.ndarray) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def _fit_sides(quad: np.ndarray, points: np.ndarray, band: float) -> np.ndarray | None:
    lines = []
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        length = float(np.linalg.norm(end - start))
        if length < 1e-6:
            return None
        direction = (end - start) / length
        offset = points - start
        along = offset @ direction / length
        across = np.abs(offset[:, 0] * direction[1] - offset[:, 1] * direction[0])
        near = points[(along > _CORNER_SHARE) & (along < 1.0 - _CORNER_SHARE) & (across < band)]
        lines.append(_least_squares_line(near) if len(near) >= _MIN_POINTS else (start, direction))
    corners = []
    for (p, along), (q, other) in zip([lines[-1], *lines[:-1]], lines, strict=True):
        determinant = _cross(along, other)
        if abs(determinant) < 0.05:  # under 3 degrees apart: no corner of a card
            return None
        corners.append(p + along * (_cross(q - p, other) / determinant))
    return np.array(corners)


def polygon_area(polygon: np.ndarray) -> float:
    """Area in square pixels of a simple polygon (N, 2)."""
    x, y = np.asarray(polygon, np.float64).T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2.0


def quad_mask(quad: Quad, shape_hw: tuple[int, int]) -> np.ndarray:
    """(H, W) bool, True where a pixel's centre lies inside the quad or on its outline."""
    # cv2.fillPoly also paints the pixels that the outline touches: half a pixel too many on every side.
    height, width = shape_hw
    mask = np.ones(shape_hw, bool)
    x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
    corners = order_corners(quad).astype(np.float64)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        mask &= ((x1 - x0) * (y - y0))[:, None] >= ((y1 - y0) * (x - x0))[None, :]
    return mask


def crop_quad(image: RgbImage, quad: Quad) -> RgbImage:
    """Flatten the document inside `quad` to an upright rectangle, as it is turned in the image.

    Args:
        image: (H, W, 3) uint8, RGB.
        quad: (4, 2) float32 pixels (x, y), clockwise from top-left; corners may lie outside the image.

    Returns:
        (h, w, 3) uint8; h and w follow the longer of each pair of opposite sides. What lies outside the image
        is black.

    Raises:
        InvalidQuadError: the quad has no area or is not convex.

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., ch. 4.
    """
    top_left, top_right, bottom_right, bottom_left = as_quad(quad).astype(np.float64)
    width = max(np.linalg.norm(top_right - top_left), np.linalg.norm(bottom_right - bottom_left))
    height = max(np.linalg.norm(bottom_left - top_left), np.linalg.norm(bottom_right - top_right))
    size_wh = (max(1, round(width)), max(1, round(height)))
    w, h = size_wh
    # The quad runs along the document's outer edge: output pixel 0's outer edge lies at -0.5.
    target = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]], np.float32)
    corners = np.array([top_left, top_right, bottom_right, bottom_left], np.float32)
    return cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, target), size_wh, flags=cv2.INTER_LINEAR)
