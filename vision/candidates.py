"""Quads that a probability map gives: fitted to the outline of a region, or moved about until they hold it.

Stands apart from the choice between them, which also asks the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.mask import level_points
from unetlite.vision.preprocess import Placement
from unetlite.vision.quad import NEXT, as_quad, fit_quad, fit_sides, order_corners, quad_mask
from unetlite.vision.settle import settle_quad
from unetlite.vision.shape import shape_cost

_SPIKE_SHARE = 0.25  # of the region's mean width: narrower parts are no part of a card
_OUTLINE_BANDS = (0.03, 0.015)  # shares of the quad's diagonal, pass by pass: level points that still speak for a side
_STATIONS = 12  # of a side, where the map is summed up
_HARDLY_OPENED = 0.99  # IoU of a region and what is left of it, above which the spikes were no spikes
FOUR_SIDED = 0.95  # IoU of a region and its quad, above which nothing lies beside the card or over it
_SHAPE_WEIGHT = 0.1  # of the shape's cost, against the IoU with the map


def outlined(
    probability: np.ndarray, region: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """The quad fitted to a region's outline, in pixels of the map, the pixels inside, and their IoU with the region."""
    quad = fit_quad(level_points(probability, region, level))
    if quad is None:
        return np.zeros((4, 2), np.float32), np.zeros_like(region), 0.0
    inside = mask_of(quad, region)
    return quad, inside, iou(inside, region)


def settled(probability: np.ndarray, region: np.ndarray, level: float) -> np.ndarray:
    """The quad, in pixels of the map, that holds the most of a region and the least beside it."""
    outline = level_points(probability, region, level)
    starts = [order_corners(cv2.boxPoints(cv2.minAreaRect(outline.astype(np.float32))))]
    opened = _opened(region)
    if opened.any():
        hull = fit_quad(level_points(probability, opened, level))
        if hull is not None:
            starts.append(hull)
    drawn_in = [_drawn_in(probability, region, level, outline, start) for start in starts]
    return max(drawn_in, key=lambda quad: float((probability - level)[mask_of(quad, probability)].sum()))


def _drawn_in(
    probability: np.ndarray, region: np.ndarray, level: float, outline: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """A quad settled on a region and fitted to its outline, in pixels of the map; the start, where that fails."""
    near = cv2.dilate(region.astype(np.uint8), np.ones((3, 3), np.uint8))  # other regions have no say
    quad = settle_quad(probability * near - np.float32(level), start)
    reach = float(np.linalg.norm(np.ptp(quad, axis=0)))
    for candidate in (fit_sides(quad, outline, [band * reach for band in _OUTLINE_BANDS]), quad):
        try:
            return as_quad(candidate)
        except InvalidQuadError:
            continue
    return start


def plausible(
    probability: np.ndarray, region: np.ndarray, level: float, placement: Placement
) -> np.ndarray | None:
    """Of the quads about a region, in pixels of the map, the one that map and shape together speak for."""
    outline = level_points(probability, region, level)
    hull = fit_quad(outline)
    if hull is not None and iou(mask_of(hull, region), region) >= FOUR_SIDED:
        return hull
    opened = _opened(region)
    parted = opened.any() and iou(opened, region) < _HARDLY_OPENED
    opened_hull = fit_quad(level_points(probability, opened, level)) if parted else None
    quads = [quad for quad in (hull, opened_hull) if quad is not None]
    if not quads:
        return None
    quads.append(_drawn_in(probability, region, level, outline, quads[-1]))
    return max(quads, key=lambda quad: merit(quad, probability, placement))


def merit(quad: np.ndarray, probability: np.ndarray, placement: Placement) -> float:
    """What map and shape say of a quad in pixels of the map."""
    cost = cost_of(map_to_image(quad, probability, placement), placement)
    return soft_iou(probability, quad) - _SHAPE_WEIGHT * cost


def _opened(region: np.ndarray) -> np.ndarray:
    """The region without its parts that are too narrow for a card."""
    width = int(np.sqrt(region.sum()) * _SPIKE_SHARE) | 1  # odd: an even kernel would shift the region
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_OPEN, kernel).astype(bool)


def mask_of(quad: np.ndarray, of_map: np.ndarray) -> np.ndarray:
    height, width = of_map.shape
    return quad_mask(quad, (height, width))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def soft_iou(probability: np.ndarray, quad: np.ndarray) -> float:
    """IoU of a quad, in pixels of the map, and the map, each pixel counted by its probability."""
    inside = mask_of(quad, probability)
    held = float(probability[inside].sum())
    return held / max(float(probability.sum()) + np.count_nonzero(inside) - held, 1e-6)


def soft_ious(probability: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """`soft_iou` of many quads (N, 4, 2) at once: (N,), where a pixel on a side counts by its share inside.

    By Green's theorem: what a quad holds is what lies left of its sides, summed along them.
    """
    height, width = probability.shape
    left_of = np.zeros((height, width + 1), np.float32)
    np.cumsum(probability, axis=1, out=left_of[:, 1:])
    along = ((np.arange(_STATIONS) + 0.5) / _STATIONS)[:, None]
    ends = quads[:, NEXT]
    points = (quads[:, :, None] * (1.0 - along) + ends[:, :, None] * along).astype(np.float32)  # (N, 4, stations, xy)
    down = ((ends[..., 1] - quads[..., 1]) / _STATIONS)[..., None]
    x, y = np.clip(points[..., 0] + 0.5, 0.0, width), points[..., 1]
    rows = (len(quads), 4 * _STATIONS)
    sums = cv2.remap(left_of, x.reshape(rows), y.reshape(rows), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    held = (sums.reshape(x.shape) * down).sum(axis=(1, 2))
    area = (x * ((y >= -0.5) & (y < height - 0.5)) * down).sum(axis=(1, 2))
    return held / np.maximum(float(probability.sum()) + area - held, 1e-6)


def cost_of(quad: np.ndarray, placement: Placement) -> float:
    return float(shape_cost(quad[None], placement.image_size_wh)[0])


def map_to_image(quad: np.ndarray, probability: np.ndarray, placement: Placement) -> np.ndarray:
    return placement.to_image(quad, (probability.shape[1], probability.shape[0]))


def image_to_map(quad: np.ndarray, probability: np.ndarray, placement: Placement) -> np.ndarray:
    return (placement.to_input(quad) + 0.5) * np.divide(probability.shape[::-1], placement.input_size_wh) - 0.5
