"""Newspaper pages as sheets: articles in columns, headlines, printed photographs and faces, boxes, puzzles.

Stands apart from newsprint.py, a material without end: a page has a size, margins and an edge, and its pictures and
boxes are as large as a document. A photocopy on it differs from what lies around it by its outline alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from unetlite.training.synthesis import lettering
from unetlite.training.synthesis.flats import Flat, lay_flat
from unetlite.training.synthesis.newsprint import paste, printed_picture, text_strips
from unetlite.training.synthesis.patterns import as_colour, draw_curve, hsv_colour, value_noise
from unetlite.training.synthesis.portraits import draw_portrait
from unetlite.training.synthesis.randomness import chance, pick, pick_weighted, stream
from unetlite.training.synthesis.surfaces import SurfaceSource, draw_photograph

BANK_SIZE = 60  # pages per data set
_PIXELS_PER_MM = 2.6
_SIZES_MM = ((280.0, 400.0), (315.0, 470.0), (350.0, 500.0), (210.0, 297.0), (235.0, 315.0))
_GUTTER_MM = 4.0


@dataclass(frozen=True)
class _Style:
    """What the articles of one page share; lengths in pixels."""

    paper: tuple[float, float, float]
    ink: tuple[float, float, float]
    leading: int
    column: int
    strips: list[np.ndarray]
    colour: bool
    ruled: bool


def lay_newspapers(
    rng: np.random.Generator, canvas: np.ndarray, plane: np.ndarray, source: SurfaceSource, turn: float
) -> None:
    """Lay one to three pages on the plane, in place; the document at its origin lies on one or across its edge."""
    for number in range(int(rng.integers(1, 4))):
        page = newspaper_page(source, int(rng.integers(BANK_SIZE)))
        reach = 0.5 if number == 0 else 1.1
        centre = rng.uniform(-reach, reach, 2) * np.array(page.size_mm)
        lay_flat(rng, canvas, page, plane, centre, turn + float(rng.normal(0, 0.06)))


@lru_cache(maxsize=BANK_SIZE)
def newspaper_page(source: SurfaceSource, index: int) -> Flat:
    """Page number `index` (below BANK_SIZE) of a data set; photographs in it are from the source's pictures."""
    rng = stream(source.seed, "newspaper", index)
    size_mm = pick(rng, _SIZES_MM)
    width, height = (int(side * _PIXELS_PER_MM) for side in size_mm)
    style = _style(rng, width)
    page = np.empty((height, width, 3), np.uint8)
    page[...] = style.paper
    margin = int(rng.uniform(8, 22) * _PIXELS_PER_MM)
    top = margin
    if chance(rng, 0.35):  # the paper's name
        tall = int(rng.uniform(12, 40) * _PIXELS_PER_MM)
        _headline(rng, page, (margin, top, width - margin, top + tall), style, tall * 0.7)
        top += int(tall * 1.1)
    if chance(rng, 0.2):  # one text over the whole page
        _columns(rng, page, (margin, top, width - margin, height - margin), style)
    else:
        _split(rng, page, (margin, top, width - margin, height - margin), style, source, 0)
    if chance(rng, 0.4):  # folds
        shade = 1 + (value_noise(rng, (height, width), (4, 3), 2) - 0.5) * rng.uniform(0.05, 0.25)
        page = np.clip(page * shade[..., None], 0, 255).astype(np.uint8)
        y = int(height * rng.uniform(0.45, 0.55))
        draw_curve(page, np.array([[0, y], [width, y]]), as_colour(np.array(style.paper) * 0.8), 2)
    page = cv2.GaussianBlur(page, (0, 0), 0.5).astype(np.uint8)
    return Flat(page, size_mm, 0.0, float(rng.uniform(0.2, 1.5)))


def _style(rng: np.random.Generator, width: int) -> _Style:
    tone = rng.uniform(170, 250) * rng.uniform([0.97, 0.95, 0.82], 1.0)
    ink = np.full(3, rng.uniform(20, 80))
    pitch = rng.uniform(2.8, 5.0) * _PIXELS_PER_MM
    column = int(min(rng.uniform(38, 75) * _PIXELS_PER_MM, width * 0.8))
    strips = text_strips(
        rng, column, int(pitch), pitch * 0.62, as_colour(ink), as_colour(tone), pick(rng, lettering.FONTS)
    )
    return _Style(
        as_colour(tone), as_colour(ink), int(pitch), column, strips, chance(rng, 0.6), chance(rng, 0.35)
    )


_Box = tuple[int, int, int, int]  # left, top, right, bottom


