"""Rounded things over and beside a document: pens, cups, coins, cables, toys.

Stands apart from distractors.py because these have no plane: each is an outline, shaded as if it were round.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis.lumps import ribbon, shade_lump, smooth_curve, smooth_outline
from unetlite.training.synthesis.patterns import hsv_colour
from unetlite.training.synthesis.randomness import chance, log_uniform, pick_weighted


def draw_objects(
    rng: np.random.Generator,
    canvas: np.ndarray,
    quad: np.ndarray,
    pixels_per_mm: float,
    *,
    over: bool,
    count: int,
) -> None:
    """Put `count` things on the document (`over`) or beside it, in place."""
    for _ in range(count):
        centre = _spot(rng, quad, (canvas.shape[1], canvas.shape[0]), over=over)
        kind = pick_weighted(rng, {"pen": 3, "lump": 2.5, "disc": 2, "cable": 1.2, "strip": 0.8, "box": 1.2})
        _PAINTERS[kind](rng, canvas, centre, pixels_per_mm)


def _spot(rng: np.random.Generator, quad: np.ndarray, size_wh: tuple[int, int], *, over: bool) -> np.ndarray:
    """Where to put a thing: near the document's rim, close outside it, or anywhere outside it."""
    middle = quad.mean(0)
    if over or chance(rng, 0.5):
        corner = quad[int(rng.integers(4))]
        following = quad[int(rng.integers(4))]
        rim = corner + (following - corner) * rng.random()
        return middle + (rim - middle) * (rng.uniform(0.55, 1.15) if over else rng.uniform(1.1, 1.7))
    for _ in range(6):
        spot = rng.uniform([0, 0], size_wh)
        if cv2.pointPolygonTest(quad.astype(np.float32), (float(spot[0]), float(spot[1])), True) < 0:
            break
    return spot


def _vivid(rng: np.random.Generator) -> np.ndarray:
    if chance(rng, 0.25):
        return np.full(3, rng.uniform(15, 245))
    return hsv_colour(rng.random(), rng.uniform(0.3, 1.0), rng.uniform(0.2, 1.0))


def _pen(rng: np.random.Generator, canvas: np.ndarray, centre: np.ndarray, scale: float) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    half, width = scale * rng.uniform(45, 75), scale * rng.uniform(3.5, 9)
    spine = centre + np.linspace(-1, 1, 20)[:, None] * along * half
    profile = np.full(20, width) * np.interp(np.linspace(0, 1, 20), [0, 0.1, 0.85, 1], [0.4, 1, 1, 0.8])
    cut = rng.uniform(0.3, 0.7)
    split = spine[int(cut * 19) :]
    normal = np.array([-along[1], along[0]]) * width * 1.2
    cap = np.concatenate([split + normal, (split - normal)[::-1]])
    colour = _vivid(rng)
    shade_lump(
        canvas,
        ribbon(spine, profile),
        colour,
        rng,
        marks=[(cap, _vivid(rng) if chance(rng, 0.5) else colour * 0.7)],
        gloss=rng.uniform(0, 400),
    )


def _round(rng: np.random.Generator, canvas: np.ndarray, centre: np.ndarray, scale: float) -> None:
    """A cup, lid or coin from above."""
    radius = scale * log_uniform(rng, 9, 48)
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1) * radius * [1, rng.uniform(0.8, 1.0)]
    colour = _vivid(rng)
    marks = (
        [(centre + circle * rng.uniform(0.5, 0.9), colour * rng.uniform(0.4, 1.3))]
        if chance(rng, 0.7)
        else []
    )
    shade_lump(
        canvas,
        centre + circle,
        colour,
        rng,
        marks=marks,
        flat=rng.uniform(0.5, 0.9),
        gloss=rng.uniform(0, 500),
    )


def _toy(rng: np.random.Generator, canvas: np.ndarray, centre: np.ndarray, scale: float) -> None:
    colour = _vivid(rng)
    near = chance(rng, 0.35)
    blur = scale * rng.uniform(1, 5) if near else 0.0
    size = scale * rng.uniform(12, 34) * (rng.uniform(1.3, 2.6) if near else 1.0)
    for _ in range(int(rng.integers(1, 4))):
        shade_lump(
            canvas,
            smooth_outline(rng, centre, size, 0.12),
            colour,
            rng,
            blur_px=min(blur, 14.0),
            gloss=rng.uniform(0, 300),
        )
        centre = centre + rng.normal(0, size * 0.7, 2)
        colour = colour if chance(rng, 0.5) else _vivid(rng)


def _cable(rng: np.random.Generator, canvas: np.ndarray, centre: np.ndarray, scale: float) -> None:
    reach = scale * rng.uniform(60, 160)
    points = centre + rng.normal(0, 1, (3, 2)) * reach
    points[1] = centre
    width = scale * rng.uniform(1.2, 3.0)
    colour = np.full(3, rng.choice([20, 30, 45, 235])) if chance(rng, 0.8) else _vivid(rng)
    shade_lump(
        canvas, ribbon(smooth_curve(points, 40), np.full(40, width)), colour, rng, gloss=rng.uniform(0, 300)
    )


def _strip(rng: np.random.Generator, canvas: np.ndarray, centre: np.ndarray, scale: float) -> None:
    """A ruler, ribbon or out-of-focus frame close to the lens."""
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    half = scale * rng.uniform(60, 260)
    spine = centre + np.linspace(-1, 1, 6)[:, None] * along * half
    blur = scale * rng.uniform(0.5, 4) if chance(rng, 0.6) else 0.0
    shade_lump(
        canvas,
        ribbon(spine, np.full(6, scale * rng.uniform(5, 16))),
        _vivid(rng),
        rng,
        flat=0.95,
        blur_px=min(blur, 12.0),
    )


def _box(rng: np.random.Generator, canvas: np.ndarray, centre: np.ndarray, scale: float) -> None:
    """An eraser, lighter, charger or key fob: a rectangle with two visible sides."""
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    size = scale * np.array([rng.uniform(12, 45), rng.uniform(8, 20)])
    base = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size @ turn + centre
    lift = rng.normal(0, 1, 2) * scale * 4
    colour = _vivid(rng)
    shade_lump(
        canvas,
        cv2.convexHull(np.concatenate([base, base + lift]).astype(np.float32))[:, 0],
        colour * 0.6,
        rng,
        flat=0.9,
    )
    shade_lump(canvas, base + lift, colour, rng, flat=0.95)


_PAINTERS = {"pen": _pen, "lump": _toy, "disc": _round, "cable": _cable, "strip": _strip, "box": _box}
