"""Training, calibration, export's check, benchmark and device feed identical bytes for one picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from drawn import draw_card

from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.dataset import find_samples
from unetlite.vision.image import read_image, write_image
from unetlite.vision.preprocess import preprocess, to_real

pytest.importorskip("tensorflow", reason="training and export need TensorFlow: pip install 'unetlite[train-cpu]'")

SPEC = InputSpec((64, 64))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures of a size that no input divides, bright and dark enough to calibrate on."""
    rng = np.random.default_rng(11)
    for i in range(8):
        quad = np.array([[41, 52], [150, 61], [144, 240], [38, 233]]) + rng.integers(-20, 20, 2)
        picture, mask = draw_card(quad, (203, 331), background=0, card=255)
        noisy = np.clip(picture + rng.normal(0, 9, picture.shape), 0, 255).astype(np.uint8)
        write_image(tmp_path / "data" / "images" / f"{i}.png", noisy)
        write_image(tmp_path / "data" / "masks" / f"{i}.png", mask)
    return tmp_path / "data"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An untrained U-Net with its summary, that finds nothing: what it doubted would be fed again, seen closer."""
    from unetlite.training.summary import summarize, summary_path
    from unetlite.training.unet import Preset, build_unet

    path = tmp_path / "unet.keras"
    unet = build_unet(Preset((8, 8), stem_stride=4, encoder=(1, 1), decoder=(1,)), SPEC.size_wh)
    kernel, bias = unet.get_layer("logits").get_weights()
    unet.get_layer("logits").set_weights([kernel * 0.1, bias - 4.0])
    unet.save(path)
    summary_path(path).write_text(json.dumps(summarize(SPEC, OutputSpec(), {}, [], {})))
    return path


def run(command: object, *arguments: object) -> None:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output


def test_all_feed_identical_bytes(data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unetlite.calibration.cli import main as calibrate
    from unetlite.calibration.manifest import read_manifest, representative
    from unetlite.edge.cli import benchmark, infer
    from unetlite.edge.keras_network import KerasNetwork
    from unetlite.edge.network import TfliteNetwork
    from unetlite.export.cli import main as export
    from unetlite.training.data.pipeline import Target, make_dataset

    samples = find_samples(data)
    expected = [preprocess(read_image(sample.image), SPEC)[0] for sample in samples]
    as_bytes = {pixels.tobytes() for pixels in expected}
    assert len(as_bytes) == 8

    trained_on = [x[0] for x, _ in make_dataset(samples, SPEC, Target((16, 16), 2), 1, []).as_numpy_iterator()]
    assert all(np.array_equal(x, to_real(pixels, SPEC)) for x, pixels in zip(trained_on, expected, strict=True))

    run(calibrate, data, "--to", tmp_path / "c.json", "--size", "64x64", "--count", "8")
    calibrated_on = {tensor[0].tobytes() for tensor in representative(read_manifest(tmp_path / "c.json"))}
    assert calibrated_on == {to_real(pixels, SPEC).tobytes() for pixels in expected}

    fed: set[bytes] = set()
    for network in (TfliteNetwork, KerasNetwork):
        feed = network.feed

        def watched(self, pixels, feed=feed):
            fed.add(pixels.tobytes())
            feed(self, pixels)

        monkeypatch.setattr(network, "feed", watched)
    to = tmp_path / "to"
    given = ("--calibration", tmp_path / "c.json", "--validation", data, "--to", to)
    any_loss = ("--allow-leakage", "--max-iou-loss", 1, "--max-share-loss", 100, "--max-image-loss", 1)
    run(export, model, "--float32", "--int8", *given, *any_loss)
    assert fed == as_bytes, "export's check"
    fed.clear()
    files = ("--model", to / "unet.int8.tflite", "--model", to / "unet.float32.tflite", "--model", model)
    run(benchmark, "run", *files, "--data", data, "--report", tmp_path / "r.json")
    assert fed - as_bytes <= {bytes(64 * 64 * 3)}, "benchmark"  # beside a warm-up on nothing
    assert fed >= as_bytes, "benchmark"
    fed.clear()
    run(infer, data / "images", "--model", to / "unet.int8.tflite")
    assert fed == as_bytes, "device"
