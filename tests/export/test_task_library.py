"""The files in tflite-support's Task library, a client that nobody here wrote."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.dataset import find_samples
from unetlite.vision.image import read_image
from unetlite.vision.metrics import mask_iou
from unetlite.vision.preprocess import preprocess

CLIENT = Path(__file__).with_name("task_library_client.py")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tflite_support") is None,
    reason="tflite-support has wheels for Linux x86-64 and Python below 3.12 only; run these there",
)


def segment(model: Path, pixels: np.ndarray, kind: str, folder: Path) -> tuple[np.ndarray, list[str]]:
    """The Task library's answer and labels; its native half must not meet TensorFlow, hence a process."""
    np.save(folder / "pixels.npy", pixels)
    command = [sys.executable, CLIENT, model, folder / "pixels.npy", kind, folder / "answer.npy"]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return np.load(folder / "answer.npy"), result.stdout.split()


@pytest.mark.parametrize("level", ["int8", "float32"])
def test_the_task_library_sees_the_same_mask(exported, trained, tmp_path: Path, level: str) -> None:
    segmenter = load_segmenter(exported.file(level))
    image = read_image(find_samples(trained.data / "validation")[0].image)
    ours = segmenter(image).probability
    assert 20 < (ours >= 0.5).sum() < ours.size / 2  # a card, not everything or nothing
    pixels, _ = preprocess(image, segmenter.contract.input)
    # The library's own resizing does not average over areas: of a mask of some 40 pixels one or two may differ.
    for given, least, tolerance in ((pixels, 0.99, 1e-6), (image, 0.95, 0.3)):
        (theirs,), labels = segment(exported.file(level), given, "CONFIDENCE_MASK", tmp_path)
        assert labels == ["document"]
        assert mask_iou(theirs >= 0.5, ours >= 0.5) >= least
        np.testing.assert_allclose(theirs, ours, atol=tolerance)


def test_the_task_library_sees_the_same_classes(
    colours, noise_folder: Path, export: Callable, tmp_path: Path
) -> None:
    colours().save(tmp_path / "three.keras")
    (tmp_path / "labels.txt").write_text("background\ncard\npassport\n")
    result = export(
        tmp_path / "three.keras", "--int8", "--calibration", noise_folder, "--labels", tmp_path / "labels.txt",
        "--to", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[2:12, 2:30] = 255
    picture[18:30, 4:20] = (255, 0, 0)
    ours = load_segmenter(tmp_path / "three.int8.tflite")(picture).classes
    assert set(np.unique(ours)) == {0, 1, 2}
    theirs, labels = segment(tmp_path / "three.int8.tflite", picture, "CATEGORY_MASK", tmp_path)
    assert labels[:3] == ["background", "card", "passport"]
    np.testing.assert_array_equal(theirs, ours)
