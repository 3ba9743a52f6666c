"""What is printed where: fronts, machine-readable backs, stripe backs, bank cards and passport data pages.

Stands apart from faces.py so that a new layout is one function and one name.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis import lettering
from unetlite.training.synthesis.grounds import Ink
from unetlite.training.synthesis.patterns import (
    as_colour,
    blend,
    colour_gradient,
    draw_emblem,
    fill_shape,
    hsv_colour,
    value_noise,
)
from unetlite.training.synthesis.portraits import draw_portrait
from unetlite.training.synthesis.randomness import chance, pick, pick_weighted


def _paint_header(rng: np.random.Generator, canvas: np.ndarray, ink: Ink) -> float:
    """The issuer's line with flag or arms; returns the y below it."""
    height, width = canvas.shape[:2]
    size = height * rng.uniform(0.045, 0.085)
    bottom = height * rng.uniform(0.13, 0.2)
    colour = ink.text if chance(rng, 0.5) else ink.accent
    if chance(rng, 0.3):
        strip = hsv_colour(rng.random(), rng.uniform(0.2, 1), rng.uniform(0.2, 0.9))
        fill_shape(canvas, np.array([[0, 0], [width, 0], [width, bottom], [0, bottom]]), as_colour(strip))
        colour = np.full(3, 250.0) if strip.mean() < 140 else np.full(3, 20.0)
    left = width * rng.uniform(0.03, 0.3)
    if chance(rng, 0.55):
        flag = np.array([[0, 0], [1.5, 0], [1.5, 1], [0, 1]]) * size * 1.4 + [left, bottom * 0.25]
        fill_shape(canvas, flag, as_colour(hsv_colour(rng.random(), 0.8, 0.8)))
        third = flag.copy()
        third[2:, 1] = flag[0, 1] + size * 0.5
        fill_shape(canvas, third, as_colour(hsv_colour(rng.random(), 0.7, 0.9)))
        left += size * 2.8
    words = " ".join(lettering.word(rng, capital=True) for _ in range(int(rng.integers(2, 4))))
    if chance(rng, 0.12):
        lettering.draw_glyphs(
            rng, canvas, (left, bottom * 0.7), size, width * 0.4, as_colour(colour), "square", 2
        )
    else:
        lettering.draw_text(
            canvas,
            words,
            (left, bottom * 0.7),
            size,
            as_colour(colour),
            pick(rng, lettering.FONTS),
            int(rng.integers(1, 3)),
            room_px=width * 0.92 - left,
        )
    if chance(rng, 0.4):
        draw_emblem(
            rng,
            canvas,
            np.array([width * rng.uniform(0.85, 0.95), bottom * 0.6]),
            bottom * 0.4,
            as_colour(ink.accent),
        )
    return float(bottom)


def _paint_fields(
    rng: np.random.Generator, canvas: np.ndarray, ink: Ink, box: tuple[float, float, float, float]
) -> None:
    """Pairs of small label and bold value in one to three columns inside `box`."""
    left, top, right, bottom = box
    height = canvas.shape[0]
    size = height * rng.uniform(0.034, 0.062)
    leading = size * rng.uniform(2.1, 3.4)
    font, label_font = pick(rng, lettering.FONTS), pick(rng, lettering.FONTS)
    weight = int(rng.integers(1, 3))
    script = pick_weighted(rng, {"latin": 0.8, "square": 0.1, "flowing": 0.1})
    columns = int(rng.integers(1, 4)) if right - left > height * 0.6 else 1
    labelled = chance(rng, 0.85)
    stop = (right - left) / columns
    baseline = top + leading * 0.8
    while baseline < bottom:
        spans = 1 if chance(rng, 0.3) else columns
        for column in range(spans):
            if chance(rng, 0.12):
                continue
            x = left + stop * column
            room = (stop if spans > 1 else right - left) * 0.94
            if labelled:
                label = " ".join(lettering.word(rng) for _ in range(int(rng.integers(1, 4))))
                lettering.draw_text(
                    canvas,
                    label,
                    (x, baseline - size * 1.35),
                    size * 0.6,
                    as_colour(ink.label),
                    label_font,
                    room_px=room,
                )
            if script == "latin":
                lettering.draw_text(
                    canvas,
                    lettering.field_value(rng),
                    (x, baseline),
                    size,
                    as_colour(ink.text),
                    font,
                    weight,
                    room_px=room,
                )
            else:
                lettering.draw_glyphs(
                    rng,
                    canvas,
                    (x, baseline),
                    size,
                    stop * rng.uniform(0.3, 0.8),
                    as_colour(ink.text),
                    script,
                    weight,
                )
        baseline += leading


