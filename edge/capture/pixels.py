"""Camera bytes to RGB: the one place where colour order and chroma layout are mended.

Stands apart because every back end has its own, and one of them names its layouts backwards.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.image import RgbImage

# Layout to bytes per pixel of the first plane, and OpenCV's conversions to RGB and luminance; None: it is that already.
LAYOUTS: dict[str, tuple[int, int | None, int | None]] = {
    "RGB": (3, None, cv2.COLOR_RGB2GRAY),
    "BGR": (3, cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2GRAY),
    "RGBX": (4, cv2.COLOR_RGBA2RGB, cv2.COLOR_RGBA2GRAY),
    "BGRX": (4, cv2.COLOR_BGRA2RGB, cv2.COLOR_BGRA2GRAY),
    "I420": (1, cv2.COLOR_YUV2RGB_I420, None),
    "NV12": (1, cv2.COLOR_YUV2RGB_NV12, None),
}
_PLANAR = ("I420", "NV12")
INTERLEAVED = tuple(layout for layout in LAYOUTS if layout not in _PLANAR)


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
    _, conversion, _ = LAYOUTS[layout]
    if layout in _PLANAR and conversion is not None:
        # The padding is cut off after the conversion: of I420 two chroma rows share one row of the array.
        return np.ascontiguousarray(cv2.cvtColor(_rows(buffer, layout, height), conversion)[:, :width])
    image = interleaved(buffer, layout, size_wh)
    return np.ascontiguousarray(image) if conversion is None else cv2.cvtColor(image, conversion)


def picked(buffer: np.ndarray, layout: str, size_wh: tuple[int, int], picked_wh: tuple[int, int]) -> RgbImage:
    """Some pixels of a camera's picture, I420 or NV12, without converting the rest.

    Args:
        buffer, layout, size_wh: as for `to_rgb`.
        picked_wh: how many pixels, of as many places side by side; even. Four of them share a colour.

    Returns:
        (h, w, 3) uint8.
    """
    (width, height), (to_width, to_height) = size_wh, picked_wh
    rows = _rows(buffer, layout, height)
    chroma = rows[height:]
    if layout == "I420":  # rows of half the length, two in one row of the array
        halves = np.ascontiguousarray(chroma).reshape(height, -1)[:, : width // 2]
        planes = [halves[: height // 2], halves[height // 2 :]]
    else:
        planes = [chroma[:, :width].reshape(height // 2, width // 2, 2)]
    parts = [_pick(rows[:height, :width], picked_wh)]
    parts += [_pick(plane, (to_width // 2, to_height // 2)) for plane in planes]
    return to_rgb(np.concatenate([part.reshape(-1) for part in parts]), layout, picked_wh)


def _pick(plane: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    return cv2.resize(plane, size_wh, interpolation=cv2.INTER_NEAREST_EXACT)


def interleaved(buffer: np.ndarray, layout: str, size_wh: tuple[int, int]) -> np.ndarray:
    """(H, W, bytes per pixel) uint8 of a layout of INTERLEAVED, in its own order, without the rows' padding."""
    width, height = size_wh
    pixel_bytes = LAYOUTS[layout][0]
    return _rows(buffer, layout, height)[:, : width * pixel_bytes].reshape(height, width, pixel_bytes)


def luminance_within(
    buffer: np.ndarray, layout: str, size_wh: tuple[int, int], corner_xy: tuple[int, int], part_wh: tuple[int, int]
) -> np.ndarray:
    """A part of a camera's picture as (h, w) uint8 luminance, without converting the rest.

    Args:
        buffer, layout, size_wh: as for `to_rgb`.
        corner_xy: the part's first pixel.
        part_wh: the part's size; it lies within the picture.

    Returns:
        Of I420 and NV12 their own luminance, 16..235.
    """
    (left, top), (width, height) = corner_xy, part_wh
    pixel_bytes, _, conversion = LAYOUTS[layout]
    rows = _rows(buffer, layout, size_wh[1])[top : top + height]
    part = rows[:, left * pixel_bytes : (left + width) * pixel_bytes]
    if conversion is None:
        return part
    return cv2.cvtColor(part.reshape(height, width, pixel_bytes), conversion)


def _rows(buffer: np.ndarray, layout: str, height: int) -> np.ndarray:
    """(rows, bytes from row to row) of a buffer."""
    rows = height * 3 // 2 if layout in _PLANAR else height
    flat = np.ascontiguousarray(buffer).reshape(-1)
    stride = flat.size // rows  # some pad the end of the buffer, too: by less than a row
    return flat[: rows * stride].reshape(rows, stride)
