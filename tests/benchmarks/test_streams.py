"""benchmarks/streams.py: frames as a camera in a hand would show them."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import streams  # noqa: E402

PICTURE = np.zeros((180, 320, 3), np.uint8)
cv2.circle(PICTURE, (160, 90), 6, (255, 255, 255), -1)


def places(seed: int, count: int) -> np.ndarray:
    """Where the dot in the middle is in each frame, in shares of the picture's width."""
    found = []
    for frame in streams.hand_held(PICTURE, seed, count):
        assert frame.shape == PICTURE.shape and frame.dtype == np.uint8
        moments = cv2.moments(frame[..., 0])
        found.append([moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]])
    return np.array(found) / PICTURE.shape[1]


def test_a_hand_wanders_smoothly_and_not_far() -> None:
    wandered = places(seed=1, count=600)
    steps = np.linalg.norm(np.diff(wandered, axis=0), axis=1)
    assert 0.0002 < np.median(steps) < 0.003
    assert steps.max() < 0.008
    assert (np.abs(wandered.std(axis=0) - 0.012) < 0.005).all()
    assert np.abs(wandered - wandered.mean(axis=0)).max() < 0.06


def test_a_stream_is_the_same_for_a_seed_and_another_for_another() -> None:
    assert np.array_equal(places(1, 5), places(1, 5))
    assert not np.allclose(places(1, 5), places(2, 5), atol=1e-3)
