"""A perceptual hash of a flattened document, to tell whether the same card is shown again.

Stands apart because the state machine compares hashes and must not know of pixels.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.vision.image import RgbImage

BITS = 256
_SIDE = 64
_FREQUENCIES = 16  # of each axis: details down to a 32nd of the card, finer ones move with every frame
_SIGNS = np.add.outer(np.arange(_FREQUENCIES), np.arange(_FREQUENCIES)) % 2 == 1


def fingerprint(crop: RgbImage) -> int:
    """The signs of a crop's low frequencies, as 256 bits.

    A crop and the same crop after a quarter turn have the same fingerprint up to `distance`'s tolerance of a half
    turn, so it does not matter which way up a card lies.

    Args:
        crop: (h, w, 3) uint8 RGB, or (h, w) uint8: the flattened document, any size.

    Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions (2010), the DCT hash.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) if crop.ndim == 3 else crop
    if grey.shape[0] > grey.shape[1]:
        grey = cv2.rotate(grey, cv2.ROTATE_90_CLOCKWISE)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    # Uneven light is in the lowest frequencies; what a large blur keeps is taken off.
    small -= cv2.GaussianBlur(small, (0, 0), _SIDE / 6)
    waves = cv2.dct(small)[:_FREQUENCIES, :_FREQUENCIES]
    return int.from_bytes(np.packbits(waves.ravel() > 0).tobytes(), "big")


_HALF_TURN = int.from_bytes(np.packbits(_SIGNS.ravel()).tobytes(), "big")


def distance(a: int, b: int) -> int:
    """How many of 256 bits differ, 0..256, in the better of both ways up; of unrelated cards about 120."""
    # A half turn changes the sign of every wave that is odd in x + y, and of no other.
    return min((a ^ b).bit_count(), (a ^ b ^ _HALF_TURN).bit_count())
