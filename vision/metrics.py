"""Scores of masks and quads against the truth, in NumPy and float64.

Stands apart so that workstation and device compute one IoU; which frame a figure is taken in is part of its name.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.quad import Quad, order_corners, polygon_area


def mask_iou(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two (H, W) bool masks in image pixels; 1.0 where both are empty, by definition."""
    union = int(np.count_nonzero(predicted | truth))
    return 1.0 if union == 0 else int(np.count_nonzero(predicted & truth)) / union


def quad_iou(predicted: Quad | None, truth: Quad | None) -> float:
    """Intersection over union of two convex quads in image pixels; corners may lie outside the image.

    No quad against no quad is 1.0, no quad against a quad is 0.0.
    """
    if predicted is None or truth is None:
        return 1.0 if predicted is None and truth is None else 0.0
    # Moved near the origin: intersectConvexConvex works in float32.
    origin = np.mean(truth, axis=0)
    a, b = (order_corners(np.asarray(q, np.float64) - origin) for q in (predicted, truth))
    overlap, _ = cv2.intersectConvexConvex(a, b)
    union = polygon_area(a) + polygon_area(b) - overlap
    return float(np.clip(overlap / union, 0.0, 1.0)) if union > 0 else 0.0


def corner_error(predicted: Quad, truth: Quad) -> float:
    """Mean distance of corresponding corners, as a share of the true quad's longest side (the card's width).

    Corners correspond in the rotation that makes the error least: reading order is not judged.
    """
    sides = np.linalg.norm(np.roll(truth, -1, axis=0) - truth, axis=1)
    distances = [np.linalg.norm(np.roll(predicted, k, axis=0) - truth, axis=1).mean() for k in range(4)]
    return float(min(distances) / sides.max())


def confusion(predicted: np.ndarray, truth: np.ndarray, num_classes: int) -> np.ndarray:
    """(N, N) int64 pixel counts, truth by row, prediction by column, of two equal-shaped class-index arrays."""
    pairs = truth.astype(np.int64).ravel() * num_classes + predicted.astype(np.int64).ravel()
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_iou(matrix: np.ndarray) -> np.ndarray:
    """(N,) float64 IoU per class of a confusion matrix; NaN for a class that is neither there nor predicted."""
    overlap = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    return np.divide(overlap, union, out=np.full(len(overlap), np.nan), where=union > 0)


def mean_iou(matrix: np.ndarray) -> float:
    """Mean over the classes that occur of `class_iou`: Keras's MeanIoU, the original project's figure."""
    return float(np.nanmean(class_iou(matrix)))
