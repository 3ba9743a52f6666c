"""Calibration pictures that are held out only by name: a score on them says nothing about new pictures.

Stands apart because it compares two sets, where the audit judges one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from unetlite.calibration.measure import LUMA, Measurement
from unetlite.vision.errors import CalibrationError

# Of 40,470 pairs of different photographs and drawings, 349 of them of one clip, none came nearer than 8 bits, and none
# correlated above 0.95; copies recompressed, shrunk or brightened stayed within 4 bits and above 0.98.
HASH_BITS = 6
LEAST_CORRELATION = 0.95
LEAST_CONTRAST = 2.0  # standard deviation in levels: an even surface is like every other

# By weight, with whether it is refused. Of documents in other clips a split by clip is the user's own choice; pictures
# of like pose whose documents are stated to differ may be like by chance.
KINDS = {
    "bytes": ("the same bytes", True),
    "clip": ("the same clip or drawn document", True),
    "alike": ("near-duplicates", True),
    "document": ("the same document in another clip", False),
    "pose": ("near-duplicates of another document", False),
}


@dataclass(frozen=True)
class Leak:
    """A calibration picture and the validation picture that it gives away; `kind` is a key of `KINDS`."""

    kind: str
    calibration: str
    validation: str


def find_leaks(calibration: Sequence[Measurement], validation: Sequence[Measurement]) -> list[Leak]:
    """At most one leak for each calibration picture, the weightiest."""
    by_bytes = {picture.sha256: picture for picture in reversed(validation)}
    by_clip = {picture.clip: picture for picture in reversed(validation) if picture.clip is not None}
    by_document = {picture.document: picture for picture in reversed(validation) if picture.clip is not None}
    signs = np.stack([perceptual_hash(p.thumbnail) for p in validation]) if validation else np.zeros((0, 63), bool)
    leaks: list[Leak] = []
    for picture in calibration:
        known = picture.clip is not None
        near = _nearest(picture, validation, signs)
        differs = known and near is not None and near.clip is not None and near.document != picture.document
        found = {
            "bytes": by_bytes.get(picture.sha256),
            "clip": by_clip.get(picture.clip) if picture.clip is not None else None,
            "alike": None if differs else near,
            "document": by_document.get(picture.document) if known else None,
            "pose": near if differs else None,
        }
        leaks += [Leak(kind, str(picture.path), str(hit.path)) for kind in KINDS if (hit := found[kind])][:1]
    return leaks


def _nearest(picture: Measurement, others: Sequence[Measurement], signs: np.ndarray) -> Measurement | None:
    distances = np.count_nonzero(signs != perceptual_hash(picture.thumbnail), axis=1)
    own = _luma(picture.thumbnail)
    for index in np.argsort(distances, kind="stable"):
        if distances[index] > HASH_BITS:
            return None
        other = _luma(others[index].thumbnail)
        flat = min(own.std(), other.std()) < LEAST_CONTRAST
        if not flat and np.corrcoef(own.ravel(), other.ravel())[0, 1] >= LEAST_CORRELATION:
            return others[index]
    return None


def perceptual_hash(thumbnail: np.ndarray) -> np.ndarray:
    """(63,) bool: which of the lowest frequencies lie above their median; the mean brightness is left out.

    Args:
        thumbnail: (32, 32, 3) uint8, RGB.

    Source: C. Zauner, Implementation and benchmarking of perceptual image hash functions, 2010 (DCT hash).
    """
    low = cv2.dct(_luma(thumbnail))[:8, :8].ravel()[1:]
    return low > np.median(low)


def _luma(thumbnail: np.ndarray) -> np.ndarray:
    return (thumbnail @ np.array(LUMA)).astype(np.float32)


def describe_leaks(leaks: Sequence[Leak], count: int, *, refused: bool) -> str | None:
    """One sentence about those of `KINDS` that are refused, or about those that are not; None where there are none.

    Args:
        leaks: from `find_leaks`.
        count: calibration pictures in all.
        refused: which half.
    """
    ours = [leak for leak in leaks if KINDS[leak.kind][1] == refused]
    if not ours:
        return None
    kinds = Counter(leak.kind for leak in ours)
    counted = ", ".join(f"{kinds[kind]} by {meaning}" for kind, (meaning, _) in KINDS.items() if kinds[kind])
    return (
        f"{len(ours)} of {count} calibration pictures are not apart from the validation: {counted}, "
        f"such as {ours[0].calibration} and {ours[0].validation}"
    )


def check_leaks(leaks: Sequence[Leak], count: int) -> None:
    """Raise CalibrationError for leaks that are refused."""
    sentence = describe_leaks(leaks, count, refused=True)
    if sentence is not None:
        raise CalibrationError(
            f"{sentence}; a score on pictures that decided the ranges is not held out: calibrate with the training "
            f"part, or pass --allow-leakage"
        )
