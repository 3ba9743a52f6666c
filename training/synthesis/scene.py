"""One picture: a document on a surface among things, under light, before a camera, with its ground truth.

Stands apart because this is where the parts meet, and where the ground truth is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unetlite.training.synthesis.camera import take_picture
from unetlite.training.synthesis.copies import photocopy, wear
from unetlite.training.synthesis.distractors import draw_distractor
from unetlite.training.synthesis.faces import PIXELS_PER_MM, Face
from unetlite.training.synthesis.flats import Flat, lay_flat, paper_sheet
from unetlite.training.synthesis.formats import FORMATS
from unetlite.training.synthesis.grounds import print_background
from unetlite.training.synthesis.hands import draw_hands, paint_behind, paint_front
from unetlite.training.synthesis.layers import (
    cast_shadow,
    flat_homography,
    lay_over,
    rounded_alpha,
    warp_flat,
)
from unetlite.training.synthesis.lights import apply_light
from unetlite.training.synthesis.newspapers import lay_newspapers
from unetlite.training.synthesis.objects import draw_objects
from unetlite.training.synthesis.poses import Pose, PosePriors, draw_pose
from unetlite.training.synthesis.randomness import chance, pick_weighted
from unetlite.training.synthesis.surfaces import SurfaceSource, draw_collage, draw_photograph, draw_surface

_MOST_COVERED = 0.4  # of the document, by things lying on it


@dataclass(frozen=True)
class Scene:
    """A finished picture and what is true about it.

    `image` is uint8 (H, W, 3), `mask` bool (H, W) the whole document also where something lies on it, `quad`
    float64 (4, 2) in reading order or None, `format` one of FORMATS or None, `kind` what the document is made
    of.
    """

    image: np.ndarray
    mask: np.ndarray
    quad: np.ndarray | None
    format: str | None
    kind: str
    occluded: bool


def draw_document_scene(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    face: Face,
    priors: PosePriors | None,
    source: SurfaceSource,
) -> Scene:
    """A picture with one document."""
    pose = draw_pose(rng, size_wh, face.format, priors)
    kind = pick_weighted(rng, {"cut-copy": 0.26, "uncut-copy": 0.22, "original": 0.52})
    held = kind != "uncut-copy" and chance(rng, 0.16)
    canvas = _background(rng, size_wh, pose, source, held=held)
    if not held:
        if chance(rng, 0.16 if kind == "original" else 0.5):
            lay_newspapers(rng, canvas, pose.plane, source, float(rng.integers(4)) * np.pi / 2)
        _lay_distractors(rng, canvas, pose, source, face)
    if kind == "uncut-copy":
        kind = "uncut-copy" if _lay_sheet(rng, canvas, pose, face) else "cut-copy"
    elif kind == "original" and face.format.name == "ID-3" and chance(rng, 0.75):
        _lay_passport_body(rng, canvas, pose, face)
    hands = draw_hands(rng, pose.quad, pose.pixels_per_mm) if held or chance(rng, 0.07) else []
    for hand in hands if kind != "uncut-copy" else []:
        paint_behind(rng, canvas, hand)
    coverage = _lay_document(rng, canvas, pose, face, kind, held=held)
    occluded = bool(hands)
    beside = int(rng.integers(1, 4)) if chance(rng, 0.45) else 0
    draw_objects(rng, canvas, pose.quad, pose.pixels_per_mm, over=False, count=beside)
    for hand in hands:
        paint_front(rng, canvas, hand)
    if chance(rng, 0.3):
        bare = canvas.copy()
        draw_objects(rng, canvas, pose.quad, pose.pixels_per_mm, over=True, count=int(rng.integers(1, 4)))
        if _share_changed(bare, canvas, coverage) > _MOST_COVERED:
            canvas = bare  # nobody could say where that document ends
        else:
            occluded = True
    image = take_picture(rng, apply_light(rng, canvas, pose.quad))
    if kind == "original":
        kind = "bank-card" if face.layout == "bank" else "passport" if face.format.name == "ID-3" else "card"
    return Scene(image, coverage >= 0.5, pose.quad, face.format.name, kind, occluded)


def draw_negative_scene(
    rng: np.random.Generator, size_wh: tuple[int, int], priors: PosePriors | None, source: SurfaceSource
) -> Scene:
    """A picture without a document, often with things that resemble one."""
    pose = draw_pose(rng, size_wh, FORMATS["ID-1" if chance(rng, 0.5) else "ID-3"], priors)
    if source.pictures and chance(rng, 0.45):  # most of what a camera sees has no table and no sheet in it
        photograph = (draw_photograph if chance(rng, 0.5) else draw_collage)(rng, size_wh, source)
        if chance(rng, 0.3):  # otherwise it has its own light already
            photograph = apply_light(rng, photograph, None)
        image = take_picture(rng, photograph)
        return Scene(image, np.zeros(size_wh[::-1], bool), None, None, "negative", False)
    canvas = _background(rng, size_wh, pose, source, held=chance(rng, 0.2))
    if chance(rng, 0.2):
        lay_newspapers(rng, canvas, pose.plane, source, rng.uniform(0, 6.28))
    if chance(rng, 0.8):
        for number in range(int(rng.integers(1, 5))):
            reach = 25.0 if number == 0 else 110.0
            lay_flat(
                rng,
                canvas,
                draw_distractor(rng, source),
                pose.plane,
                rng.normal(0, reach, 2),
                rng.uniform(0, 6.28) if chance(rng, 0.4) else rng.normal(0, 0.15),
            )
    if chance(rng, 0.5):
        draw_objects(
            rng, canvas, pose.quad, pose.pixels_per_mm, over=chance(rng, 0.5), count=int(rng.integers(1, 4))
        )
    if chance(rng, 0.15):
        for hand in draw_hands(rng, pose.quad, pose.pixels_per_mm):
            paint_behind(rng, canvas, hand)
            paint_front(rng, canvas, hand)
    image = take_picture(rng, apply_light(rng, canvas, None))
    return Scene(image, np.zeros(size_wh[::-1], bool), None, None, "negative", False)


def _share_changed(before: np.ndarray, after: np.ndarray, coverage: np.ndarray) -> float:
    """How much of the document looks different after something was put there, 0..1."""
    different = np.abs(before[::4, ::4].astype(np.int16) - after[::4, ::4]).max(2) > 25
    document = coverage[::4, ::4] >= 0.5
    return float((different & document).sum() / max(document.sum(), 1))


def _background(
    rng: np.random.Generator, size_wh: tuple[int, int], pose: Pose, source: SurfaceSource, *, held: bool
) -> np.ndarray:
    if not held:
        return draw_surface(rng, size_wh, pose.plane, source)
    # Held up in the air: what is behind has a plane of its own and is out of focus.
    scale = rng.uniform(1, 4)
    plane = np.array([[scale, 0, size_wh[0] / 2], [0, scale, size_wh[1] / 2], [0, 0, 1.0]])
    return cv2.GaussianBlur(draw_surface(rng, size_wh, plane, source), (0, 0), rng.uniform(0.6, 5))


def _lay_distractors(
    rng: np.random.Generator, canvas: np.ndarray, pose: Pose, source: SurfaceSource, face: Face
) -> None:
    """Flat things beside or under the document."""
    if not chance(rng, 0.4):
        return
    span = max(face.format.width_mm, face.format.height_mm)
    for _ in range(int(rng.integers(1, 4))):
        flat = draw_distractor(rng, source)
        angle = rng.uniform(0, 2 * np.pi)
        away = span * rng.uniform(0.2, 0.7) + max(flat.size_mm) * rng.uniform(0.2, 0.7)
        centre = np.array([np.cos(angle), np.sin(angle)]) * away
        lay_flat(rng, canvas, flat, pose.plane, centre, float(rng.normal(0, 0.5)))


def _lay_sheet(rng: np.random.Generator, canvas: np.ndarray, pose: Pose, face: Face) -> bool:
    """The larger sheet on which an uncut copy was printed; False where the view is too steep for one."""
    half = np.array([face.format.width_mm, face.format.height_mm]) / 2
    margins = sheet_margins(rng)
    turn = float(rng.normal(0, 0.004))
    for shrink in (1.0, 0.5, 0.2):
        low, high = half + shrink * margins[:2], half + shrink * margins[2:]
        size = low + high
        sheet = Flat(paper_sheet(rng, (int(size[0]), int(size[1]))), (size[0], size[1]), 0.0, 0.3)
        if lay_flat(rng, canvas, sheet, pose.plane, (high - low) / 2, turn):
            return True
    return False


def sheet_margins(rng: np.random.Generator) -> np.ndarray:
    """How far a sheet reaches beyond what is printed on it: (4,) millimetres, left, top, right, bottom."""
    margins = rng.uniform(60, 200, 4) if chance(rng, 0.3) else rng.uniform(3, [70, 70, 70, 170])
    if chance(rng, 0.5):
        # As printers lay a copy, into a corner: two edges close together, and only the inner one is the document's.
        corner = int(rng.integers(4))
        narrow = [corner, (corner + 1) % 4] if chance(rng, 0.6) else [corner]
        margins[narrow] = rng.uniform(2, 12, len(narrow))
    return margins


def _lay_passport_body(rng: np.random.Generator, canvas: np.ndarray, pose: Pose, face: Face) -> None:
    """The cover's rim and the facing page above the data page, foreshortened as it never lies flat."""
    width, height = face.format.width_mm, face.format.height_mm
    tall = height * rng.uniform(0.45, 1.0)
    rim = rng.uniform(0.3, 2.5)
    shape = (int(tall * 4), int(width * 4))
    page, _ = print_background(rng, shape, dark=False)
    if chance(rng, 0.5):
        page[:] = paper_sheet(rng, shape[::-1])
    crease = np.linspace(0, 1, shape[0], dtype=np.float32) ** 6 * rng.uniform(0.1, 0.6)
    page = (page * (1 - crease[:, None, None])).astype(np.uint8)
    cover = np.empty((40, 40, 3), np.uint8)
    cover[...] = np.array([[90, 20, 30], [20, 30, 70], [20, 60, 40], [25, 25, 28]])[
        rng.integers(4)
    ] * rng.uniform(0.6, 1.5)
    lay_flat(
        rng,
        canvas,
        Flat(cover, (width + 2 * rim, height + tall + 2 * rim), 4.0, 3.0),
        pose.plane,
        np.array([0.0, -tall / 2]),
        0.0,
    )
    lay_flat(
        rng,
        canvas,
        Flat(page, (width, tall), 0.0, 0.3),
        pose.plane,
        np.array([0.0, -(height + tall) / 2]),
        0.0,
    )


