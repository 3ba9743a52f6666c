"""Chance for a batch of training views: a few numbers a picture, by NumPy, so that a seed gives the same anywhere.

What `unetlite.training.data.augment` does to one picture, and views as `unetlite.vision.second_look` takes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unetlite.training.data.augment import CLOSER_SHARE, LEAST_ASPECT, MOST_SHARE

_TAPS = 7  # of the blur


@dataclass(frozen=True)
class Chances:
    """What a batch is changed by, float32.

    Attributes:
        places: (B, 3, 3), from places in the view, -1..1 from edge to edge, to places in the picture, likewise.
        colour: (B, 8), gain of three channels, gamma, contrast, offset, share of grey, deviation of the noise in 0..1.
        blur: (B, 7), weights of neighbouring pixels, along both axes.
    """

    places: np.ndarray
    colour: np.ndarray
    blur: np.ndarray

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.places, self.colour, self.blur


def no_chances(count: int) -> Chances:
    """Of pictures that are seen as they are."""
    colour = np.tile(np.array([1, 1, 1, 1, 1, 0, 0, 0], np.float32), (count, 1))
    blur = np.tile(np.eye(1, _TAPS, _TAPS // 2, dtype=np.float32), (count, 1))
    return Chances(np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)), colour, blur)


def draw_chances(rng: np.random.Generator, boxes: np.ndarray, aspects: np.ndarray, size_wh: tuple[int, int]) -> Chances:
    """Chances for pictures that are stretched into lying inputs.

    Args:
        boxes: (B, 4) the document's extent, left, top, right, bottom in 0..1; the whole picture's where there is none.
        aspects: (B,) long side to short side of each picture before it was stretched.
        size_wh: the view's pixels.
    """
    count = len(boxes)
    width, height = size_wh
    moves = np.linalg.inv(_moves(rng, count, width / height))
    mirrors = np.tile(np.eye(3), (count, 1, 1))
    mirrors[:, (0, 1), (0, 1)] = np.where(rng.random((count, 2)) < [0.5, 0.25], -1.0, 1.0)
    places = _views(rng, boxes, aspects) @ mirrors @ moves
    return Chances(places.astype(np.float32), _colours(rng, count), _blurs(rng, count))


def _moves(rng: np.random.Generator, count: int, aspect: float) -> np.ndarray:
    """Homographies (B, 3, 3) of the square -1..1: turned, scaled, tilted, shifted."""
    angle = np.where(rng.random(count) < 0.8, rng.normal(0, np.radians(8), count), rng.uniform(-np.pi, np.pi, count))
    zoom = np.exp(rng.normal(0, 0.18, count))
    other_way = rng.random(count) < 0.25  # held the other way, and nearer: the short side was filled before
    angle += np.where(other_way, np.pi / 2, 0.0)
    zoom *= np.where(other_way, rng.uniform(1.0, aspect, count), 1.0)
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    turn = np.stack([cos, -sin / aspect, sin * aspect, cos], axis=1).reshape(-1, 2, 2)
    moved = np.einsum("bij,kj->bki", turn, corners)
    moved += rng.normal(0, 0.08, (count, 4, 2)) + rng.normal(0, 0.1, (count, 1, 2))
    still = rng.random(count) < 0.15
    moved[still] = corners
    return _homographies(corners, moved)


def _homographies(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(B, 3, 3) that take the four points (4, 2) to (B, 4, 2)."""
    count = len(target)
    rows = np.zeros((count, 8, 8))
    right = target.reshape(count, 8)
    for number, (x, y) in enumerate(source):
        u, v = target[:, number, 0], target[:, number, 1]
        rows[:, 2 * number, :3] = rows[:, 2 * number + 1, 3:6] = (x, y, 1.0)
        rows[:, 2 * number, 6], rows[:, 2 * number, 7] = -u * x, -u * y
        rows[:, 2 * number + 1, 6], rows[:, 2 * number + 1, 7] = -v * x, -v * y
    solved = np.linalg.solve(rows, right[..., None])[..., 0]
    return np.concatenate([solved, np.ones((count, 1))], axis=1).reshape(count, 3, 3)


def _views(rng: np.random.Generator, boxes: np.ndarray, aspects: np.ndarray) -> np.ndarray:
    """Affine maps (B, 3, 3) from -1..1 of a view to -1..1 of the picture: of most the whole, of some a closer view."""
    count = len(boxes)
    views = np.tile(np.eye(3), (count, 1, 1))
    centre = (boxes[:, :2] + boxes[:, 2:]) - 1.0
    half = boxes[:, 2:] - boxes[:, :2]  # half of what it is in -1..1
    half = half * rng.uniform(1.2, 1.9, (count, 1)) * rng.uniform(0.9, 1.1, (count, 2))
    real = half * np.stack([aspects, np.ones(count)], axis=1)
    real = np.maximum(real, real.max(axis=1, keepdims=True) * LEAST_ASPECT)
    half = real / np.stack([aspects, np.ones(count)], axis=1)
    centre = centre + rng.normal(0, 0.08, (count, 2)) * half
    low, high = np.maximum(centre - half, -1.0), np.minimum(centre + half, 1.0)
    centre, half = (low + high) / 2, (high - low) / 2
    closer = (rng.random(count) < CLOSER_SHARE) & (half.prod(axis=1) < MOST_SHARE) & (half.min(axis=1) > 0.02)
    standing = half[:, 0] * aspects < half[:, 1]  # such a view enters turned by a quarter
    lying = closer & ~standing
    views[lying, 0, 0], views[lying, 1, 1] = half[lying, 0], half[lying, 1]
    turned = closer & standing
    views[turned, 0, 0] = views[turned, 1, 1] = 0.0
    views[turned, 0, 1], views[turned, 1, 0] = -half[turned, 0], half[turned, 1]
    views[closer, :2, 2] = centre[closer]
    return views


def _colours(rng: np.random.Generator, count: int) -> np.ndarray:
    gain = np.exp(rng.normal(0, 0.25, (count, 1)) + rng.normal(0, 0.12, (count, 3)))
    coloured_light = rng.random((count, 1)) < 0.1
    gain *= np.where(coloured_light, np.exp(rng.normal(0, 0.5, (count, 3))), 1.0)
    return np.column_stack(
        [
            gain,
            np.exp(rng.normal(0, 0.2, count)),
            np.exp(rng.normal(0, 0.15, count)),
            rng.normal(0, 0.05, count),
            np.where(rng.random(count) < 0.15, 0.8, 0.0),
            np.where(rng.random(count) < 0.3, rng.uniform(1, 8, count) / 255.0, 0.0),
        ]
    ).astype(np.float32)


def _blurs(rng: np.random.Generator, count: int) -> np.ndarray:
    deviation = np.where(rng.random(count) < 0.25, rng.uniform(0.3, 1.5, count), 0.01)
    weights = np.exp(-0.5 * (np.arange(_TAPS) - _TAPS // 2) ** 2 / deviation[:, None] ** 2)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
