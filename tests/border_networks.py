"""Networks for borders that tests make up, in the place of the shipped one."""

from __future__ import annotations

import numpy as np
import pytest

from unetlite.vision import trials
from unetlite.vision.borders import PLACES, SAMPLES, BorderNetwork, Borders, crossings, read_borders, strips_of
from unetlite.vision.edges import CELLS

ANSWER = (4, CELLS, PLACES + 1)


def certain_of(truth: np.ndarray, near: np.ndarray, image: np.ndarray) -> BorderNetwork:
    """One that knows where the document ends across the strips of a quad, as sure of a place as the shipped one is."""
    strips = strips_of(image, near)
    place_of = ((crossings(strips, truth) / strips.band + 1.0) * ((SAMPLES - 1) / 2) - 0.5) / 2
    within = (place_of > -0.5) & (place_of < PLACES - 0.5)
    answer = np.zeros(ANSWER, np.float32)
    off = np.arange(PLACES) - np.nan_to_num(place_of)[..., None]
    answer[..., :PLACES] = within[..., None] * np.exp(-0.5 * off * off)
    answer[..., -1] = ~within
    answer /= answer.sum(axis=2, keepdims=True)
    return lambda shown: answer


def make_known(truth: np.ndarray, patch: pytest.MonkeyPatch) -> None:
    """Whichever quad a network is asked about, it knows where the document ends."""

    def read(image: np.ndarray, quad: np.ndarray, network: BorderNetwork) -> Borders | None:
        return read_borders(image, quad, certain_of(truth, quad, image))

    patch.setattr(trials, "read_borders", read)


def seeing_nothing(shown: np.ndarray) -> np.ndarray:
    """One that sees the document end in none of the places."""
    answer = np.zeros(ANSWER, np.float32)
    answer[..., -1] = 1.0
    return answer


def sure_of_what_it_is_shown(shown: np.ndarray) -> np.ndarray:
    """One that sees the document end at the given sides, whichever they are."""
    answer = np.zeros(ANSWER, np.float32)
    answer[..., PLACES // 2] = 1.0
    return answer