def _place_photo(
    rng: np.random.Generator,
    canvas: np.ndarray,
    left: float,
    top: float,
    height_px: float,
    *,
    weight: float = 1.0,
) -> None:
    """Print the holder's picture, or its ghost when `weight` is below one."""
    size = (int(height_px * rng.uniform(0.72, 0.82)), int(height_px))
    x, y = int(max(left, 0)), int(max(top, 0))
    region = canvas[y : y + size[1], x : x + size[0]]
    if min(region.shape[:2]) < 4:
        return
    picture = draw_portrait(rng, size)[: region.shape[0], : region.shape[1]]
    if weight < 1.0:
        picture = np.minimum(picture.mean(2, keepdims=True).astype(np.uint8) + 30, region)
    else:
        edge = chance(rng, 0.3)
        if edge:
            cv2.rectangle(canvas, (x - 2, y - 2), (x + size[0] + 1, y + size[1] + 1), (250, 250, 250), 2)
        if chance(rng, 0.25):
            weight = 0.85
    blend(region, np.ascontiguousarray(picture), weight)


def _paint_chip(rng: np.random.Generator, canvas: np.ndarray, left: float, top: float, size: float) -> None:
    """Contact pads in gold or silver."""
    gold = np.array([212, 175, 85]) if chance(rng, 0.6) else np.array([195, 195, 200])
    tall = size * 0.85
    pad = np.array([[0, 0], [size, 0], [size, tall], [0, tall]]) + [left, top]
    fill_shape(canvas, pad, as_colour(gold * rng.uniform(0.8, 1.1)))
    dark = as_colour(gold * 0.55)
    for part in (0.33, 0.67):
        for start in (0.0, 0.65):
            y = int(top + tall * part)
            cv2.line(
                canvas,
                (int(left + size * start), y),
                (int(left + size * (start + 0.35)), y),
                dark,
                1,
                cv2.LINE_AA,
            )
    cv2.rectangle(
        canvas,
        (int(left + size * 0.35), int(top + tall * 0.2)),
        (int(left + size * 0.65), int(top + tall * 0.8)),
        dark,
        1,
        cv2.LINE_AA,
    )


