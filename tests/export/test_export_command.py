"""`unet-export` from the outside: what it writes, says, refuses, and leaves alone."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.segmenter import load_segmenter
from unetlite.export.report import by_level
from unetlite.vision.contract import read_contract
from unetlite.vision.dataset import find_samples
from unetlite.vision.image import read_image, write_image
from unetlite.vision.metrics import mask_iou


def test_one_line_a_file_and_the_next_command(exported) -> None:
    lines = exported.result.stdout.splitlines()
    for line, level in zip(lines, ("float32", "float16", "dynamic", "int8"), strict=False):
        assert line.startswith(f"{exported.file(level)}  0.")
        assert " MB  agreement IoU " in line
        assert "(N=10)  IoU 0." in line
        assert line.endswith(" ops delegated")
    assert lines[4:] == [f"{exported.folder / 'unet.export.json'}  report"]
    assert f"Next: unet-infer PICTURES --model {exported.file('int8')} --crop-out crops/" in exported.result.stderr


def test_tensorflow_s_chatter_is_kept_from_people(bright: Callable, tmp_path: Path) -> None:
    bright().save(tmp_path / "m.keras")
    command = [sys.executable, "-c", "from unetlite.export.cli import main; main()", tmp_path / "m.keras", "--float32"]
    result = subprocess.run([*command, "--to", tmp_path], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    defaults, told, following = result.stderr.splitlines()
    assert "no training summary" in defaults
    assert told == "Neither --validation nor --calibration: nothing is measured and no file is gated."
    assert following.startswith("Next: unet-infer")
    assert "agreement not measured" in result.stdout


def test_the_report_tells_what_the_files_are(exported) -> None:
    report = exported.report
    assert report["model"]["contract_from"] == "unet.training.json"
    assert report["tools"]["keras"]
    for level in ("float32", "float16", "dynamic", "int8"):
        told, content = report["levels"][level], exported.file(level).read_bytes()
        assert told["bytes"] == len(content)
        assert told["sha256"] == hashlib.sha256(content).hexdigest()
        assert told["agreement"]["pictures"] == told["score"]["pictures"] == 10
        assert told["delegation"]["delegated_ops"] > 0.7 * told["delegation"]["total_ops"]
        assert told["warnings"] == []
    assert report["levels"]["int8"]["input"] == {
        "dtype": "uint8", "shape": [1, 64, 64, 3], "scale": pytest.approx(1 / 255), "zero_point": 0
    }  # fmt: skip
    assert report["levels"]["float32"]["agreement"]["difference_max"] < 1e-3


def test_int8_agrees_with_float32(exported, trained) -> None:
    whole, quantized = (load_segmenter(exported.file(level)) for level in ("float32", "int8"))
    ious = []
    for sample in find_samples(trained.data / "validation"):
        image = read_image(sample.image)
        ious.append(mask_iou(whole(image).mask, quantized(image).mask))
    assert np.mean(ious) >= 0.98
    assert exported.report["levels"]["int8"]["agreement"]["iou_mean"] >= 0.98


def test_the_scores_are_those_of_the_network_on_the_truth(exported) -> None:
    keras, int8 = exported.report["keras"], exported.report["levels"]["int8"]["score"]
    assert keras["iou_mean"] > 0.8
    assert keras["quad_iou_mean"] > 0.8
    assert int8["iou_mean"] == pytest.approx(keras["iou_mean"], abs=0.02)
    assert set(keras["class_iou"]) == {"background", "document"}


def test_without_calibration_int8_is_left_out_and_told(bright, export: Callable, tmp_path: Path) -> None:
    bright().save(tmp_path / "m.keras")
    result = export(tmp_path / "m.keras", "--to", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "Left out int8: it needs --calibration" in result.stderr
    assert "no training summary beside it; taken: 0..255 stands for 0..1, fit stretch" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "m.dynamic.tflite", "m.export.json", "m.float16.tflite", "m.float32.tflite"
    ]  # fmt: skip


def test_int8_asked_for_without_calibration_is_a_usage_error(trained, export: Callable, tmp_path: Path) -> None:
    result = export(trained.model, "--int8", "--to", tmp_path / "out")
    assert result.exit_code == 2
    assert "--int8 needs --calibration" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_level_without_a_delegate_is_refused_and_the_others_are_written(
    bright, noise_folder: Path, export: Callable, tmp_path: Path
) -> None:
    bright().save(tmp_path / "m.keras")
    levels = ("--float32", "--int16x8", "--calibration", noise_folder)
    arguments = (tmp_path / "m.keras", *levels, "--to", tmp_path / "out")
    result = export(*arguments)
    assert result.exit_code == 3
    assert "Refused int16x8: XNNPACK takes no int16 activations" in result.stderr
    assert "here: 1 CONV_2D" in result.stderr
    assert (tmp_path / "out" / "m.float32.tflite").exists()
    assert not (tmp_path / "out" / "m.int16x8.tflite").exists()
    report = json.loads((tmp_path / "out" / "m.export.json").read_text())
    assert "reference kernel" in report["levels"]["int16x8"]["refused"]
    allowed = export(*arguments, "--allow-slow", "--overwrite")
    assert allowed.exit_code == 0, allowed.output
    assert "WARNING: int16x8 will be slow" in allowed.stderr
    assert load_segmenter(tmp_path / "out" / "m.int16x8.tflite").contract.level == "int16x8"


def test_a_folder_to_calibrate_with_leaves_its_manifest(
    bright, noise_folder: Path, export: Callable, tmp_path: Path
) -> None:
    bright().save(tmp_path / "m.keras")
    first = export(tmp_path / "m.keras", "--int8", "--calibration", noise_folder, "--to", tmp_path / "a")
    assert first.exit_code == 0, first.output
    manifest = tmp_path / "a" / "m.calibration.json"
    second = export(tmp_path / "m.keras", "--int8", "--calibration", manifest, "--to", tmp_path / "b")
    assert second.exit_code == 0, second.output
    assert (tmp_path / "a" / "m.int8.tflite").read_bytes() == (tmp_path / "b" / "m.int8.tflite").read_bytes()
    assert read_contract(tmp_path / "b" / "m.int8.tflite").calibration["manifest_sha256"] == (
        json.loads(manifest.read_text())["sha256"]
    )


def test_a_dark_calibration_is_refused_before_anything_is_written(bright, export: Callable, tmp_path: Path) -> None:
    bright().save(tmp_path / "m.keras")
    rng = np.random.default_rng(0)
    for i in range(10):
        write_image(tmp_path / "dark" / f"{i}.png", rng.integers(0, 60, (20, 20, 3)).astype(np.uint8))
    result = export(tmp_path / "m.keras", "--int8", "--calibration", tmp_path / "dark", "--to", tmp_path / "out")
    assert result.exit_code == 1
    assert "all dark" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_calibration_for_another_input_is_refused(trained, bright, export: Callable, tmp_path: Path) -> None:
    bright().save(tmp_path / "m.keras")
    result = export(tmp_path / "m.keras", "--int8", "--calibration", trained.manifest, "--to", tmp_path / "out")
    assert result.exit_code == 1
    assert "run unet-calibrate with --size 32x32 --input-range 0 1 --fit stretch" in result.stderr


def test_an_int8_file_that_lost_its_way_is_rejected(noise_folder: Path, export: Callable, tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    picture = keras.Input((32, 32, 3))
    # One channel of a range a thousand times the others' leaves them no steps at int8.
    wide = keras.layers.Conv2D(4, 1, name="wide")
    narrow = keras.layers.Conv2D(1, 1, activation="sigmoid", name="narrow")
    network = keras.Model(picture, narrow(keras.layers.Activation("relu")(wide(picture))))
    kernel = np.zeros((1, 1, 3, 4), np.float32)
    kernel[..., 0], kernel[..., 1] = 1.0, 1000.0
    wide.set_weights([kernel, np.zeros(4, np.float32)])
    narrow.set_weights([np.array([20, 0, 0, 0], np.float32).reshape(1, 1, 4, 1), np.array([-30], np.float32)])
    network.save(tmp_path / "m.keras")
    result = export(tmp_path / "m.keras", "--int8", "--calibration", noise_folder, "--to", tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert "No --validation: files are gated on agreement with Keras alone" in result.stderr
    kept = tmp_path / "out" / "rejected" / "m.int8.tflite"
    assert f"Rejected int8, kept as {kept}:\n  mean IoU with Keras's own masks is 0." in result.stderr
    assert "where 0.95 is expected" in result.stderr
    assert not (tmp_path / "out" / "m.int8.tflite").exists()
    assert load_segmenter(kept).contract.scores["rejected"]
    report = json.loads((tmp_path / "out" / "m.export.json").read_text())
    assert report["levels"]["int8"]["file"] == "rejected/m.int8.tflite"
    assert report["levels"]["int8"]["status"] == "rejected"
    assert report["levels"]["int8"]["losses"]["against"] == "keras"


def test_a_network_without_its_last_activation_is_an_error(bright, noise_folder, export: Callable, tmp_path) -> None:
    network = bright()
    network.layers[-1].activation = importlib.import_module("keras").activations.linear
    network.save(tmp_path / "m.keras")
    result = export(tmp_path / "m.keras", "--float32", "--calibration", noise_folder, "--to", tmp_path / "out")
    assert result.exit_code == 1
    assert "expected probabilities 0..1" in result.stderr
    assert not (tmp_path / "out").exists()


def test_h5_models_are_exported_too(bright, export: Callable, tmp_path: Path) -> None:
    bright().save(tmp_path / "m.h5")
    result = export(tmp_path / "m.h5", "--float32", "--to", tmp_path)
    assert result.exit_code == 0, result.output
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[8:24, 4:28] = 255
    np.testing.assert_array_equal(load_segmenter(tmp_path / "m.float32.tflite")(picture).mask, picture[..., 0] > 0)


def test_files_that_exist_stay_unless_told_otherwise(bright, export: Callable, tmp_path: Path) -> None:
    bright().save(tmp_path / "m.keras")
    (tmp_path / "m.float32.tflite").write_text("mine")
    result = export(tmp_path / "m.keras", "--float32", "--to", tmp_path)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert (tmp_path / "m.float32.tflite").read_text() == "mine"


FULL_DISK = """
import resource, sys
from pathlib import Path
from unetlite.export.exporter import Export, Network
from unetlite.export.output import write_files
from unetlite.export.levels import LEVELS
from unetlite.vision.contract import Contract
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
exports = [Export(LEVELS["float16"], content=b"a" * 20_000), Export(LEVELS["float32"], content=b"b" * 80_000)]
write_files(Network(Path("unet.keras"), Contract(), "", None), exports, Path(sys.argv[1]), overwrite=False)
"""


def test_a_full_disk_leaves_whole_files_only(tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path], capture_output=True, text=True, timeout=60)
    assert "OutputError" in result.stderr
    assert "unet.float32.tflite: could not be written" in result.stderr
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("unet.float16.tflite", 20_000)]


def test_levels_are_reported_in_the_contract_s_order() -> None:
    from unetlite.export.exporter import Export
    from unetlite.export.levels import LEVELS

    mixed = [Export(LEVELS[name]) for name in ("int8", "float32", "dynamic")]
    assert [export.level.name for export in by_level(mixed)] == ["float32", "dynamic", "int8"]
