"""`NAME.export.json`: all that is known of an export, for machines and for the next release of this toolkit."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unetlite.export.causes import Facts
from unetlite.export.exporter import Export, Network
from unetlite.export.output import REJECTED, file_name
from unetlite.export.run import Outcome
from unetlite.vision.contract import LEVELS
from unetlite.vision.files import sha256_of

REPORT_VERSION = 3
TOOLS = ("unetlite", "tensorflow", "tensorflow-cpu", "keras", "tflite-support", "ai-edge-litert", "tflite-runtime",
         "numpy", "opencv-python-headless")  # fmt: skip


def build_report(outcome: Outcome, now: datetime.datetime) -> dict[str, Any]:
    """The report as JSON-ready values; `now` is the time to state, with its zone."""
    network, score, study = outcome.network, outcome.keras_score, outcome.study
    return {
        "format": "unetlite-export",
        "version": REPORT_VERSION,
        "date": now.isoformat(timespec="seconds"),
        "model": {"file": network.path.name, "sha256": sha256_of(network.path), "contract_from": network.origin},
        "tools": {name: version for name in TOOLS if (version := _version(name)) is not None},
        "contract": json.loads(network.contract.to_json()),
        "calibration": _calibration(outcome.facts),
        "pictures_from": outcome.pictures_from,
        "budget": asdict(outcome.budget),
        "keras": None if score is None else asdict(score),
        "layers": None if study is None or study.sensitivity is None else asdict(study.sensitivity),
        "keep_float": None if study is None or study.trade is None else asdict(study.trade),
        "levels": {export.level.name: _level(network, export) for export in by_level(outcome.exports)},
    }


def _calibration(facts: Facts) -> dict[str, Any] | None:
    if facts.manifest is None:
        return None
    return {
        **facts.manifest.summary(),
        "coverage": None if facts.coverage is None else {**asdict(facts.coverage), "flaws": facts.coverage.flaws()},
        "leaks": [asdict(leak) for leak in facts.leaks],
        "stability": None if facts.stability is None else {**asdict(facts.stability), "flaws": facts.stability.flaws()},
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def by_level(exports: Sequence[Export]) -> list[Export]:
    """In the contract's order of levels."""
    return sorted(exports, key=lambda export: LEVELS.index(export.level.name))


def _level(network: Network, export: Export) -> dict[str, Any]:
    pieces = None if export.costs is None else asdict(export.costs)
    if export.refused is not None:
        told = {"file": None, "status": "refused", "refused": export.refused}
        return {**told, "delegation": asdict(export.delegation), "pieces": pieces}
    name = file_name(network.path, export.level)
    return {
        "file": name if export.ships else f"{REJECTED}/{name}",
        "status": "accepted" if export.ships else "rejected",
        "refused": None,
        "rejected": list(export.rejected),
        "likely_causes": list(export.causes),
        "bytes": len(export.content),
        "sha256": hashlib.sha256(export.content).hexdigest(),
        "input": export.source,
        "output": export.answer,
        "in_float": list(export.in_float),
        "delegation": asdict(export.delegation),
        "pieces": pieces,
        "invoke_ms": export.invoke_ms,
        "agreement": None if export.agreement is None else asdict(export.agreement),
        "score": None if export.score is None else asdict(export.score),
        "losses": None if export.verdict is None else asdict(export.verdict.losses),
        "worst": [] if export.verdict is None else [asdict(picture) for picture in export.verdict.worst],
        "warnings": warnings_about(export),
    }


def warnings_about(export: Export) -> list[str]:
    """What a person should know before this file goes to a device."""
    return [] if export.slow is None or export.refused else [f"{export.level.name} will be slow: {export.slow}"]


def rejection(path: Path, export: Export) -> list[str]:
    """What a person is told of a file that passed its budget: why, the likely cause, the worst pictures."""
    lines = [f"Rejected {export.level.name}, kept as {path}:", *(f"  {reason}" for reason in export.rejected)]
    lines += [f"  likely cause: {cause}" for cause in export.causes]
    if not export.causes:
        lines.append("  no cause shows in what is known of calibration and weights; ship another level")
    if export.verdict is not None:
        with_truth = export.verdict.losses.against == "truth"
        for picture in export.verdict.worst:
            iou = f"IoU {picture.keras:.3f} to" if with_truth else "IoU with Keras's mask"
            lines.append(f"  worst: {picture.path}  {iou} {picture.level:.3f}")
    return lines


def summary_line(path: Path, export: Export) -> str:
    """One line for people: file, size, agreement, score, delegated operations."""
    parts = [str(path), f"{len(export.content) / 1e6:.2f} MB", _agreement(export)]
    if export.score is not None:
        parts.append(f"IoU {export.score.iou_mean:.3f} (N={export.score.pictures})")
        if export.score.quad_iou_mean is not None:
            parts.append(f"quad IoU {export.score.quad_iou_mean:.3f}")
    delegation = export.delegation
    if delegation.total_ops is not None:
        parts.append(f"{delegation.delegated_ops} of {delegation.total_ops} ops delegated")
    return "  ".join(parts)


def _agreement(export: Export) -> str:
    if export.agreement is None:
        return "agreement not measured"
    return f"agreement IoU {export.agreement.iou_mean:.4f} (N={export.agreement.pictures})"


def report_path(model: Path, folder: Path) -> Path:
    """`unet.keras` -> `folder/unet.export.json`."""
    return folder / f"{model.stem}.export.json"


def page_path(model: Path, folder: Path) -> Path:
    """`unet.keras` -> `folder/unet.export.html`."""
    return folder / f"{model.stem}.export.html"


def chart_path(model: Path, folder: Path) -> Path:
    """`unet.keras` -> `folder/unet.layers.svg`."""
    return folder / f"{model.stem}.layers.svg"


def preferred(written: Mapping[str, Path]) -> Path | None:
    """The file to try first on a device: the smallest fast one that was written."""
    order = ("int8", "float16", "weights8", "float32", "dynamic", "int16x8")
    return next((written[name] for name in order if name in written), None)
