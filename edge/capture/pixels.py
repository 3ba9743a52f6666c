"""Camera bytes to RGB: the one place where colour order and chroma layout are mended.

Stands apart because every back end has its own, and one of them names its layouts backwards.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.image import RgbImage

# Layout to bytes per pixel of the first plane, and OpenCV's conversion; None: it is RGB already.
LAYOUTS: dict[str, tuple[int, int | None]] = {
    "RGB": (3, None),
    "BGR": (3, cv2.COLOR_BGR2RGB),
    "RGBX": (4, cv2.COLOR_RGBA2RGB),
    "BGRX": (4, cv2.COLOR_BGRA2RGB),
    "I420": (1, cv2.COLOR_YUV2RGB_I420),
    "NV12": (1, cv2.COLOR_YUV2RGB_NV12),
}


def to_rgb(buffer: np.ndarray, layout: str, size_wh: tuple[int, int]) -> RgbImage:
    """A camera's pixels as an RGB picture.

    Args:
        buffer: uint8 of any shape, rows one after another, each padded to the same length; I420 has its chroma rows
            at half that length, NV12 at the same. BT.601, limited range.
        layout: a key of LAYOUTS.
        size_wh: of the picture; even for I420 and NV12.

    Returns:
        (H, W, 3) uint8.
    """
    width, height = size_wh
    pixel_bytes, conversion = LAYOUTS[layout]
    planar = layout in ("I420", "NV12")
    rows = height * 3 // 2 if planar else height
    flat = np.ascontiguousarray(buffer).reshape(-1)
    stride = flat.size // rows  # some pad the end of the buffer, too: by less than a row
    packed = flat[: rows * stride].reshape(rows, stride)
    if planar:
        # The padding is cut off after the conversion: of I420 two chroma rows share one row of the array.
        return np.ascontiguousarray(cv2.cvtColor(packed, conversion)[:, :width])
    image = packed[:, : width * pixel_bytes].reshape(height, width, pixel_bytes)
    return np.ascontiguousarray(image) if conversion is None else cv2.cvtColor(image, conversion)
