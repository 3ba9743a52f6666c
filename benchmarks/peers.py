"""What else one could run, side by side in one run: other networks, other runtimes, and no network at all.

    python benchmarks/peers.py DATA --work DIR

DATA is a data set with true quads. Sets up what it needs in `--work` (kept, and used again): the presets that do not
ship (untrained: their speed does not depend on their weights), MediaPipe's selfie segmenter from the mediapipe wheel,
and an environment with ONNX Runtime and OpenVINO for the shipped network; pip fetches the last two from its package
index. What does not install is named and left out. Writes docs/results/peers.json; `python docs/fill.py` then fills
docs/benchmarks.md.
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
from unetlite.edge.runtime import make_interpreter
from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.vision.metrics import quad_iou

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent
SELFIE = "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite"
MEDIAPIPE = "mediapipe==0.10.21"  # the last ones carry the file no more
ENGINES = ("onnxruntime", "openvino", "onnx", "tf2onnx", "tensorflow-cpu==2.19.1", "numpy<2")
ROUNDS, CALLS = 40, 3
SHIPPED, SELFIE_NAME = "edge (shipped)", "MediaPipe selfie segmenter"
SHIPPED_SMALL = "nano (shipped)"
UNTRAINED = ("reference",)


@dataclass(frozen=True)
class Network:
    """One network at one level.

    Attributes:
        parameters: of the Keras model; None where there is none.
        input_wh: what it sees, pixels.
        macs: of one inference.
        file_bytes: of the `.tflite` file.
    """

    name: str
    level: str
    path: Path
    parameters: int | None
    input_wh: tuple[int, int]
    macs: int
    file_bytes: int


@dataclass
class Contestant:
    """A worker process that times inferences when it is told to."""

    network: Network
    engine: str
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
        # What has random weights would fail the export's gates, which judge a model for use.
        gates = ("--max-iou-loss", "1", "--max-share-loss", "100", "--max-image-loss", "1")
        extra = [] if calibration is None else ["--calibration", calibration, *gates]
        run(BIN / "unet-export", keras, *(f"--{level}" for level in levels), *extra, "--to", work / name, "--overwrite")
    return paths


def preset_network(work: Path, preset: str) -> Path:
    """A preset with random weights, as a Keras file."""
    path = work / f"{preset}.keras"
    if not path.exists():
        script = f"from unetlite.training.unet import build_unet; build_unet({preset!r}).save({str(path)!r})"
        run(sys.executable, "-c", script)
    return path


def parameter_count(keras: Path) -> int:
    """All parameters of a Keras model, as Keras counts them."""
    script = f"import keras; print(keras.models.load_model({str(keras)!r}, compile=False).count_params())"
    said = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(said.split()[-1])


def network(name: str, level: str, path: Path, parameters: int | None) -> Network:
    """Look into a model file."""
    content = path.read_bytes()
    _, height, width, _ = make_interpreter(content)[0].get_input_details()[0]["shape"]
    return Network(
        name, level, path, parameters, (int(width), int(height)), count_work(content, str(path)).macs, len(content)
    )


def own_networks(work: Path) -> list[Network]:
    """The shipped networks and the untrained preset, int8 and float32."""
    found = []
    for label, name in ((SHIPPED, "unetlite"), (SHIPPED_SMALL, "unetlite-nano")):
        keras = ROOT / "models" / f"{name}.keras"
        found.append((label, keras, {"int8": shipped_model(name), **exported(work, name, keras, "float32")}))
    for preset in UNTRAINED:
        keras = preset_network(work, preset)
        files = exported(work, preset, keras, "int8", "float32", calibration=ROOT / "samples")
        found.append((f"{preset} (untrained)", keras, files))
    return [
        network(name, level, path, count)
        for name, keras, files in found
        for count in [parameter_count(keras)]
        for level, path in files.items()
    ]


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


def start(network: Network, engine: str, python: Path, model: Path) -> Contestant:
    """Start a worker and wait until it is warm."""
    command = [str(python), str(HERE / "peer_worker.py"), engine, str(model)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return Contestant(network, engine, process, _answer(process)["version"], [])


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


def ratio_of(one: Contestant, other: Contestant | None) -> str:
    """How many times the other's time an inference takes, as text."""
    if other is None:
        return "-"
    # Every call is the same work, so a round's fastest is the one that no other process's turn has lengthened.
    own, others = ([min(times) for times in c.rounds] for c in (one, other))
    ratio = paired_ratio(own, others, [True] * len(own))
    return "-" if ratio is None else f"{ratio.median:.2f}"