def _paint_front(rng: np.random.Generator, canvas: np.ndarray, ink: Ink, name: str) -> None:
    height, width = canvas.shape[:2]
    top = _paint_header(rng, canvas, ink)
    machine = name == "ID-2" and chance(rng, 0.8)
    bottom = height * (0.76 if machine else 0.95)
    photo = min(height * rng.uniform(0.42, 0.66), bottom - top)
    photo_left = width * rng.uniform(0.025, 0.06)
    right_side = chance(rng, 0.3)
    if right_side:
        photo_left = width - photo_left - photo * 0.8
    photo_top = top + (bottom - top - photo) * rng.uniform(0.1, 0.8)
    _place_photo(rng, canvas, photo_left, photo_top, photo)
    fields_left = width * 0.04 if right_side else photo_left + photo * 0.88
    fields_right = photo_left - width * 0.02 if right_side else width * 0.97
    if chance(rng, 0.45):
        chip = height * rng.uniform(0.14, 0.2)
        _paint_chip(rng, canvas, fields_left, top + (bottom - top) * rng.uniform(0.1, 0.5), chip)
        fields_left += chip * 1.25
    _paint_fields(rng, canvas, ink, (fields_left, top, fields_right, bottom * rng.uniform(0.75, 1.0)))
    if chance(rng, 0.5):
        ghost = height * rng.uniform(0.16, 0.32)
        _place_photo(
            rng,
            canvas,
            width * rng.uniform(0.55, 0.85),
            height * rng.uniform(0.3, 0.65),
            ghost,
            weight=float(rng.uniform(0.35, 0.8)),
        )
    if chance(rng, 0.7):
        x, y = rng.uniform([0.3, 0.65], [0.65, 0.82]) * [width, height]
        lettering.draw_signature(
            rng,
            canvas,
            (x, y, x + width * rng.uniform(0.15, 0.3), y + height * 0.14),
            as_colour(np.full(3, rng.uniform(0, 70))),
        )
    if machine:
        lettering.draw_mrz(
            rng,
            canvas,
            (width * 0.04, height * 0.79, width * 0.97, height * 0.97),
            2,
            36,
            as_colour(ink.text),
        )
    _paint_hologram(rng, canvas)


def _paint_passport(rng: np.random.Generator, canvas: np.ndarray, ink: Ink, name: str) -> None:
    height, width = canvas.shape[:2]
    _paint_header(rng, canvas, ink)
    bottom = height * 0.76
    photo = height * rng.uniform(0.4, 0.56)
    photo_left = width * rng.uniform(0.03, 0.06)
    photo_top = height * rng.uniform(0.17, 0.24)
    _place_photo(rng, canvas, photo_left, photo_top, photo)
    fields_left = photo_left + photo * 0.9
    _paint_fields(rng, canvas, ink, (fields_left, photo_top - height * 0.04, width * 0.96, bottom))
    if chance(rng, 0.6):
        _place_photo(
            rng,
            canvas,
            width * rng.uniform(0.72, 0.86),
            height * rng.uniform(0.25, 0.55),
            height * rng.uniform(0.13, 0.24),
            weight=float(rng.uniform(0.4, 0.85)),
        )
    if chance(rng, 0.7):
        x, y = rng.uniform([0.35, 0.58], [0.7, 0.64]) * [width, height]
        lettering.draw_signature(rng, canvas, (x, y, x + width * 0.2, y + height * 0.12), (30.0, 30.0, 40.0))
    if chance(rng, 0.5):
        plain = rng.uniform(0.3, 1.0)
        lower = canvas[int(bottom) :]
        blend(lower, np.full_like(lower, 250 if ink.text.mean() < 128 else 40), plain)
    if chance(rng, 0.97):
        lettering.draw_mrz(
            rng,
            canvas,
            (width * 0.04, height * 0.79, width * 0.97, height * 0.97),
            2,
            44,
            as_colour(ink.text),
        )
    _paint_hologram(rng, canvas)


def _paint_machine_back(rng: np.random.Generator, canvas: np.ndarray, ink: Ink, name: str) -> None:
    height, width = canvas.shape[:2]
    _paint_fields(
        rng, canvas, ink, (width * 0.05, height * 0.02, width * rng.uniform(0.5, 0.9), height * 0.55)
    )
    if chance(rng, 0.5):
        _paint_chip(rng, canvas, width * rng.uniform(0.6, 0.8), height * rng.uniform(0.15, 0.3), height * 0.2)
    if chance(rng, 0.5):
        x = width * rng.uniform(0.05, 0.5)
        lettering.draw_barcode(rng, canvas, (x, height * 0.42, x + width * 0.4, height * 0.56))
    lettering.draw_mrz(
        rng, canvas, (width * 0.04, height * 0.6, width * 0.97, height * 0.97), 3, 30, as_colour(ink.text)
    )


