"""Pictures of four plain colours, as RGB and as cameras lay them down."""

from __future__ import annotations

import cv2
import numpy as np

PATCHES = ((200, 40, 30), (30, 180, 60), (40, 60, 190), (220, 210, 40))


def patch_picture(size_wh: tuple[int, int] = (64, 32)) -> np.ndarray:
    """Four colours side by side."""
    width, height = size_wh
    picture = np.zeros((height, width, 3), np.uint8)
    for column, colour in enumerate(PATCHES):
        picture[:, column * width // 4 : (column + 1) * width // 4] = colour
    return picture


def patches_of(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return np.array([image[height // 2, width * (2 * i + 1) // 8] for i in range(4)], int)


def in_layout(picture: np.ndarray, layout: str, padding: int) -> np.ndarray:
    """The bytes of a picture as a camera lays them down, rows padded."""
    height, width = picture.shape[:2]
    if layout in ("RGB", "BGR", "RGBX", "BGRX"):
        pixels = picture if layout.startswith("RGB") else picture[..., ::-1]
        if layout.endswith("X"):
            pixels = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
        return np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)))
    planar = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    luma = np.pad(planar[: width * height].reshape(height, width), ((0, 0), (0, padding)))
    u, v = planar[width * height :].reshape(2, height // 2, width // 2)
    if layout == "I420":
        chroma = [np.pad(plane, ((0, 0), (0, padding // 2))) for plane in (u, v)]
        return np.concatenate([luma.reshape(-1), *(plane.reshape(-1) for plane in chroma)])
    mixed = np.pad(np.stack([u, v], axis=2).reshape(height // 2, width), ((0, 0), (0, padding)))
    return np.concatenate([luma, mixed])
