"""Noise, gradients, guilloche lines and emblems: what both faces and surfaces are printed with.

Stands apart because documents and tables share these primitives and nothing else.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis.randomness import chance, pick

Colour = tuple[float, float, float]
_SHIFT = 4  # fractional bits of cv2's drawing coordinates


def value_noise(
    rng: np.random.Generator, shape_hw: tuple[int, int], cells_hw: tuple[float, float], octaves: int = 1
) -> np.ndarray:
    """Smooth noise in about [0, 1], float32 (H, W); `cells_hw` is the number of bumps down and across."""
    height, width = shape_hw
    total = np.zeros((height, width), np.float32)
    weight, weights = 1.0, 0.0
    for octave in range(octaves):
        rows = int(np.clip(cells_hw[0] * 2**octave, 2, height))
        columns = int(np.clip(cells_hw[1] * 2**octave, 2, width))
        grid = rng.random((rows, columns), dtype=np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weights += weight
        weight *= 0.5
    return total / weights


def colour_gradient(rng: np.random.Generator, shape_hw: tuple[int, int], colours: np.ndarray) -> np.ndarray:
    """A soft mixture of `colours` (N, 3) over the picture, float32 (H, W, 3)."""
    rows, columns = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    grid = colours[rng.integers(len(colours), size=(rows, columns))].astype(np.float32)
    return cv2.resize(grid, shape_hw[::-1], interpolation=cv2.INTER_LINEAR)


def hsv_colour(hue: float, saturation: float, value: float) -> np.ndarray:
    """RGB in 0..255, float32 (3,), of a hue in turns and the rest in 0..1."""
    sector = (hue % 1.0) * 6.0
    channels = np.array([abs(sector - 3.0) - 1.0, 2.0 - abs(sector - 2.0), 2.0 - abs(sector - 4.0)])
    pure = np.clip(channels, 0.0, 1.0)
    return (255.0 * value * (1.0 - saturation * (1.0 - pure))).astype(np.float32)


def as_colour(colour: np.ndarray) -> Colour:
    """A colour that cv2's drawing calls take."""
    red, green, blue = (float(channel) for channel in np.clip(colour, 0, 255))
    return red, green, blue


def draw_curve(
    canvas: np.ndarray, points: np.ndarray, colour: Colour, thickness: int = 1, *, closed: bool = False
) -> None:
    """Draw an anti-aliased curve through `points` (N, 2), in place."""
    fixed = np.round(np.clip(points, -8000, 8000) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(canvas, [fixed], closed, colour, thickness, cv2.LINE_AA, _SHIFT)


def fill_shape(canvas: np.ndarray, points: np.ndarray, colour: Colour) -> None:
    """Fill the anti-aliased polygon through `points` (N, 2), in place."""
    fixed = np.round(np.clip(points, -8000, 8000) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], colour, cv2.LINE_AA, _SHIFT)


def draw_guilloche(rng: np.random.Generator, canvas: np.ndarray, colour: Colour) -> None:
    """A family of interlaced waves or a rosette, as security printing has, drawn in place."""
    height, width = canvas.shape[:2]
    lines = int(rng.integers(8, 26))
    if chance(rng, 0.35):
        centre = rng.uniform([0, 0], [width, height])
        angle = np.linspace(0, 2 * np.pi, 140)
        petals = int(rng.integers(5, 17))
        radius = rng.uniform(0.15, 0.5) * height
        for step in range(lines):
            wave = 1.0 + 0.25 * np.sin(petals * angle + step * 2 * np.pi / lines * petals)
            ring = radius * (0.25 + 0.75 * step / lines) * wave
            draw_curve(canvas, centre + np.stack([np.cos(angle), np.sin(angle)], 1) * ring[:, None], colour)
        return
    along = np.linspace(-0.1, 1.1, 60)
    amplitude = rng.uniform(0.02, 0.2)
    frequency, second = rng.uniform(1, 5), rng.uniform(4, 12)
    drift, phase = rng.uniform(0.3, 3.0), rng.uniform(0, 6.28)
    middle, spread = rng.uniform(0.2, 0.8), rng.uniform(0.3, 1.3)
    tilt = rng.uniform(-0.6, 0.6)
    for step in np.linspace(-0.5, 0.5, lines):
        across = middle + spread * step + tilt * (along - 0.5)
        across = across + amplitude * np.sin(2 * np.pi * frequency * along + drift * step * 6 + phase)
        across = across + 0.3 * amplitude * np.sin(2 * np.pi * second * along - drift * step * 9)
        draw_curve(canvas, np.stack([along * width, across * height], 1), colour)


def emblem_points(rng: np.random.Generator) -> np.ndarray:
    """The outline of a star, shield, leaf or symmetric bird-like shape in about [-1, 1], (N, 2)."""
    form = pick(rng, ("star", "shield", "flower", "bird", "sun"))
    if form in ("star", "sun"):
        tips = int(rng.integers(5, 9)) if form == "star" else int(rng.integers(12, 24))
        angle = np.linspace(0, 2 * np.pi, 2 * tips, endpoint=False) - np.pi / 2
        radius = np.where(np.arange(2 * tips) % 2 == 0, 1.0, rng.uniform(0.4, 0.75))
        return np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]
    if form == "shield":
        side = np.array([[-0.8, -0.9], [0.8, -0.9], [0.8, 0.1], [0.5, 0.6], [0, 1], [-0.5, 0.6], [-0.8, 0.1]])
        return side * rng.uniform(0.8, 1.0, 2)
    if form == "flower":
        angle = np.linspace(0, 2 * np.pi, 80)
        radius = 0.7 + 0.3 * np.cos(angle * int(rng.integers(3, 9)))
        return np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]
    half = np.sort(rng.uniform(-1, 1, 11))
    reach = rng.uniform(0.1, 1.0, 11) * np.where(np.arange(11) % 2 == 0, 1.0, 0.5)
    right = np.stack([reach, half], 1)
    return np.concatenate([right, (right * [-1, 1])[::-1]])


def draw_emblem(
    rng: np.random.Generator, canvas: np.ndarray, centre: np.ndarray, radius: float, colour: Colour
) -> None:
    """A coat-of-arms-like mark: an outline with inner figures and sometimes a ring, in place."""
    outline = emblem_points(rng)
    if chance(rng, 0.4):
        cv2.circle(canvas, tuple(int(v) for v in centre), int(radius * 1.1), colour, 1, cv2.LINE_AA)
    if chance(rng, 0.6):
        fill_shape(canvas, centre + radius * outline, colour)
        inner = as_colour(np.array(colour) + pick(rng, (60.0, -60.0, 110.0)))
    else:
        draw_curve(canvas, centre + radius * outline, colour, 1, closed=True)
        inner = colour
    for _ in range(int(rng.integers(1, 5))):
        part = emblem_points(rng) * rng.uniform(0.15, 0.45) + rng.uniform(-0.4, 0.4, 2)
        draw_curve(canvas, centre + radius * part, inner, 1, closed=True)


def blend(canvas: np.ndarray, layer: np.ndarray, weight: float) -> None:
    """Mix `layer` into `canvas` in place; both uint8 of one shape."""
    cv2.addWeighted(canvas, 1.0 - weight, layer, weight, 0.0, dst=canvas)
