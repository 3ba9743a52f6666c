"""Laying flat things and lumps over a picture with soft edges and shadows.

Stands apart because the document, its distractors and the objects on it must meet the picture alike: an edge
that only documents have would be learned instead of documents.
"""

from __future__ import annotations

import cv2
import numpy as np

_MARGIN = 3


def flat_homography(plane: np.ndarray, corners_mm: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """(3, 3): pixels of a flat picture of this size, laid on `corners_mm` of the plane, to output pixels.

    Pixel centres are integers, so the flat picture's own outline runs from -0.5 to width - 0.5.
    """
    width, height = size_wh
    outline = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    onto_plane = cv2.getPerspectiveTransform(outline.astype(np.float32), corners_mm.astype(np.float32))
    return plane @ onto_plane


def is_in_view(plane: np.ndarray, corners_mm: np.ndarray) -> bool:
    """False when some corner lies behind or close to the camera's horizon."""
    depths = np.concatenate([corners_mm, np.ones((len(corners_mm), 1))], 1) @ plane[2]
    return bool(depths.min() > 0.3 * plane[2, 2])


def rounded_alpha(size_wh: tuple[int, int], radius_px: float) -> np.ndarray:
    """Coverage of a rectangle with rounded corners, uint8 (H, W)."""
    width, height = size_wh
    alpha = np.full((height, width), 255, np.uint8)
    reach = int(np.ceil(radius_px))
    if reach < 1:
        return alpha
    steps = reach - np.arange(reach) - 0.5 - (reach - radius_px)
    corner = np.clip((radius_px - np.hypot(steps[:, None], steps[None])) + 0.5, 0, 1) * 255
    corner = corner.astype(np.uint8)
    alpha[:reach, :reach] = corner
    alpha[:reach, -reach:] = corner[:, ::-1]
    alpha[-reach:, :reach] = corner[::-1]
    alpha[-reach:, -reach:] = corner[::-1, ::-1]
    return alpha


def warp_flat(
    picture: np.ndarray, alpha: np.ndarray, homography: np.ndarray, size_wh: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]] | None:
    """See a flat picture through a homography, anti-aliased.

    Returns:
        colours uint8 (h, w, 3), coverage float32 (h, w) in 0..1, and the (x, y) of their top-left pixel in
        the output picture; None where nothing of it is in the output.
    """
    height, width = alpha.shape
    outline = np.array(
        [[-0.5, -0.5, 1], [width - 0.5, -0.5, 1], [width - 0.5, height - 0.5, 1], [-0.5, height - 0.5, 1]]
    )
    seen = outline @ homography.T
    seen = seen[:, :2] / seen[:, 2:]
    low = np.maximum(np.floor(seen.min(0)).astype(int) - _MARGIN, 0)
    high = np.minimum(np.ceil(seen.max(0)).astype(int) + _MARGIN + 1, size_wh)
    if (high - low < 2).any():
        return None
    sides = np.linalg.norm(np.roll(seen, -1, 0) - seen, axis=1)
    shrink = max(max(sides[0], sides[2]) / width, max(sides[1], sides[3]) / height)
    if shrink < 0.8:  # bilinear sampling alone would skip pixels
        new_wh = (max(int(np.ceil(width * shrink * 1.05)), 2), max(int(np.ceil(height * shrink * 1.05)), 2))
        picture = cv2.resize(picture, new_wh, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(alpha, new_wh, interpolation=cv2.INTER_AREA)
        scale = np.array([width / new_wh[0], height / new_wh[1]])
        to_full = np.array(
            [[scale[0], 0, 0.5 * scale[0] - 0.5], [0, scale[1], 0.5 * scale[1] - 0.5], [0, 0, 1]]
        )
        homography = homography @ to_full
    shift = np.array([[1.0, 0.0, -low[0]], [0.0, 1.0, -low[1]], [0.0, 0.0, 1.0]])
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    colours = cv2.warpPerspective(
        picture, shift @ homography, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    # Outside the alpha lies 0, so its edge crosses one half exactly on the outline, a pixel wide.
    seen_alpha = cv2.warpPerspective(alpha, shift @ homography, size, flags=cv2.INTER_LINEAR)
    coverage = seen_alpha.astype(np.float32) * np.float32(1 / 255)
    return colours, coverage, (int(low[0]), int(low[1]))


def lay_over(
    canvas: np.ndarray, colours: np.ndarray, coverage: np.ndarray, corner_xy: tuple[int, int]
) -> None:
    """Blend a patch uint8 (h, w, 3) into `canvas` (H, W, 3) uint8 at `corner_xy`, in place."""
    x, y = corner_xy
    region = canvas[y : y + coverage.shape[0], x : x + coverage.shape[1]]
    region[...] = cv2.blendLinear(colours, region, coverage, 1.0 - coverage)


def cast_shadow(
    canvas: np.ndarray,
    coverage: np.ndarray,
    corner_xy: tuple[int, int],
    offset_xy: tuple[float, float],
    softness_px: float,
    strength: float,
) -> None:
    """Darken `canvas` where a thing with this coverage keeps the light off, in place."""
    pad = int(np.ceil(softness_px * 2 + max(abs(offset_xy[0]), abs(offset_xy[1])))) + 1
    x0, y0 = corner_xy[0] - pad, corner_xy[1] - pad
    height, width = canvas.shape[:2]
    low_x, low_y = max(x0, 0), max(y0, 0)
    high_x = min(corner_xy[0] + coverage.shape[1] + pad, width)
    high_y = min(corner_xy[1] + coverage.shape[0] + pad, height)
    # A soft shadow has no detail: it is drawn at a half or a quarter of the size.
    coarse = 1 if softness_px < 1.5 else 2 if softness_px < 4 else 4
    shift_x, shift_y = corner_xy[0] + offset_xy[0] - low_x, corner_xy[1] + offset_xy[1] - low_y
    small = (
        coverage
        if coarse == 1
        else cv2.resize(
            coverage,
            (-(-coverage.shape[1] // coarse), -(-coverage.shape[0] // coarse)),
            interpolation=cv2.INTER_AREA,
        )
    )
    move = np.array([[1, 0, shift_x / coarse], [0, 1, shift_y / coarse]], np.float32)
    full_wh = (high_x - low_x, high_y - low_y)
    shade = cv2.warpAffine(small, move, (-(-full_wh[0] // coarse), -(-full_wh[1] // coarse)))
    if softness_px > 0.3:
        shade = cv2.GaussianBlur(shade, (0, 0), softness_px / coarse)
    if coarse > 1:
        shade = cv2.resize(shade, full_wh, interpolation=cv2.INTER_LINEAR)
    shade = strength * shade
    region = canvas[low_y:high_y, low_x:high_x]
    region[...] = cv2.blendLinear(np.zeros_like(region), region, shade, 1.0 - shade)