def _paint_stripe_back(rng: np.random.Generator, canvas: np.ndarray, ink: Ink, name: str) -> None:
    height, width = canvas.shape[:2]
    top = int(height * rng.uniform(0.06, 0.14))
    canvas[top : top + int(height * 0.22)] = as_colour(np.full(3, rng.uniform(10, 50)))
    cv2.rectangle(
        canvas,
        (int(width * 0.05), int(height * 0.45)),
        (int(width * 0.6), int(height * 0.58)),
        (235, 235, 230),
        -1,
    )
    if chance(rng, 0.6):
        lettering.draw_signature(
            rng, canvas, (width * 0.1, height * 0.43, width * 0.45, height * 0.6), (20, 20, 80)
        )
    _paint_fields(rng, canvas, ink, (width * 0.05, height * 0.62, width * 0.95, height * 0.95))
    if chance(rng, 0.6):
        lettering.draw_barcode(
            rng, canvas, (width * 0.66, height * 0.42, width * 0.95, height * 0.7), square=chance(rng, 0.6)
        )


def _paint_bank(rng: np.random.Generator, canvas: np.ndarray, ink: Ink, name: str) -> None:
    height, width = canvas.shape[:2]
    bold = pick(rng, lettering.FONTS[:3])
    lettering.draw_text(
        canvas,
        lettering.word(rng, capital=True),
        (width * rng.uniform(0.05, 0.6), height * 0.18),
        height * rng.uniform(0.07, 0.13),
        as_colour(ink.text),
        bold,
        2,
        room_px=width * 0.35,
    )
    if chance(rng, 0.8):
        _paint_chip(
            rng, canvas, width * rng.uniform(0.07, 0.13), height * rng.uniform(0.32, 0.4), height * 0.2
        )
    number = "  ".join("".join(str(d) for d in rng.integers(0, 10, 4)) for _ in range(4))
    if chance(rng, 0.8):
        lettering.draw_text(
            canvas,
            number,
            (width * 0.07, height * 0.68),
            height * 0.075,
            as_colour(ink.text),
            bold,
            2,
            room_px=width * 0.86,
        )
    holder = f"{lettering.word(rng, capital=True)} {lettering.word(rng, capital=True)}"
    lettering.draw_text(
        canvas, "12/29", (width * 0.4, height * 0.79), height * 0.05, as_colour(ink.text), bold
    )
    lettering.draw_text(
        canvas, holder, (width * 0.07, height * 0.9), height * 0.06, as_colour(ink.text), bold
    )
    for offset in (0.0, 0.075):
        cv2.circle(
            canvas,
            (int(width * (0.82 + offset)), int(height * 0.84)),
            int(height * 0.1),
            as_colour(hsv_colour(rng.random(), 0.8, 0.9)),
            -1,
            cv2.LINE_AA,
        )
    _paint_hologram(rng, canvas)


def _paint_hologram(rng: np.random.Generator, canvas: np.ndarray) -> None:
    """Iridescent foil or laminate sheen over a part of the face."""
    if chance(rng, 0.55):
        return
    height, width = canvas.shape[:2]
    spread = value_noise(rng, (height, width), (4, 5), 2)
    strength = np.clip((spread - rng.uniform(0.4, 0.6)) * 4, 0, 1)[..., None]
    wheel = np.stack([hsv_colour(h, 0.7, 1.0) for h in np.linspace(0, 1, 8)])
    rainbow = colour_gradient(rng, (height, width), wheel)
    mixed = canvas + strength * rng.uniform(0.1, 0.4) * (rainbow - canvas * 0.6)
    canvas[...] = np.clip(mixed, 0, 255).astype(np.uint8)


LAYOUTS = {
    "front": _paint_front,
    "machine-back": _paint_machine_back,
    "stripe-back": _paint_stripe_back,
    "bank": _paint_bank,
    "passport": _paint_passport,
}
