"""What lies under and behind a document, seen by the same camera as the document.

Stands apart from textures.py because here a material gets a scale, a perspective and a tint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from unetlite.training.synthesis import assets
from unetlite.training.synthesis.lumps import ribbon, smooth_curve, smooth_outline
from unetlite.training.synthesis.patterns import colour_gradient, hsv_colour
from unetlite.training.synthesis.randomness import chance, log_uniform, pick, pick_weighted
from unetlite.training.synthesis.textures import BANK_SIZE, texture


@dataclass(frozen=True)
class SurfaceSource:
    """Where surfaces come from: the data set's texture bank and, when given, a folder's pictures."""

    seed: int
    tiles: tuple[Path, ...]
    pictures: tuple[Path, ...]


def draw_surface(
    rng: np.random.Generator, size_wh: tuple[int, int], plane: np.ndarray, source: SurfaceSource
) -> np.ndarray:
    """A table top under the plane (3, 3) mm -> pixels, or a photograph behind it; uint8 (H, W, 3)."""
    external = bool(source.tiles or source.pictures) and chance(rng, 0.55)
    if external and source.pictures and (not source.tiles or chance(rng, 0.4)):
        return draw_photograph(rng, size_wh, source)
    if external:
        tile = assets.read_background(pick(rng, source.tiles))
        pixel_mm = log_uniform(rng, 0.25, 1.6)
        return _tint(rng, _lay(rng, tile, size_wh, plane, pixel_mm, cv2.BORDER_WRAP))
    material = texture(source.seed, int(rng.integers(BANK_SIZE)))
    return _tint(rng, _lay(rng, material, size_wh, plane, log_uniform(rng, 0.22, 0.9), cv2.BORDER_REFLECT))


def draw_photograph(rng: np.random.Generator, size_wh: tuple[int, int], source: SurfaceSource) -> np.ndarray:
    """A part of one of the folder's pictures, uint8 (H, W, 3); `source.pictures` must not be empty."""
    photograph = _crop(rng, assets.read_background(pick(rng, source.pictures)), size_wh)
    return _tint(rng, photograph) if chance(rng, 0.5) else photograph


def draw_collage(rng: np.random.Generator, size_wh: tuple[int, int], source: SurfaceSource) -> np.ndarray:
    """Parts of pictures and colour gradients in soft and hard shapes, none of them four-sided, uint8 (H, W, 3).

    A few dozen pictures show few kinds of edges; what a network takes for a card in the ones it never saw is areas
    of one colour that such edges bound.
    """
    width, height = size_wh
    canvas = _filling(rng, size_wh, source)
    for _ in range(int(rng.integers(1, 6))):
        centre = rng.uniform([0, 0], size_wh)
        reach = max(size_wh) * rng.uniform(0.1, 0.6)
        kind = pick_weighted(rng, {"lump": 1, "half": 1, "band": 1, "disc": 0.7, "triangle": 0.7})
        if kind == "lump":
            outline = smooth_outline(rng, centre, reach, 0.3)
        elif kind == "band":
            outline = ribbon(
                smooth_curve(rng.uniform([0, 0], size_wh, (3, 2))), np.full(24, reach * rng.uniform(0.1, 0.5))
            )
        elif kind == "half":
            angle = rng.uniform(0, 2 * np.pi)
            along, out = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
            far = 3.0 * max(size_wh)
            outline = np.stack([centre - along * far, centre + along * far, centre + (along + out) * far])
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, 3)) if kind == "triangle" else np.linspace(0, 2 * np.pi, 48)
            outline = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * reach
        mask = np.zeros((height, width), np.uint8)
        cv2.fillPoly(mask, [np.clip(outline, -20000, 20000).astype(np.int32)], (255.0,), cv2.LINE_AA)
        if chance(rng, 0.3):
            mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1, 12)).astype(np.uint8)
        weight = (mask.astype(np.float32) * np.float32(rng.uniform(0.5, 1.0) / 255))[..., None]
        canvas = (canvas * (1 - weight) + _filling(rng, size_wh, source) * weight).astype(np.uint8)
    return canvas


def _filling(rng: np.random.Generator, size_wh: tuple[int, int], source: SurfaceSource) -> np.ndarray:
    if source.pictures and chance(rng, 0.6):
        return draw_photograph(rng, size_wh, source)
    colours = np.stack([hsv_colour(rng.random(), rng.uniform(0, 1), rng.uniform(0.05, 1)) for _ in range(4)])
    return np.clip(colour_gradient(rng, (size_wh[1], size_wh[0]), colours), 0, 255).astype(np.uint8)


