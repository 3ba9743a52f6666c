"""What becomes of an emulator's counts: a report that no latency is in. The emulation itself: see benchmarks/arm64."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from reports import check_schema

from unetlite.edge.benchmark.report import build_report
from unetlite.edge.benchmark.worst import worst_pictures
from unetlite.edge.compare.report import table_rows
from unetlite.edge.compare.tables import text_table

ARM64 = Path(__file__).resolve().parents[2] / "benchmarks" / "arm64"


@pytest.fixture(scope="module")
def emulate():
    spec = importlib.util.spec_from_file_location("emulate", ARM64 / "emulate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCORED = {
    "model": "edge.int8.tflite", "sha256": "0" * 64, "level": "int8", "images": 2, "iou_mean": 0.9,
    "quad_iou_mean": 0.9, "quad_iou_ge_90": 0.5, "corner_error_mean": None, "corner_error_median": None,
    "corner_error_images": 0, "constant_iou": {"nothing": 0.0, "everything": 0.2}, "mean_iou_two_class": 0.9,
    "class_iou": {"background": 0.9}, "below_threshold": [], "conditions": [], "runtime": "ai-edge-litert",
    "runtime_version": "2.3.0", "model_bytes": 5, "total_ops": 3, "delegated_ops": 3, "partitions": 1, "gmac": 0.1,
}  # fmt: skip
DEVICE = {
    "cpu": "Cortex-A72", "architecture": "aarch64", "os": None, "kernel": "6", "python": "3.11.2",
    "runtimes": {"ai-edge-litert": "2.3.0"}, "governor": "performance", "memory_bytes": 1, "temperature_c": 40.0,
    "throttling": None, "model": None, "cores": 64,
}  # fmt: skip


def counted(frames: int = 3) -> np.ndarray:
    """Frames of 100, 1000 and 10 instructions by stage, one more in each frame; one half of them in memory."""
    totals = np.array([100, 1000, 10]) + np.arange(frames)[:, np.newaxis]
    counts = np.zeros((frames, 3, 7), np.int64)
    counts[:, :, 0], counts[:, :, 1] = totals, totals // 2
    return counts


def test_a_run_holds_instructions_and_no_time(emulate):
    run = emulate.run_record(SCORED, counted())
    assert run["instructions"]["invoke"] == {"p50": 1001, "min": 1000, "max": 1002}
    assert run["instructions"]["total"]["p50"] == 1113
    assert run["instruction_mix"]["memory"] == 500
    assert run["latency_ms"] is run["first_invoke_ms"] is run["gmac_per_s"] is run["throttled"] is None


def test_the_report_follows_the_schema_and_can_be_compared(emulate):
    data = {"name": "d", "images": 2, "bytes": 10, "sha256": "1" * 64}
    report = build_report(
        emulated=True,
        device=emulate.emulated_device("cortex-a72", DEVICE, "qemu-aarch64 version 7.2"),
        data=data,
        rounds={"count": 1, "frames": 2, "frame_size_wh": [64, 48]},
        gemm=[],
        runs=[emulate.run_record(SCORED, counted())],
        worst=worst_pictures(["a.jpg", "b.jpg"], [("edge.int8.tflite", [0.9, 0.5], [0.9, 0.4])]),
    )
    table = text_table(table_rows([("r.json", report)]))
    assert table.startswith("Emulated")
    assert "Raspberry Pi 4 processor (Cortex-A72), emulated" in table
    assert (report["device"]["governor"], report["device"]["cores"]) == (None, 1)
    assert [entry["image"] for entry in report["worst"]] == ["b.jpg", "a.jpg"]
    check_schema(report)


@pytest.mark.parametrize(("processor", "dot_product"), [("cortex-a72", False), ("cortex-a76", True)])
def test_the_processors_tell_runtimes_what_they_can(emulate, processor, dot_product):
    text = emulate.cpuinfo(processor)
    assert ("asimddp" in text) is dot_product
    assert text.count("CPU part") == 4


def test_the_plugin_compiles(emulate, tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("needs a C compiler: apt install gcc")
    plugin = emulate.build_plugin(tmp_path)
    symbols = subprocess.run(["nm", "-D", "--defined-only", str(plugin)], capture_output=True, text=True).stdout
    assert {"qemu_plugin_install", "qemu_plugin_version"} <= set(symbols.split())


def test_closer_looks_are_no_inference_of_the_whole_frame(monkeypatch):
    spec = importlib.util.spec_from_file_location("guest", ARM64 / "guest.py")
    guest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(guest)
    marks = []
    monkeypatch.setattr(guest, "mark", marks.append)
    invoked = []
    network = SimpleNamespace(feed=None, answer=None, interpreter=None, invoke=lambda: invoked.append(1))
    marked = guest.Marked(network)
    for looks in (1, 3):
        marked.begin()
        for _ in range(looks):
            marked.invoke()
    assert marks == [guest.BEGIN, guest.FED, guest.INVOKED] * 2
    assert len(invoked) == 4
