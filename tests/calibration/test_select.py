"""Which pictures are found, and which of them each strategy chooses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.calibration.manifest import make_manifest
from unetlite.calibration.select import find_candidates
from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import CalibrationError, DatasetError, GroundTruthError
from unetlite.vision.image import write_image

SPEC = InputSpec((32, 32))


def write_pictures(folder: Path, levels: list[int]) -> Path:
    """One picture for each grey level, no two alike: each with faint patches of its own."""
    for i, level in enumerate(levels):
        rng = np.random.default_rng([i, *folder.name.encode()])
        patches = np.kron(rng.integers(-12, 13, (4, 6)), np.ones((5, 5)))[..., np.newaxis]
        write_image(folder / f"{i:03}.png", np.clip(np.full((20, 30, 3), level) + patches, 0, 255).astype(np.uint8))
    return folder


def test_of_a_prepared_data_set_the_training_part_is_used(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        write_image(tmp_path / split / "images" / f"{split}.png", np.zeros((8, 8, 3), np.uint8))
        write_image(tmp_path / split / "masks" / f"{split}.png", np.zeros((8, 8), np.uint8))
    folder, candidates = find_candidates(tmp_path)
    assert folder == tmp_path / "train"
    assert [candidate.path.name for candidate in candidates] == ["train.png"]


def test_a_midv_folder_names_the_document_of_each_picture(midv_folder: Path) -> None:
    _, candidates = find_candidates(midv_folder)
    assert Counter(candidate.document for candidate in candidates) == {
        "01_alb_id": 4, "02_aut_id": 4, "03_esp_id": 4, "04_fin_id": 4
    }  # fmt: skip


def test_a_plain_folder_is_searched_to_the_bottom(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", [10])
    write_pictures(tmp_path / "b" / "c", [20])
    (tmp_path / "notes.txt").write_text("no picture")
    _, candidates = find_candidates(tmp_path)
    assert [candidate.document for candidate in candidates] == ["a", "b/c"]


def test_masks_without_their_pictures_are_not_taken_for_photographs(tmp_path: Path) -> None:
    write_image(tmp_path / "validation" / "masks" / "0.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(DatasetError, match="images/ beside masks/"):
        find_candidates(tmp_path)


def test_a_picture_without_its_mask_is_an_error(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "0.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "masks").mkdir()
    with pytest.raises(GroundTruthError, match=r"0\.png: expected its mask"):
        find_candidates(tmp_path)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()], ids=["missing", "empty"])
def test_a_folder_without_pictures_is_an_error(tmp_path: Path, make) -> None:
    make(tmp_path / "x")
    with pytest.raises(CalibrationError, match="x: expected "):
        find_candidates(tmp_path / "x")


@pytest.mark.parametrize("strategy", ["stratified", "random", "k-centre"])
def test_the_seed_decides_the_choice(tmp_path: Path, strategy: str) -> None:
    folder = write_pictures(tmp_path / "p", list(range(0, 240, 4)))
    chosen = [
        [picture.path for picture in make_manifest(folder, SPEC, count=10, strategy=strategy, seed=seed).pictures]
        for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(set(chosen[0])) == 10


def test_stratified_takes_dark_and_light_pictures_alike_where_most_are_alike(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", [120 + i % 3 for i in range(56)] + [5, 6, 7, 8, 240, 241, 242, 243])
    manifest = make_manifest(folder, SPEC, count=16, seed=3)
    assert sum(picture.brightness < 50 for picture in manifest.pictures) == 4
    assert sum(picture.brightness > 200 for picture in manifest.pictures) == 4


def test_stratified_takes_from_every_document(tmp_path: Path) -> None:
    for document, count in (("common", 40), ("rare", 3), ("odd", 2)):
        write_pictures(tmp_path / document, [100 + 3 * i + len(document) for i in range(count)])
    manifest = make_manifest(tmp_path, SPEC, count=8)
    assert Counter(picture.document for picture in manifest.pictures) == {"common": 3, "rare": 3, "odd": 2}


def test_copies_are_passed_over(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", list(range(0, 100, 10)))
    for i in range(5):
        (folder / f"copy{i}.png").write_bytes((folder / "000.png").read_bytes())
    manifest = make_manifest(folder, SPEC, count=100)
    assert len(manifest.pictures) == 10
    assert manifest.copies_left_out == 5


def test_copies_by_looks_are_passed_over(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for i in range(10):
        picture = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (80, 60))
        write_image(tmp_path / f"{i}.png", picture)
        write_image(tmp_path / f"{i}-again.jpg", cv2.resize(picture, (120, 90)))
    manifest = make_manifest(tmp_path, SPEC, count=100)
    assert len(manifest.pictures) == manifest.copies_left_out == 10


def test_a_torn_file_among_many_is_passed_over_and_counted(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", list(range(0, 100, 10)))
    (folder / "letter.jpg").write_text("Dear Sir or Madam")
    manifest = make_manifest(folder, SPEC)
    assert len(manifest.pictures) == 10
    assert manifest.unreadable_left_out == 1


def test_a_set_of_torn_files_is_refused_and_one_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", list(range(0, 100, 10)))
    for i in range(2):
        (folder / f"letter{i}.jpg").write_text("Dear Sir or Madam")
    with pytest.raises(CalibrationError, match=r"2 of 12 looked at cannot be read; first: .*letter\d\.jpg: expected a"):
        make_manifest(folder, SPEC)


def test_centres_are_the_pictures_least_alike(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "p", [120 + i % 3 for i in range(30)] + [5, 250])
    manifest = make_manifest(folder, SPEC, count=3, strategy="k-centre")
    assert [round(picture.brightness / 60) for picture in manifest.pictures] == [2, 0, 4]


def test_only_a_stated_clip_is_one(tmp_path: Path) -> None:
    for name in ("stated", "unstated"):
        write_image(tmp_path / "images" / f"{name}.png", np.zeros((8, 8, 3), np.uint8))
        write_image(tmp_path / "masks" / f"{name}.png", np.zeros((8, 8), np.uint8))
    truth = tmp_path / "ground_truth" / "stated.json"
    truth.parent.mkdir()
    truth.write_text('{"quad": null, "document": "drawn:7:0"}')
    _, candidates = find_candidates(tmp_path)
    assert [candidate.clip for candidate in candidates] == ["drawn:7:0", None]