def _lay_document(
    rng: np.random.Generator, canvas: np.ndarray, pose: Pose, face: Face, kind: str, *, held: bool
) -> np.ndarray:
    """Draw the document and return its coverage of every pixel, float32 (H, W)."""
    flat = _no_finer_than_seen(face.image, pose)
    height_px, width_px = flat.shape[:2]
    radius_mm = face.format.corner_mm
    if kind == "original":
        picture = wear(rng, flat)
        thickness = 0.8
    else:
        picture = photocopy(rng, flat)
        radius_mm = radius_mm if chance(rng, 0.3) else 0.0
        thickness = 0.3
    if kind == "cut-copy":
        picture = (picture * (rng.uniform(205, 255) / 255 * rng.uniform([0.97, 0.97, 0.92], 1.0))).astype(
            np.uint8
        )
    alpha = rounded_alpha((width_px, height_px), radius_mm * width_px / face.format.width_mm)
    homography = flat_homography(pose.plane, face.format.corners_mm, (width_px, height_px))
    size_wh = (canvas.shape[1], canvas.shape[0])
    whole = np.zeros(canvas.shape[:2], np.float32)
    seen = warp_flat(picture, alpha, homography, size_wh)
    if seen is None:
        return whole
    colours, coverage, corner = seen
    if kind == "uncut-copy":
        _print_on(canvas, colours, coverage, corner)
    else:
        if kind == "cut-copy" and chance(rng, 0.35):
            _lay_margin(rng, canvas, pose, face)
        elif not held or chance(rng, 0.3):
            lift = max(thickness * pose.pixels_per_mm, 0.5)
            spread = rng.uniform(0.5, 3.0) if chance(rng, 0.7) else rng.uniform(3, 10)
            offset = rng.normal(0, 0.7, 2) * lift * spread
            cast_shadow(
                canvas,
                coverage,
                corner,
                (float(offset[0]), float(offset[1])),
                min(lift * spread, 14.0),
                float(rng.uniform(0.1, 0.7)),
            )
        lay_over(canvas, colours, coverage, corner)
    x, y = corner
    whole[y : y + coverage.shape[0], x : x + coverage.shape[1]] = coverage
    return whole


