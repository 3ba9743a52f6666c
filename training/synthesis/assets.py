"""Pictures from folders outside the project: backgrounds and flat document faces.

Stands apart because these are the generator's only reads, and its output depends on what they contain.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from unetlite.training.synthesis.faces import PIXELS_PER_MM, Face
from unetlite.training.synthesis.formats import nearest_format
from unetlite.vision.errors import DatasetError
from unetlite.vision.image import is_image_path, read_image

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
_LARGEST_SIDE = 960  # a background's detail beyond the largest default picture would be lost
_LARGEST_TILE = 300  # small square pictures are taken for seamless tiles
_ASPECT_TOLERANCE = 0.08


def list_images(folder: Path) -> list[Path]:
    """Every picture below `folder`, sorted by relative path.

    Raises:
        DatasetError: the folder does not exist or holds no picture.
    """
    folder = Path(folder)
    found = sorted(p for p in folder.rglob("*") if is_image_path(p) and p.suffix.lower() in _SUFFIXES and p.is_file())
    if not found:
        raise DatasetError(f"{folder}: expected a folder with pictures, found none; name another folder")
    return found


def fingerprint(paths: list[Path], folder: Path) -> str:
    """A hash of the files' relative names and sizes: tells whether a set was drawn from the same assets."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(folder).as_posix()}:{path.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=64)
def read_background(path: Path) -> np.ndarray:
    """A background at no more than the largest useful size, uint8 (H, W, 3)."""
    image = read_image(path)
    factor = _LARGEST_SIDE / max(image.shape[:2])
    if factor < 1.0:
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return image


def split_tiles(paths: list[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Seamless tiles (small square pictures) and all other pictures."""
    tiles: list[Path] = []
    pictures: list[Path] = []
    for path in paths:
        height, width = read_image(path).shape[:2]
        (tiles if height == width and height <= _LARGEST_TILE else pictures).append(path)
    return tuple(tiles), tuple(pictures)


def usable_faces(paths: list[Path]) -> list[Path]:
    """The pictures whose sides have the ratio of a document format; others would be drawn out of shape."""
    fitting = []
    for path in paths:
        height, width = _without_bars(read_image(path)).shape[:2]
        if nearest_format(width / height)[1] <= _ASPECT_TOLERANCE:
            fitting.append(path)
    return fitting


def _without_bars(image: np.ndarray) -> np.ndarray:
    """The picture less the black bars that fill some flat pictures up to a common size."""
    bright = image.max(2) > 12
    rows, columns = np.flatnonzero(bright.mean(1) > 0.02), np.flatnonzero(bright.mean(0) > 0.02)
    if not len(rows) or not len(columns):
        return image
    return np.ascontiguousarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


@lru_cache(maxsize=32)
def read_face(path: Path, folder: Path) -> Face:
    """A flat document picture as a face of the nearest format."""
    image = _without_bars(read_image(path))
    document_format, _ = nearest_format(image.shape[1] / image.shape[0])
    size_wh = (
        int(round(document_format.width_mm * PIXELS_PER_MM)),
        int(round(document_format.height_mm * PIXELS_PER_MM)),
    )
    smaller = size_wh[0] < image.shape[1]
    image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    name = path.relative_to(folder).with_suffix("").as_posix()
    return Face(
        f"face:{name}", image, document_format, "passport" if document_format.name == "ID-3" else "front"
    )
