"""Small benchmark reports with known figures, in version 1: what every later version must still read."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest


def run(level: str, median: float, **changes: Any) -> dict[str, Any]:
    """One run of a model `edge`; `changes` replace or add fields."""
    stage = {"p50": median, "p90": median * 1.1, "p99": median * 2}
    return {
        "model": f"edge.{level}.tflite", "level": level, "model_bytes": 1_250_000, "iou_mean": 0.943, "images": 120,
        "quad_iou_mean": 0.951, "delegated_ops": 40, "total_ops": 42, "latency_ms": {"total": stage}, "threads": 1,
        "runtime": "ai-edge-litert", "throttled": None, **changes,
    }  # fmt: skip


def report(device: str, runs: list[Any], data: str = "d0") -> dict[str, Any]:
    """A device's report."""
    return {
        "format": "unetlite-benchmark",
        "version": 1,
        "device": {"model": device, "cpu": "Cortex-A76"},
        "data": {"sha256": data},
        "runs": runs,
    }


def check_schema(content: dict[str, Any]) -> None:
    """Hold a report against the schema that the package publishes."""
    jsonschema = pytest.importorskip("jsonschema", reason="the dev extra brings it: pip install 'unetlite[dev]'")
    schema = json.loads((resources.files("unetlite.edge.benchmark") / "report.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema, jsonschema.Draft202012Validator)
