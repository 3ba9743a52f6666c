from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

keras = pytest.importorskip("keras", reason="training needs TensorFlow: pip install 'unetlite[train-cpu]'")

from unetlite.edge.segmenter import load_segmenter  # noqa: E402
from unetlite.training.cli import main  # noqa: E402
from unetlite.training.data.prepare import prepare  # noqa: E402
from unetlite.vision.contract import InputSpec  # noqa: E402

QUICK = ["--preset", "nano", "--size", "64x64", "--batch-size", "4", "--learning-rate", "0.01"]


@pytest.fixture
def prepared(midv_folder: Path, tmp_path: Path) -> Path:
    prepare(midv_folder, tmp_path / "prepared", shares=(50, 25, 25), licence="CC0")
    return tmp_path / "prepared"


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")  # .h5 is what is asked for here
@pytest.mark.parametrize(("suffix", "records"), [(".keras", False), (".h5", True)])
def test_a_short_training_learns_and_leaves_a_model_with_its_summary(
    midv_folder: Path, tmp_path: Path, suffix: str, records: bool
) -> None:
    prepared = tmp_path / "prepared"
    prepare(midv_folder, prepared, shares=(50, 25, 25), licence="CC0", records=records)
    model = tmp_path / f"unet{suffix}"
    arguments = ["--data", str(prepared), "--epochs", "12", "--model-out", str(model), "--loss", "dice+bce", *QUICK]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "unet.training.json").read_text())
    assert summary["validation"]["document_iou"] > 0.6  # the constant answer "all document" scores 0.3
    assert summary["input"]["size_wh"] == [64, 64]
    assert summary["data"][0] == {**summary["data"][0], "name": "midv", "licence": "CC0", "pictures": 8}
    loaded = keras.models.load_model(model, compile=False)
    assert loaded.input_shape == (None, 64, 64, 3)
    assert list((tmp_path / "unet.logs" / "validation").glob("events*"))
    assert not (tmp_path / "unet.training").exists()
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1 and "--overwrite" in again.stderr


def test_a_training_that_was_killed_goes_on_where_it_stopped(prepared: Path, tmp_path: Path) -> None:
    model = tmp_path / "unet.keras"
    command = [sys.executable, "-c", "from unetlite.training.cli import main; main()"]
    command += ["--data", str(prepared), "--epochs", "60", "--patience", "60", "--model-out", str(model), *QUICK]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    history = tmp_path / "unet.training" / "history.csv"
    deadline = time.monotonic() + 120
    while not (history.is_file() and history.read_text().count("\n") >= 4):
        assert process.poll() is None and time.monotonic() < deadline, "the training did not get going"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not model.exists()
    done = history.read_text().count("\n") - 1
    command[command.index("60")] = str(done + 3)
    result = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"going on after epoch {done}" in result.stderr
    assert f"Epoch {done}/" not in result.stdout and f"Epoch {done + 1}/" in result.stdout
    assert json.loads((tmp_path / "unet.training.json").read_text())["epochs"] == done + 3


def test_a_training_begins_with_another_models_weights_and_tells_what_those_saw(prepared: Path, tmp_path: Path) -> None:
    def run(name: str, *more: str) -> dict:
        arguments = ["--data", str(prepared), "--model-out", str(tmp_path / name), "--loss", "dice+bce", *QUICK, *more]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        return json.loads((tmp_path / name).with_suffix(".training.json").read_text())

    base = run("base.keras", "--epochs", "12", "--schedule", "cosine")
    start = ["--start", str(tmp_path / "base.keras"), "--data", str(prepared)]
    tuned = run("tuned.keras", "--epochs", "1", "--learning-rate", "1e-7", *start)
    from_nothing = 0.3  # normalizations move with every picture, so one epoch of them changes the base's answers, too
    assert tuned["validation"]["document_iou"] > (base["validation"]["document_iou"] + from_nothing) / 2
    assert [entry["times"] for entry in tuned["data"]] == [1, 2]
    assert tuned["start"]["model"] == "base.keras"
    other = str(tmp_path / "other.keras")
    arguments = ["--data", str(prepared), "--model-out", other, "--preset", "edge", "--size", "64x64"]
    result = CliRunner().invoke(main, [*arguments, "--start", str(tmp_path / "base.keras")])
    assert result.exit_code == 1 and "expected the" in result.stderr and "--preset" in result.stderr


def test_a_lying_input_is_trained_on_turned_pictures_and_says_so(prepared: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(prepared), "--model-out", str(tmp_path / "lying.keras"), *QUICK]
    result = CliRunner().invoke(main, [*arguments, "--epochs", "1", "--size", "128x64", "--fit", "turn"])
    assert result.exit_code == 0, result.output
    segmenter = load_segmenter(tmp_path / "lying.keras")
    assert segmenter.contract.input == InputSpec((128, 64), fit="turn")
    assert segmenter(np.zeros((200, 100, 3), np.uint8)).placement.turned


def test_what_cannot_be_trained_on_is_said_in_one_sentence(prepared: Path, midv_folder: Path, tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        model = str(tmp_path / "m.keras")
        result = CliRunner().invoke(main, [*QUICK, "--epochs", "1", "--model-out", model, *arguments])
        assert result.exit_code == 1, result.output
        assert not (tmp_path / "m.keras").exists()
        return result.stderr

    assert "found none; make one with unet-data prepare" in refused("--data", str(midv_folder))
    assert "expected a loss of" in refused("--data", str(prepared), "--loss", "mse")
    assert "multiples of" in refused("--data", str(prepared), "--size", "100x100")
    picture = next((prepared / "train" / "images").iterdir())
    content = picture.read_bytes()
    picture.unlink()  # a hard link to the source: writing into it would damage that
    picture.write_bytes(content[:0])
    assert f"Error: {picture}: expected a picture, got an empty file" in refused("--data", str(prepared))
    result = CliRunner().invoke(main, ["--data", str(prepared), "--model-out", str(tmp_path / "m.pt")])
    assert result.exit_code == 1 and ".keras or .h5" in result.stderr
