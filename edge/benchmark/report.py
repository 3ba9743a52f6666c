"""What every benchmark report begins with: its format, its version, and the fields around its runs.

Stands apart because more than one writes reports: `run.py` measures a device, `benchmarks/arm64` emulates one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from unetlite.edge.runtime import installed_version

REPORT_FORMAT = "unetlite-benchmark"
REPORT_VERSION = 2


def build_report(
    *,
    emulated: bool,
    device: Mapping[str, Any],
    data: Mapping[str, Any],
    rounds: Mapping[str, Any],
    gemm: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    worst: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """A report, fit for JSON; `report.schema.json` beside this says what stands in each field."""
    return {
        "format": REPORT_FORMAT,
        "version": REPORT_VERSION,
        "emulated": emulated,
        "unetlite": installed_version("unetlite"),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": dict(device),
        "data": dict(data),
        "rounds": dict(rounds),
        "gemm": list(gemm),
        "runs": list(runs),
        "worst": list(worst),
    }


def network_name(model: str, level: str | None) -> str:
    """A model file's name without its level: what two levels of one network share."""
    return model.removesuffix(f".{level}.tflite")
