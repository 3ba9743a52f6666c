"""Calibration pictures that the validation holds, too, are found however they are hidden."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.calibration.leakage import check_leaks, describe_leaks, find_leaks
from unetlite.calibration.measure import Measurement, measure
from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import CalibrationError
from unetlite.vision.image import write_image

SPEC = InputSpec((64, 64))


def scene(seed: int) -> np.ndarray:
    """(96, 128, 3) uint8: soft shapes, as unlike those of another seed as two photographs are."""
    noise = np.random.default_rng(seed).integers(20, 236, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(noise, (128, 96), interpolation=cv2.INTER_CUBIC)


def picture(path: Path, pixels: np.ndarray, document: str = ".", clip: str | None = None) -> Measurement:
    write_image(path, pixels)
    return measure(path, document, clip, SPEC)


def kinds(calibration: list[Measurement], validation: list[Measurement]) -> list[str]:
    return [leak.kind for leak in find_leaks(calibration, validation)]


def test_different_pictures_do_not_leak(tmp_path: Path) -> None:
    ours = [picture(tmp_path / f"a{i}.png", scene(i), f"a{i}", f"a{i}/1") for i in range(20)]
    theirs = [picture(tmp_path / f"b{i}.png", scene(100 + i), f"b{i}", f"b{i}/1") for i in range(20)]
    assert find_leaks(ours, theirs) == []
    check_leaks([], 20)
    assert describe_leaks([], 20, refused=True) is None


def test_the_same_file_under_another_name_is_found(tmp_path: Path) -> None:
    ours, theirs = (picture(tmp_path / f"{name}.png", scene(1)) for name in "ab")
    (leak,) = find_leaks([ours], [picture(tmp_path / "c.png", scene(2)), theirs])
    assert (leak.kind, leak.calibration, leak.validation) == ("bytes", str(ours.path), str(theirs.path))


@pytest.mark.parametrize(
    "change",
    [
        lambda pixels: cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR),
        lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda pixels: np.clip(pixels * 1.15 + 5, 0, 255).astype(np.uint8),
    ],
    ids=["recompressed", "half the size", "brighter"],
)
def test_a_changed_copy_is_found(tmp_path: Path, change) -> None:
    ours = [picture(tmp_path / f"a{i}.png", scene(i)) for i in range(5)]
    theirs = [picture(tmp_path / f"b{i}.png", change(scene(i))) for i in range(5)]
    leaks = find_leaks(ours, theirs)
    assert [leak.kind for leak in leaks] == ["alike"] * 5
    assert [Path(leak.calibration).name[1:] for leak in leaks] == [Path(leak.validation).name[1:] for leak in leaks]


def test_pictures_of_one_clip_leak_however_they_look(tmp_path: Path) -> None:
    ours = picture(tmp_path / "a.png", scene(1), "01_alb_id", "01_alb_id/CA")
    assert kinds([ours], [picture(tmp_path / "b.png", scene(2), "01_alb_id", "01_alb_id/CA")]) == ["clip"]
    assert kinds([ours], [picture(tmp_path / "c.png", scene(3), "01_alb_id", "01_alb_id/TS")]) == ["document"]
    assert kinds([ours], [picture(tmp_path / "d.png", scene(4), "02_aut_id", "02_aut_id/CA")]) == []


def test_folders_of_one_name_are_no_clip(tmp_path: Path) -> None:
    assert kinds([picture(tmp_path / "a.png", scene(1))], [picture(tmp_path / "b.png", scene(2))]) == []


def test_documents_stated_to_differ_are_told_and_not_refused(tmp_path: Path) -> None:
    ours = picture(tmp_path / "a.png", scene(1), "x", "x")
    leaks = find_leaks([ours], [picture(tmp_path / "b.jpg", scene(1), "y", "y")])
    assert [leak.kind for leak in leaks] == ["pose"]
    check_leaks(leaks, 1)
    assert "1 of 1 calibration pictures are not apart from the validation: 1 by near-duplicates of another" in str(
        describe_leaks(leaks, 1, refused=False)
    )


def test_even_surfaces_are_not_taken_for_copies(tmp_path: Path) -> None:
    flat = [np.full((60, 80, 3), level, np.uint8) for level in (90, 91)]
    ours, theirs = (picture(tmp_path / f"{i}.png", pixels) for i, pixels in enumerate(flat))
    assert find_leaks([ours], [theirs]) == []


def test_leaks_are_one_sentence_with_counts_and_an_example(tmp_path: Path) -> None:
    same = [picture(tmp_path / f"{i}.png", scene(i), "d", "d/1") for i in range(3)]
    other = picture(tmp_path / "other.png", scene(9), "d", "d/1")
    expected = r"4 of 4 .*: 3 by the same bytes, 1 by the same clip .*0\.png .*not held out.*--allow-leakage"
    with pytest.raises(CalibrationError, match=expected):
        check_leaks(find_leaks([*same, other], same), 4)
