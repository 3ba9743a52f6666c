"""The shipped network for borders: it knows where a document ends."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.edge import borders
from unetlite.edge.borders import TfliteBorders
from unetlite.vision.borders import PLACES, SAMPLES, read_borders
from unetlite.vision.edges import CELLS
from unetlite.vision.errors import ModelError
from unetlite.vision.quad import quad_mask

CARD = np.array([[150, 110], [493, 120], [488, 336], [145, 326]], np.float32)


@pytest.fixture(scope="module")
def network() -> TfliteBorders:
    return TfliteBorders()


def test_each_piece_has_probabilities_of_its_places_and_of_none(network: TfliteBorders) -> None:
    rng = np.random.default_rng(2)
    answer = network(rng.normal(0, 1, (4, CELLS, SAMPLES, 3)).astype(np.float32))
    assert answer.shape == (4, CELLS, PLACES + 1) and answer.dtype == np.float32
    assert answer.sum(axis=2) == pytest.approx(np.ones((4, CELLS)), abs=1e-4)
    assert answer.min() >= 0


@pytest.mark.parametrize("side", range(4))
def test_the_edge_of_paper_is_known_from_a_line_of_print_on_it(network: TfliteBorders, side: int) -> None:
    rng = np.random.default_rng(4)
    picture = np.full((480, 640, 3), (92, 84, 78), np.uint8)
    picture[quad_mask(CARD, (480, 640))] = (212, 208, 200)
    a, b = CARD[side], CARD[(side + 1) % 4]
    c, d = CARD[(side + 2) % 4], CARD[(side + 3) % 4]
    lost = CARD.copy()
    lost[side], lost[(side + 1) % 4] = 0.85 * a + 0.15 * d, 0.85 * b + 0.15 * c
    start, end = lost[side], lost[(side + 1) % 4]
    for word in range(12):  # of letters as high as the line is wide
        ends = (start + (end - start) * share for share in ((word + 0.2) / 12, (word + 0.85) / 12))
        cv2.line(picture, *(tuple(int(v) for v in point) for point in ends), (60, 60, 60), 6)
    picture = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
    read = read_borders(picture, lost, network)
    assert read is not None
    assert read.support(CARD) > read.support(lost) + 0.04


def test_a_missing_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(borders, "BORDER_MODEL", tmp_path / "none.tflite")
    with pytest.raises(ModelError, match=r"none\.tflite"):
        TfliteBorders()
