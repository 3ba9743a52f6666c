"""Instructions a frame of exported models on processors that are not at hand, as benchmark reports.

    python benchmarks/arm64/emulate.py --sysroot DIR --model M... --data DIR --to DIR

Runs the models with qemu's user-mode emulation on a Cortex-A72 (Raspberry Pi 4: no int8 dot product) and a Cortex-A76
(Raspberry Pi 5: with it), one report each, `emulated: true`. Counts repeat almost exactly and rank quantization levels;
they are no time: neither memory nor the pipeline is in them. `unet-benchmark compare` keeps them apart from latencies.

Wants `sysroot.py`'s folder, Debian's qemu-user (the dynamic one, which takes plugins) and gcc.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from unetlite.edge.benchmark.latency import STAGES
from unetlite.edge.benchmark.pictures import benchmark_samples, data_record, relative_name
from unetlite.edge.benchmark.report import build_report
from unetlite.edge.benchmark.worst import worst_pictures
from unetlite.edge.compare.report import table_rows
from unetlite.edge.compare.tables import text_table
from unetlite.edge.segmenter import chosen_model
from unetlite.vision.files import write_json
from unetlite.vision.image import read_image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KINDS = ("all", "memory", "vector", "branch", "float_mla", "int8_dot", "widening_mla")  # count.c's order
MARKS = 4  # a frame: its begin, before and after the inference, its end
_V8_0 = "fp asimd aes pmull sha1 sha2 crc32 cpuid"
# Boards by processor; part number and feature list as Linux shows them there. Runtimes choose their kernels by these.
PROCESSORS = {
    "cortex-a72": ("Raspberry Pi 4 processor (Cortex-A72)", "0xd08", _V8_0),
    "cortex-a76": (
        "Raspberry Pi 5 processor (Cortex-A76)",
        "0xd0b",
        _V8_0 + " atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp",
    ),
}


def cpuinfo(processor: str) -> str:
    """/proc/cpuinfo of a board with this processor: qemu would show the host's, and LiteRT then crashes."""
    _, part, features = PROCESSORS[processor]
    one = f"Features\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: {part}\n"
    return "".join(f"processor\t: {core}\n{one}\n" for core in range(4))


def build_plugin(folder: Path) -> Path:
    """Compile the counting plugin."""
    plugin = folder / "count.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(plugin), str(HERE / "count.c")], check=True)
    return plugin


def run_guest(
    sysroot: Path, plugin: Path, processor: str, arguments: Sequence[str], guest: str = "guest.py"
) -> tuple[dict[str, Any], np.ndarray]:
    """Run a guest, a program of this folder, on an emulated processor.

    Returns:
        What it printed, and the counts between its marks: (frames, stages, kinds) int64.
    """
    (sysroot / "proc").mkdir(exist_ok=True)
    (sysroot / "proc/cpuinfo").write_text(cpuinfo(processor))
    log = plugin.with_suffix(".log")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONHOME": str(sysroot / "usr"),
        "PYTHONPATH": f"{ROOT / 'typings'}:{sysroot / 'opt/site'}",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = ["qemu-aarch64", "-cpu", processor, "-L", str(sysroot), "-plugin", str(plugin), "-d", "plugin",
               "-D", str(log), str(sysroot / "usr/bin/python3.11"), str(HERE / guest)]  # fmt: skip
    result = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True)
    if result.returncode:
        said = (result.stderr.strip().splitlines() or ["nothing"])[-1]
        raise click.ClickException(f"{arguments[0]} on {processor}: status {result.returncode}, said: {said}")
    marks = [line.split()[1:] for line in log.read_text().splitlines() if line.startswith("mark ")]
    counts = np.array(marks, np.int64).reshape(-1, MARKS, 1 + len(KINDS))
    if not (counts[:, :, 0] == np.arange(MARKS)).all():
        raise click.ClickException(f"{arguments[0]} on {processor}: marks out of order: {counts[:, :, 0].tolist()}")
    return json.loads(result.stdout.splitlines()[-1]), np.diff(counts[:, :, 1:], axis=1)


