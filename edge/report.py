"""Benchmark reports of one or more devices as one table: terminal, Markdown, CSV.

Stands apart from measuring: reports come from other machines, so everything in them is checked and escaped.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unetlite.edge.benchmark import REPORT_FORMAT, REPORT_VERSION
from unetlite.vision.errors import UnetliteError

HEADINGS = (
    "device", "model", "level", "size", "IoU", "quad IoU", "N", "delegated ops", "median", "p90", "time / float32",
)  # fmt: skip
UNKNOWN = "-"


class ReportError(UnetliteError, ValueError):
    """A benchmark report that cannot be read."""


@dataclass(frozen=True)
class Row:
    """One model on one device; None is unknown.

    Attributes:
        ratio: median latency over that of the same model's float32 file on the same device.
        data_sha256: of the data set that the scores are over.
    """

    device: str
    model: str
    level: str | None
    model_bytes: int
    iou: float
    quad_iou: float
    images: int
    delegated_ops: int | None
    total_ops: int | None
    median_ms: float
    p90_ms: float
    ratio: float | None
    throttled: bool | None
    data_sha256: str

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of `HEADINGS`."""
        ops = UNKNOWN if self.delegated_ops is None else f"{self.delegated_ops}/{self.total_ops}"
        return (
            self.device + (" (throttled)" if self.throttled else ""),
            self.model,
            self.level or UNKNOWN,
            f"{self.model_bytes / 1e6:.2f} MB",
            f"{self.iou:.3f}",
            f"{self.quad_iou:.3f}",
            str(self.images),
            ops,
            f"{self.median_ms:.1f} ms",
            f"{self.p90_ms:.1f} ms",
            UNKNOWN if self.ratio is None else f"{self.ratio:.2f}",
        )


def read_report(path: Path) -> dict[str, Any]:
    """A report of `unet-benchmark run`.

    Raises:
        ReportError: no such file, no JSON, another format or version.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ReportError(f"{path}: expected a benchmark report, but there is no such file; check the path") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ReportError(f"{path}: expected a benchmark report in JSON, got {error}; make it again") from error
    if not isinstance(content, dict) or content.get("format") != REPORT_FORMAT:
        raise ReportError(f"{path}: expected a report of unet-benchmark run, got other JSON; name such a report")
    if content.get("version") != REPORT_VERSION:
        raise ReportError(
            f"{path}: expected report version {REPORT_VERSION}, got {content.get('version')!r}; "
            f"run the benchmark again with this unetlite"
        )
    return content


def table_rows(reports: Sequence[tuple[str, dict[str, Any]]]) -> list[Row]:
    """The runs of all reports as rows; two reports of devices with one name are told apart by the file's.

    Args:
        reports: name of the file and content.

    Raises:
        ReportError: a field is missing or of the wrong kind.
    """
    labels = []
    for name, report in reports:
        device = _get(report, name, "device", kind=dict)
        labels.append(_clean(str(device.get("model") or device.get("cpu") or name)))
    rows: list[Row] = []
    for (name, report), label in zip(reports, labels, strict=True):
        device_name = f"{label} ({_clean(name)})" if labels.count(label) > 1 else label
        runs = [_row(run, name, device_name, report) for run in _get(report, name, "runs", kind=list)]
        rows += [_with_ratio(row, run, runs) for row, run in runs]
    return rows


def _row(run: Any, name: str, device: str, report: dict[str, Any]) -> tuple[Row, tuple[Any, ...]]:
    if not isinstance(run, dict):
        raise ReportError(f"{name}: expected each run as a JSON object, got {type(run).__name__}; run it again")
    level = _get(run, name, "level", kind=(str, type(None)))
    model = _clean(_get(run, name, "model", kind=str))
    row = Row(
        device,
        model,
        None if level is None else _clean(level),
        _get(run, name, "model_bytes", kind=int),
        _get(run, name, "iou_mean", kind=(int, float)),
        _get(run, name, "quad_iou_mean", kind=(int, float)),
        _get(run, name, "images", kind=int),
        _get(run, name, "delegated_ops", kind=(int, type(None))),
        _get(run, name, "total_ops", kind=(int, type(None))),
        _get(run, name, "latency_ms", "total", "p50", kind=(int, float)),
        _get(run, name, "latency_ms", "total", "p90", kind=(int, float)),
        None,
        _get(run, name, "throttled", kind=(bool, type(None))),
        _clean(_get(report, name, "data", "sha256", kind=str)),
    )
    # What two runs must share for their ratio to be one of levels alone.
    base = model.removesuffix(f".{level}.tflite")
    return row, (base, run.get("threads"), run.get("runtime"))


def _with_ratio(row: Row, key: tuple[Any, ...], runs: Sequence[tuple[Row, tuple[Any, ...]]]) -> Row:
    reference = next((other.median_ms for other, k in runs if other.level == "float32" and k == key), None)
    return row if not reference else Row(**{**row.__dict__, "ratio": row.median_ms / reference})


def _get(content: Any, name: str, *path: str, kind: Any) -> Any:
    for key in path:
        if not isinstance(content, dict) or key not in content:
            raise ReportError(f"{name}: expected the field {'.'.join(path)!r}, found none; run the benchmark again")
        content = content[key]
    absurd = isinstance(content, (int, float)) and not 0 <= content < 1e15  # NaN and infinity are neither
    if not isinstance(content, kind) or absurd:
        raise ReportError(f"{name}: the field {'.'.join(path)!r} holds {content!r:.60}; run the benchmark again")
    return content


def _clean(text: str) -> str:
    """Without control characters: a terminal would obey them."""
    return "".join(c if c.isprintable() else "?" for c in text)


def data_warning(rows: Sequence[Row]) -> str | None:
    """A sentence where the rows' scores are not over one data set, else None."""
    if len({row.data_sha256 for row in rows}) < 2:
        return None
    return "the reports are over different data sets (their hashes differ): compare latencies, not scores"


def text_table(rows: Sequence[Row]) -> str:
    """Columns aligned for a terminal."""
    cells = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    left = 3  # device, model and level are words, the rest are figures
    lines = [
        "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def markdown_table(rows: Sequence[Row]) -> str:
    """A Markdown table; what Markdown or its HTML would take for markup is escaped."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---|---|" + "---:|" * (len(HEADINGS) - 3)]
    lines += ["| " + " | ".join(_markdown(cell) for cell in row.cells()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    escaped = "".join("\\" + c if c in "\\`*_[]|~" else c for c in text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def csv_table(rows: Sequence[Row]) -> str:
    """Figures in full, one run a line; text that a spreadsheet would take for a formula gets a leading quote."""
    out = io.StringIO()
    names = list(Row.__dataclass_fields__)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_csv_cell(getattr(row, name)) for name in names])
    return out.getvalue()


def _csv_cell(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
