"""Training on several processors: worker processes on loopback, and two processors of one machine.

The network is a small U-Net of the same layers, so that processes start, learn and end in seconds.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

keras = pytest.importorskip("keras", reason="training needs TensorFlow: pip install 'unetlite[train-cpu]'")

from unetlite.training.cli import main  # noqa: E402
from unetlite.training.data.prepare import prepare  # noqa: E402
from unetlite.training.distributed import _resolver  # noqa: E402
from unetlite.vision.errors import SettingsError  # noqa: E402

START = """
import unetlite.training.unet as unet
unet.PRESETS["nano"] = unet.Preset((4, 8), size_wh=(64, 64), stem_stride=4, encoder=(1, 1), decoder=(1,), residual=True)
"""
TWO_PROCESSORS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
mirrored = tf.distribute.MirroredStrategy
tf.distribute.MirroredStrategy = lambda: mirrored(["CPU:0", "CPU:1"])
"""
RUN = "from unetlite.training.cli import main; main()"
VARIABLES = ("TF_CONFIG", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE")


class Trainings:
    """Starts trainings as processes of their own, and leaves none behind."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.data, self.folder = data, folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, model: str, *arguments: str, before: str = "", **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", before + START + RUN, "--data", str(self.data), "--preset", "nano"]
        command += ["--model-out", str(self.folder / model), "--learning-rate", "0.01", "--loss", "dice+bce"]
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([*command, *arguments], env={**clean, **environment}, **streams)
        self.processes.append(process)
        return process

    def start_workers(self, model: str, *arguments: str) -> list[subprocess.Popen[str]]:
        hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
        configs = [{"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}} for index in (0, 1)]
        # The second has a folder of its own: what it wrote by mistake would be seen there.
        return [
            self.start(f"{place}{model}", "--strategy", "multi-worker", *arguments, TF_CONFIG=json.dumps(config))
            for place, config in zip(("", "second/"), configs, strict=True)
        ]


@pytest.fixture
def trainings(midv_folder: Path, tmp_path: Path) -> Iterator[Trainings]:
    prepare(midv_folder, tmp_path / "prepared", shares=(75, 25, 0), by="frame")  # 12 and 4 pictures
    started = Trainings(tmp_path / "prepared", tmp_path)
    yield started
    for process in started.processes:
        process.kill()
        process.communicate()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=800)
    assert process.returncode == 0, err[-3000:]
    return out + err


def training_loss(said: str) -> float:
    return float(re.search(r" loss:? (\d\.\d+)", said)[1])


@pytest.mark.timeout(900)  # four processes that each start TensorFlow: on a busy machine that takes minutes
def test_two_replicas_learn_what_one_process_learns_with_the_double_batch(trainings: Trainings) -> None:
    one = trainings.start("one.keras", "--epochs", "1", "--batch-size", "8")  # 8 and 4 pictures
    workers = trainings.start_workers("two.keras", "--epochs", "1", "--batch-size", "4")
    mirrored = ("--epochs", "1", "--batch-size", "4", "--strategy", "mirrored")
    both = trainings.start("both.keras", *mirrored, before=TWO_PROCESSORS)
    expected, chief, second, together = (output(process) for process in (one, *workers, both))
    assert training_loss(chief) == pytest.approx(training_loss(expected), abs=1e-3)
    assert training_loss(together) == pytest.approx(training_loss(expected), abs=1e-3)
    assert "the chief writes" in second and not (trainings.folder / "second").exists()

    folder = trainings.folder
    model = keras.models.load_model(folder / "one.keras", compile=False)
    start = {w.path: np.array(w) for w in model.variables}
    for name in ("two", "both"):
        other = keras.models.load_model(folder / f"{name}.keras", compile=False)
        assert not any(getattr(layer, "synchronized", False) for layer in other.layers)
        for weights, expected_weights in zip(other.get_weights(), start.values(), strict=True):
            assert np.allclose(weights, expected_weights, atol=1e-3)
        summary, whole = (json.loads((folder / f"{n}.training.json").read_text()) for n in (name, "one"))
        assert summary["replicas"] == 2 and whole["replicas"] == 1
        assert summary["data"] == whole["data"]
        for figure in ("loss", "document_iou", "mean_iou"):
            assert summary["validation"][figure] == pytest.approx(whole["validation"][figure], abs=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_training_that_lost_a_worker_goes_on_when_all_are_started_again(trainings: Trainings) -> None:
    chief, second = trainings.start_workers("two.keras", "--epochs", "400", "--patience", "400", "--batch-size", "2")
    history = trainings.folder / "two.training" / "history.csv"
    deadline = time.monotonic() + 600
    while not (history.is_file() and history.read_text().count("\n") >= 4):
        assert chief.poll() is None and time.monotonic() < deadline, chief.communicate()
        time.sleep(0.05)
    second.kill()
    _, said = chief.communicate(timeout=600)  # it does not wait for ever
    assert "one went away; start all of them again with --resume" in said
    assert chief.returncode == 1 and not (trainings.folder / "two.keras").exists()
    done = history.read_text().count("\n") - 1
    more = ("--epochs", str(done + 2), "--batch-size", "2", "--resume")
    chief, second = (output(process) for process in trainings.start_workers("two.keras", *more))
    assert f"going on after epoch {done}" in chief
    assert json.loads((trainings.folder / "two.training.json").read_text())["epochs"] == done + 2
    assert not (trainings.folder / "second").exists()


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (None, "expected the workers in TF_CONFIG or a step of SLURM"),
        ("", "TF_CONFIG: expected"),
        ("{}", "TF_CONFIG: expected"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "an index into the list"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}', "TF_CONFIG"),
    ],
)
def test_workers_that_are_not_told_of_one_another_are_told_how(
    config: str | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    arguments = ["--data", str(tmp_path), "--model-out", str(tmp_path / "m.keras"), "--strategy", "multi-worker"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert sentence in result.stderr and '"task": {"type": "worker", "index": 0}' in result.stderr


def test_a_step_of_slurm_names_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    step = {"NODELIST": "node[07-08]", "NUM_TASKS": "3", "TASKS_PER_NODE": "2,1"}
    for name, value in step.items():
        monkeypatch.setenv(f"SLURM_STEP_{name}", value)
    monkeypatch.setenv("SLURM_PROCID", "2")
    resolver = _resolver()
    assert resolver.cluster_spec().as_dict() == {"worker": ["node07:8888", "node07:8889", "node08:8888"]}
    assert (resolver.task_type, resolver.task_id) == ("worker", 2)
    monkeypatch.delenv("SLURM_STEP_NODELIST")
    with pytest.raises(SettingsError, match="SLURM_STEP_NODELIST"):
        _resolver()
