"""What one picture shows the network: its hash, its brightness, its values channel by channel.

Stands apart because choosing, the manifest and the audit all judge by these figures, taken after the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import CalibrationError, ImageError
from unetlite.vision.files import sha256_of
from unetlite.vision.image import read_image
from unetlite.vision.preprocess import preprocess

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
THUMBNAIL = 32  # pixels a side: enough to tell two pictures of one desk apart
COVERED_SHARE = 0.998  # of all values, half of the rest at each end: a lone highlight does not make a set bright


@dataclass(frozen=True, eq=False)
class Measurement:
    """One picture as the network sees it.

    Attributes:
        path: the picture.
        document: what else shows the same thing; of a plain folder only its subfolder.
        clip: what was taken in one go; None where neither clip nor document is stated.
        sha256: of the file's bytes.
        brightness: mean luma, 0..255.
        histogram: (3, 256) int64, counts of each value per channel, RGB.
        thumbnail: (`THUMBNAIL`, `THUMBNAIL`, 3) uint8, RGB.
        signs: (63,) bool, see `perceptual_hash`.
    """

    path: Path
    document: str
    clip: str | None
    sha256: str
    brightness: float
    histogram: np.ndarray
    thumbnail: np.ndarray
    signs: np.ndarray


def measure(path: Path, document: str, clip: str | None, spec: InputSpec) -> Measurement:
    """Read a picture, fit it as `spec` says, and count its values.

    Raises:
        CalibrationError: the picture cannot be read.
    """
    pixels = fitted_pixels(path, spec)
    histogram = np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)])
    means = histogram @ np.arange(256) / histogram.sum(axis=1)
    brightness = float(np.dot(LUMA, means))
    thumbnail = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    signs = perceptual_hash(thumbnail)
    return Measurement(path, document, clip, sha256_of(path), brightness, histogram, thumbnail, signs)


def perceptual_hash(thumbnail: np.ndarray) -> np.ndarray:
    """(63,) bool: which of the lowest frequencies lie above their median; the mean brightness is left out.

    Args:
        thumbnail: (`THUMBNAIL`, `THUMBNAIL`, 3) uint8, RGB.

    Source: C. Zauner, Implementation and benchmarking of perceptual image hash functions, 2010 (DCT hash).
    """
    low = cv2.dct(luma(thumbnail))[:8, :8].ravel()[1:]
    return low > np.median(low)


def luma(pixels: np.ndarray) -> np.ndarray:
    """(h, w) float32 of (h, w, 3) uint8 RGB."""
    return (pixels @ np.array(LUMA)).astype(np.float32)


def covered(counts: np.ndarray) -> tuple[int, int]:
    """The values (0..255) between which `COVERED_SHARE` of all lie; `counts` is (256,)."""
    shares = np.cumsum(counts) / counts.sum()
    outside = (1.0 - COVERED_SHARE) / 2.0
    return int(np.searchsorted(shares, outside, side="right")), int(np.searchsorted(shares, 1.0 - outside))


def fitted_pixels(path: Path, spec: InputSpec) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the bytes that the device would feed for this file. Raises CalibrationError."""
    try:
        return preprocess(read_image(path), spec)[0]
    except ImageError as error:
        raise CalibrationError(f"{error} (part of calibration or validation; restore or remove it)") from error
