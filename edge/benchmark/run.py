"""Accuracy and latency of models on this device, over one data set, with the code that runs live.

Stands apart from `edge.compare`: this measures, that compares what was measured on several devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.edge.benchmark.conditions import read_conditions
from unetlite.edge.benchmark.gemm import DTYPES, gemm_model
from unetlite.edge.benchmark.latency import paired_ratio, percentiles, summarise, total_ms
from unetlite.edge.benchmark.memory import measure_start
from unetlite.edge.benchmark.part import part_record
from unetlite.edge.benchmark.pictures import benchmark_samples, data_record, read_picture, relative_name
from unetlite.edge.benchmark.report import build_report, network_name
from unetlite.edge.benchmark.rounds import ROUND_IMAGES, Contestant, Gemm, Watched, time_in_rounds
from unetlite.edge.benchmark.scores import Scores, score_record
from unetlite.edge.benchmark.watch import DeviceState, read_state, state_record
from unetlite.edge.benchmark.work import Work, count_work
from unetlite.edge.benchmark.worst import draw_answers, worst_pictures
from unetlite.edge.delegation import Delegation, delegated_ops
from unetlite.edge.device import device_record
from unetlite.edge.runtime import make_interpreter
from unetlite.edge.segmenter import KERAS_SUFFIXES, Segmenter, load_segmenter
from unetlite.vision.dataset import Sample
from unetlite.vision.errors import DatasetError
from unetlite.vision.files import sha256_of
from unetlite.vision.image import RgbImage, read_image
from unetlite.vision.shard import Shard, owns

ROUNDS = 50

Track = Callable[[Sequence[Any], str], Iterable[Any]]


def _untracked(items: Sequence[Any], what: str) -> Iterable[Any]:
    return items


@dataclass
class _Entrant:
    """One model in the benchmark, and what was measured of it."""

    path: Path
    segmenter: Segmenter
    scores: Scores
    work: Work | None
    contestants: list[Contestant] = field(default_factory=list)  # by number of threads
    starts: list[dict[str, Any]] = field(default_factory=list)


def run_benchmark(
    models: Sequence[tuple[Path, Segmenter]],
    data: Path,
    *,
    threads: Sequence[int] = (1,),
    limit: int | None = None,
    shard: Shard | None = None,
    rounds: int = ROUNDS,
    threshold: float = 0.9,
    pictures: bool = False,
    look: Callable[[], DeviceState] = read_state,
    track: Track = _untracked,
) -> dict[str, Any]:
    """Measure models side by side: first what they answer, then how long they take.

    Pictures are looked at as live capture looks at frames (`hurried`): what a device is chosen by, and no search that
    takes many times an inference and magnifies what little tells one level's map from another's.

    Args:
        models: path and segmenter of each, loaded with the first of `threads`.
        data: a data set as `find_samples` reads it, or a prepared one.
        threads: each model is timed with each of these numbers.
        limit: pictures to use, spread evenly; None takes all.
        shard: measure this share of them, and say in the report what `merge_reports` needs.
        rounds: in each, every model times the same `ROUND_IMAGES` frames.
        threshold: pictures of lower IoU are listed.
        pictures: put small overlays of the worst pictures into the report.
        look: at the device; for tests.
        track: wraps what takes long, with a word for it, to show progress.

    Returns:
        The report, fit for JSON; `report.schema.json` beside this describes it.

    Raises:
        DatasetError, GroundTruthError, ImageError: the data set is not whole.
        ModelError: a model that cannot be run again in a process of its own.
    """
    root, everything = benchmark_samples(data, limit)
    samples = [sample for number, sample in enumerate(everything) if owns(shard, number)]
    if not samples:
        raise DatasetError(f"{data}: expected a picture for each shard, got {len(everything)} for {shard}; use fewer")
    names = [relative_name(sample.image, root) for sample in samples]
    conditions = read_conditions(root, names)
    entrants = [
        _Entrant(path, segmenter, Scores(segmenter.contract.output.class_names), _work(path))
        for path, segmenter in models
    ]
    device, before = device_record(), look()
    _score(entrants, samples, root, track)
    size_wh = _frame_size(samples)
    for entrant in track(entrants, "starts"):
        for count in threads if entrant.work else (None,):
            entrant.starts.append(measure_start(entrant.path, entrant.segmenter, count or 1, size_wh))
            entrant.contestants.append(Contestant(_loaded(entrant, count, threads[0]), count))
    gemms = _gemms(entrants, threads)
    watched = time_in_rounds(
        [contestant for entrant in entrants for contestant in entrant.contestants],
        gemms,
        lambda number: _round_pictures(samples, number),
        rounds,
        look=look,
        track=lambda numbers: track(numbers, "rounds"),
    )
    after = look()
    answers = [(entrant.path.name, entrant.scores.ious, entrant.scores.quad_ious) for entrant in entrants]
    loaded = [entrant.segmenter for entrant in entrants]
    peaks = {(gemm.runtime, gemm.threads, gemm.dtype): gemm.record() for gemm in gemms}
    runs = [
        {
            **model_record(entrant.path, entrant.segmenter, entrant.scores, threshold, conditions),
            **_time_record(entrant, contestant, start, watched, peaks),
            **_watch_record(watched, before),
        }
        for entrant in entrants
        for contestant, start in zip(entrant.contestants, entrant.starts, strict=True)
    ]
    states = {"before": state_record(before), "after": state_record(after)}
    report = build_report(
        emulated=False,
        device={**device, "temperature_after_c": after.temperature_c, **states},
        data=data_record(root, data, samples),
        rounds={"count": rounds, "frames": ROUND_IMAGES, "frame_size_wh": list(size_wh)},
        gemm=list(peaks.values()),
        runs=[{**run, **_ratio_record(run, runs)} for run in runs],
        worst=worst_pictures(names, answers, draw_answers(loaded, samples, root) if pictures else None),
    )
    if shard is None:
        return report
    scored = [(entrant.path.name, sha256_of(entrant.path), entrant.scores) for entrant in entrants]
    return {**report, "part": part_record(shard, root, everything, samples, scored, threshold)}


def _work(path: Path) -> Work | None:
    """None of a Keras model: it has no file of layers that a device would run."""
    return None if path.suffix.lower() in KERAS_SUFFIXES else count_work(path.read_bytes(), str(path))


def _score(entrants: Sequence[_Entrant], samples: Sequence[Sample], root: Path, track: Track) -> None:
    class_counts = {len(entrant.scores.class_names) for entrant in entrants}
    for sample in track(samples, "pictures"):
        picture = read_picture(sample, root, class_counts)
        for entrant in entrants:
            truth = picture.truth[len(entrant.scores.class_names)]
            entrant.scores.add(picture.name, entrant.segmenter(picture.image, hurried=True), truth, picture.quad)


def _frame_size(samples: Sequence[Sample]) -> tuple[int, int]:
    height, width = read_image(samples[0].image).shape[:2]
    return width, height


def _loaded(entrant: _Entrant, threads: int | None, loaded_with: int) -> Segmenter:
    if threads in (None, loaded_with):
        return entrant.segmenter
    contract = entrant.segmenter.contract
    return load_segmenter(
        entrant.path,
        threads=threads,
        runtime=entrant.segmenter.runtime.name,
        input_range=contract.input.real_range,
        fit=contract.input.fit,
        threshold=contract.output.threshold,
        labels=contract.output.class_names,
    )


def _gemms(entrants: Sequence[_Entrant], threads: Sequence[int]) -> list[Gemm]:
    runtimes = sorted({entrant.segmenter.runtime.name for entrant in entrants if entrant.work})
    gemms = []
    for runtime in runtimes:
        for dtype in DTYPES:
            for count in threads:
                interpreter, _ = make_interpreter(gemm_model(dtype), threads=count, runtime=runtime)
                source = interpreter.get_input_details()[0]
                interpreter.set_tensor(source["index"], np.ones(source["shape"], dtype))
                gemms.append(Gemm(interpreter, runtime, count, dtype))
    return gemms


def _round_pictures(samples: Sequence[Sample], number: int) -> list[RgbImage]:
    """Other pictures each round, so that the figures are of the data set and not of four pictures of it."""
    places = (np.arange(ROUND_IMAGES) + number * ROUND_IMAGES) % len(samples)
    return [read_image(samples[place].image) for place in places]


def model_record(
    path: Path,
    segmenter: Segmenter,
    scores: Scores,
    threshold: float,
    conditions: Mapping[tuple[str, str], list[str]],
) -> dict[str, Any]:
    """The part of a run that does not depend on speed, fit for JSON.

    Args:
        path: the model's file.
        segmenter: the model, loaded.
        scores: of all pictures.
        threshold: pictures of lower IoU are listed.
        conditions: from `read_conditions`.
    """
    interpreter = getattr(segmenter.network, "interpreter", None)
    delegation = Delegation() if interpreter is None else delegated_ops(interpreter)
    work = _work(path)
    return {
        "model": path.name,
        "sha256": sha256_of(path),
        "level": _level(path, segmenter),
        "contract": segmenter.contract_origin,
        **score_record(scores, threshold, conditions),
        "runtime": segmenter.runtime.name,
        "runtime_version": segmenter.runtime.version,
        "model_bytes": path.stat().st_size,
        "total_ops": delegation.total_ops,
        "delegated_ops": delegation.delegated_ops,
        "partitions": delegation.partitions,
        "undelegated_ops": None if delegation.undelegated is None else list(delegation.undelegated),
        "gmac": None if work is None else round(work.macs / 1e9, 6),
    }


def _time_record(
    entrant: _Entrant,
    contestant: Contestant,
    start: Mapping[str, Any],
    watched: Sequence[Watched],
    peaks: Mapping[tuple[str, int, str], Mapping[str, Any]],
) -> dict[str, Any]:
    medians = [float(np.median([total_ms(frame) for frame in frames])) for frames in contestant.rounds]
    clean = [watch.clean for watch in watched] if any(watch.clean for watch in watched) else [True] * len(watched)
    kept = [frames for frames, good in zip(contestant.rounds, clean, strict=True) if good]
    frames = [frame for frames in kept for frame in frames]
    latency_ms = summarise(frames)
    # A network's own work is the same whatever the picture, so what differs between rounds is the device.
    steady = percentiles([float(np.median([frame["invoke"] for frame in frames])) for frames in kept], (25, 50, 75))
    record: dict[str, Any] = {
        "threads": contestant.threads,
        "latency_ms": latency_ms,
        "instructions": None,
        "frames": len(frames),
        "round_total_ms": [round(m, 3) for m in medians],
        "round_invoke_ms": [round(min(frame["invoke"] for frame in frames), 3) for frames in contestant.rounds],
        "frame_total_ms": [round(total_ms(frame), 3) for frames in contestant.rounds for frame in frames],
        "round_clean": [watch.clean for watch in watched],
        "spread": round((steady["p75"] - steady["p25"]) / steady["p50"], 4),
        **start,
        "gmac_per_s": None,
        "peak_share": None,
    }
    if entrant.work is not None and contestant.threads is not None:
        peak = peaks[entrant.segmenter.runtime.name, contestant.threads, entrant.work.dtype]
        speed = entrant.work.macs / latency_ms["invoke"]["p50"] / 1e6
        record["gmac_per_s"] = round(speed, 3)
        record["peak_share"] = round(speed / peak["gmac_per_s"], 4)
    return record


def _ratio_record(run: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Against the float32 run that differs in the level alone; unknown where there is none."""

    def key(one: Mapping[str, Any]) -> tuple[Any, ...]:
        return network_name(one["model"], one["level"]), one["threads"], one["runtime"]

    whole = next((other for other in runs if other["level"] == "float32" and key(other) == key(run)), None)
    clean = [good for good in run["round_clean"] for _ in range(ROUND_IMAGES)]
    ratio = None if whole is None else paired_ratio(run["frame_total_ms"], whole["frame_total_ms"], clean)
    return {
        "time_ratio": None if ratio is None else round(ratio.median, 4),
        "time_ratio_interval": None if ratio is None else [round(ratio.low, 4), round(ratio.high, 4)],
    }


def _watch_record(watched: Sequence[Watched], before: DeviceState) -> dict[str, Any]:
    throttled = sorted({reason for watch in watched for reason in watch.throttled})
    moved = sorted({reason for watch in watched for reason in watch.moved})
    # A device that has no such sensor cannot say that it was not throttled.
    tells = before.throttling is not None or before.throttle_count is not None
    return {
        "throttled": bool(throttled) if throttled or tells else None,
        "valid": not (throttled or moved),
        "invalid_because": [*(f"throttled: {reason}" for reason in throttled), *moved],
    }


def _level(path: Path, segmenter: Segmenter) -> str | None:
    if path.suffix.lower() in KERAS_SUFFIXES:
        return "keras"
    # Without a contract the weights' precision is not known: None rather than a guess.
    return segmenter.contract.level if segmenter.contract_origin == "contract.json" else None
