"""Agreement and scores are the figures that a hand can reckon."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unetlite.edge.keras_network import KerasNetwork
from unetlite.edge.runtime import RuntimeInfo
from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import CheckPicture, compare, mask_agreement, validation_pictures
from unetlite.vision.contract import Contract, InputSpec, OutputSpec
from unetlite.vision.image import write_image

SPEC = InputSpec((32, 32))
THREE = OutputSpec("softmax", ("background", "card", "passport"))


def segmenter(network: Any, output: OutputSpec | None = None) -> Segmenter:
    contract = Contract(SPEC, output or OutputSpec(min_confidence=0.0))  # stripes are no plausible cards
    return Segmenter(KerasNetwork(network, SPEC, "test"), contract, "test", RuntimeInfo("keras", ""))


def stripes(levels: Sequence[int]) -> np.ndarray:
    """(32, 32, 3): upright stripes of equal width."""
    row = np.repeat(np.asarray(levels, np.uint8), 32 // len(levels))
    return np.ascontiguousarray(np.broadcast_to(row[np.newaxis, :, np.newaxis], (32, 32, 3)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One picture, a quarter of it grey and a quarter of it white, of which the truth calls the white document."""
    picture = stripes([0, 0, 160, 255])
    write_image(tmp_path / "validation" / "images" / "a.png", picture)
    write_image(tmp_path / "validation" / "masks" / "a.png", picture[..., 0] == 255)
    truth = tmp_path / "validation" / "ground_truth" / "a.json"
    truth.parent.mkdir()
    truth.write_text(json.dumps({"quad": [[23.5, -0.5], [31.5, -0.5], [31.5, 31.5], [23.5, 31.5]]}))
    return tmp_path


def test_a_network_agrees_with_itself(bright: Callable, data: Path) -> None:
    network = segmenter(bright())
    same = compare(network, {"same": network}, validation_pictures(data)).levels["same"]
    assert same.agreement.iou_mean == same.agreement.iou_min == 1.0
    assert same.agreement.difference_max == 0.0


def test_both_are_looked_at_in_a_hurry(bright: Callable, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hurries = []
    call = Segmenter.__call__

    def watched(self: Segmenter, image: np.ndarray, *, hurried: bool = False) -> Any:
        hurries.append(hurried)
        return call(self, image, hurried=hurried)

    monkeypatch.setattr(Segmenter, "__call__", watched)
    network = segmenter(bright())
    compare(network, {"same": network}, validation_pictures(data))
    assert hurries == [True, True]


def test_masks_of_half_the_size_agree_by_half(bright: Callable, data: Path) -> None:
    stricter = bright()
    stricter.layers[-1].bias.assign([-12.0])  # document from level 191 on, where the other begins at 128
    compared = compare(segmenter(bright()), {"strict": segmenter(stricter)}, validation_pictures(data))
    strict = compared.levels["strict"]
    assert strict.agreement.iou_mean == pytest.approx(0.5)
    assert strict.agreement.worst.endswith("a.png")
    assert compared.keras.iou_mean == pytest.approx(0.5)
    assert strict.score.iou_mean == pytest.approx(1.0)
    assert strict.score.quad_iou_mean == pytest.approx(1.0, abs=0.05)
    assert compared.keras.quad_iou_ge_90 == 0.0
    assert strict.score.class_iou == {"background": 1.0, "document": 1.0}
    (picture,) = strict.pictures
    assert (picture.agreement, picture.keras, picture.level) == pytest.approx((0.5, 0.5, 1.0))
    assert picture.keras_quad < 0.9 <= picture.level_quad


def test_without_truth_there_are_no_scores(bright: Callable, data: Path) -> None:
    network = segmenter(bright())
    pictures = [CheckPicture(data / "validation" / "images" / "a.png", None)]
    compared = compare(network, {"same": network}, pictures)
    assert compared.levels["same"].agreement.pictures == 1
    assert compared.levels["same"].score is compared.keras is None
    assert compared.levels["same"].pictures[0].keras is None


def test_a_false_patch_on_a_picture_without_a_document_counts_by_its_size(bright: Callable, tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png", stripes([0, 0, 0, 160]))
    write_image(tmp_path / "masks" / "a.png", np.zeros((32, 32), bool))
    stricter = bright()
    stricter.layers[-1].bias.assign([-12.0])
    compared = compare(segmenter(bright()), {"strict": segmenter(stricter)}, validation_pictures(tmp_path))
    (picture,) = compared.levels["strict"].pictures
    assert (picture.keras, picture.level) == pytest.approx((0.75, 1.0))
    assert picture.keras_quad is None
    assert compared.keras.iou_mean == 0.0


def test_a_speck_that_only_keras_sees_is_no_disagreement(bright: Callable, tmp_path: Path) -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[3, 4:6] = 160
    write_image(tmp_path / "a.png", picture)
    stricter = bright()
    stricter.layers[-1].bias.assign([-12.0])
    compared = compare(
        segmenter(bright()), {"strict": segmenter(stricter)}, [CheckPicture(tmp_path / "a.png", None)]
    )
    assert compared.levels["strict"].agreement.iou_mean == 0.0
    assert compared.levels["strict"].pictures[0].agreement == pytest.approx(1 - 2 / 1024)


def test_a_file_that_answers_nan_is_told_and_the_others_are_judged(bright: Callable, data: Path) -> None:
    broken = bright()
    broken.layers[-1].bias.assign([np.nan])
    network = segmenter(bright())
    compared = compare(network, {"broken": segmenter(broken), "same": network}, validation_pictures(data))
    assert set(compared.levels) == {"same"}
    assert "expected probabilities 0..1, got nan" in compared.failed["broken"]


def test_of_more_classes_each_counts_alike_and_background_not(colours: Callable) -> None:
    blind = colours()
    kernel, bias = blind.layers[-1].get_weights()
    blind.layers[-1].set_weights([kernel, bias - np.array([0, 0, 100], np.float32)])  # sees no passport
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, 8:10] = 255
    picture[:, 20:30] = (255, 0, 0)
    expected, answer = (segmenter(network, THREE)(picture) for network in (colours(), blind))
    assert mask_agreement(expected, expected) == 1.0
    assert mask_agreement(expected, answer) == pytest.approx(0.5)  # all of the cards, none of the passports
    nothing = np.zeros((32, 32, 3), np.uint8)
    assert mask_agreement(*(segmenter(network, THREE)(nothing) for network in (colours(), blind))) == 1.0
