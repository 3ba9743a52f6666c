"""Hands that hold a document: palm and arm behind it, thumb or fingers over its side.

Stands apart from objects.py because a hand comes in two parts, with the document between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unetlite.training.synthesis.lumps import ribbon, shade_lump, smooth_curve
from unetlite.training.synthesis.patterns import hsv_colour
from unetlite.training.synthesis.randomness import chance

_SKIN = np.array(
    [[240, 200, 178], [228, 178, 150], [205, 152, 118], [165, 112, 82], [115, 78, 56], [75, 50, 40]]
)
_VARNISH_HUES = (0.0, 0.93, 0.55, 0.33, 0.62, 0.83)


@dataclass(frozen=True)
class Hand:
    """One hand at a document's side.

    `grip` (2,) is where it holds, `outward` and `along` (2,) unit vectors away from the document and along
    its side, `scale` pixels per millimetre.
    """

    grip: np.ndarray
    outward: np.ndarray
    along: np.ndarray
    scale: float
    skin: np.ndarray
    nail: np.ndarray
    fingers_in_front: bool


def draw_hands(rng: np.random.Generator, quad: np.ndarray, pixels_per_mm: float) -> list[Hand]:
    """One hand, or two of one person at different sides."""
    skin = _SKIN[rng.integers(len(_SKIN))] * rng.uniform(0.9, 1.06)
    nail = skin * [1.06, 0.97, 0.97]
    if chance(rng, 0.25):
        nail = hsv_colour(_VARNISH_HUES[rng.integers(len(_VARNISH_HUES))], 0.85, rng.uniform(0.3, 0.9))
    scale = pixels_per_mm * rng.uniform(0.85, 1.15)
    hands = []
    for side in rng.permutation(4)[: 2 if chance(rng, 0.25) else 1]:
        start, end = quad[side], quad[(side + 1) % 4]
        along = (end - start) / (np.linalg.norm(end - start) + 1e-6)
        outward = np.array([along[1], -along[0]])  # the quad runs clockwise, so this points away from it
        lean = rng.normal(0, 0.3)
        outward = outward + lean * along
        outward /= np.linalg.norm(outward)
        grip = start + (end - start) * rng.uniform(0.15, 0.85)
        hands.append(Hand(grip, outward, along, scale, skin, nail, chance(rng, 0.5)))
    return hands


def paint_behind(rng: np.random.Generator, canvas: np.ndarray, hand: Hand) -> None:
    """What of the hand is under the document, in place: call before the document is laid."""
    if hand.fingers_in_front:
        thumb = _reach(rng, hand, 0.0, -rng.uniform(5, 30), 75.0)
        _paint_finger(rng, canvas, hand, thumb, rng.uniform(17, 21), nail=False)
        return
    _paint_palm(rng, canvas, hand, 14.0)
    for place in np.linspace(-30, 30, 4):
        finger = _reach(rng, hand, place, -rng.uniform(10, 90), 60.0)
        _paint_finger(rng, canvas, hand, finger, rng.uniform(15, 18), nail=False)


def paint_front(rng: np.random.Generator, canvas: np.ndarray, hand: Hand) -> None:
    """What of the hand lies on the document, in place: call after the document is laid."""
    if not hand.fingers_in_front:
        thumb = _reach(rng, hand, rng.normal(0, 8), -rng.uniform(8, 30), 60.0)
        _paint_finger(rng, canvas, hand, thumb, rng.uniform(17, 22), nail=chance(rng, 0.85))
        return
    count = int(rng.integers(1, 5))
    _paint_palm(rng, canvas, hand, 62.0)
    depth = rng.uniform(4, 22)
    for finger in rng.permutation(count):
        place = (finger - (count - 1) / 2) * rng.uniform(15.5, 18)
        reach = _reach(rng, hand, place, -depth * rng.uniform(0.7, 1.3), 80.0)
        _paint_finger(rng, canvas, hand, reach, rng.uniform(14, 17.5), nail=chance(rng, 0.85))


def _reach(
    rng: np.random.Generator, hand: Hand, aside_mm: float, tip_mm: float, root_mm: float
) -> np.ndarray:
    """A finger's spine from its tip to its root, (3, 2); millimetres outward from the document's side."""
    tip = hand.grip + hand.scale * (hand.outward * tip_mm + hand.along * aside_mm)
    root = hand.grip + hand.scale * (hand.outward * root_mm + hand.along * aside_mm * 0.9)
    middle = (tip + root) / 2 + hand.scale * hand.along * rng.normal(0, 2.5)
    return np.stack([tip, middle, root])


def _paint_palm(rng: np.random.Generator, canvas: np.ndarray, hand: Hand, start_mm: float) -> None:
    """Palm or back of the hand, and the arm that leads out of the picture."""
    mm = np.array([start_mm, start_mm + 12, start_mm + 50, start_mm + 85, start_mm + 110, start_mm + 330])
    halves = np.array([34, 40, 42, 36, 29, 38]) * rng.uniform(0.9, 1.1)
    t = np.linspace(mm[0], mm[-1], 30)
    bend = rng.normal(0, 0.25) * (t - mm[0]) ** 2 / 400
    spine = hand.grip + hand.scale * (t[:, None] * hand.outward + bend[:, None] * hand.along)
    sleeve_from = rng.uniform(start_mm + 105, start_mm + 260)
    outline = ribbon(spine, np.interp(t, mm, halves) * hand.scale)
    marks = []
    if chance(rng, 0.6):
        covered = t >= sleeve_from
        if covered.sum() > 3:
            wide = ribbon(spine[covered], np.full(int(covered.sum()), 60.0 * hand.scale))
            marks.append((wide, hsv_colour(rng.random(), rng.uniform(0, 0.7), rng.uniform(0.1, 0.9))))
    shade_lump(canvas, outline, hand.skin, rng, marks=marks, flat=0.78)


def _paint_finger(
    rng: np.random.Generator,
    canvas: np.ndarray,
    hand: Hand,
    points: np.ndarray,
    width_mm: float,
    *,
    nail: bool,
) -> None:
    width = width_mm * hand.scale
    spine = smooth_curve(points)
    stations = [0, 0.06, 0.25, 0.38, 0.5, 0.62, 1]
    profile = (
        np.interp(np.linspace(0, 1, len(spine)), stations, [0.32, 0.42, 0.45, 0.49, 0.45, 0.5, 0.54]) * width
    )
    back = spine[4] - spine[0]
    back = back / (np.linalg.norm(back) + 1e-6)
    normal = np.array([-back[1], back[0]])
    marks = []
    for knuckle in (0.38, 0.42):
        middle = spine[int(knuckle * len(spine))]
        crease = np.linspace(-1, 1, 8)[:, None]
        line = middle + crease * normal * width * 0.35 + (1 - crease**2) * back * width * 0.05
        marks.append((np.concatenate([line, line[::-1] + back * max(width * 0.025, 0.6)]), hand.skin * 0.82))
    if nail:
        angle = np.linspace(0, 2 * np.pi, 24)[:, None]
        oval = (
            spine[0]
            + back * width * 0.2
            + (np.cos(angle) * normal * 0.29 + np.sin(angle) * back * 0.4) * width
        )
        marks.append((oval, hand.nail))
    shade_lump(canvas, ribbon(spine, profile), hand.skin, rng, marks=marks, flat=0.7)
