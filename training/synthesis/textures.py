"""Materials seen from above: wood, weave, carpet, stone, paint, plastic, newsprint, keys and clutter.

Stands apart from surfaces.py, which lays them under a camera: a texture knows no pose. Each is uint8
(SIDE, SIDE, 3) and continues mirrored beyond its rim.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from unetlite.training.synthesis import lettering
from unetlite.training.synthesis.newsprint import newsprint
from unetlite.training.synthesis.patterns import (
    as_colour,
    colour_gradient,
    fill_shape,
    hsv_colour,
    value_noise,
)
from unetlite.training.synthesis.randomness import chance, pick, pick_weighted, stream

SIDE = 640
BANK_SIZE = 120  # textures per data set; each picture crops, turns, tints and scales one of them


@lru_cache(maxsize=BANK_SIZE)
def texture(seed: int, index: int) -> np.ndarray:
    """Texture number `index` (below BANK_SIZE) of a data set's bank."""
    rng = stream(seed, "texture", index)
    kinds = {
        "wood": 3,
        "weave": 2.5,
        "carpet": 1.5,
        "stone": 1.5,
        "granite": 1,
        "paint": 1.5,
        "plastic": 1.2,
        "newsprint": 3,
        "keys": 0.7,
        "clutter": 1.5,
        "tiles": 0.7,
        "print": 1.0,
        "leather": 0.8,
    }
    painters = {
        "wood": _wood,
        "weave": _weave,
        "carpet": _carpet,
        "stone": _stone,
        "granite": _granite,
        "paint": _paint,
        "plastic": _plastic,
        "newsprint": lambda rng: newsprint(rng, SIDE),
        "keys": _keys,
        "clutter": _clutter,
        "tiles": _tiles,
        "print": _print,
        "leather": _leather,
    }
    drawn = painters[pick_weighted(rng, kinds)](rng)
    return np.clip(drawn, 0, 255).astype(np.uint8)


