"""Random changes to a picture and its mask together, in the network's input size.

Stands apart from the pipeline: plain NumPy and OpenCV on one pair, seeded, looked at as pictures in the tests.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

CLOSER_SHARE = 0.25  # share of pictures seen as `vision.second_look` would look at them again
MOST_SHARE = 0.7  # of the picture's area, that such a view may be
LEAST_ASPECT = 0.6  # of its shorter side to the longer
_SLACK = 64  # pixels by which a picture's noise may lie elsewhere: 4,096 places


def augment(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One random view of a pair.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8 class indices.
        rng: the only source of chance.

    Returns:
        Both, of the same shapes and dtypes: mirrored, turned, scaled, tilted together, of some the part about the
        document alone; the picture's light, colour, sharpness and noise changed alone.
    """
    image, mask = _move(image, mask, rng)
    image = _colour(image, rng)
    return _degrade(image, rng), mask


def _move(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    # OpenCV mirrors and turns in a fraction of the time that NumPy's views cost once they are read.
    if rng.random() < 0.5:
        image, mask = cv2.flip(image, 1), cv2.flip(mask, 1)
    if rng.random() < 0.25:
        image, mask = cv2.flip(image, 0), cv2.flip(mask, 0)
    if rng.random() < 0.35 and mask.shape[0] == mask.shape[1]:
        # Of a stretched picture that is just what the camera gives when it is held the other way.
        image, mask = (cv2.rotate(array, cv2.ROTATE_90_COUNTERCLOCKWISE) for array in (image, mask))
    view = _closer_view(mask, rng) if rng.random() < CLOSER_SHARE else None
    still = rng.random() < 0.15
    if still and view is None:
        return image, mask
    matrix = np.eye(3) if still else _tilted(mask.shape, rng)
    x, y = _places(matrix if view is None else view @ matrix, *mask.shape)
    # Reflected pictures would show a second document without a truth of its own, so edges are stretched instead.
    image = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.remap(mask, x, y, cv2.INTER_NEAREST)
    return image, mask


def _tilted(size_hw: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Where a pixel of the changed picture comes from, (3, 3): turned, scaled, tilted, shifted."""
    height, width = size_hw
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    centre = np.array([width, height], np.float32) / 2
    angle = rng.normal(0, np.radians(8)) if rng.random() < 0.8 else rng.uniform(-np.pi, np.pi)
    zoom = np.exp(rng.normal(0, 0.18))
    if height != width and rng.random() < 0.25:  # held the other way, and nearer: the short side was filled before
        angle += np.pi / 2
        zoom *= rng.uniform(1.0, max(width, height) / min(width, height))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32) * zoom
    moved = (corners - centre) @ turn.T + centre
    moved += rng.normal(0, 0.04, (4, 2)) * (width, height) + rng.normal(0, 0.05, 2) * (width, height)
    return cv2.getPerspectiveTransform(moved.astype(np.float32), corners)


def _closer_view(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Where a pixel of a view close to the document comes from, (3, 3); None where that is most of the picture.

    A view that stands enters a lying input turned by a quarter, as a picture does.
    """
    height, width = mask.shape
    left, top, across, down = cv2.boundingRect(mask)
    if not across:
        return None
    half = np.array([across, down]) / 2 * rng.uniform(1.05, 1.9) * rng.uniform(0.9, 1.1, 2)
    half = np.maximum(half, half.max() * LEAST_ASPECT)
    centre = np.array([left + across / 2, top + down / 2]) + rng.normal(0, 0.08, 2) * half
    (x0, y0), (x1, y1) = np.maximum(centre - half, 0), np.minimum(centre + half, (width, height))
    if (x1 - x0) * (y1 - y0) > MOST_SHARE * width * height:
        return None
    if (x1 - x0 - (y1 - y0)) * (width - height) < 0:
        return np.array([[0, (x0 - x1) / height, x1], [(y1 - y0) / width, 0, y0], [0, 0, 1]])
    return np.array([[(x1 - x0) / width, 0, x0], [0, (y1 - y0) / height, y0], [0, 0, 1]])


def _places(matrix: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel comes from, x and y: once for both, in two thirds of the time of two warpPerspective."""
    m = matrix.astype(np.float32)
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None]
    depth = m[2, 0] * columns + (m[2, 1] * rows + m[2, 2])
    x = (m[0, 0] * columns + (m[0, 1] * rows + m[0, 2])) / depth
    y = (m[1, 0] * columns + (m[1, 1] * rows + m[1, 2])) / depth
    return x, y


def _colour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gain = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.12, 3))
    if rng.random() < 0.1:
        gain *= np.exp(rng.normal(0, 0.5, 3))  # coloured light
    curve = np.clip(np.linspace(0, 1, 256)[:, None] * gain, 0, 1) ** np.exp(rng.normal(0, 0.2))
    contrast = np.exp(rng.normal(0, 0.15))
    curve = np.clip((curve - 0.5) * contrast + 0.5 + rng.normal(0, 0.05), 0, 1)
    table = (curve * 255 + 0.5).astype(np.uint8)[None]  # (1, 256, 3)
    image = cv2.LUT(image, table)
    if rng.random() < 0.15:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = cv2.addWeighted(image, 0.2, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), 0.8, 0)
    return image


def _degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.5)))
    if rng.random() < 0.3:
        noise = _noise((image.shape[0], image.shape[1]))
        y, x = rng.integers(0, _SLACK, 2)
        part = noise[y : y + image.shape[0], x : x + image.shape[1]]
        image = cv2.add(image, part * np.float32(rng.uniform(1, 8)), dtype=cv2.CV_8U)
    return image


@cache
def _noise(size_hw: tuple[int, int]) -> np.ndarray:
    """Noise of deviation 1 to take a part of, somewhat larger: new noise for each picture costs three times as much."""
    shape = (size_hw[0] + _SLACK, size_hw[1] + _SLACK, 3)
    return np.random.default_rng(0).standard_normal(shape, np.float32)
