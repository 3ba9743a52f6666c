"""Rows of benchmark reports as text: terminal, Markdown, CSV.

Stands apart because each of the three has characters of its own that text from another machine must not bring.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from unetlite.edge.compare.report import Row

UNKNOWN = "-"
WORDS = 3  # device, model and level are words, the rest are figures

_Column = tuple[str, Callable[[Row], str]]


def _figure(value: float | None, form: str, factor: float = 1.0) -> str:
    return UNKNOWN if value is None else form.format(value * factor)


def _ratio(row: Row) -> str:
    """With the interval where it is wide enough to change what one would say of the run."""
    if row.ratio is None or row.ratio_low is None or row.ratio_high is None or row.ratio_high - row.ratio_low < 0.05:
        return _figure(row.ratio, "{:.2f}")
    return f"{row.ratio:.2f} ({row.ratio_low:.2f}-{row.ratio_high:.2f})"


def _device(row: Row) -> str:
    if row.valid:
        return row.device
    return f"{row.device} ({'throttled' if row.throttled else 'invalid'})"


_NAMES: tuple[_Column, ...] = (
    ("device", _device),
    ("model", lambda row: row.model),
    ("level", lambda row: row.level or UNKNOWN),
    ("threads", lambda row: _figure(row.threads, "{:.0f}")),
    ("size", lambda row: f"{row.model_bytes / 1e6:.2f} MB"),
    ("IoU", lambda row: f"{row.iou:.3f}"),
    ("quad IoU", lambda row: f"{row.quad_iou:.3f}"),
    (">= 0.9", lambda row: _figure(row.quad_ge_90, "{:.0f} %", 100)),
    ("corners", lambda row: _figure(row.corner_error, "{:.1f} %", 100)),
    ("N", lambda row: str(row.images)),
    ("delegated", lambda row: UNKNOWN if row.delegated_ops is None else f"{row.delegated_ops}/{row.total_ops}"),
)
MEASURED: tuple[_Column, ...] = (
    *_NAMES,
    ("median", lambda row: _figure(row.median_ms, "{:.1f} ms")),
    ("p90", lambda row: _figure(row.p90_ms, "{:.1f} ms")),
    ("p99", lambda row: _figure(row.p99_ms, "{:.1f} ms")),
    ("spread", lambda row: _figure(row.spread, "{:.0f} %", 100)),
    ("first", lambda row: _figure(row.first_invoke_ms, "{:.1f} ms")),
    ("memory", lambda row: _figure(row.steady_rss_bytes, "{:.0f} MB", 1e-6)),
    ("peak", lambda row: _figure(row.peak_rss_bytes, "{:.0f} MB", 1e-6)),
    ("GMAC/s", lambda row: _figure(row.gmac_per_s, "{:.1f}")),
    ("of GEMM", lambda row: _figure(row.peak_share, "{:.1f} %", 100)),
    ("time / float32", lambda row: _ratio(row)),
)
EMULATED: tuple[_Column, ...] = (
    *_NAMES,
    *(
        (name, lambda row, stage=stage: _figure(row.instructions[stage], "{:.2f} M", 1e-6))  # type: ignore[misc]
        for name, stage in (("before", "preprocess"), ("invoke", "invoke"), ("after", "postprocess"), ("all", "total"))
    ),
    ("instructions / float32", lambda row: _figure(row.ratio, "{:.2f}")),
)
EMULATED_TITLE = "Emulated: millions of instructions a frame, which are no time"


def tables(rows: Sequence[Row]) -> list[tuple[str, list[str], list[tuple[Row, list[str]]]]]:
    """Title, headings, and cells by row: of the measured devices, then of the emulated ones; empty ones left out."""
    found = []
    for title, columns, emulated in (("", MEASURED, False), (EMULATED_TITLE, EMULATED, True)):
        own = [(row, [cell(row) for _, cell in columns]) for row in rows if row.emulated == emulated]
        if own:
            found.append((title, [name for name, _ in columns], own))
    return found


def text_table(rows: Sequence[Row]) -> str:
    """Columns aligned for a terminal."""
    return "\n\n".join(_aligned(title, headings, own) for title, headings, own in tables(rows))


def _aligned(title: str, headings: list[str], rows: Sequence[tuple[Row, list[str]]]) -> str:
    cells = [headings, *(row for _, row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    lines = [
        "  ".join(c.ljust(w) if i < WORDS else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    ]
    return "\n".join([*([f"{title}:"] if title else []), *(line.rstrip() for line in lines)])


def markdown_table(rows: Sequence[Row]) -> str:
    """Markdown tables; what Markdown or its HTML would take for markup is escaped."""
    parts = []
    for title, headings, own in tables(rows):
        lines = [f"{title}:\n"] if title else []
        lines += ["| " + " | ".join(headings) + " |", "|---" * WORDS + "|" + "---:|" * (len(headings) - WORDS)]
        lines += ["| " + " | ".join(_markdown(cell) for cell in cells) + " |" for _, cells in own]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _markdown(text: str) -> str:
    escaped = "".join("\\" + c if c in "\\`*_[]|~" else c for c in text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def csv_table(rows: Sequence[Row]) -> str:
    """Figures in full, one run a line; text that a spreadsheet would take for a formula gets a leading quote.

    A measured run has milliseconds and no instructions, an emulated one the other way round.
    """
    out = io.StringIO()
    names = [name for name in Row.__dataclass_fields__ if name not in ("conditions", "board")]
    names.insert(names.index("instructions") + 1, "instruction_ratio")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = dict(row.__dict__)
        if row.instructions is not None:
            values.update(ratio=None, instructions=row.instructions["total"], instruction_ratio=row.ratio)
        writer.writerow([_csv_cell(values.get(name)) for name in names])
    return out.getvalue()


def _csv_cell(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def run_lines(report: dict[str, Any]) -> list[str]:
    """Of a report just made: each model's conditions and the pictures below its threshold."""
    lines = []
    for run in {run["sha256"]: run for run in report["runs"]}.values():
        by_column: dict[str, list[str]] = {}
        for found in run["conditions"]:
            figures = f"{found['value']} {found['quad_iou_mean']:.3f} (N={found['images']})"
            by_column.setdefault(found["condition"], []).append(figures)
        lines += [f"{run['model']}: quad IoU by {name}: {', '.join(each)}" for name, each in by_column.items()]
        below = run["below_threshold"]
        lines.append(f"{run['model']}: {len(below)} of {run['images']} pictures below IoU {run['threshold']:g}")
        lines += [f"  {entry['iou']:.3f}  {entry['image']}" for entry in below]
    return lines
