from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from unetlite.training.data.cli import main
from unetlite.training.data.prepare import prepare
from unetlite.training.data.split import assign_splits
from unetlite.vision.dataset import Sample, find_samples, read_quad, read_truth
from unetlite.vision.errors import DatasetError, GroundTruthError
from unetlite.vision.image import read_image, write_image


def sample(document: str, clip: str, frame: int) -> Sample:
    return Sample(Path(f"{document}/{clip}/{frame}.png"), None, Path("x.json"), document, f"{document}/{clip}")


SAMPLES = [sample(f"d{d}", f"c{c}", f) for d in range(10) for c in range(3) for f in range(4)]


@pytest.mark.parametrize("by", ["document", "clip", "frame"])
def test_no_group_is_on_two_sides_and_shares_are_kept(by: str) -> None:
    splits = assign_splits(SAMPLES, (70, 20, 10), by, seed=3)
    sides: dict[str, set[str]] = {}
    for s, split in zip(SAMPLES, splits, strict=True):
        key = {"document": s.document, "clip": s.clip, "frame": str(s.image)}[by]
        sides.setdefault(key, set()).add(split)
    assert all(len(side) == 1 for side in sides.values())
    assert [splits.count(name) for name in ("train", "validation", "test")] == [84, 24, 12]


def test_the_seed_decides_the_split() -> None:
    assert assign_splits(SAMPLES, (70, 20, 10), "clip", 1) == assign_splits(SAMPLES, (70, 20, 10), "clip", 1)
    assert assign_splits(SAMPLES, (70, 20, 10), "clip", 1) != assign_splits(SAMPLES, (70, 20, 10), "clip", 2)


def test_every_split_gets_a_group_even_of_very_unequal_sizes() -> None:
    unequal = [sample("big", "c", f) for f in range(95)] + [sample("a", "c", 0), sample("b", "c", 0)]
    assert set(assign_splits(unequal, (70, 20, 10), "document", 0)) == {"train", "validation", "test"}


def test_every_split_gets_groups_of_every_size() -> None:
    ones = [sample(f"single{i}", "c", 0) for i in range(200)]
    fours = [sample(f"four{i}", "c", f) for i in range(100) for f in range(4)]
    splits = assign_splits(ones + fours, (80, 10, 10), "document", 0)
    for name, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert splits[:200].count(name) == pytest.approx(200 * share, abs=8)
        assert splits[200:].count(name) == pytest.approx(400 * share, abs=8)


def test_too_few_documents_and_crooked_shares_are_refused() -> None:
    with pytest.raises(DatasetError, match="at least 3 groups to split by document, got 2; pass --by clip"):
        assign_splits([s for s in SAMPLES if s.document in ("d0", "d1")], (70, 20, 10), "document", 0)
    with pytest.raises(DatasetError, match="sum to 100"):
        assign_splits(SAMPLES, (70, 20, 20), "document", 0)


