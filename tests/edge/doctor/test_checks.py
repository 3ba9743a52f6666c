"""`unet-doctor`: the known traps on described machines, and real trials on this one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from unetlite.edge.cli import doctor
from unetlite.edge.doctor import checks as doctor_module
from unetlite.edge.doctor.checks import (
    _gpu,
    check_camera,
    check_imports,
    check_runtimes,
    check_training,
    run_probe,
    works,
)
from unetlite.edge.doctor.environment import Check, Machine, check_packages, this_machine

SOUND = Machine(
    python=(3, 11, 2),
    packages={"numpy": "1.26.4", "opencv-python-headless": "4.11.0.86", "ai-edge-litert": "2.3.0"},
    board="",
    in_venv=True,
    sees_system_packages=False,
    numpy_file="/home/pi/.venv/lib/python3.11/site-packages/numpy/__init__.py",
    has_libusb=True,
)
PI = dataclasses.replace(SOUND, board="Raspberry Pi 4 Model B Rev 1.4")


def machine(base: Machine = SOUND, add: dict | None = None, **changes) -> Machine:
    return dataclasses.replace(base, **{"packages": {**base.packages, **(add or {})}, **changes})


def test_a_sound_machine_has_nothing_to_mend():
    found = check_packages(SOUND)
    assert works(found)
    assert {check.status for check in found} == {"ok"}


@pytest.mark.parametrize(
    ("described", "name", "status", "fix"),
    [
        (machine(python=(3, 9, 2)), "python", "fail", "sudo apt install python3.11"),
        (machine(add={"tflite-runtime": "2.14.0", "numpy": "2.2.1"}), "tflite-runtime and numpy", "warn", "'numpy<2'"),
        (machine(add={"opencv-python-headless": "4.12.0.88"}), "opencv", "warn", "'opencv-python-headless<4.12'"),
        (machine(add={"opencv-python": "4.11.0.86"}), "opencv", "warn", "pip uninstall --yes opencv-python "),
        (machine(add={"tensorflow": "2.16.2"}), "tensorflow version", "fail", "'tensorflow-cpu==2.19.1'"),
        (
            machine(python=(3, 10, 12), add={"tensorflow-cpu": "2.19.1", "protobuf": "3.20.3"}),
            "tensorflow version",
            "fail",
            "'tensorflow-cpu==2.18.1'",
        ),
        (
            machine(add={"tflite-support": "0.4.4", "protobuf": "5.28.0"}),
            "tflite-support",
            "fail",
            "'protobuf>=3.20.3,<4'",
        ),
        (
            machine(add={"tflite-support": "0.4.4", "protobuf": "3.20.3"}, has_libusb=False),
            "tflite-support",
            "fail",
            "sudo apt install libusb-1.0-0",
        ),
        (PI, "virtual environment", "warn", "python3 -m venv --system-site-packages"),
        (
            machine(PI, add={"picamera2": "0.3.12"}, sees_system_packages=True),
            "picamera2 and numpy",
            "fail",
            "pip uninstall --yes numpy",
        ),
    ],
)
def test_a_known_trap_is_named_with_the_command_that_mends_it(described, name, status, fix):
    (check,) = [check for check in check_packages(described) if check.name == name]
    assert check.status == status
    assert fix in check.fix
    assert works(check_packages(described)) is (status != "fail")


def test_tflite_runtime_alone_with_numpy_2_will_not_work():
    alone = machine(packages={"numpy": "2.2.1", "opencv-python-headless": "4.12.0.88", "tflite-runtime": "2.14.0"})
    assert not works(check_packages(alone))


def test_a_pi_set_up_as_debian_means_it_is_sound():
    numpy_file = "/usr/lib/python3/dist-packages/numpy/__init__.py"
    sound = machine(PI, add={"picamera2": "0.3.31"}, sees_system_packages=True, numpy_file=numpy_file)
    assert {check.status for check in check_packages(sound)} == {"ok"}


def test_libusb_from_pip_will_do():
    add = {"tflite-support": "0.4.4", "protobuf": "3.20.3", "libusb-package": "1.0"}
    described = machine(add=add, has_libusb=False)
    assert works(check_packages(described))


def test_every_runtime_here_really_runs_the_model(models):
    found = check_runtimes(this_machine(), models.bright__int8)
    assert [check.status for check in found] == ["ok", "ok", "ok"]
    assert "invoke" in found[0].detail


def test_without_a_runtime_that_works_the_machine_does_not(models):
    none = machine(packages={"numpy": "1.26.4"})
    found = check_runtimes(none, models.bright__int8)
    assert not works(found)
    assert found[-1].fix == "pip install 'unetlite[edge]'"


def test_a_runtime_that_fails_beside_one_that_works_is_a_warning(models, tmp_path, monkeypatch):
    package = tmp_path / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("import os\nos.abort()\n")  # as a library for another processor would
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    described = machine(add={"tflite-runtime": "2.14.0"})
    litert, runtime, tensorflow = check_runtimes(described, models.bright__int8)
    assert (litert.status, runtime.status, tensorflow.status) == ("ok", "warn", "skip")
    assert "signal 6" in runtime.detail


def test_numpy_and_opencv_load_here_and_a_broken_one_is_told(tmp_path, monkeypatch):
    assert [check.status for check in check_imports()] == ["ok", "ok"]
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    opencv = check_imports()[1]
    assert opencv.status == "fail"
    assert "libGL.so.1" in opencv.detail
    assert "opencv-python-headless" in opencv.fix


def test_tensorflow_here_trains_and_converts_and_no_gpu_is_a_failure_only_when_asked_for():
    pytest.importorskip("tensorflow")
    training, *metadata, gpu = check_training(this_machine(), gpu=True)
    assert training.status == "ok"
    assert all(check.status == "ok" for check in metadata)
    assert "devices: CPU" in training.detail
    assert gpu.status in ("ok", "warn", "fail")
    assert gpu.status == "ok" or gpu.fix


def test_a_device_without_tensorflow_is_sound_unless_a_gpu_is_asked_for():
    assert works(check_training(SOUND, gpu=False))
    assert not works(check_training(SOUND, gpu=True))


def test_the_gpus_speed_up_is_stated():
    check = _gpu({"gpu": "NVIDIA H100", "cpu_ms": 200.0, "gpu_ms": 8.0})
    assert check == Check("gpu", "ok", "NVIDIA H100: CPU 200.0 ms, GPU 8.0 ms, 25.0 times as fast")
    assert _gpu({"gpu": "old", "cpu_ms": 5.0, "gpu_ms": 8.0}).status == "warn"


def test_cameras_are_listed_by_name(tmp_path):
    assert check_camera(SOUND, tmp_path).status == "skip"
    device = tmp_path / "sys/class/video4linux/video0"
    device.mkdir(parents=True)
    (device / "name").write_text("HD Webcam\n")
    assert check_camera(SOUND, tmp_path).detail == "/dev/video0 (HD Webcam)"
    assert check_camera(PI, tmp_path).fix == "sudo apt install python3-picamera2"


def test_a_trial_that_raises_or_dies_is_an_answer(tmp_path):
    assert "no such file" in run_probe("runtime", "ai-edge-litert", str(tmp_path / "m.tflite"))["error"]
    assert "ModuleNotFoundError" in run_probe("import", "no_such_module")["error"]


def test_the_command_prints_each_fix_and_its_exit_status_follows(models, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor_module, "__file__", str(tmp_path / "doctor" / "checks.py"))  # an installation of its own
    monkeypatch.setattr(doctor_module, "check_training", lambda machine, *, gpu: [])  # tried above
    broken = CliRunner().invoke(doctor, [], catch_exceptions=False)
    assert broken.exit_code == 1
    assert "fail  shipped model: " in broken.stdout
    assert "      fix: pip install" in broken.stdout

    (tmp_path / "models").mkdir()
    shutil.copy(models.bright__int8, Path(tmp_path) / "models" / "unetlite.int8.tflite")
    sound = CliRunner().invoke(doctor, ["--json"], catch_exceptions=False)
    content = json.loads(sound.stdout)
    assert (sound.exit_code, content["ok"]) == (0, True)
    assert {"name", "status", "detail", "fix"} == set(content["checks"][0])
