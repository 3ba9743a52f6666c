"""Data sets as arrays: every picture once, half again as fine as the network sees it.

Stands apart from training: here is what reads files, in processes of their own that know no GPU.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path

import cv2
import numpy as np

from unetlite.vision.contract import InputSpec
from unetlite.vision.dataset import Sample, find_samples, read_truth
from unetlite.vision.image import read_image
from unetlite.vision.preprocess import preprocess, preprocess_mask

STORED_WH = (480, 288)
_CHUNK = 1024


@dataclass(frozen=True)
class PictureSet:
    """Pictures, stretched and lying, with their truth.

    Attributes:
        planes: (N, 4, h, w) uint8: red, green, blue, and 1 on the document.
        boxes: (N, 4) float32, the document's extent in 0..1: left, top, right, bottom; all of it where there is none.
        aspects: (N,) float32, long side to short side.
        types: (N,) name of the folder that each is from, which for real frames, and what is made of them, is the type.
    """

    planes: np.ndarray
    boxes: np.ndarray
    aspects: np.ndarray
    types: np.ndarray


def load_set(folders: Sequence[Path], jobs: int, *, on_disk: Path | None = None) -> PictureSet:
    """Read folders of pictures and ground truth: what `unet-data synthesize` writes, or one type's of MIDV's layout.

    Args:
        folders: one after the other.
        jobs: processes that read.
        on_disk: a folder on whose disk the planes lie, of sets that are larger than memory; the system frees that room
            with the array.

    Raises:
        DatasetError, GroundTruthError, ImageError: as the readers in `unetlite.vision` do.
    """
    found = [(folder.name.removeprefix("reprints-"), sample) for folder in folders for sample in find_samples(folder)]
    types, samples = [name for name, _ in found], [sample for _, sample in found]
    width, height = STORED_WH
    count = len(samples)
    shape = (count, 4, height, width)
    planes = np.empty(shape, np.uint8) if on_disk is None else _lying_on_disk(on_disk, shape)
    facts = np.empty((count, 5), np.float32)
    memory = shared_memory.SharedMemory(create=True, size=_CHUNK * height * width * 4)
    try:
        with multiprocessing.get_context("spawn").Pool(jobs, _open, (memory.name,)) as pool:
            for start in range(0, count, _CHUNK):
                chunk = samples[start : start + _CHUNK]
                facts[start : start + len(chunk)] = pool.map(_read, list(enumerate(chunk)), chunksize=8)
                room = np.ndarray((_CHUNK, 4, height, width), np.uint8, memory.buf)
                planes[start : start + len(chunk)] = room[: len(chunk)]
                del room  # the memory cannot be closed while an array looks at it
    finally:
        memory.close()
        memory.unlink()
    return PictureSet(planes, facts[:, :4], facts[:, 4], np.array(types))


def _lying_on_disk(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    with tempfile.TemporaryFile(dir=folder) as file:  # without a name; the mapping outlives it
        return np.memmap(file, np.uint8, "w+", shape=shape)


_memory: shared_memory.SharedMemory  # one per worker, set as it starts


def _open(name: str) -> None:
    global _memory
    cv2.setNumThreads(1)
    _memory = shared_memory.SharedMemory(name=name)


def _read(task: tuple[int, Sample]) -> tuple[float, ...]:
    place, sample = task
    spec = InputSpec(STORED_WH, fit="turn")
    image = read_image(sample.image)
    truth = read_truth(sample, (image.shape[0], image.shape[1]), 2)
    room = np.ndarray((_CHUNK, 4, STORED_WH[1], STORED_WH[0]), np.uint8, _memory.buf)
    mask = preprocess_mask(truth.classes, spec)
    room[place, :3] = preprocess(image, spec)[0].transpose(2, 0, 1)
    room[place, 3] = mask
    return *_box(mask), max(image.shape[:2]) / min(image.shape[:2])


def _box(mask: np.ndarray) -> tuple[float, ...]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 1.0, 1.0
    height, width = mask.shape
    return columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
