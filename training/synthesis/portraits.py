"""The holder's photograph: a drawn head and shoulders that looks like a passport photo from reading distance.

Stands apart because no photograph of a person may be needed to train.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis.patterns import as_colour, hsv_colour, value_noise
from unetlite.training.synthesis.randomness import chance, pick

_SKIN = np.array(
    [[244, 208, 180], [231, 188, 150], [205, 152, 112], [160, 108, 74], [110, 72, 50], [75, 50, 38]]
)
_HAIR = np.array(
    [
        [12, 10, 10],
        [30, 22, 18],
        [25, 20, 18],
        [50, 34, 24],
        [95, 62, 36],
        [170, 130, 75],
        [140, 135, 130],
        [120, 50, 25],
    ]
)
_DRAWN_WH = (120, 156)


def draw_portrait(rng: np.random.Generator, size_wh: tuple[int, int]) -> np.ndarray:
    """A head-and-shoulders picture, uint8 (h, w, 3) of the given size."""
    width, height = _DRAWN_WH
    skin = _SKIN[rng.integers(len(_SKIN))] * rng.uniform(0.9, 1.05)
    hair = _HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.7, 1.2)
    clothes = hsv_colour(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.1, 0.9))
    backdrop = hsv_colour(rng.random(), rng.uniform(0, 0.25), rng.uniform(0.7, 1.0))
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[...] = backdrop
    x, y = width / 2 + rng.uniform(-5, 5), height * rng.uniform(0.42, 0.48)
    wide, tall = width * rng.uniform(0.2, 0.25), height * rng.uniform(0.23, 0.28)

    def oval(
        cx: float,
        cy: float,
        rx: float,
        ry: float,
        colour: np.ndarray,
        start: int = 0,
        end: int = 360,
        thickness: int = -1,
    ) -> None:
        cv2.ellipse(
            canvas,
            (int(cx), int(cy)),
            (max(int(rx), 1), max(int(ry), 1)),
            0,
            start,
            end,
            as_colour(colour),
            thickness,
            cv2.LINE_AA,
        )

    long_hair = chance(rng, 0.45)
    if long_hair:
        oval(x, y + tall * 0.35, wide * 1.45, tall * rng.uniform(1.3, 1.7), hair)
    else:
        oval(x, y - tall * 0.15, wide * 1.12, tall * 1.08, hair)
    oval(x, height * 1.05, width * rng.uniform(0.4, 0.5), height * rng.uniform(0.25, 0.31), clothes)
    oval(x, y + tall * 1.0, wide * 0.6, tall * 0.55, skin * 0.85)
    if chance(rng, 0.5):
        oval(x, height * 0.96, wide * 0.55, tall * 0.45, np.array([245, 245, 245]) * rng.uniform(0.6, 1))
    oval(x, y, wide, tall, skin)
    oval(x, y - tall * rng.uniform(0.5, 0.75), wide * 0.98, tall * rng.uniform(0.3, 0.55), hair)
    if not long_hair and chance(rng, 0.35):
        oval(x, y + tall * 0.6, wide * 0.75, tall * 0.42, hair * 0.6 + skin * 0.4)
        oval(x, y + tall * 0.42, wide * 0.4, tall * 0.12, skin)
    for side in (-1, 1):
        oval(x + side * wide * 0.42, y - tall * 0.03, wide * 0.2, tall * 0.07, np.array([235, 230, 225]))
        oval(x + side * wide * 0.42, y - tall * 0.03, wide * 0.09, tall * 0.07, np.array([40, 30, 25]))
        oval(x + side * wide * 0.42, y - tall * 0.2, wide * 0.26, tall * 0.05, hair * 0.8)
    if chance(rng, 0.2):
        for side in (-1, 1):
            oval(x + side * wide * 0.45, y, wide * 0.36, tall * 0.18, np.array([30, 30, 30]), thickness=2)
    oval(x, y + tall * 0.2, wide * 0.14, tall * 0.17, skin * 0.82)
    oval(x, y + tall * 0.53, wide * 0.36, tall * 0.06, skin * np.array([0.85, 0.55, 0.55]))
    soft = cv2.GaussianBlur(canvas, (0, 0), 1.3).astype(np.float32)
    shade = np.linspace(rng.uniform(0.75, 1.2), rng.uniform(0.75, 1.2), width, dtype=np.float32)[
        None, :, None
    ]
    soft *= shade * (0.9 + 0.2 * value_noise(rng, (height, width), (20, 16), 2))[..., None]
    picture = np.clip(soft, 0, 255).astype(np.uint8)
    if chance(rng, 0.3):
        picture[...] = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]
    if chance(rng, 0.5):
        picture = picture[:, ::-1]
    return cv2.resize(picture, size_wh, interpolation=pick(rng, (cv2.INTER_LINEAR, cv2.INTER_AREA)))
