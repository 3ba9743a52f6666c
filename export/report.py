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

from unetlite.calibration.manifest import Manifest
from unetlite.export.agreement import LOW_AGREEMENT, Score
from unetlite.export.exporter import Export, Network
from unetlite.vision.contract import LEVELS
from unetlite.vision.files import sha256_of

REPORT_VERSION = 1
TOOLS = ("unetlite", "tensorflow", "tensorflow-cpu", "keras", "tflite-support", "ai-edge-litert", "tflite-runtime",
         "numpy", "opencv-python-headless")  # fmt: skip


def build_report(
    network: Network,
    exports: Sequence[Export],
    *,
    manifest: Manifest | None,
    pictures_from: str | None,
    keras_score: Score | None,
    now: datetime.datetime,
) -> dict[str, Any]:
    """The report as JSON-ready values.

    Args:
        network: what was exported.
        exports: what became of each level.
        manifest: the representative set, or None.
        pictures_from: "validation", "calibration" or None: on what agreement and scores were taken.
        keras_score: the network's own score before export.
        now: the time to state, with its zone.
    """
    return {
        "format": "unetlite-export",
        "version": REPORT_VERSION,
        "date": now.isoformat(timespec="seconds"),
        "model": {"file": network.path.name, "sha256": sha256_of(network.path), "contract_from": network.origin},
        "tools": {name: version for name in TOOLS if (version := _version(name)) is not None},
        "contract": json.loads(network.contract.to_json()),
        "calibration": None if manifest is None else manifest.summary(),
        "pictures_from": pictures_from,
        "keras": None if keras_score is None else asdict(keras_score),
        "levels": {export.level.name: _level(network, export) for export in by_level(exports)},
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
    if export.refused is not None:
        return {"file": None, "refused": export.refused}
    return {
        "file": f"{network.path.stem}.{export.level.name}.tflite",
        "refused": None,
        "bytes": len(export.content),
        "sha256": hashlib.sha256(export.content).hexdigest(),
        "input": export.source,
        "output": export.answer,
        "delegation": asdict(export.delegation),
        "agreement": None if export.agreement is None else asdict(export.agreement),
        "score": None if export.score is None else asdict(export.score),
        "warnings": warnings_about(export),
    }


def warnings_about(export: Export) -> list[str]:
    """What a person should know before this file goes to a device."""
    found = []
    if export.agreement is not None and export.agreement.iou_mean < LOW_AGREEMENT:
        found.append(
            f"{export.level.name} DISAGREES WITH KERAS: mean IoU {export.agreement.iou_mean:.3f} "
            f"(N={export.agreement.pictures}) where {LOW_AGREEMENT} is expected, worst {export.agreement.iou_min:.3f} "
            f"on {export.agreement.worst}; calibrate with other pictures or ship another level"
        )
    if export.slow is not None:
        found.append(f"{export.level.name} will be slow: {export.slow}")
    return found


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


def preferred(written: Mapping[str, Path]) -> Path | None:
    """The file to try first on a device: the smallest fast one that was written."""
    order = ("int8", "float16", "float32", "dynamic", "int16x8")
    return next((written[name] for name in order if name in written), None)
