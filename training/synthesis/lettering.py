"""Words, labels, machine-readable lines, signatures and barcodes, drawn with OpenCV's strokes.

Stands apart because no font file may be needed: documents in many scripts are imitated by strokes.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis.patterns import Colour, draw_curve
from unetlite.training.synthesis.randomness import chance, pick

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_PLAIN,
)
_CONSONANTS = "BCDFGHJKLMNPRSTVZ"
_VOWELS = "AEIOU"
_STROKE_SHARE = 0.075  # of a capital's height
_MRZ = "ABCDEFGHIJKLMNOPRSTUVXYZ0123456789"


def word(rng: np.random.Generator, *, capital: bool = False) -> str:
    """A pronounceable nonsense word of one to five syllables."""
    letters = "".join(
        _CONSONANTS[rng.integers(len(_CONSONANTS))] + _VOWELS[rng.integers(len(_VOWELS))]
        for _ in range(int(rng.integers(1, 5)))
    )
    letters += _CONSONANTS[rng.integers(len(_CONSONANTS))] if chance(rng, 0.4) else ""
    return letters if capital else letters.lower()


def field_value(rng: np.random.Generator) -> str:
    """What stands in a field of a document: a name, a date, a number or a code."""
    kind = int(rng.integers(5))
    if kind == 0:
        day, month, year = rng.integers(1, 29), rng.integers(1, 13), rng.integers(1940, 2035)
        return f"{day:02d}{pick(rng, ('.', '/', ' ', '-'))}{month:02d}{pick(rng, ('.', '/', ' ', '-'))}{year}"
    if kind == 1:
        return "".join(str(digit) for digit in rng.integers(0, 10, int(rng.integers(5, 12))))
    if kind == 2:
        return f"{pick(rng, ('M', 'F', 'P', 'A1'))}  {word(rng, capital=True)[:3]}"
    return " ".join(word(rng, capital=True) for _ in range(int(rng.integers(1, 3))))


def draw_text(
    canvas: np.ndarray,
    text: str,
    origin: tuple[float, float],
    height_px: float,
    colour: Colour,
    font: int = cv2.FONT_HERSHEY_SIMPLEX,
    weight: int = 1,
    *,
    room_px: float | None = None,
) -> float:
    """Write `text` with its baseline's left end at `origin`, in place, smaller where `room_px` is too little.

    `weight` 1 is regular and 2 bold: strokes grow with the letters. Returns the text's width in pixels.
    """
    scale = height_px / (10.0 if font == cv2.FONT_HERSHEY_PLAIN else 21.0)
    if room_px is not None:
        needed = cv2.getTextSize(text, font, scale, 1)[0][0]
        fit = min(1.0, max(room_px, 1.0) / max(needed, 1))
        scale, height_px = scale * fit, height_px * fit
    thickness = max(1, round(height_px * _STROKE_SHARE * weight))
    place = (round(origin[0]), round(origin[1]))
    cv2.putText(canvas, text, place, font, scale, colour, thickness, cv2.LINE_AA)
    return float(cv2.getTextSize(text, font, scale, thickness)[0][0])


def draw_glyphs(
    rng: np.random.Generator,
    canvas: np.ndarray,
    origin: tuple[float, float],
    height_px: float,
    width_px: float,
    colour: Colour,
    script: str,
    thickness: int = 1,
) -> None:
    """Imitate a line of a script that OpenCV's fonts lack ("square" or "flowing"), in place."""
    left, baseline = origin
    if script == "flowing":
        steps = max(int(width_px / (height_px * 0.35)), 2)
        across = left + np.linspace(0, width_px, steps * 4)
        lift = baseline - height_px * 0.3 * np.abs(np.sin(np.cumsum(rng.uniform(0.1, 1.6, steps * 4))))
        draw_curve(canvas, np.stack([across, lift], 1), colour, thickness)
        for dot in rng.uniform(0, width_px, steps):
            top = baseline - height_px * rng.uniform(-0.2, 1.0)
            draw_curve(canvas, np.array([[left + dot, top], [left + dot + 1, top]]), colour, thickness)
        return
    x = left
    while x < left + width_px:
        for _ in range(int(rng.integers(3, 7))):
            start = rng.uniform([0.05, 0.05], [0.6, 0.9])
            end = start + (
                np.array([rng.uniform(0.2, 0.5), 0.0])
                if chance(rng, 0.5)
                else np.array([rng.uniform(-0.1, 0.1), rng.uniform(0.2, 0.6)])
            )
            strokes = np.array([x, baseline - height_px]) + np.stack([start, np.minimum(end, 1)]) * height_px
            draw_curve(canvas, strokes, colour, thickness)
        x += height_px * (1.15 if chance(rng, 0.9) else 1.8)


def mrz_lines(rng: np.random.Generator, rows: int, columns: int) -> list[str]:
    """Machine-readable lines of the given size, with filler as the real ones have."""
    names = f"P<{word(rng, capital=True)[:3]}{word(rng, capital=True)}<<{word(rng, capital=True)}"
    lines = []
    for row in range(rows):
        code = "".join(_MRZ[index] for index in rng.integers(len(_MRZ), size=columns))
        filled = int(columns * rng.uniform(0.55, 1.0))
        lines.append((names if row == 0 and rows == 2 else code[:filled]).ljust(columns, "<")[:columns])
    return lines


def draw_mrz(
    rng: np.random.Generator,
    canvas: np.ndarray,
    box: tuple[float, float, float, float],
    rows: int,
    columns: int,
    colour: Colour,
) -> None:
    """Fill `box` (left, top, right, bottom) with machine-readable lines of even pitch, in place."""
    left, top, right, bottom = box
    pitch, leading = (right - left) / columns, (bottom - top) / rows
    size = min(leading * 0.55, pitch * 1.15)
    scale = size / 21.0
    thickness = max(1, int(round(size / 9)))
    for row, line in enumerate(mrz_lines(rng, rows, columns)):
        baseline = int(top + leading * (row + 0.5) + size / 2)
        for column, letter in enumerate(line):
            place = (int(left + pitch * column), baseline)
            cv2.putText(
                canvas, letter, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA
            )


def draw_signature(
    rng: np.random.Generator, canvas: np.ndarray, box: tuple[float, float, float, float], colour: Colour
) -> None:
    """A pen scribble inside `box` (left, top, right, bottom), in place."""
    left, top, right, bottom = box
    steps = 90
    along = np.linspace(0, 1, steps)
    turns = np.cumsum(rng.uniform(0.05, 0.9, steps))
    swing = np.interp(along, np.linspace(0, 1, 7), rng.uniform(0.1, 0.5, 7))
    x = left + (right - left) * (along + 0.05 * np.sin(turns * 1.3))
    y = (top + bottom) / 2 + (bottom - top) * swing * np.sin(turns)
    draw_curve(canvas, np.stack([x, y], 1), colour, int(rng.integers(1, 3)))


def draw_barcode(
    rng: np.random.Generator,
    canvas: np.ndarray,
    box: tuple[float, float, float, float],
    *,
    square: bool = False,
) -> None:
    """Bars, or a square or stacked matrix code, on white in `box` (left, top, right, bottom), in place."""
    left, top, right, bottom = (int(v) for v in box)
    if right - left < 8 or bottom - top < 8:
        return
    rows = max((bottom - top) // 3, 1) if square else 1
    columns = max((right - left) // (3 if square else 2), 2)
    modules = (rng.random((rows, columns)) < 0.5).astype(np.uint8) * 235 + 15
    bars = cv2.resize(modules, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
    region = canvas[top:bottom, left:right]
    region[...] = bars[: region.shape[0], : region.shape[1], None]
