"""The wheel on arm64, emulated: the same masks and captures as on this machine, to the bit."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent


def load_measure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure", HERE / "measure.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure"] = module  # its dataclass looks for its own module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_arm64_answers_as_this_machine_does(release: str, tmp_path: Path) -> None:
    for program, package in (("mmdebstrap", "mmdebstrap"), ("qemu-aarch64", "qemu-user"), ("arch-test", "arch-test")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; apt install {package}")
    built = subprocess.run([HERE / "build.sh", release, tmp_path / release], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    system = load_measure().measure(release, tmp_path / release, most=3)
    assert system["arm64"]["machine"] == "aarch64"
    assert system["here"]["machine"] != "aarch64"
    largest = system["largest_difference"]
    assert largest["network_output_levels_of_the_same_input"] == 0
    assert largest["mask_pixels_in_a_frame"] == largest["unet_infer_mask_pixels_in_a_frame"] == 0
    assert system["arm64"]["captures"] == system["here"]["captures"] == 2
    assert largest["capture_quad_px"] < 0.5
