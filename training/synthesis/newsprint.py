"""Printed pages as a surface: the hardest common one, for it is as dark, light and lettered as a document.

Stands apart from textures.py because a page is set, not woven.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis import lettering
from unetlite.training.synthesis.patterns import as_colour, colour_gradient, hsv_colour, value_noise
from unetlite.training.synthesis.randomness import chance, pick


def newsprint(rng: np.random.Generator, side: int) -> np.ndarray:
    """A page with headlines, columns of small text, pictures and coloured boxes, uint8 (side, side, 3)."""
    paper = np.clip(np.full(3, rng.uniform(185, 250)) * rng.uniform([0.97, 0.95, 0.8], 1.0), 0, 255)
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[...] = paper
    ink = as_colour(np.full(3, rng.uniform(15, 70)))
    size = rng.uniform(4.5, 12)
    leading = size * rng.uniform(1.4, 1.9)
    columns = int(rng.integers(2, 6))
    stop = side / columns
    font = pick(rng, lettering.FONTS)
    strips = text_strips(rng, int(stop * 0.92), int(np.ceil(leading)), size, ink, as_colour(paper), font)
    for column in range(columns):
        y = rng.uniform(0, leading)
        left = int(column * stop + stop * 0.04)
        while y < side:
            event = rng.random()
            if event < 0.025:
                tall = int(rng.uniform(0.1, 0.3) * side)
                paste(canvas, printed_picture(rng, (tall, int(stop * 0.92))), left, int(y))
                y += tall + leading
            elif event < 0.06:
                big = size * rng.uniform(1.8, 5)
                head = " ".join(lettering.word(rng, capital=chance(rng, 0.5)) for _ in range(3))
                colour = ink if chance(rng, 0.8) else as_colour(hsv_colour(rng.random(), 0.9, 0.7))
                lettering.draw_text(
                    canvas, head, (left, y + big), big, colour, pick(rng, lettering.FONTS[1:4]), 2
                )
                y += big * 1.6
            elif event < 0.075:
                tall = int(leading * rng.integers(2, 7))
                cv2.rectangle(
                    canvas,
                    (left, int(y)),
                    (int(left + stop * 0.92), int(y + tall)),
                    as_colour(hsv_colour(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.3, 1))),
                    -1,
                )
                y += tall
            else:
                paste(canvas, strips[int(rng.integers(len(strips)))], left, int(y))
                y += leading
    return canvas


def paste(canvas: np.ndarray, patch: np.ndarray, left: int, top: int) -> None:
    """Put a patch on the canvas, in place; what reaches beyond the right and lower end is cut off."""
    room = canvas[top : top + patch.shape[0], left : left + patch.shape[1]]
    room[...] = patch[: room.shape[0], : room.shape[1]]


def text_strips(
    rng: np.random.Generator,
    width: int,
    height: int,
    size: float,
    ink: tuple[float, float, float],
    paper: tuple[float, float, float],
    font: int,
) -> list[np.ndarray]:
    """Two dozen lines of running text to be repeated down a column, each uint8 (height, width, 3)."""
    weight = int(rng.integers(1, 3))
    strips = []
    for _ in range(24):
        strip = np.empty((height * 2, width * 2, 3), np.uint8)
        strip[...] = paper
        x = 0.0
        end = width * 2 * (1.0 if chance(rng, 0.85) else rng.uniform(0.2, 0.9))
        while x < end:
            x += lettering.draw_text(
                strip, lettering.word(rng), (x, height * 1.5), size * 2 * 0.62, ink, font, weight
            )
            x += size
        strips.append(cv2.resize(strip, (width, height), interpolation=cv2.INTER_AREA))
    return strips


def printed_picture(rng: np.random.Generator, shape_hw: tuple[int, int]) -> np.ndarray:
    """Something like a printed photograph."""
    colours = np.stack(
        [hsv_colour(rng.random(), rng.uniform(0, 0.7), rng.uniform(0.08, 1.0)) for _ in range(4)]
    )
    picture = colour_gradient(rng, shape_hw, colours)
    picture *= (0.4 + 1.2 * value_noise(rng, shape_hw, (5, 5), 4))[..., None]
    if chance(rng, 0.5):
        picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
    return np.clip(picture, 0, 255).astype(np.uint8)
