"""Light that falls on the finished scene: gradients, lamps, coloured casts, shadow stripes and glare.

Stands apart from camera.py: light belongs to the place, and is smooth enough to be drawn at an eighth of the
size.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis.patterns import fill_shape, hsv_colour, value_noise
from unetlite.training.synthesis.randomness import chance, log_uniform

_COARSE = 8  # output pixels per light-map pixel
_DARKEST_DOCUMENT = 34.0  # mean of the brightest channel, 0..255


def apply_light(rng: np.random.Generator, canvas: np.ndarray, quad: np.ndarray | None) -> np.ndarray:
    """Light and expose a scene (H, W, 3) uint8 whose document, if any, is at `quad`; uint8 (H, W, 3)."""
    height, width = canvas.shape[:2]
    shape = (max(height // _COARSE, 8), max(width // _COARSE, 8))
    gain = _gain(rng, shape)
    coarse = cv2.resize(canvas, shape[::-1], interpolation=cv2.INTER_AREA)
    if chance(rng, 0.2):  # stripes have edges and need more detail than lamps
        half = (height // 2, width // 2)
        stripes = _shadow_stripes(rng, half)
        gain = cv2.resize(gain, half[::-1]) * cv2.merge([stripes, stripes, stripes])
        coarse = cv2.resize(canvas, half[::-1], interpolation=cv2.INTER_NEAREST)
    gain *= np.float32(
        _exposure(rng, coarse * gain, quad / (width / gain.shape[1]) if quad is not None else None)
    )
    lit = cv2.multiply(
        canvas, cv2.resize(gain, (width, height), interpolation=cv2.INTER_LINEAR), dtype=cv2.CV_8U
    )
    if chance(rng, 0.18):
        glare = _glare(rng, shape, None if quad is None else quad / _COARSE)
        lit = cv2.add(
            lit, cv2.resize(glare, (width, height), interpolation=cv2.INTER_LINEAR), dtype=cv2.CV_8U
        )
    return lit


def _exposure(rng: np.random.Generator, lit: np.ndarray, quad: np.ndarray | None) -> float:
    """The factor that a phone's automatic exposure would choose, with its errors; sometimes low light."""
    brightest = lit.max(2)
    middle, high = float(brightest.mean()) + 1.0, float(np.percentile(brightest, 97)) + 1.0
    if chance(rng, 0.08):
        factor = rng.uniform(28, 80) / middle
    else:
        factor = min(max(rng.normal(152, 28), 75.0) / middle, rng.uniform(235, 370) / high)
    if quad is None:
        return factor
    # Nobody takes a picture in which the document cannot be seen at all.
    inside = np.zeros(brightest.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.round(quad).astype(np.int32), (1.0,))
    return max(factor, _DARKEST_DOCUMENT / (cv2.mean(brightest, inside)[0] + 1.0))


def _gain(rng: np.random.Generator, shape_hw: tuple[int, int]) -> np.ndarray:
    """The light's strength per channel, float32 (h, w, 3)."""
    height, width = shape_hw
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    strength = 1.0 + 0.9 * rng.random() ** 2 * ramp
    if chance(rng, 0.22):  # a lamp or the phone's torch
        centre_x, centre_y = rng.uniform(-0.2, 1.2, 2)
        spot = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / rng.uniform(0.05, 0.8))
        strength *= 0.5 + rng.uniform(0.4, 1.1) * spot
    if chance(rng, 0.25):
        strength *= 0.65 + 0.7 * value_noise(rng, shape_hw, (3, 3), 2)
    if chance(rng, 0.3):  # vignetting
        strength *= 1 - rng.uniform(0.1, 0.5) * ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2
    gain = np.repeat(np.clip(strength, 0.1, 2.0)[..., None], 3, 2).astype(np.float32)
    kind = rng.random()
    if kind < 0.62:  # lamps between tungsten and shade
        warmth = rng.normal(0.02, 0.07)
        gain *= np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    elif kind < 0.72:
        gain *= (0.6 + 0.4 * hsv_colour(rng.random(), rng.uniform(0.15, 0.6), 1.0) / 255).astype(np.float32)
    elif kind < 0.82:  # coloured light, stronger towards one place
        hue = rng.choice([rng.uniform(0.75, 0.95), rng.random()])
        colour = hsv_colour(hue, rng.uniform(0.5, 0.95), 1.0) / 255
        centre_x, centre_y = rng.uniform(-0.1, 1.1, 2)
        spread = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / rng.uniform(0.15, 2.0))[..., None]
        gain *= (1 + spread * rng.uniform(0.7, 1.0) * (colour * rng.uniform(1.0, 1.7) - 1)).astype(np.float32)
    return gain


def _shadow_stripes(rng: np.random.Generator, shape_hw: tuple[int, int]) -> np.ndarray:
    """Shadows of blinds, window bars, the phone or an arm, float32 (h, w) in 0..1."""
    height, width = shape_hw
    shadow = np.zeros((height, width), np.uint8)
    diagonal = float(np.hypot(height, width))
    angle = rng.uniform(0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    middle = np.array([width / 2, height / 2])
    position = -diagonal * rng.uniform(0.2, 0.7)
    for _ in range(int(rng.integers(1, 7))):
        thick = diagonal * rng.uniform(0.03, 0.3)
        skew = rng.normal(0, 0.08)
        start, end = middle + across * position, middle + across * (position + thick)
        fill_shape(
            shadow,
            np.array(
                [
                    start - along * diagonal,
                    start + (along + across * skew) * diagonal,
                    end + (along + across * skew) * diagonal,
                    end - along * diagonal,
                ]
            ),
            (255.0, 255.0, 255.0),
        )
        position += thick + diagonal * rng.uniform(0.03, 0.3)
    soft = cv2.GaussianBlur(shadow, (0, 0), log_uniform(rng, 0.6, 28.0)).astype(np.float32) * (1 / 255)
    return 1 - rng.uniform(0.2, 0.75) * soft


def _glare(rng: np.random.Generator, shape_hw: tuple[int, int], quad: np.ndarray | None) -> np.ndarray:
    """Reflections of lamps on a shiny surface, float32 (h, w, 3) to be added."""
    height, width = shape_hw
    spots = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        if quad is not None and chance(rng, 0.75):
            weights = rng.dirichlet(np.ones(4))
            centre = weights @ quad
        else:
            centre = rng.uniform([0, 0], [width, height])
        size = np.maximum(rng.uniform(0.006, 0.07, 2) * max(height, width), 1.0)
        cv2.ellipse(
            spots,
            (int(centre[0]), int(centre[1])),
            (int(size[0]), int(size[1])),
            rng.uniform(0, 180),
            0,
            360,
            (255.0,),
            -1,
            cv2.LINE_AA,
        )
    soft = cv2.GaussianBlur(spots, (0, 0), rng.uniform(0.8, 4.0)).astype(np.float32) * (1 / 255)
    colour = np.array([255, 255, 255]) * rng.uniform([0.9, 0.9, 0.8], 1.0) * rng.uniform(0.2, 1.1)
    return (soft[..., None] * colour).astype(np.float32)
