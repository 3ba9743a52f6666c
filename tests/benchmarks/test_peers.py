"""The worker that times one network in one runtime, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from unetlite.edge.benchmark.gemm import DTYPES, gemm_model

WORKER = Path(__file__).resolve().parents[2] / "benchmarks" / "peer_worker.py"


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_worker_says_its_version_and_times_what_it_is_told_to(tmp_path, dtype):
    model = tmp_path / "gemm.tflite"
    model.write_bytes(gemm_model(dtype))
    command = [sys.executable, str(WORKER), "ai-edge-litert", str(model)]
    result = subprocess.run(command, input="2\n3\n", capture_output=True, text=True, check=True)
    ready, *rounds = map(json.loads, result.stdout.splitlines())
    assert ready["version"]
    assert [len(times) for times in rounds] == [2, 3]
    assert all(ms > 0 for times in rounds for ms in times)


def test_a_model_that_does_not_load_ends_the_worker(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"no model")
    command = [sys.executable, str(WORKER), "ai-edge-litert", str(tmp_path / "m.tflite")]
    result = subprocess.run(command, input="1\n", capture_output=True, text=True)
    assert result.returncode != 0
    assert result.stdout == ""
