"""Calibration pictures that are held out only by name: a score on them says nothing about new pictures.

Stands apart because it compares two sets, where the audit judges one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from unetlite.calibration.likeness import nearest_copy
from unetlite.calibration.measure import Measurement
from unetlite.vision.errors import CalibrationError

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
    leaks: list[Leak] = []
    for picture in calibration:
        known = picture.clip is not None
        near = nearest_copy(picture, validation)
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
