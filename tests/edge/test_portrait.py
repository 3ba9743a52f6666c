"""A document is turned as its portrait stands, and left alone where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.edge import portrait
from unetlite.edge.portrait import FaceDetector, turn_upright
from unetlite.vision.dataset import find_samples
from unetlite.vision.errors import ModelError
from unetlite.vision.image import read_image
from unetlite.vision.quad import as_quad, crop_quad

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture(scope="module")
def faces() -> FaceDetector:
    return FaceDetector()


def sample_crop(stem: str) -> np.ndarray:
    truth = json.loads((SAMPLES / "ground_truth" / f"{stem}.json").read_text())
    return crop_quad(read_image(SAMPLES / "images" / f"{stem}.jpg"), as_quad(truth["quad"]))


@pytest.mark.parametrize("stem", ["000008", "000010"])
@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_drawn_card_with_a_portrait_stands_however_it_is_turned(stem: str, turn: int, faces: FaceDetector) -> None:
    crop = sample_crop(stem)
    upright = turn_upright(crop, faces)
    assert upright.told
    turned = turn_upright(np.ascontiguousarray(np.rot90(crop, turn)), faces)
    assert turned.told
    np.testing.assert_array_equal(turned.image, upright.image)
    assert turned.image.flags.c_contiguous


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_without_a_portrait_a_crop_stays_as_it_is(turn: int, faces: FaceDetector) -> None:
    rng = np.random.default_rng(3)
    crop = np.full((270, 428, 3), 230, np.uint8)
    for row in range(30, 250, 24):  # lines of print
        crop[row : row + 10, 20 : 20 + int(rng.integers(150, 380))] = rng.integers(0, 90, 3)
    turned = np.ascontiguousarray(np.rot90(crop, turn))
    answer = turn_upright(turned, faces)
    assert not answer.told
    assert answer.image is turned


@pytest.mark.parametrize("shape_hw", [(1, 1), (1, 40), (30, 20), (16, 900)])
def test_crops_of_any_size_are_answered(shape_hw: tuple[int, int], faces: FaceDetector) -> None:
    crop = np.zeros((*shape_hw, 3), np.uint8)
    assert turn_upright(crop, faces).image is crop


def as_read(image: np.ndarray, truth: Path) -> np.ndarray:
    """The document flattened along its corners, which the truth names as it is read, from its top-left."""
    corners = np.array(json.loads(truth.read_text())["quad"], np.float32)
    target = np.array([[0, 0], [400, 0], [400, 260], [0, 260]], np.float32) - 0.5
    return cv2.warpPerspective(image, cv2.getPerspectiveTransform(corners, target), (400, 260))


def test_real_copies_of_every_type_stand(real_data: Path, faces: FaceDetector) -> None:
    first_of_type = {sample.document: sample for sample in reversed(find_samples(real_data / "dlc2021-dev"))}
    assert len(first_of_type) == 6
    for sample in first_of_type.values():
        read = as_read(read_image(sample.image), sample.polygon)
        for turn in range(4):
            answer = turn_upright(np.ascontiguousarray(np.rot90(read, turn)), faces)
            assert answer.told, sample.image
            np.testing.assert_array_equal(answer.image, read)


def test_a_missing_detector_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(portrait, "FACE_MODEL", tmp_path / "none.tflite")
    with pytest.raises(ModelError, match=r"none\.tflite"):
        FaceDetector()