def test_prepared_pictures_masks_and_polygons_belong_together(midv_folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "out"
    result = prepare(midv_folder, to, shares=(50, 25, 25), licence="CC0")
    assert result.counts == {"train": 8, "validation": 4, "test": 4}
    manifest = json.loads(result.manifest.read_text())
    assert manifest["licence"] == "CC0"
    for frame in manifest["frames"]:
        source = midv_folder / frame["source"]
        pair = next(s for s in find_samples(to / frame["split"]) if s.image.stem == frame["name"])
        assert np.array_equal(read_image(pair.image), read_image(source))
        assert pair.document == frame["document"]
        bright = read_image(pair.image)[..., 0] > 100
        assert np.array_equal(read_image(pair.mask)[..., 0] == 255, bright)
        original = read_quad(midv_folder / frame["source"].replace("images", "ground_truth").replace(".tif", ".json"))
        assert np.allclose(read_quad(pair.polygon), original)


def test_an_interrupted_run_goes_on_and_a_second_one_does_nothing(midv_folder: Path, tmp_path: Path) -> None:
    to = tmp_path / "out"
    broken = midv_folder / "04_fin_id" / "ground_truth" / "TS" / "TS04_02.json"
    good = broken.read_text()
    broken.write_text('{"quad": [[0, 0], [1, 0], [1, 1]]}')
    with pytest.raises(GroundTruthError, match="TS04_02.json"):
        prepare(midv_folder, to, shares=(50, 25, 25))
    broken.write_text(good)
    result = prepare(midv_folder, to, shares=(50, 25, 25))
    assert sum(result.counts.values()) == 16 and 0 < result.reused < 16
    assert prepare(midv_folder, to, shares=(50, 25, 25)).reused == 16
    with pytest.raises(DatasetError, match="other arguments"):
        prepare(midv_folder, to, shares=(50, 25, 25), seed=9)


def test_corners_outside_the_frame_and_frames_without_a_document_are_kept(midv_folder: Path, tmp_path: Path) -> None:
    truths = midv_folder / "01_alb_id" / "ground_truth" / "CA"
    outside = [[-40.0, 50.0], [250.0, 64.0], [244.0, 180.0], [-52.0, 170.0]]
    (truths / "CA01_01.json").write_text(json.dumps({"quad": outside}))
    (truths / "CA01_02.json").write_text('{"quad": []}')
    prepare(midv_folder, tmp_path / "out", shares=(50, 25, 25))
    prepared = [s for split in ("train", "validation", "test") for s in find_samples(tmp_path / "out" / split)]
    first, second = (next(s for s in prepared if s.image.stem.endswith(frame)) for frame in ("CA01_01", "CA01_02"))
    assert read_quad(first.polygon).tolist() == outside
    mask = read_image(first.mask)[..., 0]
    assert mask[100, 0] == 255 and mask[20, 0] == 0
    assert read_quad(second.polygon) is None and read_image(second.mask).max() == 0


def test_pictures_of_the_same_name_do_not_replace_each_other(tmp_path: Path) -> None:
    for document in ("01_a", "02_b", "03_c"):
        folder = tmp_path / "in" / document
        write_image(folder / "images" / "CA" / "1.png", np.full((20, 20, 3), 9, np.uint8))
        (folder / "ground_truth" / "CA").mkdir(parents=True)
        (folder / "ground_truth" / "CA" / "1.json").write_text('{"quad": [[2, 2], [9, 2], [9, 9], [2, 9]]}')
    prepare(tmp_path / "in", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*/images/*.png"))) == 3


def test_a_documents_id_may_hold_what_a_file_name_may_not(tmp_path: Path) -> None:
    for i in range(3):
        write_image(tmp_path / "in" / "images" / f"{i}.png", np.full((20, 20, 3), 9, np.uint8))
        write_image(tmp_path / "in" / "masks" / f"{i}.png", np.full((20, 20), 255, np.uint8))
        (tmp_path / "in" / "ground_truth").mkdir(exist_ok=True)
        truth = {"quad": [[2, 2], [9, 2], [9, 9], [2, 9]], "document": f"face:a/../{i}.jpg"}
        (tmp_path / "in" / "ground_truth" / f"{i}.json").write_text(json.dumps(truth))
    counts = prepare(tmp_path / "in", tmp_path / "out").counts
    found = {split: len(find_samples(tmp_path / "out" / split)) for split in counts}
    assert found == counts == dict.fromkeys(counts, 1)


def test_images_and_masks_can_be_split_too(tmp_path: Path) -> None:
    for i in range(10):
        write_image(tmp_path / "in" / "images" / f"{i}.jpg", np.full((20, 30, 3), 10 * i, np.uint8))
        mask = np.zeros((20, 30), np.uint8)
        mask[5:15, 5:25] = i % 3
        write_image(tmp_path / "in" / "masks" / f"{i}.png", mask)
    result = prepare(tmp_path / "in", tmp_path / "out", num_classes=3)
    assert result.counts == {"train": 7, "validation": 2, "test": 1}
    assert not any(sample.polygon for sample in find_samples(tmp_path / "out" / "train"))
    assert read_truth(find_samples(tmp_path / "out" / "train")[0], (20, 30), 3).classes.max() <= 2
    values = {int(read_image(path).max()) for path in (tmp_path / "out").glob("*/masks/*.png")}
    assert values == {0, 1, 2}


def test_the_command_says_what_it_wrote_and_what_comes_next(midv_folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["prepare", str(midv_folder), "--to", str(tmp_path / "o"), "--split", "50/25/25"])
    assert result.exit_code == 0, result.output
    assert "train   8 pictures" in result.stdout
    assert "unet-train --data" in result.stderr
    result = CliRunner().invoke(main, ["prepare", str(tmp_path), "--to", str(tmp_path / "p")])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ") and "found no pair" in result.stderr
    assert not (tmp_path / "p").exists()
    result = CliRunner().invoke(main, ["prepare", str(midv_folder), "--to", str(tmp_path / "p"), "--split", "7:3"])
    assert result.exit_code == 2
