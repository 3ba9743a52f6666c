"""The files in MediaPipe Tasks' ImageSegmenter, a client that nobody here wrote, in `.venv-mediapipe`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.dataset import find_samples
from unetlite.vision.image import read_image
from unetlite.vision.metrics import mask_iou
from unetlite.vision.preprocess import preprocess

CLIENT = Path(__file__).with_name("mediapipe_client.py")
PYTHON = Path(__file__).resolve().parents[2] / ".venv-mediapipe" / "bin" / "python"

pytestmark = pytest.mark.skipif(
    not PYTHON.is_file(), reason="no environment with MediaPipe; build it with: make .venv-mediapipe/.stamp"
)


def segment(model: Path, pixels: np.ndarray, folder: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """MediaPipe's confidence masks (classes, H, W), category mask (H, W) and labels."""
    np.save(folder / "pixels.npy", pixels)
    command = [PYTHON, CLIENT, model, folder / "pixels.npy", folder / "answer.npz"]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    answer = np.load(folder / "answer.npz")
    return answer["confidence"], answer["category"], result.stdout.split()


@pytest.mark.parametrize("level", ["int8", "float32", "float16"])
def test_mediapipe_sees_the_same_mask(exported, trained, tmp_path: Path, level: str) -> None:
    segmenter = load_segmenter(exported.file(level))
    image = read_image(find_samples(trained.data / "validation")[0].image)
    ours = segmenter(image).probability
    assert 20 < (ours >= 0.5).sum() < ours.size / 2  # a card, not everything or nothing
    pixels, _ = preprocess(image, segmenter.contract.input)
    (theirs,), _, labels = segment(exported.file(level), pixels, tmp_path)
    assert labels == ["document"]
    # It enlarges the answer to the picture that it was given.
    np.testing.assert_allclose(theirs, cv2.resize(ours, theirs.shape[::-1]), atol=2e-3)
    (theirs,), _, _ = segment(exported.file(level), image, tmp_path)  # as a camera's picture, of another shape
    assert theirs.shape == image.shape[:2]
    assert mask_iou(theirs >= 0.5, segmenter(image).mask) >= 0.95  # it does not average over areas on the way in


def test_mediapipe_sees_the_same_classes(colours, noise_folder: Path, export: Callable, tmp_path: Path) -> None:
    colours().save(tmp_path / "three.keras")
    (tmp_path / "labels.txt").write_text("background\ncard\npassport\n")
    result = export(
        tmp_path / "three.keras", "--int8", "--float32", "--calibration", noise_folder,
        "--labels", tmp_path / "labels.txt", "--to", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[2:12, 2:30] = 255
    picture[18:30, 4:20] = (255, 0, 0)
    for level in ("int8", "float32"):
        model = tmp_path / f"three.{level}.tflite"
        answer = load_segmenter(model)(picture)
        assert set(np.unique(answer.classes)) == {0, 1, 2}
        confidence, category, labels = segment(model, picture, tmp_path)
        assert labels == ["background", "card", "passport"]
        np.testing.assert_array_equal(category, answer.classes)
        np.testing.assert_allclose(confidence.transpose(1, 2, 0), answer.answer.real(), atol=1e-5)