def run_record(scored: dict[str, Any], counts: np.ndarray) -> dict[str, Any]:
    """One model's run: its scores, and instructions in place of all that is a time or the host's."""
    totals = counts[:, :, 0]
    by_stage = {stage: totals[:, i] for i, stage in enumerate(STAGES)} | {"total": totals.sum(axis=1)}
    unknown = dict.fromkeys(
        ("latency_ms", "first_invoke_ms", "peak_rss_bytes", "steady_rss_bytes", "gmac_per_s", "peak_share",
         "throttled", "spread", "time_ratio", "time_ratio_interval")
    )  # fmt: skip
    inference = np.median(counts[:, STAGES.index("invoke")], axis=0)
    return {
        **scored,
        **unknown,
        "threads": 1,
        "instructions": {
            stage: {"p50": int(np.median(n)), "min": int(n.min()), "max": int(n.max())} for stage, n in by_stage.items()
        },
        "instruction_mix": {kind: int(n) for kind, n in zip(KINDS, inference, strict=True)},
        "frames": len(counts),
        "round_total_ms": [],
        "round_invoke_ms": [],
        "frame_total_ms": [],
        "round_clean": [],
        "valid": True,
        "invalid_because": [],
    }


def emulated_device(processor: str, device: dict[str, Any], emulator: str) -> dict[str, Any]:
    """A processor's device record; what the emulator passes on of the host is left out."""
    hosts = dict.fromkeys(("governor", "max_mhz", "memory_bytes", "temperature_c", "throttling"))
    return {**device, **hosts, "model": PROCESSORS[processor][0], "cores": 1, "emulator": emulator}


@click.command()
@click.option("--sysroot", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--model", "models", type=click.Path(path_type=Path), multiple=True, help="Default: the shipped model.")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--limit", type=click.IntRange(1), default=4, show_default=True, help="Pictures; a second and more each.")
@click.option("--cpu", "processors", type=click.Choice(list(PROCESSORS)), multiple=True, default=list(PROCESSORS))
@click.option("--runtime", type=click.Choice(["ai-edge-litert", "tflite-runtime"]), default="ai-edge-litert")
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the reports.")
def main(
    sysroot: Path, models: tuple[Path, ...], data: Path, limit: int, processors: Sequence[str], runtime: str, to: Path
) -> None:
    """Count, and write one report a processor."""
    sysroot, data = sysroot.resolve(), data.resolve()
    paths = [chosen_model(model).resolve() for model in models or (None,)]
    root, samples = benchmark_samples(data, limit)
    emulator = subprocess.run(["qemu-aarch64", "--version"], capture_output=True, text=True, check=True).stdout
    height, width = read_image(samples[0].image).shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        plugin = build_plugin(Path(folder))
        for processor in processors:
            runs, answers, device = [], [], {}
            for path in paths:
                click.echo(f"{path.name} on {processor}", err=True)
                said, counts = run_guest(sysroot, plugin, processor, [str(path), str(data), str(limit), runtime])
                runs.append(run_record(said["run"], counts))
                answers.append((path.name, *said["scores"]))
                device = said["device"]
            report = build_report(
                emulated=True,
                device=emulated_device(processor, device, emulator.splitlines()[0]),
                data=data_record(root, data, samples),
                rounds={"count": 1, "frames": len(samples), "frame_size_wh": [width, height]},
                gemm=[],
                runs=runs,
                worst=worst_pictures([relative_name(sample.image, root) for sample in samples], answers),
            )
            target = to / f"{processor}.json"
            write_json(target, report)
            click.echo(text_table(table_rows([(target.name, report)])))
            click.echo(f"{target} written", err=True)


if __name__ == "__main__":
    main()
