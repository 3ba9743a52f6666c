"""Drawing what was found onto the picture, for people to judge.

Stands apart because it is for eyes alone: nothing measures these pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.document import Finding
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import Quad

FOUND = (40, 220, 90)
REJECTED = (255, 150, 30)
TRUTH = (60, 160, 255)
_TINT = 0.35
_LEAST_SIDE = 320  # of the longer side: smaller pictures are enlarged, or no line and letter could be told apart
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS = 4


def draw_overlay(
    image: RgbImage, finding: Finding, mask: np.ndarray | None = None, truth: Quad | None = None, note: str = ""
) -> RgbImage:
    """Tint the mask, outline the quad and write the confidence.

    Args:
        image: (H, W, 3) uint8, RGB; left as it is.
        finding: quad in pixels of `image`, and confidence.
        mask: (H, W) bool, or None.
        truth: the true quad, drawn in blue, or None.
        note: a word added to the caption.

    Returns:
        (h, w, 3) uint8, RGB: the picture's size times a whole number where it is small, and higher by a strip where
        the caption would not fit into the picture.
    """
    factor = max(1, -(-_LEAST_SIDE // max(image.shape[:2])))
    canvas = np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
    colour = FOUND if finding.quad is not None else REJECTED
    if mask is not None:
        tinted = np.repeat(np.repeat(mask, factor, axis=0), factor, axis=1)
        canvas[tinted] = (canvas[tinted] * (1.0 - _TINT) + np.array(colour) * _TINT + 0.5).astype(np.uint8)
    thickness = max(2, round(max(canvas.shape[:2]) / 250))
    if truth is not None:
        _draw_quad(canvas, _enlarged(truth, factor), TRUTH, thickness)
    if finding.quad is not None:
        _draw_quad(canvas, _enlarged(finding.quad, factor), colour, thickness)
    answer = "document" if finding.quad is not None else "no document"
    return _with_caption(canvas, f"{answer} {finding.confidence:.2f} {note}".strip(), colour)


def _enlarged(quad: Quad, factor: int) -> np.ndarray:
    return (np.asarray(quad, np.float64) + 0.5) * factor - 0.5


def _draw_quad(canvas: np.ndarray, quad: np.ndarray, colour: tuple[int, int, int], thickness: int) -> None:
    # Corners may lie far outside, yet must fit into 32 bits with the subpixel bits.
    points = np.round(np.clip(quad, -1e6, 1e6) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    # A dark seam keeps the line visible on any ground.
    for line_colour, width in (((0, 0, 0), thickness + max(2, thickness // 2)), (colour, thickness)):
        cv2.polylines(canvas, [points[:, np.newaxis]], True, line_colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)
    first = tuple(int(v) for v in points[0])
    cv2.circle(canvas, first, 2 * thickness << _SUBPIXEL_BITS, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _with_caption(canvas: np.ndarray, caption: str, colour: tuple[int, int, int]) -> np.ndarray:
    height, width = canvas.shape[:2]
    scale = max(0.5, max(height, width) / 1000)
    weight = max(1, round(scale * 2))
    (text_w, text_h), descent = cv2.getTextSize(caption, _FONT, scale, weight)
    margin = max(4, text_h // 2)
    plate_w, plate_h = text_w + 2 * margin, text_h + descent + 2 * margin
    if plate_w > width or plate_h > height // 3:
        wider, below = max(0, plate_w - width), plate_h
        canvas = cv2.copyMakeBorder(canvas, 0, below, 0, wider, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        top = height
    else:
        canvas = np.ascontiguousarray(canvas)
        top = 0
    canvas[top : top + plate_h, :plate_w] = 0
    cv2.putText(canvas, caption, (margin, top + margin + text_h), _FONT, scale, colour, weight, cv2.LINE_AA)
    return canvas
