"""Streams of a picture as a camera in a hand would show it, for what live capture does frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

FRAMES_PER_S = 30
FRAMES = 12  # of a stream that count: live capture looks thoroughly at two of them; one more stands before, its start
# How far a hand strays: shares of the picture's width, radians, share of the scale; and how long it remembers, seconds.
_STRAYS = (0.012, 0.012, 0.02, 0.012)
_MEMORY_S = 0.35
_BEFORE = 60  # frames that nobody sees: a hand does not begin in the middle
_ZOOM = 1.02  # so that little of what lies beyond the picture comes into view


def hand_held(image: np.ndarray, seed: int, count: int = 1 + FRAMES) -> Iterator[np.ndarray]:
    """Frames of the size of a picture, (H, W, 3) uint8, that wander over it, turn and come nearer, smoothly."""
    height, width = image.shape[:2]
    rng = np.random.default_rng(seed)
    kept = np.exp(-1.0 / (FRAMES_PER_S * _MEMORY_S))
    # A push of random force that is remembered, and a place that follows it: both have the deviation 1 in the long run.
    push, place = np.zeros(4), np.zeros(4)
    follow = np.sqrt((1.0 - kept**2) * (1.0 - kept**2) / (1.0 + kept**2))
    for number in range(_BEFORE + count):
        push = kept * push + np.sqrt(1.0 - kept**2) * rng.normal(size=4)
        place = kept * place + follow * push
        if number < _BEFORE:
            continue
        right, down, turn, nearer = place * _STRAYS
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), np.degrees(turn), _ZOOM + nearer)
        matrix[:, 2] += right * width, down * width
        yield cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
