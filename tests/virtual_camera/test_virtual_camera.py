"""The tests of the Picamera2 back end where picamera2 and libcamera are: in the root file system that run.sh makes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.sh")
CANNOT = 77  # run.sh's exit status where this machine cannot make that file system


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_picamera2_back_end_works_on_real_libcamera() -> None:
    result = subprocess.run([RUN], capture_output=True, text=True)
    if result.returncode == CANNOT:
        pytest.skip(result.stderr.strip().splitlines()[-1])
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert " passed" in result.stdout.splitlines()[-1]
    assert "skipped" not in result.stdout.splitlines()[-1]
