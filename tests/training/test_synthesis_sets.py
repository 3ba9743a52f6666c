"""Sets that the generator writes: resumed, kept apart, read back, the same by any number of jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_sets import SMALL, contents, recipe

from unetlite.training.synthesis import assets
from unetlite.training.synthesis.generator import Workshop, generate
from unetlite.vision.dataset import find_samples, read_truth
from unetlite.vision.errors import DatasetError
from unetlite.vision.image import read_image, write_image


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("set")
    generate(directory, 12, 7, size_wh=SMALL, jobs=1)
    return directory


def test_the_number_of_jobs_does_not_change_a_byte(small_set: Path, tmp_path: Path) -> None:
    generate(tmp_path, 12, 7, size_wh=SMALL, jobs=2)
    assert contents(tmp_path) == contents(small_set)


def test_an_interrupted_run_goes_on_where_it_stopped(small_set: Path, tmp_path: Path) -> None:
    generate(tmp_path, 8, 7, size_wh=SMALL, jobs=1)
    kept = (tmp_path / "images" / "000002.jpg").stat().st_mtime_ns
    (tmp_path / "ground_truth" / "000003.json").unlink()
    (tmp_path / "masks" / "000005.png").unlink()
    seen = []
    result = generate(
        tmp_path, 12, 7, size_wh=SMALL, jobs=1, progress=lambda done, count: seen.append((done, count))
    )
    assert (result.written, result.kept) == (6, 6)
    assert seen[-1] == (12, 12)
    assert (tmp_path / "images" / "000002.jpg").stat().st_mtime_ns == kept
    assert contents(tmp_path) == contents(small_set)


@pytest.mark.parametrize("change", [{"seed": 8}, {"negatives": 0.5}, {"size_wh": (120, 160)}, {"count": 3}])
def test_a_set_of_other_arguments_is_not_mixed_in(small_set: Path, change: dict[str, object]) -> None:
    before = contents(small_set)
    arguments = {"count": 12, "seed": 7, "size_wh": SMALL, "jobs": 1, **change}
    with pytest.raises(DatasetError, match="use .*a new folder"):
        generate(small_set, **arguments)  # type: ignore[arg-type]
    assert contents(small_set) == before


def test_a_folder_with_foreign_pictures_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "mine.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DatasetError, match="no synthesis.json"):
        generate(tmp_path, 1, 1, jobs=1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"count": 0, "seed": 1},
        {"count": 1, "seed": -1},
        {"count": 1, "seed": 1, "negatives": 1.2},
        {"count": 1, "seed": 1, "size_wh": (16, 16)},
        {"count": 1, "seed": 1, "classes": ("cat",)},
    ],
)
def test_impossible_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, object]
) -> None:
    with pytest.raises(DatasetError, match="expected"):
        generate(tmp_path / "set", jobs=1, **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


def test_the_set_reads_back_as_a_data_set(small_set: Path) -> None:
    samples = find_samples(small_set)
    assert len(samples) == 12
    for sample in samples:
        image = read_image(sample.image)
        assert image.shape == (120, 160, 3)
        truth = read_truth(sample, (120, 160))
        written = json.loads((small_set / "ground_truth" / f"{sample.image.stem}.json").read_text("utf-8"))
        assert sample.document == written["document"]
        assert (truth.quad is None) == (written["kind"] == "negative") == (truth.classes.max() == 0)
    record = json.loads((small_set / "synthesis.json").read_text("utf-8"))
    assert (record["seed"], record["count"]) == (7, 12)
    assert read_image(small_set / "contact-sheet.jpg").shape[1] == 8 * 224


def test_classes_are_numbered_as_the_labels_say(tmp_path: Path) -> None:
    generate(tmp_path, 40, 2, size_wh=SMALL, negatives=0.0, classes=("card", "passport"), jobs=1)
    assert (tmp_path / "labels.txt").read_text("utf-8").split() == ["background", "card", "passport"]
    values = {}
    for path in sorted((tmp_path / "ground_truth").iterdir()):
        mask = cv2.imdecode(
            np.fromfile(tmp_path / "masks" / f"{path.stem}.png", np.uint8), cv2.IMREAD_UNCHANGED
        )
        values[json.loads(path.read_text("utf-8"))["format"]] = set(np.unique(mask)) - {0}
    assert values["ID-1"] == {1}
    assert values["ID-3"] == {2}


def test_pictures_of_a_document_carry_its_name() -> None:
    workshop = Workshop(recipe(negatives=0.0))
    names = [workshop.draw(index)[1] for index in range(8)]
    assert len(set(names)) == 2
    assert names[:4] == [names[0]] * 4


def test_asset_folders_are_used_and_recorded_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        write_image(tmp_path / "surfaces" / f"tile{number}.png", rng.integers(0, 255, (64, 64, 3), np.uint8))
    write_image(tmp_path / "surfaces" / "deep" / "photo.png", rng.integers(0, 255, (90, 200, 3), np.uint8))
    write_image(tmp_path / "cards" / "one.png", np.full((54, 86, 3), (0, 200, 0), np.uint8))
    write_image(tmp_path / "cards" / "panorama.png", np.zeros((50, 200, 3), np.uint8))
    tiles, pictures = assets.split_tiles(assets.list_images(tmp_path / "surfaces"))
    assert (len(tiles), [path.name for path in pictures]) == (3, ["photo.png"])
    generate(
        tmp_path / "set",
        100,
        2,
        size_wh=(96, 72),
        jobs=1,
        backgrounds=tmp_path / "surfaces",
        faces=tmp_path / "cards",
    )
    documents = {
        json.loads(path.read_text("utf-8"))["document"]
        for path in (tmp_path / "set" / "ground_truth").iterdir()
    }
    assert "face:one" in documents and "face:panorama" not in documents
    text = (tmp_path / "set" / "synthesis.json").read_text("utf-8")
    assert json.loads(text)["backgrounds"]["folder"] == "surfaces"
    assert str(tmp_path) not in text


def test_an_asset_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found none"):
        generate(tmp_path / "set", 1, 1, jobs=1, backgrounds=tmp_path)


def test_generating_needs_no_tensorflow() -> None:
    code = "import sys; import unetlite.training.synthesis.generator; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
