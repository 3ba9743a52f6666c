"""From MIDV folders, or images and masks, to `train/ validation/ test/`, each with `images/ masks/ ground_truth/`.

Stands apart from the readers in `unetlite.vision.dataset`, which read its result like any other data set.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.training.data.records import PICTURES_PER_FILE, record_name, write_records
from unetlite.training.data.split import assign_splits
from unetlite.vision.dataset import SPLITS, Sample, find_samples, read_quad, read_truth
from unetlite.vision.errors import DatasetError
from unetlite.vision.files import atomic_path, read_json, write_json
from unetlite.vision.image import encode_png, read_image, write_image
from unetlite.vision.shard import Shard, owns

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
    records: bool = False,
    shard: Shard | None = None,
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
        records: pack the training pictures into TFRecord files, for `unet-train`; what the other commands read,
            validation and test pictures, stays single files.
        shard: write this share of the pictures only, and say so in the manifest; see `merge`.
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
        **({"records": PICTURES_PER_FILE} if records else {}),
        **({"shard": str(shard)} if shard else {}),
    }
    _check_target(to, content)
    write_json(to / MANIFEST, content)

    by_name = dict(zip(names, samples, strict=True))

    def work(unit: Unit) -> int:
        if unit.record:
            return _prepare_record(unit, [by_name[name] for name in unit.names], to=to, num_classes=num_classes)
        return _prepare_one(by_name[unit.names[0]], unit.split, unit.names[0], to=to, num_classes=num_classes)

    units = [unit for number, unit in enumerate(units_of(content)) if owns(shard, number)]
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        results: Iterable[int] = pool.map(work, units)
        try:
            if progress is None:
                reused = sum(results)
            else:
                with progress(results, len(units)) as shown:
                    reused = sum(shown)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    counts: Counter[str] = Counter()
    for unit in units:
        counts[unit.split] += len(unit.names)
    return Prepared({split: counts[split] for split in SPLITS if counts[split]}, reused, to / MANIFEST)


@dataclass(frozen=True)
class Unit:
    """What one thread prepares at once: a picture, or the pictures of a record file.

    Attributes:
        split: where it goes.
        names: of its pictures.
        files: what is written, relative to the data set's folder.
        record: the `.tfrecord` among the files, or None.
    """

    split: str
    names: tuple[str, ...]
    files: tuple[str, ...]
    record: str | None = None


def units_of(content: dict[str, Any]) -> list[Unit]:
    """The units of a manifest, in the order in which shards take turns at them."""
    units, packed = [], []
    for frame in content["frames"]:
        name, split = frame["name"], frame["split"]
        image = f"{name}{Path(frame['source']).suffix.lower()}"
        if "records" in content and split == "train":
            packed.append((image, name))
        else:
            files = (f"images/{image}", f"masks/{name}.png", f"ground_truth/{name}.json")
            units.append(Unit(split, (name,), tuple(f"{split}/{file}" for file in files)))
    packed.sort()  # the order that single files are read in
    size = content.get("records", 1)
    count = -(-len(packed) // size)
    for number in range(count):
        record = f"train/{record_name(number, count)}"
        names = tuple(name for _, name in packed[number * size : (number + 1) * size])
        units.append(Unit("train", names, (record, f"{record.removesuffix('.tfrecord')}.json"), record))
    return units


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


def _prepare_one(sample: Sample, split: str, name: str, *, to: Path, num_classes: int) -> int:
    """Write one picture's files; how many pictures were there already."""
    folder = to / split
    image_path = folder / "images" / f"{name}{sample.image.suffix.lower()}"
    mask_path = folder / "masks" / f"{name}.png"
    truth_path = folder / "ground_truth" / f"{name}.json"
    if image_path.exists() and mask_path.exists() and truth_path.exists():
        return 1
    classes, content = _checked(sample, num_classes)
    link_or_copy(sample.image, image_path)
    write_image(mask_path, classes)
    write_json(truth_path, content)
    return 0


def _prepare_record(unit: Unit, samples: list[Sample], *, to: Path, num_classes: int) -> int:
    """Write one record file; how many pictures were there already."""
    if all((to / file).exists() for file in unit.files):
        return len(unit.names)

    def entries() -> Iterator[tuple[str, bytes, bytes, bytes, str]]:
        for name, sample in zip(unit.names, samples, strict=True):
            classes, content = _checked(sample, num_classes)
            image = sample.image.read_bytes()
            truth = json.dumps(content, indent=1) + "\n"
            file = f"{name}{sample.image.suffix.lower()}"
            yield file, image, encode_png(classes), truth.encode(), hashlib.sha256(image).hexdigest()

    write_records(to / str(unit.record), entries())
    return 0


def _checked(sample: Sample, num_classes: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Mask and ground truth of a picture that decodes and a truth that fits it."""
    image = read_image(sample.image)
    truth = read_truth(sample, (image.shape[0], image.shape[1]), num_classes)
    content: dict[str, Any] = {"document": sample.document, "clip": sample.clip}
    if sample.polygon is not None:
        quad = read_quad(sample.polygon)
        content["quad"] = None if quad is None else quad.astype(float).round(3).tolist()
    return (truth.classes * np.uint8(255) if num_classes == 2 else truth.classes), content


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it to another file system. Raises OutputError."""
    with atomic_path(target) as temporary:
        try:
            os.link(source.resolve(), temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, temporary)
