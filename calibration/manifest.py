"""The record of a representative data set: which pictures, with which hashes, and what they show.

Stands apart because it travels: with it a calibration can be repeated bit for bit, and its hash goes into the model.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.calibration.likeness import Known
from unetlite.calibration.measure import Measurement, covered, fitted_pixels, measure
from unetlite.calibration.select import STRATEGIES, Candidate, find_candidates
from unetlite.vision.contract import FITS, InputSpec
from unetlite.vision.errors import CalibrationError
from unetlite.vision.files import read_json, sha256_of, write_json
from unetlite.vision.preprocess import to_real

MANIFEST_VERSION = 2
DEFAULT_COUNT = 64  # in-domain sets of 1 to 200 pictures differed by at most 0.003 IoU: cheap, and room for variety
UNREADABLE_SHARE = 0.1  # of the pictures looked at: a set with more torn files is not the one that was meant


@dataclass(frozen=True)
class Picture:
    """A chosen picture; `path` is relative to the manifest's folder, with forward slashes, the rest as measured."""

    path: str
    sha256: str
    document: str
    clip: str | None
    brightness: float


@dataclass(frozen=True)
class ChannelRange:
    """What one channel's values are after `to_real`."""

    min: float
    max: float
    mean: float


@dataclass(frozen=True)
class BrightnessSpread:
    """Mean luma per picture, 0..255, over the set."""

    min: float
    p10: float
    median: float
    p90: float
    max: float


@dataclass(frozen=True)
class Manifest:
    """A representative data set.

    Attributes:
        folder: where the pictures lie on this machine; not part of the hash.
        pictures: sorted by path.
        input: the contract's input that the figures below were taken with.
        strategy: a name of `STRATEGIES`.
        seed: of the choice.
        candidates: how many pictures there were to choose from.
        copies_left_out: pictures that were passed over because the same picture was there already, by its bytes or
            by its looks.
        unreadable_left_out: files named like pictures that no decoder takes, likewise.
        channels: red, green, blue.
        covered: the pixel values (0..255) between which `COVERED_SHARE` of all values lie.
        brightness: how dark and light pictures spread.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    input: InputSpec
    strategy: str
    seed: int
    candidates: int
    copies_left_out: int
    unreadable_left_out: int
    channels: tuple[ChannelRange, ...]
    covered: tuple[int, int]
    brightness: BrightnessSpread

    @property
    def sha256(self) -> str:
        """Of all but `folder`: the same pictures elsewhere are the same calibration."""
        return hashlib.sha256(json.dumps(_content(self), sort_keys=True).encode()).hexdigest()

    def summary(self) -> dict[str, Any]:
        """What the model's contract tells of its calibration."""
        return {
            "manifest_sha256": self.sha256,
            "pictures": len(self.pictures),
            "strategy": self.strategy,
            "seed": self.seed,
            "candidates": self.candidates,
            "copies_left_out": self.copies_left_out,
            "unreadable_left_out": self.unreadable_left_out,
            "covered": list(self.covered),
            "brightness": asdict(self.brightness),
        }


def make_manifest(
    source: Path,
    spec: InputSpec,
    *,
    count: int = DEFAULT_COUNT,
    strategy: str = "stratified",
    seed: int = 0,
    watch: Callable[[Sequence[Candidate]], Iterable[Candidate]] = iter,
) -> Manifest:
    """Choose the representative pictures of a folder or data set and measure them.

    Args:
        source: a folder of pictures, or a data set; of a prepared one the training part is used.
        spec: the input that the network will be fed with.
        count: how many pictures; all where there are fewer.
        strategy: a name of `STRATEGIES`.
        seed: the same seed over the same files chooses the same pictures.
        watch: wraps the candidates while they are read, for a progress bar.

    Raises:
        CalibrationError: no pictures, or more than `UNREADABLE_SHARE` of those looked at cannot be read.
        GroundTruthError: a data set in which a picture lacks its truth.
    """
    folder, candidates = find_candidates(source)
    plan, rng = STRATEGIES[strategy], random.Random(seed)
    pool: dict[str, Measurement] = {}
    known = Known()
    copies, seen = 0, 0
    unreadable: list[CalibrationError] = []
    for candidate in watch(plan.order(candidates, rng)):
        if len(pool) == count * plan.pool:
            break
        seen += 1
        try:
            measured = measure(candidate.path, candidate.document, candidate.clip, spec)
        except CalibrationError as error:
            unreadable.append(error)
            continue
        if measured.sha256 in pool or known.holds_copy_of(measured):
            copies += 1
        else:
            pool[measured.sha256] = measured
            known.add(measured)
    if len(unreadable) > UNREADABLE_SHARE * seen:
        raise CalibrationError(
            f"{folder}: expected pictures to calibrate with, but {len(unreadable)} of {seen} looked at cannot be "
            f"read; first: {unreadable[0]}"
        ) from unreadable[0]
    chosen = sorted(plan.pick(list(pool.values()), count, rng), key=lambda picture: picture.path)
    histogram = np.sum([picture.histogram for picture in chosen], axis=0)  # (3, 256)
    lightness = np.percentile([picture.brightness for picture in chosen], [0, 10, 50, 90, 100])
    return Manifest(
        folder=folder,
        pictures=tuple(
            Picture(p.path.relative_to(folder).as_posix(), p.sha256, p.document, p.clip, round(p.brightness, 2))
            for p in chosen
        ),
        input=spec,
        strategy=strategy,
        seed=seed,
        candidates=len(candidates),
        copies_left_out=copies,
        unreadable_left_out=len(unreadable),
        channels=tuple(_channel_range(counts, spec) for counts in histogram),
        covered=covered(histogram.sum(axis=0)),
        brightness=BrightnessSpread(*(round(float(value), 2) for value in lightness)),
    )


