"""A camera that draws bright cards on a dark table: for tests and for trying the page without a camera.

Stands apart because it must never be mistaken for a real one; only its name chooses it.
"""

from __future__ import annotations

import time

import cv2
import numpy as np

from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame
from unetlite.vision.image import RgbImage

_CARD_MM = (85.60, 53.98)
_SHOWN_S, _AWAY_S = 3.0, 1.5
_RATE = 15.0
_TABLE, _CARD = 40, 225


class SyntheticCamera:
    """Shows `cards` different cards in turn, each for three seconds, with empty moments between them."""

    live = True

    def __init__(self, cards: int, options: CameraOptions) -> None:
        self.name = "synthetic"
        self._cards = cards
        self._size_wh = options.size_wh or (640, 480)
        self._rate = options.rate or _RATE
        self._paced = options.paced
        self._number = 0
        self._begin_s = time.monotonic()

    def read(self) -> LiveFrame | None:
        passed_s = self._number / self._rate
        turn, moment_s = divmod(passed_s, _SHOWN_S + _AWAY_S)
        if turn >= self._cards:
            return None
        if self._paced:
            time.sleep(max(0.0, self._begin_s + passed_s - time.monotonic()))
        width, height = self._size_wh
        image = np.full((height, width, 3), _TABLE, np.uint8)
        if moment_s >= _AWAY_S:
            _lay_card(image, int(turn))
        frame = LiveFrame(self._number, self._begin_s + passed_s, image, "RGB", self._size_wh)
        self._number += 1
        return frame

    def close(self) -> None:
        return None


def open_synthetic(spec: str, options: CameraOptions) -> SyntheticCamera:
    """`synthetic` shows 3 cards, `synthetic:N` shows N."""
    count = spec.partition(":")[2] or "3"
    if not count.isdecimal():
        raise CameraError(f"{spec}: expected synthetic or synthetic:COUNT, such as synthetic:5")
    return SyntheticCamera(int(count), options)


def _lay_card(image: RgbImage, number: int) -> None:
    """Draw card `number` upright into the middle."""
    height, width = image.shape[:2]
    scale = 0.6 * min(width / _CARD_MM[0], height / _CARD_MM[1])
    card_w, card_h = (round(mm * scale) for mm in _CARD_MM)
    left, top = (width - card_w) // 2, (height - card_h) // 2
    card = image[top : top + card_h, left : left + card_w]
    card[:] = _CARD
    rng = np.random.default_rng(number)
    portrait = int(rng.integers(5, 55)) * card_w // 85
    cv2.rectangle(card, (portrait, card_h // 4), (portrait + card_w // 4, card_h * 3 // 4), (180, 150, 140), -1)
    for line in range(7):
        for column in np.flatnonzero(rng.random(24) < 0.6):
            x, y = int(card_w * (0.03 + column * 0.04)), int(card_h * (0.12 + 0.12 * line))
            cv2.rectangle(card, (x, y), (x + card_w // 50, y + card_h // 40), (30, 30, 40), -1)