def _split(
    rng: np.random.Generator, page: np.ndarray, box: _Box, style: _Style, source: SurfaceSource, depth: int
) -> None:
    """Part the box in two until its halves hold one article each."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    gutter = int(_GUTTER_MM * _PIXELS_PER_MM)
    smallest = 1.3 * style.column
    wide, tall = width > 2 * smallest, height > 2 * smallest
    if not (wide or tall) or (depth >= 2 and chance(rng, 0.3)):
        _fill(rng, page, box, style, source)
        return
    share = rng.uniform(0.3, 0.7)
    if wide and (not tall or chance(rng, 0.45)):
        cut = left + int(width * share)
        halves = (left, top, cut - gutter // 2, bottom), (cut + gutter // 2, top, right, bottom)
        line = np.array([[cut, top], [cut, bottom]])
    else:
        cut = top + int(height * share)
        halves = (left, top, right, cut - gutter // 2), (left, cut + gutter // 2, right, bottom)
        line = np.array([[left, cut], [right, cut]])
    if style.ruled:
        draw_curve(page, line, style.ink, int(rng.integers(1, 3)))
    for half in halves:
        _split(rng, page, half, style, source, depth + 1)


def _fill(rng: np.random.Generator, page: np.ndarray, box: _Box, style: _Style, source: SurfaceSource) -> None:
    kind = pick_weighted(rng, {"article": 5, "photograph": 2.2, "face": 1.2, "box": 1.6, "puzzle": 0.5, "blank": 0.4})
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if width < 12 or height < 12 or kind == "blank":
        return
    if kind == "article":
        if chance(rng, 0.7):
            letters = rng.uniform(4, 14) * _PIXELS_PER_MM
            for _ in range(int(rng.integers(1, 3))):
                if top + 2 * letters < bottom:
                    _headline(rng, page, (left, top, right, bottom), style, letters)
                    top += int(letters * 1.5)
        if chance(rng, 0.35) and bottom - top > 60:
            cut = top + int((bottom - top) * rng.uniform(0.3, 0.6))
            _picture(rng, page, (left, top, right, cut), style, source)
            top = cut + style.leading
        _columns(rng, page, (left, top, right, bottom), style)
    elif kind == "photograph":
        caption = bottom - 2 * style.leading if chance(rng, 0.6) else bottom
        _picture(rng, page, (left, top, right, max(caption, top + 8)), style, source)
        _columns(rng, page, (left, caption, right, bottom), style)
    elif kind == "face":
        wide = min(width, int(height * 0.8), int(rng.uniform(25, 60) * _PIXELS_PER_MM))
        _columns(rng, page, box, style)
        portrait = draw_portrait(rng, (wide, int(wide * 1.25)))
        paste(page[top:bottom, left:right], portrait if style.colour else _grey(portrait), 0, 0)
    elif kind == "box":
        tint = hsv_colour(rng.random(), rng.uniform(0.1, 0.9) if style.colour else 0, rng.uniform(0.3, 1))
        cv2.rectangle(page, (left, top), (right, bottom), as_colour(tint), -1 if chance(rng, 0.6) else 3)
        letters = min(rng.uniform(5, 18) * _PIXELS_PER_MM, height / 3)
        _headline(rng, page, (left + 8, top + 8, right, bottom), style, letters)
        if chance(rng, 0.7):
            _columns(rng, page, (left + 8, int(top + 8 + 1.5 * letters), right - 8, bottom - 8), style)
    else:
        _puzzle(rng, page, box, style)


def _columns(rng: np.random.Generator, page: np.ndarray, box: _Box, style: _Style) -> None:
    """Running text, in as many columns as have room."""
    left, top, right, bottom = box
    gap = int(_GUTTER_MM * 0.8 * _PIXELS_PER_MM)
    count = max(int(round((right - left) / style.column)), 1)
    stop = (right - left) // count
    for column in range(count):
        x = left + column * stop
        y = top
        while y + style.leading <= bottom:
            strip = style.strips[int(rng.integers(len(style.strips)))]
            paste(page[: y + style.leading, : min(x + stop - gap, right)], strip, x, y)
            y += style.leading
            if chance(rng, 0.01):
                y += style.leading


def _headline(rng: np.random.Generator, page: np.ndarray, box: _Box, style: _Style, height: float) -> None:
    left, top, right, bottom = box
    words = " ".join(lettering.word(rng, capital=chance(rng, 0.5)) for _ in range(6))
    colour = style.ink
    if style.colour and chance(rng, 0.25):
        colour = as_colour(hsv_colour(rng.random(), 0.9, 0.7))
    room = page[top:bottom, left:right]
    if room.size:
        bold = max(int(height * 0.12), 1)
        lettering.draw_text(room, words, (0.0, height), height, colour, pick(rng, lettering.FONTS[1:4]), bold)


def _picture(
    rng: np.random.Generator, page: np.ndarray, box: _Box, style: _Style, source: SurfaceSource
) -> None:
    left, top, right, bottom = box
    size_wh = (right - left, bottom - top)
    if min(size_wh) < 8:
        return
    if source.pictures and chance(rng, 0.7):
        picture = draw_photograph(rng, size_wh, source)
    else:
        picture = printed_picture(rng, size_wh[::-1])
    page[top:bottom, left:right] = picture if style.colour and chance(rng, 0.7) else _grey(picture)


def _puzzle(rng: np.random.Generator, page: np.ndarray, box: _Box, style: _Style) -> None:
    left, top, right, bottom = box
    cell = int(rng.uniform(5, 9) * _PIXELS_PER_MM)
    shape = ((bottom - top) // cell, (right - left) // cell)
    black = rng.random(shape) < rng.uniform(0.15, 0.4)
    for row, column in np.argwhere(black):
        x, y = left + int(column) * cell, top + int(row) * cell
        cv2.rectangle(page, (x, y), (x + cell, y + cell), style.ink, -1)
    for row in range(shape[0] + 1):
        y = top + row * cell
        cv2.line(page, (left, y), (left + shape[1] * cell, y), style.ink, 1)
    for column in range(shape[1] + 1):
        x = left + column * cell
        cv2.line(page, (x, top), (x, top + shape[0] * cell), style.ink, 1)


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8)
