"""The training summary: what export and model cards must know of a `.keras` file, as `NAME.training.json` beside it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unetlite.training.data.records import RecordSample
from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.dataset import Sample
from unetlite.vision.errors import DatasetError
from unetlite.vision.files import read_json, sha256_of


def summary_path(model: Path) -> Path:
    """`models/unet.keras` -> `models/unet.training.json`."""
    return model.with_name(f"{model.stem}.training.json")


def describe_data(root: Path, samples: Sequence[Sample | RecordSample]) -> dict[str, Any]:
    """Name, licence, number of training pictures and a hash over them (names and contents) of one data set."""
    manifest: dict[str, Any] = {}
    for name in ("split.json", "synthesis.json"):
        if (root / name).is_file():
            manifest = _read_object(root / name)
    digest = hashlib.sha256()
    for sample in samples:
        if isinstance(sample, RecordSample):
            name, content = sample.name, bytes.fromhex(sample.sha256)
        else:
            name, content = sample.image.name, hashlib.sha256(sample.image.read_bytes()).digest()
        digest.update(name.encode())
        digest.update(content)
    return {
        "name": manifest.get("name", root.resolve().name),
        "licence": manifest.get("licence"),
        "pictures": len(samples),
        "sha256": digest.hexdigest(),
    }


def describe_start(start: Path | None) -> dict[str, Any]:
    """Of the model that a training begins with: its name and hash, and the data sets that it has seen already."""
    if start is None:
        return {"start": None, "data": []}
    path = summary_path(start)
    data = _read_object(path).get("data", []) if path.is_file() else []
    if not (isinstance(data, list) and all(isinstance(entry, dict) for entry in data)):
        raise DatasetError(f"{path}: expected 'data' to be a list of data sets; restore the file or remove it")
    return {"start": {"model": start.name, "sha256": sha256_of(start)}, "data": data}


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: expected a record in JSON, got {error}; restore the file") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: expected a record, a JSON object, got {type(content).__name__}; restore the file")
    return content


def git_revision() -> str | None:
    """The commit of the working folder, or None outside of a repository."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def summarize(
    spec: InputSpec, output: OutputSpec, settings: dict[str, Any], data: list[dict[str, Any]], history: dict[str, Any]
) -> dict[str, Any]:
    """All of it as JSON-ready values; `input` and `output` use the contract's field names."""
    return {
        "input": asdict(spec),
        "output": asdict(output),
        **settings,
        "data": data,
        **history,
        "git_revision": git_revision(),
    }
