from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from drawn import draw_card

from unetlite.vision.dataset import find_samples, read_classes, read_quad, read_truth, split_folder
from unetlite.vision.errors import DatasetError, GroundTruthError
from unetlite.vision.image import write_image


def test_midv_frames_know_their_document_and_clip(midv_folder: Path) -> None:
    samples = find_samples(midv_folder)
    assert len(samples) == 16
    assert {sample.document for sample in samples} == {"01_alb_id", "02_aut_id", "03_esp_id", "04_fin_id"}
    assert len({sample.clip for sample in samples}) == 8
    assert find_samples(midv_folder / "01_alb_id")[0].document == "01_alb_id"


def test_templates_and_strays_of_midv_are_not_frames(midv_folder: Path) -> None:
    folder = midv_folder / "01_alb_id"
    write_image(folder / "images" / "01_alb_id.tif", np.zeros((5, 5, 3), np.uint8))
    write_image(folder / "images" / "CA" / "01.zip.tif", np.zeros((5, 5, 3), np.uint8))
    assert len(find_samples(midv_folder)) == 16


def test_the_truth_of_a_polygon_is_its_inside(midv_folder: Path) -> None:
    sample = find_samples(midv_folder)[0]
    truth = read_truth(sample, (240, 320))
    _, mask = draw_card(read_quad(sample.polygon))
    assert np.array_equal(truth.classes, mask)
    assert truth.has_quad


def test_images_beside_masks_are_pairs_by_name(tmp_path: Path, card_quad: np.ndarray) -> None:
    picture, mask = draw_card(card_quad)
    write_image(tmp_path / "images" / "a.jpg", picture)
    write_image(tmp_path / "masks" / "a.png", mask)
    sample = find_samples(tmp_path)[0]
    truth = read_truth(sample, (240, 320))
    assert np.array_equal(truth.classes == 1, mask)
    assert not truth.has_quad
    with pytest.raises(GroundTruthError, match="320x200.*got 320x240"):
        read_truth(sample, (200, 320))


def test_a_picture_without_its_truth_is_named(tmp_path: Path, midv_folder: Path) -> None:
    (midv_folder / "01_alb_id" / "ground_truth" / "CA" / "CA01_02.json").unlink()
    with pytest.raises(GroundTruthError, match="CA01_02.tif: expected its ground truth"):
        find_samples(midv_folder)
    write_image(tmp_path / "p" / "images" / "a.png", np.zeros((5, 5, 3), np.uint8))
    (tmp_path / "p" / "masks").mkdir()
    with pytest.raises(GroundTruthError, match="a.png: expected its mask"):
        find_samples(tmp_path / "p")


def test_folders_without_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is none"):
        find_samples(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="found no pair"):
        find_samples(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"quad": [[0, 0], [1, 0], [1, 1]]}', "expected four corners"),
        ('{"quad": [[0, 0], [1, 0], [1, 1], [0, NaN]]}', "finite"),
        ('{"quad": [[0, 0], [1, 0], [2, 0], [3, 0]]}', "convex"),
        ('{"corners": []}', "expected the field 'quad'"),
        ("[1]", "expected a JSON object"),
        ("{", "expected JSON"),
    ],
)
def test_a_polygon_that_is_none_is_named_with_the_reason(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(GroundTruthError, match=sentence) as caught:
        read_quad(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("nothing", [None, []])
def test_a_frame_may_hold_no_document(tmp_path: Path, nothing: object) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"quad": nothing}))
    assert read_quad(tmp_path / "a.json") is None


def test_masks_are_read_as_classes_whatever_their_brightness(tmp_path: Path) -> None:
    for values in ([0, 1], [0, 255], [12, 240]):
        write_image(tmp_path / "m.png", np.array([values], np.uint8))
        assert read_classes(tmp_path / "m.png", 2).tolist() == [[0, 1]]
    write_image(tmp_path / "m.png", np.array([[0, 2, 1]], np.uint8))
    assert read_classes(tmp_path / "m.png", 3).tolist() == [[0, 2, 1]]
    write_image(tmp_path / "m.png", np.array([[0, 3]], np.uint8))
    with pytest.raises(GroundTruthError, match="values up to 3; pass --num-classes 4"):
        read_classes(tmp_path / "m.png", 2)
    with pytest.raises(GroundTruthError, match="0..2, got a value of 3"):
        read_classes(tmp_path / "m.png", 3)


def test_a_prepared_data_set_gives_the_asked_split(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    assert split_folder(tmp_path, "test") == tmp_path / "test"
    assert split_folder(tmp_path, "train") == tmp_path