def _no_finer_than_seen(image: np.ndarray, pose: Pose) -> np.ndarray:
    """The face with a third more pixels than the picture can show: copying and wearing them costs time."""
    factor = 1.33 * pose.pixels_per_mm / PIXELS_PER_MM
    if factor >= 1.0:
        return image
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _print_on(canvas: np.ndarray, ink: np.ndarray, coverage: np.ndarray, corner_xy: tuple[int, int]) -> None:
    """Multiply the sheet's colour by the print, in place."""
    x, y = corner_xy
    region = canvas[y : y + coverage.shape[0], x : x + coverage.shape[1]]
    lay_over(canvas, cv2.multiply(region, ink, scale=1 / 255), coverage, corner_xy)


def _lay_margin(rng: np.random.Generator, canvas: np.ndarray, pose: Pose, face: Face) -> None:
    """The white rim that scissors leave around a cut copy."""
    left, top, right, bottom = rng.uniform(0, 5, 4) if chance(rng, 0.5) else rng.uniform(0, 1.2, 4)
    size = (face.format.width_mm + left + right, face.format.height_mm + top + bottom)
    sheet = paper_sheet(rng, (int(size[0] * 2), int(size[1] * 2)))
    flat = Flat(sheet, size, 0.0, 0.3)
    lay_flat(
        rng, canvas, flat, pose.plane, np.array([right - left, bottom - top]) / 2, float(rng.normal(0, 0.004))
    )
