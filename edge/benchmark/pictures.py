"""The pictures that a benchmark measures on, with their truth.

Stands apart because scoring, timing and drawing the worst ones must mean the same pictures by the same names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.edge.benchmark.scores import true_quad
from unetlite.vision.dataset import Sample, Truth, find_samples, read_truth, split_folder
from unetlite.vision.files import sha256_of
from unetlite.vision.image import RgbImage, read_image
from unetlite.vision.quad import Quad


@dataclass(frozen=True)
class Picture:
    """One picture and its truth.

    Attributes:
        name: its path relative to the data set.
        image: (H, W, 3) uint8, RGB.
        truth: by number of classes.
        quad: the document's corners; None where there is no document.
    """

    name: str
    image: RgbImage
    truth: dict[int, Truth]
    quad: Quad | None


def benchmark_samples(data: Path, limit: int | None) -> tuple[Path, list[Sample]]:
    """The samples to measure on: of a prepared data set its `test/`; `limit` of them, spread evenly.

    Returns:
        The folder that names are relative to, and the samples in order of path.

    Raises:
        DatasetError, GroundTruthError: as `find_samples`.
    """
    root = split_folder(data, "test")
    return root, spread(find_samples(root), limit)


def spread(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """`limit` of the samples at equal steps, first and last among them; all where there are no more."""
    if limit is None or limit >= len(samples):
        return list(samples)
    return [samples[i] for i in np.linspace(0, len(samples) - 1, limit).round().astype(int)]


def read_picture(sample: Sample, root: Path, class_counts: set[int]) -> Picture:
    """A picture with its truth for each number of classes. Raises ImageError, GroundTruthError."""
    image = read_image(sample.image)
    height, width = image.shape[:2]
    truth = {count: read_truth(sample, (height, width), count) for count in class_counts}
    return Picture(relative_name(sample.image, root), image, truth, true_quad(truth[min(class_counts)]))


def relative_name(path: Path, root: Path) -> str:
    """What a report calls a file: nothing of where the data set lies."""
    return path.relative_to(root).as_posix()


@dataclass(frozen=True)
class PictureFiles:
    """A picture's name, the name and SHA-256 of each of its files, and their bytes together."""

    name: str
    hashes: tuple[tuple[str, str], ...]
    size: int


def picture_files(root: Path, samples: Sequence[Sample]) -> list[PictureFiles]:
    """The files of each sample: picture, and mask and polygon where there are any."""
    found = []
    for sample in samples:
        paths = [path for path in (sample.image, sample.mask, sample.polygon) if path is not None]
        hashes = tuple((relative_name(path, root), sha256_of(path)) for path in paths)
        found.append(PictureFiles(relative_name(sample.image, root), hashes, sum(p.stat().st_size for p in paths)))
    return found


def data_summary(name: str, pictures: Sequence[PictureFiles]) -> dict[str, Any]:
    """What was measured on: contents by hash, so that reports of two devices can be told to be of one data set."""
    digest = hashlib.sha256()
    for file, sha256 in (entry for picture in pictures for entry in picture.hashes):
        digest.update(f"{file}\0{sha256}\n".encode())
    size = sum(picture.size for picture in pictures)
    return {"name": name, "images": len(pictures), "bytes": size, "sha256": digest.hexdigest()}


def data_record(root: Path, data: Path, samples: Sequence[Sample]) -> dict[str, Any]:
    """`data_summary` of these samples, under the folder's name."""
    return data_summary(data.resolve().name, picture_files(root, samples))
