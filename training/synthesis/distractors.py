"""Things that a network mistakes for a document: sheets, books, phones, envelopes, notes, boxes, keyboards.

Stands apart from flats.py, which lays down what is drawn here and documents' paper alike.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis import lettering
from unetlite.training.synthesis.flats import Flat, paper_sheet
from unetlite.training.synthesis.patterns import (
    as_colour,
    colour_gradient,
    draw_curve,
    draw_emblem,
    hsv_colour,
    value_noise,
)
from unetlite.training.synthesis.randomness import chance, pick_weighted
from unetlite.training.synthesis.surfaces import SurfaceSource
from unetlite.training.synthesis.textures import BANK_SIZE, texture

_KINDS = {
    "blank": 2.0,
    "text": 2.5,
    "printed": 2.0,
    "book": 1.6,
    "phone": 1.6,
    "envelope": 1.0,
    "note": 1.2,
    "box": 1.0,
    "keyboard": 0.8,
    "photo": 1.0,
    "form": 1.2,
}


def draw_distractor(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    """One thing that might be mistaken for a document."""
    return _PAINTERS[pick_weighted(rng, _KINDS)](rng, source)


def _blank(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    size = rng.uniform([60, 60], [230, 310])
    return Flat(paper_sheet(rng, (int(size[0] * 1.2), int(size[1] * 1.2))), (size[0], size[1]), 0.0, 0.2)


def _text(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    size = rng.uniform([70, 70], [215, 300])
    image = paper_sheet(rng, (int(size[0] * 2), int(size[1] * 2)))
    height, width = image.shape[:2]
    letter = rng.uniform(4, 9)
    leading = letter * rng.uniform(1.6, 2.4)
    ink = as_colour(np.full(3, rng.uniform(10, 90)))
    margin = width * rng.uniform(0.04, 0.15)
    y = margin + leading
    while y < height - margin:
        end = margin + (width - 2 * margin) * (1.0 if chance(rng, 0.8) else rng.uniform(0.2, 0.9))
        if chance(rng, 0.1):
            y += leading
            continue
        words = []
        room = (end - margin) / letter
        while room > 0:
            words.append(lettering.word(rng))
            room -= len(words[-1]) + 1
        lettering.draw_text(image, " ".join(words), (margin, y), letter, ink)
        y += leading
    return Flat(image, (size[0], size[1]), 0.0, 0.2)


def _form(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    """A paper form, ticket or business card: fields and lines, but no holder."""
    size = (
        rng.uniform([50, 80], [140, 210])
        if chance(rng, 0.6)
        else np.array([85.0, 55.0]) * rng.uniform(0.9, 1.1)
    )
    image = paper_sheet(rng, (int(size[0] * 3), int(size[1] * 3)))
    height, width = image.shape[:2]
    for y in np.arange(0.08, 0.95, rng.uniform(0.07, 0.16)) * height:
        if chance(rng, 0.5):
            draw_curve(
                image, np.array([[width * 0.05, y], [width * rng.uniform(0.4, 0.95), y]]), (90.0, 90.0, 90.0)
            )
        lettering.draw_text(
            image,
            lettering.word(rng, capital=chance(rng, 0.5)),
            (width * rng.uniform(0.05, 0.5), y - 2),
            rng.uniform(6, 16),
            (40.0, 40.0, 60.0),
        )
    return Flat(image, (size[0], size[1]), 0.0, 0.3)


def _printed(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    """A piece of any material: cloth, cardboard, newspaper, tile."""
    size = rng.uniform([50, 50], [260, 300])
    bank = texture(source.seed, int(rng.integers(BANK_SIZE)))
    w, h = (int(v) for v in np.clip(size * rng.uniform(1.5, 3), 60, 640))
    x, y = int(rng.integers(640 - w + 1)), int(rng.integers(640 - h + 1))
    return Flat(
        np.ascontiguousarray(bank[y : y + h, x : x + w]), (size[0], size[1]), rng.choice([0.0, 0.0, 3.0]), 1.0
    )


def _photo(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    """A printed picture with or without a white rim."""
    size = np.array([rng.uniform(80, 160), rng.uniform(60, 120)])
    shape = (int(size[1] * 2), int(size[0] * 2))
    colours = np.stack([hsv_colour(rng.random(), rng.uniform(0, 0.8), rng.uniform(0.1, 1)) for _ in range(4)])
    picture = (
        colour_gradient(rng, shape, colours) * (0.4 + 1.2 * value_noise(rng, shape, (5, 6), 5))[..., None]
    )
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if chance(rng, 0.5):
        rim = int(rng.uniform(5, 12))
        cv2.rectangle(picture, (0, 0), (shape[1] - 1, shape[0] - 1), (245, 245, 242), rim)
    return Flat(picture, (size[0], size[1]), 0.0, 0.3)


def _book(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    size = rng.uniform([100, 140], [190, 260])
    shape = (int(size[1] * 1.6), int(size[0] * 1.6))
    cover = hsv_colour(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.15, 0.9))
    picture = np.empty((*shape, 3), np.uint8)
    picture[...] = cover
    ink = as_colour(np.full(3, 245.0) if cover.mean() < 130 else np.full(3, 25.0))
    for line in range(int(rng.integers(1, 4))):
        lettering.draw_text(
            picture,
            lettering.word(rng, capital=True),
            (shape[1] * 0.12, shape[0] * (0.2 + 0.1 * line)),
            rng.uniform(14, 34),
            ink,
            weight=2,
        )
    draw_emblem(
        rng,
        picture,
        np.array([shape[1] * 0.5, shape[0] * 0.65]),
        shape[1] * rng.uniform(0.15, 0.3),
        as_colour(hsv_colour(rng.random(), 0.6, 0.8)),
    )
    return Flat(picture, (size[0], size[1]), rng.choice([0.0, 2.0]), rng.uniform(4, 25))


def _phone(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    size = (rng.uniform(65, 80), rng.uniform(135, 168))
    picture = np.empty((int(size[1] * 3), int(size[0] * 3), 3), np.uint8)
    picture[...] = rng.uniform(8, 70)
    height, width = picture.shape[:2]
    rim = int(rng.uniform(4, 16))
    inner = picture[rim * 2 : height - rim * 2, rim : width - rim]
    if chance(rng, 0.45):
        shape = (inner.shape[0], inner.shape[1])
        colours = np.stack([hsv_colour(rng.random(), 0.6, rng.uniform(0.1, 1)) for _ in range(3)])
        inner[...] = np.clip(colour_gradient(rng, shape, colours), 0, 255)
        pitch = width // 5
        for y in range(pitch, inner.shape[0] - pitch, int(pitch * 1.3)):
            for x in range(pitch // 2, inner.shape[1] - pitch // 2, pitch):
                cv2.circle(
                    inner, (x, y), pitch // 3, as_colour(hsv_colour(rng.random(), 0.8, 0.9)), -1, cv2.LINE_AA
                )
    else:
        inner[...] = rng.uniform(5, 40)
    return Flat(picture, size, rng.uniform(5, 11), 8.0)


def _envelope(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    size = (rng.uniform(160, 230), rng.uniform(90, 160))
    picture = paper_sheet(rng, (int(size[0] * 1.6), int(size[1] * 1.6)))
    height, width = picture.shape[:2]
    if chance(rng, 0.5):
        flap = np.array([[0, 0], [width / 2, height * rng.uniform(0.4, 0.6)], [width, 0]])
        draw_curve(picture, flap, (150.0, 150.0, 145.0), 2)
    else:
        cv2.rectangle(
            picture,
            (int(width * 0.55), int(height * 0.5)),
            (int(width * 0.92), int(height * 0.8)),
            (225, 228, 232),
            -1,
        )
        for line in range(3):
            lettering.draw_text(
                picture,
                lettering.word(rng) + " " + lettering.word(rng),
                (width * 0.57, height * (0.58 + 0.08 * line)),
                7,
                (50.0, 50.0, 60.0),
            )
        lettering.draw_barcode(
            rng, picture, (width * 0.05, height * 0.06, width * 0.2, height * 0.2), square=True
        )
    return Flat(picture, size, 0.0, 0.6)


def _note(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    """A sticky note or a piece of coloured card."""
    size = rng.uniform(35, 110, 2)
    picture = np.empty((int(size[1] * 2), int(size[0] * 2), 3), np.uint8)
    picture[...] = hsv_colour(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.5, 1.0))
    for line in range(int(rng.integers(0, 4))):
        lettering.draw_signature(
            rng,
            picture,
            (size[0] * 0.2, size[1] * (0.3 + 0.4 * line), size[0] * 1.7, size[1] * (0.6 + 0.4 * line)),
            (40.0, 40.0, 90.0),
        )
    return Flat(picture, (size[0], size[1]), 0.0, 0.2)


def _carton(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    size = rng.uniform([40, 40], [160, 140])
    picture = np.empty((int(size[1] * 2), int(size[0] * 2), 3), np.uint8)
    picture[...] = hsv_colour(rng.random(), rng.uniform(0, 0.9), rng.uniform(0.2, 1.0))
    height, width = picture.shape[:2]
    cv2.rectangle(
        picture,
        (0, int(height * rng.uniform(0.5, 0.7))),
        (width, height),
        as_colour(hsv_colour(rng.random(), 0.7, 0.7)),
        -1,
    )
    lettering.draw_text(
        picture,
        lettering.word(rng, capital=True),
        (width * 0.1, height * 0.4),
        height * 0.16,
        as_colour(hsv_colour(rng.random(), 0.8, 0.3)),
        cv2.FONT_HERSHEY_DUPLEX,
        2,
    )
    lettering.draw_barcode(rng, picture, (width * 0.7, height * 0.75, width * 0.95, height * 0.95))
    return Flat(picture, (size[0], size[1]), rng.choice([0.0, 1.5]), rng.uniform(5, 40))


def _keyboard(rng: np.random.Generator, source: SurfaceSource) -> Flat:
    size = (rng.uniform(200, 320), rng.uniform(90, 130))
    base = rng.uniform(15, 220)
    picture = np.full((int(size[1] * 2), int(size[0] * 2), 3), base, np.uint8)
    pitch = 38
    tone = base * 0.75 if base > 110 else base * 1.5 + 12
    letter = as_colour(np.full(3, 235.0 if tone < 120 else 25.0))
    for row, y in enumerate(range(8, picture.shape[0] - pitch, pitch)):
        for x in range(8 + row % 3 * 12, picture.shape[1] - pitch, pitch):
            cv2.rectangle(picture, (x, y), (x + pitch - 6, y + pitch - 6), as_colour(np.full(3, tone)), -1)
            lettering.draw_text(picture, lettering.word(rng, capital=True)[:1], (x + 8, y + 18), 11, letter)
    return Flat(picture, size, 3.0, 8.0)


_PAINTERS = {
    "blank": _blank,
    "text": _text,
    "printed": _printed,
    "book": _book,
    "phone": _phone,
    "envelope": _envelope,
    "note": _note,
    "box": _carton,
    "keyboard": _keyboard,
    "photo": _photo,
    "form": _form,
}
