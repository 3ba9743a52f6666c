"""The tests of the Picamera2 back end where picamera2 and libcamera are: in the root file system that run.sh makes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_picamera2_back_end_works_on_real_libcamera() -> None:
    if os.getuid() != 0:
        pytest.skip("changing the root needs root; run `sudo tests/virtual_camera/run.sh`")
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed; apt install mmdebstrap")
    result = subprocess.run([Path(__file__).with_name("run.sh")], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert " passed" in result.stdout.splitlines()[-1]
    assert "skipped" not in result.stdout.splitlines()[-1]
