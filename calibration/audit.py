"""Whether a representative data set may decide a model's ranges.

Stands apart because a bad set fails silently: the model converts, and its masks are wrong on the device.
"""

from __future__ import annotations

from unetlite.calibration.manifest import Manifest
from unetlite.calibration.measure import COVERED_SHARE
from unetlite.vision.errors import CalibrationError

MIN_PICTURES = 8  # fewer say nothing about how pictures differ
# Real photographs cover 0.9 to 1.0 of 0..255; a set of dark ones alone covered 0.25 and cost 0.2 IoU.
SCALE_TOLERANCE = 0.2


def lone_scale(manifest: Manifest) -> float:
    """The input scale (real value per uint8 step) that these pictures alone would give the model.

    Taken over `COVERED_SHARE` of the values: one highlight in a dark set would hide that the set is dark.
    """
    low, high = manifest.covered
    return manifest.input.scale * (high - low) / 255.0


def audit(manifest: Manifest) -> None:
    """Pass a set that is large enough and covers the contract's input range.

    Raises:
        CalibrationError: fewer than `MIN_PICTURES` different pictures, or a scale more than `SCALE_TOLERANCE` off.
    """
    count = len(manifest.pictures)
    if count < MIN_PICTURES:
        copies = f" ({manifest.copies_left_out} copies left out)" if manifest.copies_left_out else ""
        raise CalibrationError(
            f"{manifest.folder}: expected {MIN_PICTURES} different pictures or more to calibrate with, "
            f"got {count}{copies}; add pictures like those the device will see"
        )
    expected, got = manifest.input.scale, lone_scale(manifest)
    if got < expected * (1.0 - SCALE_TOLERANCE):
        raise CalibrationError(
            f"{manifest.folder}: {_flaw(manifest)}: {COVERED_SHARE:.1%} of their values lie within "
            f"{manifest.covered[0]}..{manifest.covered[1]} of 0..255, which alone would give an input scale of "
            f"{got:.5f} where the contract has {expected:.5f}, and a model that has not seen the rest; "
            f"add pictures like those the device will see"
        )


def _flaw(manifest: Manifest) -> str:
    low, high = manifest.covered
    if high < 128:
        return "these pictures are all dark"
    return "these pictures are all bright" if low >= 128 else "these pictures have little contrast"
