"""Sets that would break a model are refused, each with its own sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unetlite.calibration.audit import audit, lone_scale
from unetlite.calibration.manifest import make_manifest
from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import CalibrationError
from unetlite.vision.image import write_image

SPEC = InputSpec((32, 32))


def write_noise(folder: Path, low: int, high: int, count: int = 12, highlight: bool = False) -> Path:
    rng = np.random.default_rng(1)
    for i in range(count):
        picture = rng.integers(low, high + 1, (32, 32, 3)).astype(np.uint8)
        if highlight and i == 0:
            picture[0, 0] = 255
        write_image(folder / f"{i:02}.png", picture)
    return folder


def test_ordinary_pictures_pass(tmp_path: Path) -> None:
    manifest = make_manifest(write_noise(tmp_path, 3, 248), SPEC)
    audit(manifest)
    assert lone_scale(manifest) == pytest.approx(1 / 255, rel=0.05)


@pytest.mark.parametrize("highlight", [False, True], ids=["all dark", "one highlight"])
def test_dark_pictures_alone_are_refused(tmp_path: Path, highlight: bool) -> None:
    manifest = make_manifest(write_noise(tmp_path, 0, 62, highlight=highlight), SPEC)
    with pytest.raises(CalibrationError, match=r"all dark: 99\.8% .* 0\.\.62 of 0\.\.255.*0\.00095.*0\.00392"):
        audit(manifest)


def test_bright_pictures_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="all bright"):
        audit(make_manifest(write_noise(tmp_path, 190, 255), SPEC))


def test_grey_fog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="little contrast"):
        audit(make_manifest(write_noise(tmp_path, 100, 150), SPEC))


def test_the_scale_is_held_against_the_contract_of_another_range(tmp_path: Path) -> None:
    spec = InputSpec((32, 32), (-1.0, 1.0))
    audit(make_manifest(write_noise(tmp_path / "good", 0, 255), spec))
    with pytest.raises(CalibrationError, match=r"0\.00784"):
        audit(make_manifest(write_noise(tmp_path / "dark", 0, 62), spec))


def test_few_pictures_are_refused_and_copies_are_not_counted(tmp_path: Path) -> None:
    folder = write_noise(tmp_path, 0, 255, count=3)
    for i in range(9):
        (folder / f"copy{i}.png").write_bytes((folder / "00.png").read_bytes())
    with pytest.raises(CalibrationError, match=r"8 different pictures or more.*got 3 \(9 copies left out\)"):
        audit(make_manifest(folder, SPEC))
