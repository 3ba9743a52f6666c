"""What more work costs: time and memory of each long step over 1x, 4x and 16x the pictures, and the input pipeline.

    python benchmarks/growth.py [--to docs/results/growth.json] [--pictures 24] [--steps 12]

Each measurement is a process of its own, so that its peak is that of its work, and one worker in it; time is that of
the processor, so that what else the machine does falls out. Work is linear where a picture of the larger set takes as
long as one of the smaller. All pictures are drawn by the project's own generator.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from tables import table, write_tables

FACTORS = (1, 4, 16)
SIZE_WH = (320, 240)
INPUT_WH = (256, 256)
SEED = 1
PIPELINES = {"edge": 16, "reference": 4}  # batch size by preset; a step of the second takes seconds with 4
GROUP = 4  # steps
MOST_TIME, MOST_MEMORY, MOST_WAITING = 1.15, 1.15, 1.05  # times linear, times flat, times the step alone
ROOT = Path(__file__).resolve().parents[1]


def synthesize(work: Path, count: int) -> Callable[[], None]:
    """With the seed's textures and newspapers drawn already: a set of some hundred pictures has seen them all."""
    from unetlite.training.synthesis import newspapers, textures
    from unetlite.training.synthesis.generator import generate
    from unetlite.training.synthesis.surfaces import SurfaceSource

    for index in range(textures.BANK_SIZE):
        textures.texture(SEED, index)
    for index in range(newspapers.BANK_SIZE):
        newspapers.newspaper_page(SurfaceSource(SEED, (), ()), index)

    def draw() -> None:
        generate(work / f"drawn-{count}", count, SEED, size_wh=SIZE_WH, jobs=1)

    return draw


def prepare(work: Path, count: int) -> None:
    from unetlite.training.data.prepare import prepare as run

    run(work / f"drawn-{count}", work / f"prepared-{count}", by="frame", jobs=1)


def calibrate(work: Path, count: int) -> None:
    from unetlite.calibration.manifest import make_manifest, write_manifest
    from unetlite.vision.contract import InputSpec

    # As many as there are: with fewer, a larger folder would be sampled rather than read.
    manifest = make_manifest(work / f"drawn-{count}", InputSpec(INPUT_WH), count=count, strategy="stratified", seed=0)
    write_manifest(work / f"calibration-{count}.json", manifest)


def infer(work: Path, count: int) -> None:
    from unetlite.edge.segmenter import load_segmenter, shipped_model
    from unetlite.vision.dataset import find_samples
    from unetlite.vision.image import read_image

    segmenter = load_segmenter(shipped_model(), threads=1)
    for sample in find_samples(work / f"drawn-{count}"):
        segmenter(read_image(sample.image))


def train(work: Path, count: int) -> Callable[[], None]:
    """One epoch over so many pictures, none of them kept in memory, as where a set is larger than the cache."""
    from unetlite.training.data import pipeline

    pipeline.CACHE_BYTES = 0
    model, dataset = _model_and_batches(work / f"drawn-{count}", "edge", 8)
    for x, y in dataset.take(2):  # the first step traces the graph
        model.train_on_batch(x, y)

    def epoch() -> None:
        for x, y in dataset:
            model.train_on_batch(x, y)

    return epoch


STEPS: dict[str, Callable[[Path, int], Callable[[], None] | None]] = {
    "synthesize": synthesize,
    "prepare": prepare,
    "calibrate": calibrate,
    "train-step": train,
    "infer": infer,
}


def _model_and_batches(source: Path, preset: str, batch: int) -> tuple[Any, Any]:
    import keras

    from unetlite.training.data.pipeline import Target, make_dataset
    from unetlite.training.losses import make_loss
    from unetlite.training.unet import build_unet
    from unetlite.vision.contract import InputSpec
    from unetlite.vision.dataset import find_samples

    model = build_unet(preset, INPUT_WH)
    model.compile(keras.optimizers.AdamW(1e-3), make_loss("dice", 2))
    target = Target((model.output_shape[2], model.output_shape[1]), 2)
    dataset = make_dataset(find_samples(source), InputSpec(INPUT_WH), target, batch, [], augment_seed=0)
    return model, dataset


