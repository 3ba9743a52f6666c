"""The steps of an export on all its levels: load, convert, compare, judge, describe.

Stands apart from `run`, which knows their order and what is told on the way; nothing is written here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.calibration.audit import audit
from unetlite.calibration.manifest import Manifest
from unetlite.edge.delegation import Delegation, delegated_ops
from unetlite.edge.keras_network import KerasNetwork
from unetlite.edge.model_contract import Overrides, TensorSpec
from unetlite.edge.network import TfliteNetwork
from unetlite.edge.runtime import RuntimeInfo, make_interpreter
from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import Agreement, CheckPicture, Comparison, Score, compare
from unetlite.export.build import build
from unetlite.export.convert import check_tensors
from unetlite.export.delegation import slow_reason
from unetlite.export.gates import Budget, Verdict, judge_level
from unetlite.export.keras_model import check_network, fixed_batch, load_network
from unetlite.export.levels import Level
from unetlite.export.metadata import add_metadata
from unetlite.export.op_cost import OperationCosts, operation_costs
from unetlite.export.quiet import hushed
from unetlite.export.summary import contract_for
from unetlite.export.timing import segmenters_ms
from unetlite.vision.contract import Contract, InputSpec
from unetlite.vision.errors import CalibrationError, ExportError, ModelError


@dataclass(frozen=True)
class Titles:
    """What the metadata tells people about the model."""

    author: str = "not stated"
    licence: str = "not stated"
    version: str = "not stated"


@dataclass(frozen=True)
class Export:
    """What became of one level.

    Attributes:
        level: its row.
        refused: why no file was written, or None.
        rejected: why the file may not ship, a sentence each; it is then kept apart.
        causes: what of the known facts may explain that.
        slow: why it would crawl on a device, where that was allowed or is the reason of the refusal.
        content: the file's bytes; empty where the level was refused.
        source, answer: input and output tensor as the report tells them.
        delegation: of its interpreter.
        costs: what its partitions and left-over operations cost; None where the runtime does not tell.
        invoke_ms: median of one picture on one thread, all levels taking turns; None where there is no file.
        in_float: layers of an int8 file that stay in float.
        agreement: with the Keras network; None where there were no pictures.
        score: against the truth; None where none is known.
        verdict: of the gates; None where there were no pictures.
    """

    level: Level
    refused: str | None = None
    rejected: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    slow: str | None = None
    content: bytes = field(default=b"", repr=False)
    source: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None
    delegation: Delegation = Delegation()
    costs: OperationCosts | None = None
    invoke_ms: float | None = None
    in_float: tuple[str, ...] = ()
    agreement: Agreement | None = None
    score: Score | None = None
    verdict: Verdict | None = None

    @property
    def ships(self) -> bool:
        """Whether there is a file and it passed its gates."""
        return self.refused is None and not self.rejected


@dataclass(frozen=True)
class Network:
    """A loaded Keras model that fits its contract, with a batch of one."""

    path: Path
    contract: Contract
    origin: str
    keras: Any


def open_network(model: Path, given: Overrides) -> Network:
    """Load a Keras model for export.

    Raises:
        ModelError, ContractError, ExportError, MissingExtraError: see `load_network`, `contract_for`, `check_network`.
    """
    network = load_network(model)
    contract, origin = contract_for(network, model, given)
    check_network(network, contract, model)
    with hushed():
        return Network(model, contract, origin, fixed_batch(network, contract.input))


def check_manifest(manifest: Manifest, contract: Contract) -> None:
    """Pass a representative set that fits this model and would not break it. Raises CalibrationError."""
    if manifest.input != contract.input:
        raise CalibrationError(
            f"{manifest.folder}: expected a calibration made for this model ({_flags(contract.input)}), got one for "
            f"{_flags(manifest.input)}; run unet-calibrate with {_flags(contract.input)}"
        )
    audit(manifest)


def _flags(spec: InputSpec) -> str:
    """An input as unet-calibrate takes it."""
    low, high = spec.real_range
    return f"--size {spec.size_wh[0]}x{spec.size_wh[1]} --input-range {low:g} {high:g} --fit {spec.fit}"


def convert_levels(
    network: Network,
    levels: Sequence[Level],
    pixels: Sequence[np.ndarray],
    *,
    allow_slow: bool = False,
    watch: Callable[[Sequence[Level]], Iterable[Level]] = iter,
) -> tuple[list[Export], dict[str, Segmenter]]:
    """Convert each level, hold the result against the contract, and refuse what would crawl.

    Args:
        network: from `open_network`.
        levels: which.
        pixels: the representative pictures, (h, w, 3) uint8 RGB each; calibrated levels need them.
        allow_slow: convert all the same what would fall to reference kernels.
        watch: wraps the levels, for a progress bar.

    Returns:
        An Export per level, without metadata yet, and a segmenter for each that was not refused.

    Raises:
        ExportError: no level could be converted.
    """
    exports: list[Export] = []
    segmenters: dict[str, Segmenter] = {}
    failures: list[ExportError] = []
    for level in watch(levels):
        try:
            content = build(network.keras, level, network.contract.input, pixels)
            export, segmenter = measured(network, level, content)
        except ExportError as error:
            failures.append(error)
            exports.append(Export(level, refused=str(error).removeprefix(f"{level.name}: ")))
            continue
        if export.slow and not allow_slow:
            refused = f"{export.slow}; --allow-slow exports it all the same"
            exports.append(dataclasses.replace(export, refused=refused, content=b""))
            continue
        exports.append(export)
        segmenters[level.name] = segmenter
    if len(failures) == len(levels):
        raise failures[0]
    return exports, segmenters


def measured(network: Network, level: Level, content: bytes) -> tuple[Export, Segmenter]:
    """A converted file held against the contract, taken to pieces and timed. Raises ExportError."""
    interpreter, runtime = open_file(content, level)
    source, answer = check_tensors(interpreter, level, network.contract)
    delegation, costs = delegated_ops(interpreter), operation_costs(content, interpreter)
    slow = slow_reason(level.name, delegation)
    if slow is not None and costs is not None:
        slow += f", {costs.left_over_share:.0%} of this file's time as measured here"
    export = Export(
        level, slow=slow, content=content, source=source, answer=answer, delegation=delegation, costs=costs
    )
    return export, file_segmenter(interpreter, runtime, network.contract, level)


def timed(exports: Sequence[Export], segmenters: Mapping[str, Segmenter]) -> list[Export]:
    """The exports with the time of one picture, all files taking turns."""
    times = segmenters_ms(segmenters)
    return [dataclasses.replace(export, invoke_ms=times.get(export.level.name)) for export in exports]


def open_file(content: bytes, level: Level) -> tuple[Any, RuntimeInfo]:
    """An interpreter of a converted file, allocated, and what runs it. Raises ExportError."""
    try:
        with hushed():  # the runtime announces its delegate on stderr
            return make_interpreter(content)
    except ModelError as error:
        raise ExportError(f"{level.name}: the converted file does not run ({error}); export another level") from error


def file_segmenter(interpreter: Any, runtime: RuntimeInfo, contract: Contract, level: Level) -> Segmenter:
    """A converted file as a device runs it, by its interpreter; it needs no metadata yet."""
    source, answer = (
        TensorSpec(tuple(map(int, detail["shape"])), np.dtype(detail["dtype"]), *detail["quantization"])
        for detail in (interpreter.get_input_details()[0], interpreter.get_output_details()[0])
    )
    network = TfliteNetwork(interpreter, source, answer, contract.input, f"{level.name} file")
    return Segmenter(network, contract, "export", runtime)


def keras_segmenter(network: Network, spec: InputSpec) -> Segmenter:
    """The Keras network as the files are run, with `spec` as its contract's input."""
    where, contract = str(network.path), dataclasses.replace(network.contract, input=spec)
    return Segmenter(KerasNetwork(network.keras, spec, where), contract, where, RuntimeInfo("keras", ""))


