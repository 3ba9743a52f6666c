"""How far a calibration covers other pictures, with figures that a hand can reckon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unetlite.calibration.coverage import Coverage, cover
from unetlite.calibration.manifest import make_manifest
from unetlite.calibration.measure import measure
from unetlite.vision.contract import InputSpec
from unetlite.vision.image import write_image

SPEC = InputSpec((32, 32))


def coverage(tmp_path: Path, calibration: list[tuple[int, int]], validation: list[tuple[int, int]]) -> Coverage:
    """Of noise pictures between these pairs of values."""
    rng = np.random.default_rng(1)
    for folder, ranges in (("calibration", calibration), ("validation", validation)):
        for i, (low, high) in enumerate(ranges):
            pixels = rng.integers(low, high + 1, (32, 32, 3)).astype(np.uint8)
            write_image(tmp_path / folder / f"{i:02}.png", pixels)
    others = [measure(path, ".", None, SPEC) for path in sorted((tmp_path / "validation").iterdir())]
    return cover(make_manifest(tmp_path / "calibration", SPEC), others)


def test_two_draws_of_one_kind_cover_each_other(tmp_path: Path) -> None:
    assert coverage(tmp_path, [(0, 255)] * 10, [(0, 255)] * 20).flaws() == []


def test_values_beyond_the_calibration_s_are_counted(tmp_path: Path) -> None:
    found = coverage(tmp_path, [(0, 199)] * 10, [(0, 249)] * 10)
    assert found.covered == (0, 199)
    assert found.outside_values == pytest.approx(0.2, abs=0.01)
    assert "of the validation's values lie outside 0..199" in found.flaws()[0]


def test_pictures_darker_and_lighter_than_all_of_the_calibration_are_counted(tmp_path: Path) -> None:
    found = coverage(tmp_path, [(0, 255)] * 10, [(0, 40)] * 3 + [(0, 255)] * 6 + [(220, 255)])
    assert (found.darker, found.lighter, found.pictures) == (3, 1, 10)
    darker, lighter = found.flaws()
    assert darker.startswith("3 of 10 validation pictures are darker than every calibration picture (brightness 12")
    assert lighter.startswith("1 of 10 validation pictures are lighter")
