"""What a document is printed on: the tinted ground with its security printing, and the inks that show on it.

Stands apart from layouts.py because any layout may stand on any ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unetlite.training.synthesis.patterns import (
    as_colour,
    blend,
    colour_gradient,
    draw_emblem,
    draw_guilloche,
    fill_shape,
    hsv_colour,
)
from unetlite.training.synthesis.randomness import chance


@dataclass(frozen=True)
class Ink:
    """The colours one design is printed in."""

    text: np.ndarray
    label: np.ndarray
    accent: np.ndarray
    pattern: np.ndarray


def print_background(
    rng: np.random.Generator, shape_hw: tuple[int, int], *, dark: bool
) -> tuple[np.ndarray, Ink]:
    """The tinted ground with its security printing, and the inks that can be read on it."""
    hue = rng.random()
    hues = hue + rng.uniform(-0.25, 0.25, 4) * (1.0 if chance(rng, 0.5) else 0.3)
    saturation = float(rng.beta(1.4, 7.0))
    if dark:
        palette = np.stack([hsv_colour(h, rng.uniform(0.2, 0.9), rng.uniform(0.08, 0.6)) for h in hues])
    else:
        palette = np.stack(
            [hsv_colour(h, saturation * rng.uniform(0.3, 1.6), rng.uniform(0.8, 1)) for h in hues]
        )
    if chance(rng, 0.12):
        palette[:] = palette[0]
    canvas = np.clip(colour_gradient(rng, shape_hw, palette), 0, 255).astype(np.uint8)
    pattern = hsv_colour(hue + rng.uniform(-0.3, 0.3), rng.uniform(0.2, 0.9), rng.uniform(0.3, 0.9))
    if dark:
        ink = Ink(
            np.full(3, rng.uniform(200, 255)),
            hsv_colour(hue, 0.2, 0.9),
            hsv_colour(hue + 0.5, 0.6, 0.9),
            pattern,
        )
    else:
        ink = Ink(
            np.full(3, rng.uniform(10, 60)),
            hsv_colour(hue + rng.uniform(-0.2, 0.2), 0.7, 0.45),
            hsv_colour(rng.random(), rng.uniform(0.4, 1.0), rng.uniform(0.3, 0.8)),
            pattern,
        )
    layer = canvas.copy()
    for _ in range(int(rng.integers(0, 5))):
        tone = pattern if chance(rng, 0.6) else hsv_colour(rng.random(), 0.5, 0.6)
        draw_guilloche(rng, layer, as_colour(tone))
    height, width = shape_hw
    if chance(rng, 0.6):
        centre = rng.uniform([0.2, 0.3], [0.9, 0.8]) * [width, height]
        draw_emblem(rng, layer, centre, height * rng.uniform(0.2, 0.5), as_colour(pattern))
    if chance(rng, 0.25):
        band = np.array(
            [[rng.uniform(0, 1), 0], [rng.uniform(0, 1), 0], [rng.uniform(0, 1), 1], [rng.uniform(0, 1), 1]]
        ) * [width, height]
        fill_shape(layer, band, as_colour(hsv_colour(rng.random(), 0.4, 0.9)))
    blend(canvas, layer, float(rng.uniform(0.12, 0.55)))
    return canvas, ink
