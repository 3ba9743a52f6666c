"""From MIDV folders, or images and masks, to `train/ validation/ test/`, each with `images/ masks/ ground_truth/`.

Stands apart from the readers in `unetlite.vision.dataset`, which read its result like any other data set.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.training.data.split import assign_splits
from unetlite.vision.dataset import SPLITS, Sample, find_samples, read_quad, read_truth
from unetlite.vision.errors import DatasetError
from unetlite.vision.files import atomic_path, read_json, write_json
from unetlite.vision.image import read_image, write_image

MANIFEST = "split.json"


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did: pictures per split, and how many of them were there already."""

    counts: dict[str, int]
    reused: int
    manifest: Path


def prepare(
    source: Path,
    to: Path,
    *,
    shares: tuple[int, int, int] = (70, 20, 10),
    by: str = "document",
    seed: int = 0,
    num_classes: int = 2,
    licence: str | None = None,
    jobs: int | None = None,
    progress: Callable[[Iterable[Any], int], Any] | None = None,
) -> Prepared:
    """Write a split data set. A run that was interrupted goes on where it stopped.

    Every picture is decoded and every truth checked, so that a damaged file is found now and not in an epoch.
    Pictures are hard-linked where the file system allows, else copied; nothing is re-encoded.

    Args:
        source: MIDV folders, or `images/` beside `masks/`.
        to: an empty or new folder, or that of an interrupted run with the same arguments.
        licence: written into the manifest, and from there into training summaries.
        jobs: threads, all cores where None; decoding runs outside Python's lock.
        progress: wraps an iterable of known length, to show a bar.

    Raises:
        DatasetError, GroundTruthError, ImageError: the source is not usable; the sentence names the file.
        OutputError: the disk refused.
    """
    samples = find_samples(source)
    splits = assign_splits(samples, shares, by, seed)
    names = _unique_names(samples)
    content = {
        "name": source.resolve().name,
        "licence": licence,
        "split": "/".join(map(str, shares)),
        "by": by,
        "seed": seed,
        "num_classes": num_classes,
        "frames": [
            {
                "name": name,
                "split": split,
                "source": sample.image.relative_to(source).as_posix(),
                "document": sample.document,
                "clip": sample.clip,
            }
            for name, split, sample in zip(names, splits, samples, strict=True)
        ],
    }
    _check_target(to, content)
    write_json(to / MANIFEST, content)

    def work(task: tuple[Sample, str, str]) -> bool:
        return _prepare_one(*task, to=to, num_classes=num_classes)

    tasks = list(zip(samples, splits, names, strict=True))
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        results: Iterable[bool] = pool.map(work, tasks)
        try:
            if progress is None:
                reused = sum(results)
            else:
                with progress(results, len(tasks)) as shown:
                    reused = sum(shown)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    counts = Counter(splits)
    return Prepared({split: counts[split] for split in SPLITS if counts[split]}, reused, to / MANIFEST)


def _check_target(to: Path, content: dict[str, Any]) -> None:
    if not to.exists() or not any(to.iterdir()):
        return
    try:
        earlier = read_json(to / MANIFEST)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{to}: expected a new or empty folder, but it holds other files; choose another") from error
    if earlier != content:
        raise DatasetError(
            f"{to}: it was prepared from another source or with other arguments (see {to / MANIFEST}); "
            f"choose another folder or remove it"
        )


def _unique_names(samples: list[Sample]) -> list[str]:
    """Flat names that tell document and clip; a short hash where two would be the same."""
    names = []
    for sample in samples:
        parts = [sample.document, *([sample.clip.split("/")[-1]] if sample.clip != sample.document else [])]
        stem = sample.image.stem
        name = "_".join([part for part in parts if not stem.startswith(part)] + [stem])
        names.append(re.sub(r"[^\w.-]+", "-", name))  # a document's id may hold what a file name may not
    repeated = {name for name, count in Counter(names).items() if count > 1}
    return [
        f"{name}_{hashlib.sha256(str(sample.image).encode()).hexdigest()[:8]}" if name in repeated else name
        for name, sample in zip(names, samples, strict=True)
    ]


def _prepare_one(sample: Sample, split: str, name: str, *, to: Path, num_classes: int) -> bool:
    folder = to / split
    image_path = folder / "images" / f"{name}{sample.image.suffix.lower()}"
    mask_path = folder / "masks" / f"{name}.png"
    truth_path = folder / "ground_truth" / f"{name}.json"
    if image_path.exists() and mask_path.exists() and truth_path.exists():
        return True
    image = read_image(sample.image)
    truth = read_truth(sample, (image.shape[0], image.shape[1]), num_classes)
    classes = truth.classes * np.uint8(255) if num_classes == 2 else truth.classes
    _link(sample.image, image_path)
    write_image(mask_path, classes)
    content: dict[str, Any] = {"document": sample.document, "clip": sample.clip}
    if sample.polygon is not None:
        quad = read_quad(sample.polygon)
        content["quad"] = None if quad is None else quad.astype(float).round(3).tolist()
    write_json(truth_path, content)
    return False


def _link(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        try:
            os.link(source.resolve(), temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)
