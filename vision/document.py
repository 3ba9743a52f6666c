"""From the network's answer to the document: which quad, and how sure.

Stands apart because device, benchmark and training read one answer in one way.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unetlite.vision.contract import OutputSpec
from unetlite.vision.mask import largest_region, level_points
from unetlite.vision.preprocess import Placement
from unetlite.vision.quad import Quad, fit_quad, quad_mask

_SPIKE_SHARE = 0.25  # of the region's mean width: narrower parts are no part of a card
_SPIKE_AREA_SHARE = 0.02  # of the region: less than its rounded corners' share is no spike
MIN_AREA_SHARE = 0.005  # of the map: a smaller region has too few pixels for four sides


@dataclass(frozen=True)
class Finding:
    """What a picture holds.

    Attributes:
        quad: (4, 2) float32 pixels of the picture, clockwise from the top-left; None where there is no document.
        confidence: 0..1, also of what was not taken for a document.
    """

    quad: Quad | None
    confidence: float


def document_probability(output: np.ndarray, spec: OutputSpec) -> np.ndarray:
    """The probability that a pixel is part of a document.

    Args:
        output: (H, W, 1) float32 sigmoid, or (H, W, N) float32 softmax, background first.
        spec: the contract's output.

    Returns:
        (H, W) float32 in [0, 1].
    """
    return output[..., 0] if spec.kind == "sigmoid" else 1.0 - output[..., 0]


def find_document(probability: np.ndarray, placement: Placement, spec: OutputSpec) -> Finding:
    """Find the one document that a probability map shows best.

    Confidence is how four-sided the answer is (IoU of the region and the fitted quad within the map) times how
    sure the network is inside the quad (mean probability).

    Args:
        probability: (h, w) float32, from `document_probability`.
        placement: how the picture was fitted into the input.
        spec: the contract's output: threshold and least confidence.
    """
    map_h, map_w = probability.shape
    region = largest_region(probability, spec.threshold)
    area = int(region.sum())
    if area < MIN_AREA_SHARE * map_h * map_w:
        return Finding(None, 0.0)
    best = Finding(None, 0.0)
    # A spike of the mask into the surroundings bends the hull, which the sides start from; opening takes it off.
    # Where the mask is clean the first answer is as good, so the better of both is taken.
    opened = _opened(region)
    for shape in (region, opened) if area - int(opened.sum()) > _SPIKE_AREA_SHARE * area else (region,):
        outline = level_points(probability, shape, spec.threshold)
        quad = fit_quad(placement.to_image(outline, (map_w, map_h)))
        if quad is None:
            continue
        inside = quad_mask(_image_to_map(quad, placement, (map_w, map_h)), (map_h, map_w))
        overlap, union = int((inside & region).sum()), int((inside | region).sum())
        confidence = float(probability[inside].mean()) * overlap / union if overlap else 0.0
        if confidence > best.confidence:
            best = Finding(quad, confidence)
    return best if best.confidence >= spec.min_confidence else Finding(None, best.confidence)


def _opened(region: np.ndarray) -> np.ndarray:
    """The region without its parts that are too narrow for a card."""
    width = int(np.sqrt(region.sum()) * _SPIKE_SHARE) | 1  # odd: an even kernel would shift the region
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return cv2.morphologyEx(region.astype(np.uint8), cv2.MORPH_OPEN, kernel).astype(bool)


def _image_to_map(quad: Quad, placement: Placement, map_size_wh: tuple[int, int]) -> np.ndarray:
    points = placement.to_input(quad)
    return (points + 0.5) * np.divide(map_size_wh, placement.input_size_wh) - 0.5
