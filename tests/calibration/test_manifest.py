"""The manifest repeats a calibration bit for bit, and notices when it cannot."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from unetlite.calibration.manifest import (
    Manifest,
    make_manifest,
    read_manifest,
    representative,
    representative_pixels,
    write_manifest,
)
from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import CalibrationError, OutputError
from unetlite.vision.image import read_image, write_image
from unetlite.vision.preprocess import preprocess, to_real

SPEC = InputSpec((24, 16), (-1.0, 1.0), "letterbox")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(12):
        write_image(tmp_path / "pictures" / f"{i:02}.png", rng.integers(0, 256, (30, 40, 3)).astype(np.uint8))
    return tmp_path / "pictures"


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return make_manifest(folder, SPEC, count=8)


def test_what_is_written_is_what_is_read(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path / "m.json", manifest)
    again = read_manifest(tmp_path / "m.json")
    assert dataclasses.replace(again, folder=manifest.folder) == manifest
    assert again.folder == manifest.folder.resolve()
    assert again.sha256 == manifest.sha256


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, folder: Path) -> None:
    for name in ("a.json", "b.json"):
        write_manifest(tmp_path / name, make_manifest(folder, SPEC, count=8))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_moved_together_with_its_pictures_it_still_finds_them(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path / "m.json", manifest)
    expected = list(representative_pixels(manifest))
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "m.json", tmp_path / "elsewhere" / "m.json")
    shutil.move(tmp_path / "pictures", tmp_path / "elsewhere" / "pictures")
    moved = read_manifest(tmp_path / "elsewhere" / "m.json")
    np.testing.assert_array_equal(list(representative_pixels(moved)), expected)
    assert moved.sha256 == manifest.sha256


def test_the_representative_tensors_are_those_that_the_device_feeds(manifest: Manifest) -> None:
    tensors = list(representative(manifest))
    for picture, tensor in zip(manifest.pictures, tensors, strict=True):
        pixels, _ = preprocess(read_image(manifest.folder / picture.path), SPEC)
        np.testing.assert_array_equal(tensor, to_real(pixels, SPEC)[np.newaxis])
    assert tensors[0].shape == (1, 16, 24, 3)
    assert tensors[0].dtype == np.float32


def test_channel_figures_are_those_of_the_tensors(manifest: Manifest) -> None:
    stacked = np.concatenate(list(representative(manifest)))  # (N, h, w, 3)
    for number, channel in enumerate(manifest.channels):
        values = stacked[..., number]
        figures = [values.min(), values.max(), values.mean(dtype=np.float64)]
        assert [channel.min, channel.max, channel.mean] == pytest.approx(figures, abs=2e-6)


def test_a_picture_that_changed_is_noticed(manifest: Manifest) -> None:
    victim = manifest.folder / manifest.pictures[3].path
    write_image(victim, np.zeros((30, 40, 3), np.uint8))
    with pytest.raises(CalibrationError, match=f"{victim.name}: expected the picture that was chosen"):
        list(representative(manifest))


def test_a_picture_that_is_gone_is_noticed(manifest: Manifest) -> None:
    (manifest.folder / manifest.pictures[0].path).unlink()
    with pytest.raises(CalibrationError, match="found none; run unet-calibrate"):
        list(representative(manifest))


def test_an_edited_manifest_is_refused(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path / "m.json", manifest)
    content = json.loads((tmp_path / "m.json").read_text())
    content["pictures"].pop()
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(CalibrationError, match="changed after it was written"):
        read_manifest(tmp_path / "m.json")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "manifest in JSON"),
        ("[]", "expected a calibration manifest"),
        ('{"format": "unetlite-calibration", "version": 99}', "manifest version 2, got 99"),
        ('{"format": "unetlite-calibration", "version": 2}', "lacks or misstates 'input'"),
    ],
)
def test_what_is_no_manifest_is_one_clear_error(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(CalibrationError, match=expected):
        read_manifest(tmp_path / "m.json")


def test_a_manifest_is_not_overwritten_unasked(tmp_path: Path, manifest: Manifest) -> None:
    write_manifest(tmp_path / "m.json", manifest)
    with pytest.raises(OutputError, match="--overwrite"):
        write_manifest(tmp_path / "m.json", manifest)
