"""What else one could run, side by side in one run: other networks, other runtimes, and no network at all.

    python benchmarks/peers.py DATA --work DIR

DATA is a data set with true quads. Sets up what it needs in `--work` (kept, and used again): the reference preset
(untrained: its speed does not depend on its weights), MediaPipe's selfie segmenter from the mediapipe wheel, and an
environment with ONNX Runtime and OpenVINO for the shipped network. What does not install is named and left out.
Writes docs/results/peers.json; `python docs/fill.py` then fills docs/benchmarks.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from accuracy import usual_recipe
from tables import table, write_tables

from unetlite.edge.benchmark.latency import paired_ratio
from unetlite.edge.benchmark.pictures import benchmark_samples, read_picture
from unetlite.edge.benchmark.scores import GOOD_QUAD_IOU
from unetlite.edge.benchmark.work import count_work
from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.vision.metrics import quad_iou

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent
SELFIE = "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"
MEDIAPIPE = "mediapipe==0.10.21"  # the last ones carry the file no more
ENGINES = ("onnxruntime", "openvino", "onnx", "tf2onnx", "tensorflow-cpu==2.19.1", "numpy<2")
ROUNDS, CALLS = 40, 3
OURS = "shipped network, int8"


@dataclass
class Contestant:
    """A worker process that times inferences when it is told to."""

    name: str
    engine: str
    macs: int
    process: subprocess.Popen[str]
    version: str
    rounds: list[list[float]]


def run(*command: str | Path) -> None:
    """Run a set-up command; its output is progress."""
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def exported(work: Path, name: str, keras: Path, *levels: str, calibration: Path | None = None) -> dict[str, Path]:
    """Files of a Keras model by level, made with this project's own export."""
    paths = {level: work / name / f"{keras.stem}.{level}.tflite" for level in levels}
    if not all(path.exists() for path in paths.values()):
        extra = [] if calibration is None else ["--calibration", calibration]
        run(BIN / "unet-export", keras, *(f"--{level}" for level in levels), *extra, "--to", work / name, "--overwrite")
    return paths


def reference_network(work: Path) -> Path:
    """The reference preset with random weights, as a Keras file."""
    path = work / "reference.keras"
    if not path.exists():
        script = f"from unetlite.training.unet import build_unet; build_unet('reference').save({str(path)!r})"
        run(sys.executable, "-c", script)
    return path


def selfie_segmenter(work: Path) -> Path:
    """MediaPipe's general selfie segmenter, taken out of its wheel."""
    path = work / "selfie_segmentation.tflite"
    if not path.exists():
        run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", work, MEDIAPIPE)
        with zipfile.ZipFile(next(work.glob("mediapipe-*.whl"))) as wheel:
            path.write_bytes(wheel.read(SELFIE))
    return path


def other_runtimes(work: Path, model: Path) -> tuple[Path, Path]:
    """Python of an environment with the other runtimes, and the network as ONNX."""
    environment, network = work / "venv", work / f"{model.stem}.onnx"
    python = environment / "bin" / "python"
    if not (environment / ".complete").exists():
        run(sys.executable, "-m", "venv", "--clear", environment)
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *ENGINES)
        (environment / ".complete").touch()
    if not network.exists():
        run(python, "-m", "tf2onnx.convert", "--tflite", model, "--output", network, "--opset", "17")
    return python, network


def start(name: str, engine: str, python: Path, model: Path, macs: int) -> Contestant:
    """Start a worker and wait until it is warm."""
    command = [str(python), str(HERE / "peer_worker.py"), engine, str(model)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return Contestant(name, engine, macs, process, _answer(process)["version"], [])


def _answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args}: ended with status {process.wait()}")
    return json.loads(line)


def take_turn(contestant: Contestant) -> None:
    """One round of one contestant; all others wait."""
    assert contestant.process.stdin is not None
    contestant.process.stdin.write(f"{CALLS}\n")
    contestant.process.stdin.flush()
    contestant.rounds.append(_answer(contestant.process))