def _lay(
    rng: np.random.Generator,
    material: np.ndarray,
    size_wh: tuple[int, int],
    plane: np.ndarray,
    pixel_mm: float,
    border: int,
) -> np.ndarray:
    """Cover the plane with `material`, one of its pixels being `pixel_mm` wide."""
    width, height = size_wh
    # The plane's scale in the picture's middle decides how sharp the material can be.
    middle = np.array([width / 2, height / 2, 1.0])
    inverse = cv2.invert(plane)[1]  # NumPy's wakes all its threads for nine numbers
    depth = _depths(inverse, size_wh)
    if depth.min() < 0.35 * depth.max():
        inverse = _without_perspective(inverse, middle)
    here = inverse @ middle
    scale = 1.0 / abs(np.linalg.det(inverse)) * abs(here[2]) ** 3
    pixels_per_mm = float(np.sqrt(scale))
    magnification = pixel_mm * pixels_per_mm
    if magnification < 0.7:
        shrink = max(magnification, 0.15)
        material = cv2.resize(material, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        pixel_mm, magnification = pixel_mm / shrink, magnification / shrink
    if magnification > 3.0:
        pixel_mm *= 3.0 / magnification  # a blurred enlargement would tell the network nothing
    turn = (
        rng.uniform(0, 2 * np.pi) if chance(rng, 0.35) else rng.integers(4) * np.pi / 2 + rng.normal(0, 0.1)
    )
    cosine, sine = np.cos(turn) / pixel_mm, np.sin(turn) / pixel_mm
    to_texture = np.array(
        [[cosine, -sine, rng.uniform(0, 640)], [sine, cosine, rng.uniform(0, 640)], [0, 0, 1.0]]
    )
    return cv2.warpPerspective(
        material,
        to_texture @ inverse,
        size_wh,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )


def _depths(inverse: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    width, height = size_wh
    corners = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]], np.float64)
    depths = corners @ inverse[2]
    return depths * np.sign(depths.sum())


def _without_perspective(inverse: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """The affine map that agrees with `inverse` around `middle`: for planes that reach their horizon."""
    x, y, w = inverse @ middle
    here = np.array([x / w, y / w])
    slope = (inverse[:2, :2] - np.outer(here, inverse[2, :2])) / w
    affine = np.eye(3)
    affine[:2, :2] = slope
    affine[:2, 2] = here - slope @ middle[:2]
    return affine


def _crop(rng: np.random.Generator, picture: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """A random part of a photograph, mirrored or turned at random, at the wanted size."""
    if chance(rng, 0.3):
        picture = np.rot90(picture, int(rng.integers(1, 4)))
    if chance(rng, 0.5):
        picture = picture[:, ::-1]
    height, width = picture.shape[:2]
    fit = min(width / size_wh[0], height / size_wh[1])
    factor = fit * rng.uniform(0.3, 1.0)
    part_w, part_h = max(int(size_wh[0] * factor), 2), max(int(size_wh[1] * factor), 2)
    x, y = int(rng.integers(width - part_w + 1)), int(rng.integers(height - part_h + 1))
    part = np.ascontiguousarray(picture[y : y + part_h, x : x + part_w])
    return cv2.resize(part, size_wh, interpolation=cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR)


def _tint(rng: np.random.Generator, surface: np.ndarray) -> np.ndarray:
    """Another colour, contrast and brightness for the same material; uint8."""
    gains, offset = np.ones(3), 0.0
    if chance(rng, 0.5):
        contrast = rng.uniform(0.4, 1.2)
        gains *= contrast
        offset = (1 - contrast) * float(surface[::16, ::16].mean())
    if chance(rng, 0.5):
        gains *= log_uniform(rng, 0.5, 1.6)
    if chance(rng, 0.15):
        gains *= 0.5 + 0.5 * hsv_colour(rng.random(), rng.uniform(0.1, 0.9), 1.0) / 255
    steps = np.arange(256)[:, None] * gains + offset
    table = np.clip(steps, 0, 255).astype(np.uint8)[:, None]
    return cv2.LUT(surface, np.ascontiguousarray(table))
