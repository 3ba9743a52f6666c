"""Other documents drawn over those in real frames."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_sets import SMALL, contents

from unetlite.training.synthesis.faces import draw_face
from unetlite.training.synthesis.generator import generate
from unetlite.training.synthesis.reprints import reprint_frame
from unetlite.vision.dataset import find_samples, read_truth
from unetlite.vision.errors import DatasetError
from unetlite.vision.image import read_image, write_image
from unetlite.vision.quad import quad_mask


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames as a camera might give them: cards with colours and with print in grey, on wood."""
    directory = tmp_path_factory.mktemp("frames")
    generate(directory, 24, 11, size_wh=(400, 300), negatives=0.0, jobs=1)
    return directory


def test_a_reprint_leaves_the_frame_and_takes_on_its_light(frames: Path) -> None:
    rng, changed = np.random.default_rng(5), []
    for sample in find_samples(frames):
        frame, truth = read_image(sample.image), read_truth(sample, (300, 400), 2)
        assert truth.quad is not None
        scene = reprint_frame(rng, sample, draw_face(rng, "face"))
        inside = quad_mask(truth.quad, (300, 400))
        assert np.count_nonzero(scene.mask ^ inside) < 0.02 * inside.sum()
        if not scene.occluded:
            outside = cv2.erode((~inside).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
            assert np.array_equal(scene.image[outside], frame[outside])
            deep = cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
            changed.append(np.abs(scene.image[deep].astype(int) - frame[deep]).mean())
            lightest, own_lightest = np.percentile(scene.image[deep], 90), np.percentile(frame[deep], 90)
            assert lightest < 1.5 * own_lightest + 20  # a card in the dark stays in the dark
    assert len(changed) > 10 and np.median(changed) > 8


def test_frames_are_redrawn_by_the_command_of_all_sets(frames: Path, tmp_path: Path) -> None:
    generate(tmp_path / "a", 6, 1, frames=frames, jobs=1)
    generate(tmp_path / "b", 6, 1, frames=frames, jobs=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    record = json.loads((tmp_path / "a" / "synthesis.json").read_text("utf-8"))
    assert record["frames"]["files"] == 24
    documents = {sample.document for sample in find_samples(tmp_path / "a")}
    assert all(document.startswith("reprint:") for document in documents)


def test_frames_bring_their_own_surroundings_and_need_corners(frames: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="without backgrounds, poses or a size"):
        generate(tmp_path / "a", 4, 1, frames=frames, size_wh=SMALL)
    for path in (tmp_path / "images" / "1.png", tmp_path / "masks" / "1.png"):
        path.parent.mkdir(exist_ok=True)
        write_image(path, np.zeros((40, 60, 3) if "images" in path.parts else (40, 60), np.uint8))
    with pytest.raises(DatasetError, match="corners of their documents, found masks alone"):
        generate(tmp_path / "b", 4, 1, frames=tmp_path)
