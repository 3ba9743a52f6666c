"""Accuracy and latency of models on this device, over one data set, with the code that runs live.

Stands apart from the report: this measures, `report.py` compares what was measured on several devices.
"""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.edge.delegation import Delegation, delegated_ops
from unetlite.edge.device import Throttling, device_record, read_temperature_c, read_throttling
from unetlite.edge.latency import summarise
from unetlite.edge.runtime import installed_version
from unetlite.edge.scores import Scores, true_quad
from unetlite.edge.segmenter import KERAS_SUFFIXES, Segmenter
from unetlite.vision.dataset import Sample, Truth, find_samples, read_truth, split_folder
from unetlite.vision.files import sha256_of
from unetlite.vision.image import RgbImage, read_image
from unetlite.vision.quad import Quad

REPORT_FORMAT = "unetlite-benchmark"
REPORT_VERSION = 1
WARM_UP = 3  # calls of each model before anything is timed: kernels choose and pack their weights
ROUND_IMAGES = 4  # per model before the next one's turn: heat and other load then meet all models alike


@dataclass
class _Entrant:
    """One model in the benchmark, and what was measured of it."""

    path: Path
    segmenter: Segmenter
    scores: Scores
    first_invoke_ms: float = 0.0
    latencies: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class _Picture:
    name: str
    image: RgbImage
    truth: dict[int, Truth]  # by number of classes
    quad: Quad | None


def benchmark_samples(data: Path, limit: int | None) -> tuple[Path, list[Sample]]:
    """The samples to measure on: of a prepared data set its `test/`; `limit` of them, spread evenly.

    Returns:
        The folder that names are relative to, and the samples in order of path.

    Raises:
        DatasetError, GroundTruthError: as `find_samples`.
    """
    root = split_folder(data, "test")
    samples = find_samples(root)
    if limit is not None and limit < len(samples):
        samples = [samples[i] for i in np.linspace(0, len(samples) - 1, limit).round().astype(int)]
    return root, samples


def run_benchmark(
    models: Sequence[tuple[Path, Segmenter]],
    data: Path,
    *,
    threads: int,
    limit: int | None = None,
    repeat: int = 1,
    threshold: float = 0.9,
    track: Callable[[list[list[Sample]]], Iterable[list[Sample]]] = iter,
) -> dict[str, Any]:
    """Measure models side by side.

    The models take turns after every few pictures, and each turn begins with an untimed call, so that ratios
    between them hold although a device warms up.

    Args:
        models: path and segmenter of each.
        data: a data set as `find_samples` reads it, or a prepared one.
        threads: what the segmenters were loaded with.
        limit: pictures to use, spread evenly; None takes all.
        repeat: how often each picture is timed.
        threshold: pictures of lower IoU are listed.
        track: wraps the rounds, to show progress.

    Returns:
        The report, fit for JSON.

    Raises:
        DatasetError, GroundTruthError, ImageError: the data set is not whole.
    """
    root, samples = benchmark_samples(data, limit)
    entrants = [
        _Entrant(path, segmenter, Scores(segmenter.contract.output.class_names)) for path, segmenter in models
    ]
    class_counts = {len(entrant.scores.class_names) for entrant in entrants}
    device, before = device_record(), read_throttling()
    rounds = [samples[i : i + ROUND_IMAGES] for i in range(0, len(samples), ROUND_IMAGES)]
    warm = False
    for group in track(rounds):
        pictures = [read_picture(sample, root, class_counts) for sample in group]
        for entrant in entrants:
            _take_turn(entrant, pictures, repeat, WARM_UP if not warm else 1)
        warm = True
    slowed = _slowed(before, read_throttling())
    return {
        "format": REPORT_FORMAT,
        "version": REPORT_VERSION,
        "unetlite": installed_version("unetlite"),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": {**device, "temperature_after_c": read_temperature_c()},
        "data": _data_record(root, data, samples),
        "runs": [_run_record(entrant, threads, repeat, threshold, slowed) for entrant in entrants],
    }


def _take_turn(entrant: _Entrant, pictures: Sequence[_Picture], repeat: int, untimed: int) -> None:
    for _ in range(untimed):
        latency_ms = entrant.segmenter(pictures[0].image).latency_ms
        entrant.first_invoke_ms = entrant.first_invoke_ms or latency_ms["invoke"]
    for picture in pictures:
        for count in range(repeat):
            segmentation = entrant.segmenter(picture.image)
            entrant.latencies.append(segmentation.latency_ms)
            if count == 0:
                truth = picture.truth[len(entrant.scores.class_names)]
                entrant.scores.add(picture.name, segmentation, truth, picture.quad)


def read_picture(sample: Sample, root: Path, class_counts: set[int]) -> _Picture:
    image = read_image(sample.image)
    height, width = image.shape[:2]
    truth = {count: read_truth(sample, (height, width), count) for count in class_counts}
    return _Picture(relative_name(sample.image, root), image, truth, true_quad(truth[min(class_counts)]))


def relative_name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _slowed(before: Throttling | None, after: Throttling | None) -> bool | None:
    if before is None or after is None:
        return None
    return before.slowed or after.slowed


def _data_record(root: Path, data: Path, samples: Sequence[Sample]) -> dict[str, Any]:
    """What was measured on: contents by hash, so that reports of two devices can be told to be of one data set."""
    digest, size = hashlib.sha256(), 0
    for sample in samples:
        for path in (sample.image, sample.mask, sample.polygon):
            if path is not None:
                digest.update(f"{relative_name(path, root)}\0{sha256_of(path)}\n".encode())
                size += path.stat().st_size
    return {"name": data.resolve().name, "images": len(samples), "bytes": size, "sha256": digest.hexdigest()}


def _run_record(
    entrant: _Entrant, threads: int, repeat: int, threshold: float, slowed: bool | None
) -> dict[str, Any]:
    interpreter = getattr(entrant.segmenter.network, "interpreter", None)
    delegation = Delegation() if interpreter is None else delegated_ops(interpreter)
    runtime = entrant.segmenter.runtime
    return {
        "model": entrant.path.name,
        "sha256": sha256_of(entrant.path),
        "level": _level(entrant),
        "contract": entrant.segmenter.contract_origin,
        **entrant.scores.summary(),
        "threshold": threshold,
        "below_threshold": entrant.scores.below(threshold),
        "latency_ms": summarise(entrant.latencies),
        "repeat": repeat,
        "first_invoke_ms": round(entrant.first_invoke_ms, 3),
        "threads": None if interpreter is None else threads,  # Keras takes what it finds
        "runtime": runtime.name,
        "runtime_version": runtime.version,
        "model_bytes": entrant.path.stat().st_size,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # of all models in this process
        "total_ops": delegation.total_ops,
        "delegated_ops": delegation.delegated_ops,
        "partitions": delegation.partitions,
        "undelegated_ops": None if delegation.undelegated is None else list(delegation.undelegated),
        "throttled": slowed,
    }


def _level(entrant: _Entrant) -> str | None:
    if entrant.path.suffix.lower() in KERAS_SUFFIXES:
        return "keras"
    # Without a contract the weights' precision is not known: None rather than a guess.
    return entrant.segmenter.contract.level if entrant.segmenter.contract_origin == "contract.json" else None