def speed_table(contestants: list[Contestant]) -> dict[str, Any]:
    """Invoke alone, so that networks and runtimes are compared, not what is around them."""
    ours = next(c for c in contestants if c.name == OURS)
    medians = {id(c): [float(np.median(times)) for times in c.rounds] for c in contestants}
    rows = []
    for c in contestants:
        times = np.concatenate(c.rounds)
        ratio = paired_ratio(medians[id(c)], medians[id(ours)], [True] * len(c.rounds))
        rows.append([c.name, f"{c.engine} {c.version}", f"{c.macs / 1e9:.3f}", f"{np.median(times):.2f} ms",
                     f"{np.percentile(times, 90):.2f} ms", f"{ratio:.2f}"])  # fmt: skip
    columns = ["network", "runtime", "GMAC", "median", "p90", "time / shipped int8"]
    return table("Inference alone, one thread, 256x256", columns, rows)


def accuracy_table(data: Path, limit: int) -> dict[str, Any]:
    """The shipped model and OpenCV's usual recipe on the same pictures."""
    root, samples = benchmark_samples(data, limit)
    segmenter = load_segmenter(shipped_model())
    classes = {len(segmenter.contract.output.class_names)}
    finders: dict[str, Callable[[Any], Any]] = {
        "unetlite, int8": lambda image: segmenter(image).finding.quad,
        "OpenCV: Canny, contours, approxPolyDP": usual_recipe,
    }
    found: dict[str, list[float]] = {name: [] for name in finders}
    for sample in samples:
        picture = read_picture(sample, root, classes)
        for name, find in finders.items():
            found[name].append(quad_iou(find(picture.image), picture.quad))
    rows = [
        [name, len(ious), f"{np.mean(ious):.3f}", f"{100 * np.mean(np.array(ious) >= GOOD_QUAD_IOU):.0f} %",
         f"{100 * np.mean(np.array(ious) == 0.0):.0f} %"]
        for name, ious in found.items()
    ]  # fmt: skip
    return table("Quad IoU on the same pictures", ["", "N", "mean", ">= 0.9", "nothing found"], rows)


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), required=True, help="Kept for the next run.")
@click.option("--limit", type=click.IntRange(1), default=450, show_default=True, help="Pictures for the quad IoU.")
@click.option("--report", type=click.Path(path_type=Path), default=ROOT / "docs" / "results" / "peers.json")
def main(data: Path, work: Path, limit: int, report: Path) -> None:
    """Set up, time in rounds, score, write the tables."""
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    own = exported(work, "shipped", ROOT / "models" / "unetlite.keras", "float32")
    reference = exported(
        work, "reference", reference_network(work), "float32", "int8", calibration=ROOT / "samples"
    )
    entries = [
        (OURS, shipped_model()),
        ("shipped network, float32", own["float32"]),
        ("reference preset, int8", reference["int8"]),
        ("reference preset, float32", reference["float32"]),
    ]
    left_out = []
    try:
        entries.append(("MediaPipe selfie segmenter, float16", selfie_segmenter(work)))
    except (subprocess.CalledProcessError, KeyError) as error:
        left_out.append(f"MediaPipe: {error}")
    contestants = []
    try:
        for name, path in entries:
            macs = count_work(path.read_bytes(), str(path)).macs
            contestants.append(start(name, "ai-edge-litert", Path(sys.executable), path, macs))
        try:
            python, network = other_runtimes(work, own["float32"])
            macs = contestants[1].macs
            contestants.append(start("shipped network, float32", "onnxruntime", python, network, macs))
            contestants.append(start("shipped network, float32", "openvino", python, network, macs))
        except (subprocess.CalledProcessError, RuntimeError) as error:
            left_out.append(f"other runtimes: {error}")
        for number in range(ROUNDS):
            turn = number % len(contestants)
            for contestant in (*contestants[turn:], *contestants[:turn]):
                take_turn(contestant)
    finally:
        for contestant in contestants:
            contestant.process.communicate()
    accuracy = accuracy_table(data, limit)
    pictures = accuracy["rows"][0][1]
    write_tables(
        report,
        [speed_table(contestants), accuracy],
        data=f"{pictures} pictures of {data.resolve().name}" + "".join(f"; left out: {why}" for why in left_out),
        command="benchmarks/peers.py",
        invoke_ms={f"{c.name} on {c.engine}": c.rounds for c in contestants},
    )


if __name__ == "__main__":
    main()
