"""The edge package in an environment without TensorFlow, as a device has it: `.venv-edge`, which `make test` builds."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from unetlite.vision.dataset import find_samples, read_quad
from unetlite.vision.image import read_image
from unetlite.vision.metrics import quad_iou

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv-edge" / "bin"

pytestmark = pytest.mark.skipif(
    not (BIN / "unet-infer").is_file(), reason="no device environment; build it with: make .venv-edge/.stamp"
)


def device(*command: object) -> subprocess.CompletedProcess[str]:
    name, *arguments = map(str, command)
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run([str(BIN / name), *arguments], capture_output=True, text=True, env=clean)


def test_tensorflow_is_absent() -> None:
    result = device("python", "-c", "import importlib.util as u; print(*map(u.find_spec, ('tensorflow', 'keras')))")
    assert result.stdout.split() == ["None", "None"]


def test_the_shipped_model_finds_the_sample_documents(tmp_path: Path) -> None:
    samples = find_samples(ROOT / "samples")
    outputs = ("--crop-out", tmp_path / "crops", "--mask-out", tmp_path / "masks")
    result = device("unet-infer", ROOT / "samples" / "images", "--json", *outputs)
    assert result.returncode == 0, result.stderr
    answers = {Path(line["image"]).name: line for line in map(json.loads, result.stdout.splitlines())}
    assert set(answers) == {sample.image.name for sample in samples}
    overlaps = []
    for sample in samples:
        truth, answer = read_quad(sample.polygon), answers[sample.image.name]
        assert answer["document"] == (answer["quad"] is not None)
        if truth is not None and answer["document"]:
            overlaps.append(quad_iou(answer["quad"], truth))
            assert read_image(tmp_path / "crops" / f"{sample.image.stem}.png").size > 0
    assert len(overlaps) >= 16 and sum(overlaps) / len(overlaps) > 0.7


def test_benchmark_runs(tmp_path: Path) -> None:
    arguments = ("--threads", "1", "--data", ROOT / "samples", "--report", tmp_path / "r.json")
    result = device("unet-benchmark", "run", *arguments)
    assert result.returncode == 0, result.stderr
    (run,) = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert run["runtime"] == "ai-edge-litert" and run["level"] == "int8" and run["images"] == 24


def test_what_needs_tensorflow_says_so_with_the_command_that_installs_it(tmp_path: Path) -> None:
    result = device("unet-train", "--data", ROOT / "samples", "--model-out", tmp_path / "m.keras")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: unet-train needs TensorFlow") and "pip install" in result.stderr


def test_the_doctor_says_that_the_device_can_do_its_work() -> None:
    result = device("unet-doctor", "--json")
    assert result.returncode == 0, result.stdout