def _two_tones(amount: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mix two colours by `amount` (H, W) in 0..1; float32 (H, W, 3)."""
    amount = np.clip(amount, 0, 1)[..., None].astype(np.float32)
    return (first + amount * (second - first)).astype(np.float32)


def _any_colour(rng: np.random.Generator, saturation: float = 0.6) -> np.ndarray:
    return hsv_colour(rng.random(), rng.uniform(0, saturation), rng.uniform(0.08, 1.0))


def _wood(rng: np.random.Generator) -> np.ndarray:
    base = hsv_colour(rng.uniform(0.03, 0.11), rng.uniform(0.25, 0.8), rng.uniform(0.2, 0.92))
    dark = base * rng.uniform(0.45, 0.85)
    bend = value_noise(rng, (SIDE, SIDE), (rng.uniform(3, 9), rng.uniform(1.5, 4)), 2)
    down = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None]
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(4, 26) * down + rng.uniform(1, 6) * bend))
    fibre = value_noise(rng, (SIDE, SIDE), (SIDE / 2.5, rng.uniform(4, 14)), 2)
    mix = rng.uniform(0.1, 0.6) * rings + rng.uniform(0.4, 1.0) * fibre
    picture = _two_tones(mix, dark, base)
    if chance(rng, 0.35):
        board = int(rng.integers(50, 180))
        for y in range(0, SIDE, board):
            picture[y : y + board] *= rng.uniform(0.8, 1.15)
            picture[y : y + 2] *= 0.5
            joint = int(rng.integers(SIDE))
            picture[y : y + board, joint : joint + 2] *= 0.55
    return picture


def _weave(rng: np.random.Generator) -> np.ndarray:
    first, second = _any_colour(rng, 0.9), _any_colour(rng, 0.9)
    if chance(rng, 0.5):
        second = first * rng.uniform(0.3, 0.8)
    pitch = rng.uniform(3, 11)
    steps = np.arange(SIDE, dtype=np.float32)
    wobble = value_noise(rng, (SIDE, SIDE), (40, 40)) * rng.uniform(0, 1.2)
    down = np.sin(2 * np.pi * steps[:, None] / pitch + wobble)
    across = np.sin(2 * np.pi * steps[None] / pitch + wobble)
    if chance(rng, 0.4):
        relief = 0.5 + 0.5 * np.sin(
            2 * np.pi * (steps[:, None] + steps[None] * rng.choice([-1, 1])) / pitch + wobble
        )
    else:
        relief = np.where(down * across > 0, 0.5 + 0.5 * abs(down), 0.4 * abs(across))
    relief = relief * 0.8 + 0.5 * value_noise(rng, (SIDE, SIDE), (SIDE / 2, SIDE / 2)) - 0.1
    picture = _two_tones(relief, second, first)
    if chance(rng, 0.4):
        width = int(rng.integers(20, 120))
        stripe = (steps // width % 2 == 0).astype(np.float32) * rng.uniform(-0.5, 0.3) + 1
        picture *= stripe[None, :, None]
        if chance(rng, 0.5):
            picture *= stripe[:, None, None]
    return picture * (0.85 + 0.3 * value_noise(rng, (SIDE, SIDE), (3, 3), 2))[..., None]


def _carpet(rng: np.random.Generator) -> np.ndarray:
    first = _any_colour(rng, 0.8)
    grain = rng.uniform(1.5, 6)
    tuft = value_noise(rng, (SIDE, SIDE), (SIDE / grain, SIDE / grain), 1)
    return _two_tones(tuft * 1.6 - 0.3, first * rng.uniform(0.2, 0.6), np.minimum(first * 1.3, 255))


def _stone(rng: np.random.Generator) -> np.ndarray:
    base = hsv_colour(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.2, 0.98))
    warp = value_noise(rng, (SIDE, SIDE), (4, 4), 5)
    veins = np.abs(np.sin(2 * np.pi * (warp * rng.uniform(2, 6) + np.linspace(0, 1, SIDE)[None])))
    veins = np.clip(veins * rng.uniform(1.5, 6), 0, 1)
    blotch = value_noise(rng, (SIDE, SIDE), (8, 8), 5)
    return _two_tones(0.7 * veins + 0.5 * blotch, base * rng.uniform(0.4, 0.9), base)


def _granite(rng: np.random.Generator) -> np.ndarray:
    base = hsv_colour(rng.random(), rng.uniform(0, 0.35), rng.uniform(0.3, 0.9))
    picture = np.empty((SIDE, SIDE, 3), np.float32)
    picture[...] = base
    for _ in range(3):
        cells = SIDE / rng.uniform(2, 9)
        spots = value_noise(rng, (SIDE, SIDE), (cells, cells)) > rng.uniform(0.6, 0.8)
        picture[spots] = base * rng.uniform(0.2, 1.5)
    return cv2.GaussianBlur(picture, (0, 0), 0.8)


def _paint(rng: np.random.Generator) -> np.ndarray:
    colour = _any_colour(rng, 0.8)
    if chance(rng, 0.35):
        colour = np.full(3, rng.uniform(200, 252)) * rng.uniform(0.95, 1.0, 3)
    fine = value_noise(rng, (SIDE, SIDE), (SIDE / 3, SIDE / 3)) - 0.5
    broad = value_noise(rng, (SIDE, SIDE), (3, 3), 3) - 0.5
    shade = 1 + rng.uniform(0, 0.12) * fine + rng.uniform(0, 0.3) * broad
    if chance(rng, 0.3):
        brushed = value_noise(rng, (SIDE, SIDE), (SIDE / 1.5, 3)) - 0.5
        shade += rng.uniform(0.05, 0.4) * brushed
    return colour * shade[..., None]


def _plastic(rng: np.random.Generator) -> np.ndarray:
    colour = _any_colour(rng, 0.9)
    folds = value_noise(rng, (SIDE, SIDE), (rng.uniform(3, 9), rng.uniform(3, 9)), 4)
    folds = np.abs(folds - 0.5) * 2
    slope = cv2.Sobel(folds, cv2.CV_32F, 1, 0, ksize=5) + cv2.Sobel(folds, cv2.CV_32F, 0, 1, ksize=5)
    slope /= np.abs(slope).max() + 1e-6
    gleam = np.clip(slope * 3 - rng.uniform(0.3, 0.8), 0, 1)[..., None]
    return colour * (0.85 + 0.9 * slope[..., None]) + gleam * rng.uniform(60, 220)


def _leather(rng: np.random.Generator) -> np.ndarray:
    colour = hsv_colour(rng.uniform(0, 0.12), rng.uniform(0, 0.8), rng.uniform(0.06, 0.6))
    bumps = value_noise(rng, (SIDE, SIDE), (SIDE / rng.uniform(6, 14),) * 2, 2)
    relief = cv2.Sobel(bumps, cv2.CV_32F, 1, 1, ksize=3)
    return colour * np.clip(1 + relief * rng.uniform(0.5, 3), 0.3, 2.2)[..., None]


def _tiles(rng: np.random.Generator) -> np.ndarray:
    colour, grout = _any_colour(rng, 0.5), _any_colour(rng, 0.2)
    pitch_y = int(rng.integers(50, 220))
    pitch_x = int(pitch_y * pick(rng, (1.0, 1.0, 2.0, 3.0)))
    picture = _paint(rng) * 0.3 + colour * 0.7
    for row, y in enumerate(range(0, SIDE, pitch_y)):
        for x in range(-(row % 2) * pitch_x // 2, SIDE, pitch_x):
            picture[y : y + pitch_y, max(x, 0) : max(x + pitch_x, 0)] *= rng.uniform(0.85, 1.12)
            picture[y : y + pitch_y, max(x, 0) : max(x, 0) + 3] = grout
        picture[y : y + 3] = grout
    return picture


def _keys(rng: np.random.Generator) -> np.ndarray:
    base = np.full(3, rng.uniform(15, 220))
    key = base * rng.uniform(0.4, 0.9) if base[0] > 100 else base * rng.uniform(1.0, 1.9) + 8
    letter = as_colour(np.full(3, 235.0 if key.mean() < 120 else 30.0))
    canvas = np.empty((SIDE, SIDE, 3), np.uint8)
    canvas[...] = np.clip(base, 0, 255)
    pitch = int(rng.integers(34, 80))
    for row, y in enumerate(range(0, SIDE, pitch)):
        for x in range(-(row % 3) * pitch // 3, SIDE, pitch):
            inset = pitch * 0.07
            cv2.rectangle(
                canvas,
                (int(x + inset), int(y + inset)),
                (int(x + pitch - inset), int(y + pitch - inset)),
                as_colour(key * rng.uniform(0.92, 1.08)),
                -1,
                cv2.LINE_AA,
            )
            lettering.draw_text(
                canvas,
                lettering.word(rng, capital=True)[:1],
                (x + pitch * 0.25, y + pitch * 0.5),
                pitch * 0.25,
                letter,
            )
    return canvas


def _print(rng: np.random.Generator) -> np.ndarray:
    """A patterned cloth or paper: dots, stripes, checks or flowers on a ground."""
    canvas = np.empty((SIDE, SIDE, 3), np.uint8)
    canvas[...] = _any_colour(rng, 0.8)
    pitch = int(rng.integers(24, 110))
    colours = [as_colour(_any_colour(rng, 0.9)) for _ in range(3)]
    form = pick(rng, ("dots", "stripes", "checks", "rings"))
    for row, y in enumerate(range(0, SIDE + pitch, pitch)):
        if form == "stripes":
            cv2.rectangle(canvas, (0, y), (SIDE, y + pitch // 2), colours[row % 3], -1)
            continue
        for column, x in enumerate(range(0, SIDE + pitch, pitch)):
            centre = (x + (row % 2) * pitch // 2, y)
            if form == "checks" and (row + column) % 2:
                cv2.rectangle(canvas, (x, y), (x + pitch, y + pitch), colours[0], -1)
            elif form in ("dots", "rings"):
                cv2.circle(
                    canvas,
                    centre,
                    pitch // 3,
                    colours[(row + column) % 3],
                    -1 if form == "dots" else 3,
                    cv2.LINE_AA,
                )
    return canvas * (0.85 + 0.3 * value_noise(rng, (SIDE, SIDE), (SIDE / 2.5,) * 2, 1))[..., None]


def _clutter(rng: np.random.Generator) -> np.ndarray:
    """Overlapping coloured things without names, as a messy table or a far room looks."""
    picture = colour_gradient(rng, (SIDE, SIDE), np.stack([_any_colour(rng) for _ in range(4)]))
    canvas = np.clip(picture, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(10, 45))):
        centre, size = rng.uniform(0, SIDE, 2), rng.uniform(15, 200)
        sides = int(rng.integers(4, 9))
        angle = np.linspace(0, 2 * np.pi, sides, endpoint=False) + rng.uniform(0, 6.28)
        outline = np.stack([np.cos(angle), np.sin(angle)], 1) * size * rng.uniform(0.3, 1, 2)
        colour = _any_colour(rng, 0.9)
        fill_shape(canvas, centre + outline + size * 0.06, as_colour(colour * 0.3))
        fill_shape(canvas, centre + outline, as_colour(colour))
    return cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.6, 6))
