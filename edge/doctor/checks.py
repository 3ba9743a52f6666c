"""Whether this machine can do what it is meant to, and the exact command that mends what it cannot.

Stands apart from the package versions of `environment.py`: these checks try things. Heavy imports happen in processes
of their own or inside functions, because the doctor must still speak where NumPy or OpenCV are broken.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unetlite.edge.doctor.environment import (
    FAIL,
    OK,
    RUNTIME_PACKAGES,
    SKIP,
    WARN,
    Check,
    Machine,
    check_packages,
    this_machine,
)

_PROBE_SECONDS = 180  # TensorFlow's import takes a minute from a Pi's card


def run_probe(*arguments: str) -> dict[str, Any]:
    """A trial of `probe.py` in a process of its own: what it answers, or {"error"} however it ended."""
    command = [sys.executable, "-m", "unetlite.edge.doctor.probe", *arguments]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {_PROBE_SECONDS} s"}
    lines = ended.stdout.strip().splitlines()
    try:
        return dict(json.loads(lines[-1]))
    except (IndexError, ValueError, TypeError):
        why = f"signal {-ended.returncode}" if ended.returncode < 0 else f"exit status {ended.returncode}"
        last = (ended.stderr.strip().splitlines() or ["nothing said"])[-1]
        return {"error": f"the process ended with {why}: {last[:200]}"}


def check_imports() -> list[Check]:
    """NumPy and OpenCV really load."""
    found = []
    for module, package in (("numpy", "numpy"), ("cv2", "opencv-python-headless")):
        answer = run_probe("import", module)
        if "error" in answer:
            found.append(Check(f"import {module}", FAIL, answer["error"], f"pip install --force-reinstall {package}"))
        else:
            found.append(Check(f"import {module}", OK, answer["version"]))
    return found


def check_model() -> tuple[Check, Path | None]:
    """The shipped model is there and its contract can be read."""
    from unetlite.vision.contract import read_contract
    from unetlite.vision.errors import UnetliteError

    models = sorted((Path(__file__).parents[1] / "models").glob("*.int8.tflite"))
    repair = "pip install --force-reinstall --no-deps unetlite"
    if not models:
        return Check("shipped model", FAIL, "this installation has none; commands need --model FILE", repair), None
    try:
        contract = read_contract(models[0])
    except UnetliteError as error:
        return Check("shipped model", FAIL, str(error), repair), None
    if contract is None:
        return Check("shipped model", FAIL, f"{models[0].name} carries no contract", repair), models[0]
    width, height = contract.input.size_wh
    return Check("shipped model", OK, f"{models[0].name}: {contract.level}, {width}x{height}"), models[0]


def check_runtimes(machine: Machine, model: Path | None) -> list[Check]:
    """Every installed runtime really runs the shipped model; one that does is needed."""
    from unetlite.edge.runtime import INSTALL

    installed = [name for name, packages in RUNTIME_PACKAGES.items() if machine.version(*packages) is not None]
    if model is None:
        return [Check("runtimes", SKIP, "no model to try them with")]
    answers = {name: run_probe("runtime", name, str(model)) for name in installed}
    any_works = any("error" not in answer for answer in answers.values())
    found = []
    for name in RUNTIME_PACKAGES:
        if name not in answers:
            found.append(Check(f"runtime {name}", SKIP, "not installed", "" if any_works else INSTALL[name]))
        elif "error" in answers[name]:
            # An installed runtime that fails is passed over while another works.
            found.append(Check(f"runtime {name}", WARN if any_works else FAIL, answers[name]["error"], INSTALL[name]))
        else:
            found.append(
                Check(f"runtime {name}", OK, f"{answers[name]['version']}, invoke {answers[name]['invoke_ms']} ms")
            )
    if not any_works:
        found.append(Check("a runtime that works", FAIL, "none of the three runs a model", INSTALL["ai-edge-litert"]))
    return found


def check_training(machine: Machine, *, gpu: bool) -> list[Check]:
    """What training and export need, where TensorFlow is installed, really works; `gpu` compares GPU with CPU."""
    if machine.version("tensorflow", "tensorflow-cpu") is None:
        found = [Check("training", SKIP, "TensorFlow is not installed; a device needs none")]
        if gpu:
            found.append(Check("gpu", FAIL, "TensorFlow is not installed", "pip install 'unetlite[train]'"))
        return found
    answer = run_probe("tensorflow")
    if "error" in answer:
        fix = "pip install --force-reinstall 'tensorflow-cpu==2.19.1'"
        return [Check("training", FAIL, answer["error"], fix)]
    devices = ", ".join(answer["devices"])
    detail = f"TensorFlow {answer['version']}, Keras {answer['keras']}: trains and converts; devices: {devices}"
    found = [Check("training", OK, detail)]
    if machine.version("tflite-support") is not None:
        found.append(_metadata_writers(run_probe("metadata")))
    if gpu:
        found.append(_gpu(run_probe("gpu")))
    return found


def _metadata_writers(answer: dict[str, Any]) -> Check:
    if "error" in answer:
        return Check("export metadata", FAIL, answer["error"], "pip install --force-reinstall 'unetlite[export]'")
    return Check("export metadata", OK, "TFLite Support's writers load")


def _gpu(answer: dict[str, Any]) -> Check:
    if "error" in answer:
        return Check("gpu", FAIL, answer["error"], "nvidia-smi")
    if answer["gpu"] is None:
        return Check("gpu", FAIL, "TensorFlow finds no GPU", "pip install 'tensorflow[and-cuda]>=2.17,<2.20'")
    speed_up = answer["cpu_ms"] / answer["gpu_ms"]
    detail = f"{answer['gpu']}: CPU {answer['cpu_ms']} ms, GPU {answer['gpu_ms']} ms, {speed_up:.1f} times as fast"
    return Check("gpu", OK if speed_up > 1.0 else WARN, detail, "" if speed_up > 1.0 else "nvidia-smi")


def check_camera(machine: Machine, root: Path = Path("/")) -> Check:
    """Cameras that the kernel or picamera2 may offer."""
    names = []
    for device in sorted((root / "sys/class/video4linux").glob("video*")):
        label = device / "name"
        names.append(f"/dev/{device.name} ({label.read_text('utf-8', 'replace').strip() if label.is_file() else '?'})")
    if machine.is_pi and importlib.util.find_spec("picamera2") is None:
        return Check("camera", WARN, "picamera2 is missing", "sudo apt install python3-picamera2")
    if not names:
        return Check("camera", SKIP, "none found; only live capture needs one")
    return Check("camera", OK, ", ".join(names))


def check_throttling() -> Check:
    """Whether heat or a weak power supply slows a Pi down."""
    from unetlite.edge.device import read_temperature_c, read_throttling

    throttling, temperature_c = read_throttling(), read_temperature_c()
    warmth = "" if temperature_c is None else f", {temperature_c:.0f} degrees C"
    if throttling is None:
        return Check("throttling", SKIP, f"this board does not tell{warmth}")
    if throttling.now or throttling.since_start:
        now, before = ", ".join(throttling.now) or "nothing", ", ".join(throttling.since_start) or "nothing"
        fix = "use the official power supply and a heat sink with fan, then: sudo reboot"
        return Check("throttling", WARN, f"now: {now}; since the start: {before}{warmth}", fix)
    return Check("throttling", OK, f"none since the start{warmth}")


def examine(*, gpu: bool = False) -> list[Check]:
    """All checks, in the order in which they should be mended."""
    machine = this_machine()
    found = check_packages(machine)
    imports = check_imports()
    found += imports
    model_check, model = check_model()
    found.append(model_check)
    if all(check.status == OK for check in imports):
        found += [*check_runtimes(machine, model), *check_training(machine, gpu=gpu), check_throttling()]
    else:
        found.append(Check("runtimes", SKIP, "NumPy and OpenCV must load first"))
    found.append(check_camera(machine))
    return found


def works(checks: Sequence[Check]) -> bool:
    """Whether nothing fails that this machine is meant to do."""
    return all(check.status != FAIL for check in checks)
