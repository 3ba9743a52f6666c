"""The model inside the package: the committed network's own export, and good enough to ship."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.vision.contract import read_contract
from unetlite.vision.dataset import Sample, find_samples, read_quad
from unetlite.vision.image import read_image
from unetlite.vision.metrics import mask_iou, quad_iou
from unetlite.vision.quad import as_quad

ROOT = Path(__file__).resolve().parents[1]
KERAS = ROOT / "models" / "unetlite.keras"


def quad_ious(samples: list[Sample], name: str = "unetlite") -> np.ndarray:
    segmenter = load_segmenter(shipped_model(name))
    found = [segmenter(read_image(sample.image)).finding.quad for sample in samples]
    return np.array([quad_iou(quad, read_quad(sample.polygon)) for quad, sample in zip(found, samples, strict=True)])


@pytest.mark.parametrize("name", ["unetlite", "unetlite-nano"])
def test_it_carries_the_training_summary_of_the_committed_network(name: str) -> None:
    contract = read_contract(shipped_model(name))
    summary = json.loads((ROOT / "models" / f"{name}.training.json").read_text())
    assert contract.level == "int8"
    assert contract.training["data"] == summary["data"]
    assert any("sha256" in name for name in contract.calibration)
    assert shipped_model(name).stat().st_size <= 600_000


def test_int8_agrees_with_the_float_network_on_the_sample_pictures() -> None:
    pytest.importorskip("tensorflow", reason="the float network is Keras: pip install 'unetlite[train-cpu]'")
    int8, keras = load_segmenter(shipped_model()), load_segmenter(KERAS)
    pictures = [read_image(sample.image) for sample in find_samples(ROOT / "samples")]
    agreement = [mask_iou(int8(picture).mask, keras(picture).mask) for picture in pictures]
    assert np.mean(agreement) >= 0.98


def test_it_finds_the_sample_documents_and_nothing_else() -> None:
    samples = find_samples(ROOT / "samples")
    ious = quad_ious(samples)
    assert ious.mean() > 0.7  # the drawn samples are harder than the real photographs below
    assert (ious >= 0.9).mean() > 0.5


def test_the_small_one_finds_most_of_what_the_large_one_finds() -> None:
    samples = find_samples(ROOT / "samples")
    assert quad_ious(samples, "unetlite-nano").mean() > quad_ious(samples).mean() - 0.2


def test_it_finds_real_documents_of_a_type_that_it_was_taught(real_data: Path) -> None:
    ious = quad_ious(find_samples(real_data / "dlc2021-dev" / "01_alb_id"))
    assert ious.mean() > 0.9
    assert (ious >= 0.9).mean() > 0.75


def test_it_finds_the_original_projects_examples(real_data: Path) -> None:
    folder = real_data / "seed-samples"
    for path in sorted((folder / "images").iterdir()):
        truth = as_quad(json.loads((folder / "ground_truth" / f"{path.stem}.json").read_text())["quad"])
        found = load_segmenter(shipped_model())(read_image(path)).finding
        assert quad_iou(found.quad, truth) >= 0.96, path.name
