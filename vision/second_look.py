"""A second, closer look: the part of the picture that the document is in, and one map from both answers.

Stands apart from `document`, which reads a map however it came about. A document that fills a third of the frame is a
few dozen pixels wide in the network's input; print, pens and other papers beside it flow into it. Seen closer they
part, while the first answer still knows what lay around.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unetlite.vision.image import RgbImage
from unetlite.vision.preprocess import Placement
from unetlite.vision.quad import Quad

_MARGIN_SHARE = 0.15  # of half the region's extent, on each side: what lies around is the first look's to know
_LEAST_ASPECT = 0.6  # of the view's shorter side to the longer: a strip would be stretched beyond what was learnt
_MOST_SHARE = 0.9  # of the picture's area: a larger view shows nothing closer
_CLOSER_WEIGHT = 0.7  # of the second look's logits; the first has the rest
_LEAST_PROBABILITY = 1.0 / 512.0  # half a level of a uint8 answer: its logit stays finite


@dataclass(frozen=True)
class View:
    """A part of a picture, pixels: columns `left` to `right` and rows `top` to `bottom`, the ends not included."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, image: RgbImage) -> RgbImage:
        """The part itself, without a copy."""
        return image[self.top : self.bottom, self.left : self.right]


def view_of_region(region: np.ndarray, placement: Placement) -> View | None:
    """The part of the picture to look at closer, about what a map takes for the document.

    Args:
        region: (h, w) bool, at least one pixel.
        placement: how the picture was fitted into the input.

    Returns:
        The region with a margin, or None where that is most of the picture.
    """
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    ends = np.array([[columns[0], rows[0]], [columns[-1], rows[-1]]], np.float64) + [[-0.5], [0.5]]
    low, high = placement.to_image(ends, (region.shape[1], region.shape[0]))
    return _view_about(low, high, placement.image_size_wh)


def view_of_quad(quad: Quad, placement: Placement) -> View | None:
    """The same about a quad, (4, 2) pixels of the picture; what of it lies outside is not looked at."""
    corners = np.clip(quad.astype(np.float64), 0.0, placement.image_size_wh)
    return _view_about(corners.min(axis=0), corners.max(axis=0), placement.image_size_wh)


def _view_about(low: np.ndarray, high: np.ndarray, picture_wh: tuple[int, int]) -> View | None:
    half = (high - low) / 2 * (1.0 + _MARGIN_SHARE)
    half = np.maximum(half, half.max() * _LEAST_ASPECT)
    centre = (low + high) / 2
    width, height = picture_wh
    left, top = np.maximum(np.floor(centre - half), 0).astype(int)
    right, bottom = np.minimum(np.ceil(centre + half), (width, height)).astype(int)
    if right <= left or bottom <= top or (right - left) * (bottom - top) > _MOST_SHARE * width * height:
        return None
    return View(int(left), int(top), int(right), int(bottom))


def place_view(view: View, closer: Placement, placement: Placement) -> Placement:
    """How the whole picture lies in the input when the view fills it; what lies outside the view has no pixel there.

    Args:
        view: the part of the picture.
        closer: how the part alone was fitted into the input.
        placement: how the whole picture was.
    """
    scale_x, scale_y = closer.scale_xy
    offset = closer.offset_xy[0] - view.left * scale_x, closer.offset_xy[1] - view.top * scale_y
    return Placement(placement.image_size_wh, closer.input_size_wh, closer.scale_xy, offset, closer.turned)


def fuse(first: np.ndarray, placement: Placement, second: np.ndarray, closer: Placement) -> np.ndarray:
    """One map from both looks: the weighted mean of their logits.

    Args:
        first: (h, w) float32 probabilities of the whole picture.
        placement: how the picture was fitted into the input.
        second: (h, w) float32 probabilities of the view.
        closer: how the picture lies in the input then, from `place_view`.

    Returns:
        (h, w) float32 probabilities, of the view, placed as `closer`.
    """
    height, width = second.shape
    # An affine map is known by what it does to three points.
    points = closer.to_image(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), (width, height))
    size_share = np.divide((first.shape[1], first.shape[0]), placement.input_size_wh)
    origin, along_x, along_y = (placement.to_input(points) + 0.5) * size_share - 0.5
    matrix = np.column_stack([along_x - origin, along_y - origin, origin])
    seen_first = cv2.warpAffine(
        first, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    odds = _odds(seen_first) ** np.float32(1.0 - _CLOSER_WEIGHT) * _odds(second) ** np.float32(_CLOSER_WEIGHT)
    return odds / (1.0 + odds)


def _odds(probability: np.ndarray) -> np.ndarray:
    return (probability + np.float32(_LEAST_PROBABILITY)) / (1.0 - probability + np.float32(_LEAST_PROBABILITY))