def found(contestants: list[Contestant], name: str, level: str) -> Contestant | None:
    """A network in the runtime that devices have; None where it was left out."""
    own = (c for c in contestants if c.engine == "ai-edge-litert")
    return next((c for c in own if (c.network.name, c.network.level) == (name, level)), None)


def speed_table(contestants: list[Contestant]) -> dict[str, Any]:
    """Invoke alone, so that networks and runtimes are compared, not what is around them."""
    ours = found(contestants, SHIPPED, "int8")
    rows = []
    for c in contestants:
        times = np.concatenate(c.rounds)
        rows.append([f"{c.network.name}, {c.network.level}", f"{c.engine} {c.version}", f"{np.median(times):.2f} ms",
                     f"{np.percentile(times, 90):.2f} ms", ratio_of(c, ours)])  # fmt: skip
    columns = ["network", "runtime", "median", "p90", "time / shipped int8"]
    return table("Inference alone, one thread", columns, rows)


def network_table(contestants: list[Contestant]) -> dict[str, Any]:
    """What each network is, and its speed against a well-tuned one of the same size."""
    selfie = found(contestants, SELFIE_NAME, "float16")
    rows = []
    for name in dict.fromkeys(c.network.name for c in contestants):
        levels = {level: found(contestants, name, level) for level in ("int8", "float32", "float16")}
        first = next(c.network for c in levels.values() if c is not None)
        count = "-" if first.parameters is None else f"{first.parameters / 1000:.0f} k"
        sizes = [f"{c.network.file_bytes / 1e6:.2f} MB {level}" for level, c in levels.items() if c is not None]
        ratios = [f"{ratio_of(c, selfie)} {level}" for level, c in levels.items() if c is not None]
        rows.append([name, "x".join(map(str, first.input_wh)), f"{first.macs / 1e9:.3f}", count, ", ".join(sizes),
                     ", ".join(ratios)])  # fmt: skip
    columns = ["network", "input", "GMAC", "parameters", "file", f"inference / {SELFIE_NAME}"]
    return table("Networks by size", columns, rows)


def accuracy_table(data: Path, limit: int) -> dict[str, Any]:
    """The shipped models and OpenCV's usual recipe on the same pictures."""
    root, samples = benchmark_samples(data, limit)
    large, small = load_segmenter(shipped_model()), load_segmenter(shipped_model("unetlite-nano"))
    classes = {len(large.contract.output.class_names)}
    finders: dict[str, Callable[[Any], Any]] = {
        "unetlite, int8": lambda image: large(image).finding.quad,
        "unetlite-nano, int8": lambda image: small(image).finding.quad,
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
    networks, left_out = own_networks(work), []
    try:
        networks.append(network(SELFIE_NAME, "float16", selfie_segmenter(work), None))
    except (subprocess.CalledProcessError, KeyError) as error:
        left_out.append(f"MediaPipe: {error}")
    contestants: list[Contestant] = []
    try:
        contestants += [start(one, "ai-edge-litert", Path(sys.executable), one.path) for one in networks]
        try:
            whole = next(one for one in networks if (one.name, one.level) == (SHIPPED, "float32"))
            python, converted = other_runtimes(work, whole.path)
            contestants += [start(whole, engine, python, converted) for engine in ("onnxruntime", "openvino")]
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
        [network_table(contestants), speed_table(contestants), accuracy],
        data=f"{pictures} pictures of {data.resolve().name}" + "".join(f"; left out: {why}" for why in left_out),
        command="benchmarks/peers.py",
        invoke_ms={f"{c.network.name} {c.network.level} on {c.engine}": c.rounds for c in contestants},
    )


if __name__ == "__main__":
    main()