def measure_pipeline(work: Path, count: int, steps: int, preset: str) -> dict[str, Any]:
    """Milliseconds of a training step, by the clock: on batches at hand, on the pipeline's; and of making a batch.

    Both take turns in groups of steps, so that what else the machine does falls on both alike. Pictures are in the
    cache, as from the second epoch on; the first epoch reads and decodes them besides.
    """
    from unetlite.training.fused import fused_normalization

    batch = PIPELINES[preset]
    model, dataset = _model_and_batches(work / f"drawn-{count}", preset, batch)
    begin = time.process_time()
    for _ in dataset:  # fills the cache
        pass
    read_ms = (time.process_time() - begin) * 1000 / count * batch
    ready = list(dataset.take(3))
    with fused_normalization():  # as unet-train does; what was traced stays
        for x, y in ready:
            model.train_on_batch(x, y)

    def repeated() -> Iterator[Any]:
        while True:
            yield from ready

    def flowing() -> Iterator[Any]:
        while True:
            yield from dataset

    def timed(batches: Iterator[Any]) -> tuple[float, float]:
        begin = time.perf_counter(), time.process_time()
        for _ in range(GROUP):
            model.train_on_batch(*next(batches))
        clock, processor = time.perf_counter() - begin[0], time.process_time() - begin[1]
        return clock * 1000 / GROUP, processor * 1000 / GROUP

    cached, data = repeated(), flowing()
    next(data)
    pairs = [(timed(cached), timed(data)) for _ in range(max(1, steps // GROUP))]
    begin = time.process_time()
    made = sum(1 for _ in dataset)
    return {
        "preset": preset,
        "batch": batch,
        "cached_ms": round(median(ready[0] for ready, _ in pairs), 1),
        "data_ms": round(median(flow[0] for _, flow in pairs), 1),
        "ratio": round(median(flow[0] / ready[0] for ready, flow in pairs), 3),
        "processor_ms": round(median(ready[1] for ready, _ in pairs), 1),
        "make_ms": round((time.process_time() - begin) * 1000 / made, 1),
        "read_ms": round(read_ms, 1),
    }


def child(step: str, work: Path, count: int, steps: int) -> dict[str, Any]:
    """One measurement, in the process that was started for it."""
    if step in PIPELINES:
        return measure_pipeline(work, count, steps, step)
    begin = time.process_time()
    run = STEPS[step](work, count)
    if run is not None:
        begin = time.process_time()
        run()
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"step": step, "pictures": count, "seconds": round(seconds, 3), "peak_mb": round(peak / 1e6, 1)}


def measured(step: str, work: Path, count: int, steps: int = 0) -> dict[str, Any]:
    print(f"{step}, {count} pictures", file=sys.stderr)
    command = [sys.executable, __file__, "--child", step, str(work), str(count), "--steps", str(steps)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        sys.exit(f"{step}, {count} pictures: {result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def judged(name: str, runs: list[dict[str, Any]]) -> list[Any]:
    """A step's row: what 16 times the work costs over what linear time and flat memory would be.

    Time per picture is taken between the first and the last measurement, so that a start costs nothing.
    """
    first, last = runs[0], runs[-1]
    early = (runs[1]["seconds"] - first["seconds"]) / (runs[1]["pictures"] - first["pictures"])
    late = (last["seconds"] - runs[1]["seconds"]) / (last["pictures"] - runs[1]["pictures"])
    time_ratio, memory_ratio = late / early, last["peak_mb"] / first["peak_mb"]
    return [
        name,
        *(f"{run['seconds']:.2f} s" for run in runs),
        f"{1000 * late:.1f} ms",
        f"{time_ratio:.2f}",
        *(f"{run['peak_mb']:.0f} MB" for run in runs),
        f"{memory_ratio:.2f}",
        "yes" if time_ratio <= MOST_TIME and memory_ratio <= MOST_MEMORY else "no",
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "results" / "growth.json")
    parser.add_argument("--pictures", type=int, default=24, help="the smallest amount of work")
    parser.add_argument("--steps", type=int, default=48, help="of training, for the input pipeline")
    parser.add_argument("--child", nargs=3, metavar=("STEP", "WORK", "PICTURES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        step, work, count = arguments.child
        print(json.dumps(child(step, Path(work), int(count), arguments.steps)))
        return
    smallest = arguments.pictures
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        runs = {"synthesize": [measured("synthesize", work, smallest * factor) for factor in FACTORS]}
        for step in ("prepare", "calibrate", "train-step", "infer"):
            runs[step] = [measured(step, work, smallest * factor) for factor in FACTORS]
        most = smallest * FACTORS[-1]
        pipelines = [measured(preset, work, most, arguments.steps * batch // 16) for preset, batch in PIPELINES.items()]
    counts = [smallest * factor for factor in FACTORS]
    columns = ["step", *(f"{count} pictures" for count in counts), "a picture", "late / early"]
    columns += [*(f"peak, {count}" for count in counts), "16x / 1x", f"within {MOST_TIME} and {MOST_MEMORY}"]
    step_rows = [
        [
            f"{run['preset']}, {run['batch']} pictures",
            f"{run['cached_ms']} ms",
            f"{run['data_ms']} ms",
            run["ratio"],
            f"{run['processor_ms']} ms",
            f"{run['make_ms']} ms",
            f"{run['read_ms']} ms",
            "yes" if run["ratio"] <= MOST_WAITING else "no",
        ]
        for run in pipelines
    ]
    step_columns = ["a step of", "on batches at hand", "on the pipeline's", "ratio"]
    step_columns += ["processor time: of a step", "of making a batch", "of reading it besides"]
    write_tables(
        arguments.to,
        [
            table("Time and memory of more work", columns, [judged(name, found) for name, found in runs.items()]),
            table(
                f"The input pipeline beside a training step (pictures of {INPUT_WH[0]}x{INPUT_WH[1]}, no accelerator)",
                [*step_columns, f"within {MOST_WAITING}"],
                step_rows,
            ),
        ],
        data=f"drawn pictures of {SIZE_WH[0]}x{SIZE_WH[1]}",
        command="benchmarks/growth.py",
        runs=runs,
        pipelines=pipelines,
    )


if __name__ == "__main__":
    main()
