"""What one picture shows the network: its hash, its brightness, its values channel by channel.

Stands apart because choosing, the manifest and the audit all judge by these figures, taken after the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import CalibrationError, ImageError
from unetlite.vision.files import sha256_of
from unetlite.vision.image import read_image
from unetlite.vision.preprocess import preprocess

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Measurement:
    """One picture as the network sees it.

    Attributes:
        path: the picture.
        document: what else shows the same thing.
        sha256: of the file's bytes.
        brightness: mean luma, 0..255.
        histogram: (3, 256) int64, counts of each value per channel, RGB.
    """

    path: Path
    document: str
    sha256: str
    brightness: float
    histogram: np.ndarray


def measure(path: Path, document: str, spec: InputSpec) -> Measurement:
    """Read a picture, fit it as `spec` says, and count its values.

    Raises:
        CalibrationError: the picture cannot be read.
    """
    pixels = fitted_pixels(path, spec)
    histogram = np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)])
    means = histogram @ np.arange(256) / histogram.sum(axis=1)
    return Measurement(path, document, sha256_of(path), float(np.dot(LUMA, means)), histogram)


def fitted_pixels(path: Path, spec: InputSpec) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the bytes that the device would feed for this file. Raises CalibrationError."""
    try:
        return preprocess(read_image(path), spec)[0]
    except ImageError as error:
        raise CalibrationError(f"{error} (it was chosen to calibrate with; restore or remove it)") from error
