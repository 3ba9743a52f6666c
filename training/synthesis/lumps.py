"""Round bodies: an outline, shaded as if it bulged, with the shadow that it casts.

Stands apart because fingers and things on the table are painted by the same brush.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis.layers import cast_shadow, lay_over
from unetlite.training.synthesis.patterns import as_colour, fill_shape, value_noise


def smooth_outline(
    rng: np.random.Generator, centre: np.ndarray, radius: float, roughness: float
) -> np.ndarray:
    """A closed wavy outline, (64, 2)."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    reach = np.ones(64)
    for order in range(2, 6):
        reach += roughness * rng.normal(0, 1) / (order - 1) * np.cos(order * angle + rng.uniform(0, 6.28))
    stretch = rng.uniform(0.6, 1.0, 2)
    return (
        centre
        + radius * np.clip(reach, 0.3, 2)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) * stretch
    )


def ribbon(spine: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """The outline of a rounded ribbon of the given half-widths around `spine` (N, 2)."""
    step = np.gradient(spine, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], 1) / (np.linalg.norm(step, axis=1, keepdims=True) + 1e-6)
    angle = np.linspace(0, np.pi, 9)[1:-1]
    along = step[0] / (np.linalg.norm(step[0]) + 1e-6)
    cap = spine[0] + widths[0] * (-np.cos(angle)[:, None] * normal[0] - np.sin(angle)[:, None] * along)
    back = step[-1] / (np.linalg.norm(step[-1]) + 1e-6)
    end = spine[-1] + widths[-1] * (np.cos(angle)[:, None] * normal[-1] + np.sin(angle)[:, None] * back)
    return np.concatenate(
        [spine + normal * widths[:, None], end, (spine - normal * widths[:, None])[::-1], cap]
    )


def smooth_curve(points: np.ndarray, count: int = 24) -> np.ndarray:
    """A smooth curve through three points (quadratic Bezier with the middle one on the curve)."""
    t = np.linspace(0, 1, count)[:, None]
    control = 2 * points[1] - (points[0] + points[2]) / 2
    return (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * control + t**2 * points[2]


def shade_lump(
    canvas: np.ndarray,
    outline: np.ndarray,
    colour: np.ndarray,
    rng: np.random.Generator,
    *,
    marks: list[tuple[np.ndarray, np.ndarray]] | None = None,
    flat: float = 0.6,
    blur_px: float = 0.0,
    gloss: float = 0.0,
) -> None:
    """Paint a shaded body with this outline: dark to its rim, lit from one side, with a shadow, in place."""
    height, width = canvas.shape[:2]
    pad = int(3 * blur_px) + 3
    low = np.maximum(np.floor(outline.min(0)).astype(int) - pad, 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + pad + 1, [width, height])
    if (high - low < 3).any():
        return
    size_wh = (int(high[0] - low[0]), int(high[1] - low[1]))
    coverage = np.zeros(size_wh[::-1], np.uint8)
    fill_shape(coverage, outline - low, (255.0, 255.0, 255.0))
    # Shading needs no detail: at a third of the size it costs a tenth.
    small = cv2.resize(coverage, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
    if min(small.shape) < 3:
        small = coverage
    body = cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform((body > 127).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    relief = np.sqrt(np.clip(1 - (1 - depth / (depth.max() + 1e-6)) ** 2, 0, 1)).astype(np.float32)
    relief = cv2.GaussianBlur(relief, (0, 0), 1.5)
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3)
    light = rng.uniform(0, 2 * np.pi)
    lit = np.cos(light) * slope_x + np.sin(light) * slope_y
    shade = flat + (1 - flat) * relief + 0.25 * lit
    shade *= 0.92 + 0.16 * value_noise(rng, (shade.shape[0], shade.shape[1]), (6, 6), 2)
    shade = cv2.resize(shade, size_wh, interpolation=cv2.INTER_LINEAR)
    painted = np.empty((*size_wh[::-1], 3), np.uint8)
    painted[...] = np.clip(colour, 0, 255)
    for mark, tone in marks or []:
        fill_shape(painted, mark - low, as_colour(tone))
    shine = np.clip(shade - 0.95, 0, 1) * gloss
    lit_body = cv2.multiply(painted, cv2.merge([shade, shade, shade]), dtype=cv2.CV_32F)
    colours = cv2.add(lit_body, cv2.merge([shine, shine, shine]), dtype=cv2.CV_8U)
    soft: np.ndarray = coverage.astype(np.float32) * np.float32(1 / 255)
    if blur_px > 0.5:
        soft = cv2.GaussianBlur(soft, (0, 0), blur_px)
    corner = (int(low[0]), int(low[1]))
    reach = float(np.sqrt(size_wh[0] * size_wh[1])) * 0.04 + 1
    offset = (float(-np.cos(light) * reach), float(-np.sin(light) * reach))
    cast_shadow(canvas, soft, corner, offset, min(reach, 12.0), float(rng.uniform(0.1, 0.55)))
    lay_over(canvas, colours, soft, corner)
