"""What a phone does to the light: blur, noise, white balance, tone curve.

Stands apart because it is the last step: everything in the picture passes through it alike.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from unetlite.training.synthesis.randomness import chance, log_uniform, stream

_NOISE_SIDE = 1280
_NOISE_SIGMA, _NOISE_MIDDLE = 25.0, 128.0  # the noise field's, in uint8 steps


def take_picture(rng: np.random.Generator, lit: np.ndarray) -> np.ndarray:
    """Photograph a lit scene, uint8 (H, W, 3), as uint8."""
    picture = _blur(rng, lit)
    noise = log_uniform(rng, 0.6, 5.0) if chance(rng, 0.9) else rng.uniform(5, 14)
    share = noise / _NOISE_SIGMA
    grain = _noise(rng, (lit.shape[0], lit.shape[1]))
    picture = cv2.addWeighted(picture, 1.0, grain, share, -_NOISE_MIDDLE * share)
    if chance(rng, 0.35):  # the denoiser smears grain and detail alike
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 0.8))
    if chance(rng, 0.3):  # and the sharpener leaves halos
        amount = rng.uniform(0.3, 1.2)
        picture = cv2.addWeighted(
            picture, 1 + amount, cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 2)), -amount, 0
        )
    return _tone(rng, picture)


def _blur(rng: np.random.Generator, lit: np.ndarray) -> np.ndarray:
    kind = rng.random()
    reach = float(np.sqrt(lit.shape[0] * lit.shape[1])) / 640  # blur grows with the picture's size
    if kind < 0.45:
        return cv2.GaussianBlur(lit, (0, 0), reach * rng.uniform(0.35, 0.8))
    if kind < 0.6:
        return cv2.GaussianBlur(lit, (0, 0), reach * log_uniform(rng, 0.8, 2.6))
    if kind < 0.72:  # the hand moved
        length = max(reach * log_uniform(rng, 2.0, 11.0), 2.0)
        side = int(length) // 2 * 2 + 3
        kernel = np.zeros((side, side), np.float32)
        angle = rng.uniform(0, np.pi)
        step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
        middle = side // 2
        fixed = np.round((np.array([middle - step, middle + step])) * 16).astype(np.int32)
        cv2.polylines(kernel, [fixed], False, (1.0,), 1, cv2.LINE_8, 4)
        # The scene stays where the ground truth says only if the kernel's weight is centred.
        kernel += kernel[::-1, ::-1]
        return cv2.filter2D(lit, -1, kernel / kernel.sum())
    if kind < 0.82:  # digital zoom or a thumbnail
        height, width = lit.shape[:2]
        factor = rng.uniform(0.4, 0.8)
        small = cv2.resize(lit, (int(width * factor), int(height * factor)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return lit


@lru_cache(maxsize=1)
def _noise_field() -> np.ndarray:
    """Sensor noise after demosaicing, uint8 around the middle: grain common to the channels and their own."""
    rng = stream(0, "sensor")
    shared = rng.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 1), np.float32)
    own = rng.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3), np.float32)
    grain = cv2.GaussianBlur(0.8 * shared + 0.6 * own, (0, 0), 0.5)
    return np.clip(grain / grain.std() * _NOISE_SIGMA + _NOISE_MIDDLE, 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, shape_hw: tuple[int, int]) -> np.ndarray:
    """A random part of the noise field, repeated where the picture is larger; uint8 (H, W, 3)."""
    field = _noise_field()
    top, left = (int(rng.integers(max(_NOISE_SIDE - length, 0) + 1)) for length in shape_hw)
    bottom, right = top + shape_hw[0], left + shape_hw[1]
    if bottom <= _NOISE_SIDE and right <= _NOISE_SIDE:
        return field[top:bottom, left:right]
    rows = np.arange(top, bottom) % _NOISE_SIDE
    columns = np.arange(left, right) % _NOISE_SIDE
    return field.take(rows, axis=0).take(columns, axis=1)


def _tone(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """White balance, gamma, contrast and saturation, in one table and at most one colour matrix."""
    steps = np.repeat(np.arange(256, dtype=np.float32)[:, None] / 255, 3, 1)
    steps = steps ** log_uniform(rng, 0.7, 1.25) * (1 + rng.normal(0, 0.03, 3))
    if chance(rng, 0.5):
        contrast = rng.uniform(0.75, 1.35)
        steps = (steps - 0.5) * contrast + 0.5 + rng.uniform(-0.06, 0.06)
    table = np.clip(steps * 255, 0, 255).astype(np.uint8)[:, None]
    picture = cv2.LUT(picture, np.ascontiguousarray(table))
    if chance(rng, 0.4):
        saturation = rng.uniform(0.0, 1.5)
        grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        picture = cv2.addWeighted(picture, saturation, grey, 1 - saturation, 0)
    return picture