def compare_files(
    network: Network,
    segmenters: Mapping[str, Segmenter],
    pictures: Sequence[CheckPicture],
    watch: Callable[[Sequence[CheckPicture]], Iterable[CheckPicture]] = iter,
) -> Comparison | None:
    """Run the Keras network and all files over the pictures; None where there is nothing to run.

    Raises:
        ImageError, GroundTruthError, ModelError: see `agreement.compare`.
    """
    if not pictures or not segmenters:
        return None
    return compare(keras_segmenter(network, network.contract.input), segmenters, pictures, watch)


def judge(exports: Sequence[Export], compared: Comparison | None, budget: Budget) -> list[Export]:
    """The exports with agreement, score and verdict; those that lose more than the budget are rejected."""
    if compared is None:
        return list(exports)
    result = []
    for export in exports:
        name = export.level.name
        if name in compared.failed:
            reason = f"it gives no usable answer: {compared.failed[name]}"
            export = dataclasses.replace(export, rejected=(reason,))
        elif name in compared.levels:
            judged = compared.levels[name]
            verdict = judge_level(judged, compared.keras, budget)
            export = dataclasses.replace(
                export, rejected=verdict.over, agreement=judged.agreement, score=judged.score, verdict=verdict
            )
        result.append(export)
    return result


def describe(
    network: Network, exports: Sequence[Export], manifest: Manifest | None, titles: Titles, pictures_from: str | None
) -> list[Export]:
    """Add metadata and contract to each file, and hold the whole file against the contract once more.

    Raises:
        MissingExtraError: tflite-support is not installed.
        ExportError: the metadata changed what the file does.
    """
    described = []
    for export in exports:
        if export.refused is not None:
            described.append(export)
            continue
        contract = dataclasses.replace(
            network.contract,
            level=export.level.name,
            calibration=manifest.summary() if export.level.calibrated and manifest is not None else None,
            scores=_scores(export, pictures_from),
        )
        content = add_metadata(
            export.content,
            contract,
            name=f"{network.path.stem} ({export.level.name})",
            author=titles.author,
            version=titles.version,
            licence=titles.licence,
        )
        check_tensors(open_file(content, export.level)[0], export.level, contract)
        described.append(dataclasses.replace(export, content=content))
    return described


def _scores(export: Export, pictures_from: str | None) -> dict[str, Any] | None:
    if export.agreement is None:
        return None
    scores: dict[str, Any] = {
        "pictures_from": pictures_from,
        "pictures": export.agreement.pictures,
        "agreement_iou_mean": round(export.agreement.iou_mean, 6),
        "agreement_iou_min": round(export.agreement.iou_min, 6),
    }
    if export.score is not None:
        quad = export.score.quad_iou_mean
        scores["iou_mean"] = round(export.score.iou_mean, 6)
        scores["quad_iou_mean"] = None if quad is None else round(quad, 6)
    if export.rejected:
        scores["rejected"] = list(export.rejected)
    return scores
