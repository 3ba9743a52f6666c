"""`unet-calibrate` from the outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from unetlite.calibration.cli import main
from unetlite.calibration.manifest import read_manifest
from unetlite.vision.image import write_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    for i in range(20):
        write_image(tmp_path / "pictures" / f"{i:02}.jpg", rng.integers(0, 256, (30, 40, 3)).astype(np.uint8))
    return tmp_path / "pictures"


def calibrate(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_it_writes_a_manifest_and_says_what_comes_next(tmp_path: Path, folder: Path) -> None:
    result = calibrate(folder, "--to", tmp_path / "m.json", "--count", 10, "--size", "48x32", "--fit", "letterbox")
    assert result.exit_code == 0, result.output
    manifest = read_manifest(tmp_path / "m.json")
    assert len(manifest.pictures) == 10
    assert manifest.input.size_wh == (48, 32)
    assert manifest.input.fit == "letterbox"
    (first,) = result.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'm.json'}  10 of 20 pictures, stratified, seed 0")
    last = result.stderr.splitlines()[-1]
    assert last == f"Next: unet-export MODEL --int8 --calibration {tmp_path / 'm.json'} --to DIR"


def test_fewer_pictures_than_asked_for_are_told(tmp_path: Path, folder: Path) -> None:
    result = calibrate(folder, "--to", tmp_path / "m.json")
    assert result.exit_code == 0
    assert "20 different pictures found where --count asks for 64" in result.stderr


def test_a_dark_set_leaves_no_manifest(tmp_path: Path) -> None:
    for i in range(10):
        write_image(tmp_path / "dark" / f"{i}.png", np.full((20, 20, 3), i, np.uint8))
    result = calibrate(tmp_path / "dark", "--to", tmp_path / "m.json")
    assert result.exit_code == 1
    assert "Error: " in result.stderr
    assert "all dark" in result.stderr
    assert not (tmp_path / "m.json").exists()


def test_an_existing_manifest_stays_unless_told_otherwise(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "m.json").write_text("mine")
    assert calibrate(folder, "--to", tmp_path / "m.json").exit_code == 1
    assert (tmp_path / "m.json").read_text() == "mine"
    assert calibrate(folder, "--to", tmp_path / "m.json", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    "wrong",
    [("--size", "256"), ("--size", "0x9"), ("--input-range", "1", "0"), ("--strategy", "best"), ("--count", "0")],
)
def test_wrong_flags_are_usage_errors(tmp_path: Path, folder: Path, wrong: tuple[str, ...]) -> None:
    assert calibrate(folder, "--to", tmp_path / "m.json", *wrong).exit_code == 2