def _channel_range(counts: np.ndarray, spec: InputSpec) -> ChannelRange:
    present = np.flatnonzero(counts)
    low, high = to_real(present[[0, -1]].astype(np.uint8), spec)
    mean = spec.real_range[0] + spec.scale * float(counts @ np.arange(256)) / float(counts.sum())
    return ChannelRange(round(float(low), 6), round(float(high), 6), round(mean, 6))


def representative_pixels(manifest: Manifest) -> Iterator[np.ndarray]:
    """The set as the device would feed it: (h, w, 3) uint8 RGB, one picture at a time.

    Raises:
        CalibrationError: a picture is missing, cannot be read, or is not the one that was chosen.
    """
    for picture in manifest.pictures:
        path = manifest.folder / picture.path
        if not path.is_file():
            raise CalibrationError(f"{path}: expected this picture of the calibration, found none; run unet-calibrate")
        if sha256_of(path) != picture.sha256:
            raise CalibrationError(
                f"{path}: expected the picture that was chosen (SHA-256 {picture.sha256[:12]}...), "
                f"but its bytes have changed; restore it or run unet-calibrate again"
            )
        yield fitted_pixels(path, manifest.input)


def measurements(manifest: Manifest) -> list[Measurement]:
    """The chosen pictures measured again, to hold them against others. Raises CalibrationError."""
    return [measure(manifest.folder / p.path, p.document, p.clip, manifest.input) for p in manifest.pictures]


def representative(manifest: Manifest) -> Iterator[np.ndarray]:
    """The set as a converter takes it: (1, h, w, 3) float32 of the contract's real range. Raises CalibrationError."""
    for pixels in representative_pixels(manifest):
        yield to_real(pixels, manifest.input)[np.newaxis]


def _content(manifest: Manifest) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(manifest).items() if name != "folder"}
    return {"format": "unetlite-calibration", "version": MANIFEST_VERSION, **fields}


def write_manifest(path: Path, manifest: Manifest, *, overwrite: bool = False) -> None:
    """Write a manifest as JSON; the pictures' folder is kept relative to the manifest's own. Raises OutputError."""
    folder = os.path.relpath(manifest.folder.resolve(), Path(path).resolve().parent)
    content = {**_content(manifest), "folder": Path(folder).as_posix(), "sha256": manifest.sha256}
    write_json(path, content, overwrite=overwrite)


def read_manifest(path: Path) -> Manifest:
    """Read what `write_manifest` wrote.

    Raises:
        CalibrationError: no such file, no manifest, another version, or changed since it was written.
    """
    try:
        content = read_json(Path(path))
    except (OSError, ValueError) as error:
        raise CalibrationError(
            f"{path}: expected a calibration manifest in JSON, got {error}; write one with unet-calibrate"
        ) from error
    if not isinstance(content, dict) or content.get("format") != "unetlite-calibration":
        raise CalibrationError(f"{path}: expected a calibration manifest; write one with unet-calibrate")
    if content.get("version") != MANIFEST_VERSION:
        raise CalibrationError(
            f"{path}: expected manifest version {MANIFEST_VERSION}, got {content.get('version')!r}; "
            f"run unet-calibrate of this release again"
        )
    try:
        manifest = _build(content, Path(path).resolve().parent)
        unchanged = manifest.sha256 == content["sha256"]
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path}: the manifest lacks or misstates {error}; run unet-calibrate again") from error
    if not unchanged:
        raise CalibrationError(f"{path}: the manifest was changed after it was written; run unet-calibrate again")
    return manifest


def _build(content: dict[str, Any], home: Path) -> Manifest:
    given = content["input"]
    (width, height), (low, high) = given["size_wh"], given["real_range"]
    if given["fit"] not in FITS or content["strategy"] not in STRATEGIES:
        raise ValueError("fit or strategy")
    return Manifest(
        folder=(home / content["folder"]).resolve(),
        pictures=tuple(Picture(**picture) for picture in content["pictures"]),
        input=InputSpec((int(width), int(height)), (float(low), float(high)), given["fit"]),
        strategy=content["strategy"],
        seed=content["seed"],
        candidates=content["candidates"],
        copies_left_out=content["copies_left_out"],
        unreadable_left_out=content["unreadable_left_out"],
        channels=tuple(ChannelRange(**channel) for channel in content["channels"]),
        covered=(content["covered"][0], content["covered"][1]),
        brightness=BrightnessSpread(**content["brightness"]),
    )
