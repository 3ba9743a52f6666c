"""The parts of the comparison page below its table: loss by level, conditions, worst pictures, devices.

Stands apart from the page because each is about one question and none needs the others. Every string from a report
passes through `html.escape` here.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from unetlite.edge.compare.chart import colour_of
from unetlite.edge.compare.report import Row, device_labels, worst_answers

_BAR = 160  # px of a full bar
_OPEN_VALUES = 3  # a condition of more values is folded up
_DEVICE_FIELDS = (
    ("model", "board"), ("cpu", "processor"), ("architecture", "architecture"), ("cores", "cores"),
    ("governor", "governor"), ("max_mhz", "highest clock, MHz"), ("memory_bytes", "memory, bytes"), ("os", "system"),
    ("kernel", "kernel"), ("python", "Python"), ("temperature_c", "°C before"), ("temperature_after_c", "°C after"),
)  # fmt: skip


def level_loss(rows: Sequence[Row], devices: Sequence[str], levels: Sequence[str]) -> str:
    """What each level loses in IoU against the same network's float32 (else Keras) file, as bars; or empty text."""
    files = list({(row.device, row.model): row for row in rows}.values())  # threads do not change answers
    lines = []
    for row in files:
        same = [other for other in files if (other.device, _stem(other)) == (row.device, _stem(row))]
        whole = next((r for level in ("float32", "keras") for r in same if r.level == level), None)
        if whole is None or row is whole:
            continue
        loss, quad_loss = whole.iou - row.iou, whole.quad_iou - row.quad_iou
        lines.append((row, loss, quad_loss))
    if not lines:
        return ""
    most = max(0.01, *(max(abs(loss), abs(quad)) for _, loss, quad in lines))
    body = [
        f"<tr {_place(row, devices, levels)}>{who(row)}"
        f"<td>{_signed(loss)}</td><td>{_two_sided(loss / most, colour_of(row.level))}</td>"
        f"<td>{_signed(quad)}</td><td>{_two_sided(quad / most, colour_of(row.level))}</td></tr>"
        for row, loss, quad in lines
    ]
    return _section(
        "What a level loses",
        "Points of IoU against the float32 file of the same network (right of the line is worse).",
        "<div class='scroll'><table><thead><tr><th>model, device</th><th>IoU</th><th></th>"
        "<th>quad IoU</th><th></th></tr></thead><tbody>" + "\n".join(body) + "</tbody></table></div>",
    )


def _stem(row: Row) -> str:
    return row.model.removesuffix(".keras") if row.level == "keras" else row.network


def conditions(rows: Sequence[Row], devices: Sequence[str], levels: Sequence[str]) -> str:
    """Quad IoU by condition of the pictures, as bars; or empty text."""
    blocks: dict[tuple[str, str], list[str]] = {}
    for row in {(row.device, row.model): row for row in rows}.values():
        for found in row.conditions:
            blocks.setdefault((found.name, found.value), []).append(
                f"<tr {_place(row, devices, levels)}>{who(row)}"
                f"<td>{_one_sided(found.quad_iou, colour_of(row.level))}</td><td>{found.quad_iou:.3f}</td>"
                f"<td>{100 * found.quad_ge_90:.0f} %</td><td>{found.iou:.3f}</td><td>{found.images}</td></tr>"
            )
    if not blocks:
        return ""
    head = "<thead><tr><th>model, device</th><th></th><th>quad IoU</th><th>&gt;= 0.9</th>"
    columns: dict[str, list[str]] = {}
    for (name, value), lines in blocks.items():
        columns.setdefault(name, []).append(
            f"<div><h3>{html.escape(name)} = {html.escape(value)}</h3><div class='scroll'><table>{head}<th>IoU</th>"
            f"<th>N</th></tr></thead><tbody>{''.join(lines)}</tbody></table></div></div>"
        )
    parts = [
        f"<details{' open' if len(tables) <= _OPEN_VALUES else ''}><summary>{html.escape(name)}</summary>"
        f"<div class='many'>{''.join(tables)}</div></details>"
        for name, tables in columns.items()
    ]
    return _section(
        "By condition", "Mean quad IoU over the pictures of each condition that the data set names.", "\n".join(parts)
    )


def worst_pictures(reports: Sequence[tuple[str, dict[str, Any]]], rows: Sequence[Row], devices: Sequence[str],
                   levels: Sequence[str]) -> str:  # fmt: skip
    """Each report's worst pictures, the models' answers side by side; or empty text."""
    parts = []
    for (name, report), device in zip(reports, device_labels(reports), strict=True):
        of_model = {row.model: row for row in rows if row.device == device}
        for image, answers in worst_answers(name, report):
            figures = []
            for answer in answers:
                row = of_model.get(answer.model)
                place = _place(row, devices, levels) if row else f"data-d='{devices.index(device)}'"
                what = f"{answer.model} on {image}"
                picture = "" if answer.jpeg is None else (
                    f"<img loading='lazy' alt='{html.escape(what)}' src='data:image/jpeg;base64,{answer.jpeg}'>"
                )  # fmt: skip
                figures.append(
                    f"<figure {place}>{picture}<figcaption><b>{_level(row) if row else ''}</b> "
                    f"{html.escape(answer.model)}<br>IoU {answer.iou:.3f}, quad {answer.quad_iou:.3f}</figcaption>"
                    f"</figure>"
                )
            parts.append(
                f"<div data-d='{devices.index(device)}'><h3>{html.escape(image)} "
                f"<small>{html.escape(device)}</small></h3><div class='side'>{''.join(figures)}</div></div>"
            )
    if not parts:
        return ""
    return _section(
        "Worst pictures",
        "Those on which any model scores lowest. Green: found, orange: mask without a document, blue: the truth. "
        "Without pictures the report was made without --pictures.",
        "\n".join(parts),
    )


def device_table(reports: Sequence[tuple[str, dict[str, Any]]], devices: Sequence[str]) -> str:
    """What each report says of its device, and of its peak."""
    labels = device_labels(reports)
    heads = "".join(f"<th data-d='{devices.index(label)}'>{html.escape(label)}</th>" for label in labels)
    lines = []
    for field, word in _DEVICE_FIELDS:
        cells = "".join(
            f"<td data-d='{devices.index(label)}'>{_word(report['device'].get(field))}</td>"
            for label, (_, report) in zip(labels, reports, strict=True)
        )
        lines.append(f"<tr><td>{word}</td>{cells}</tr>")
    for word, value in (("date", "date"), ("unetlite", "unetlite")):
        cells = "".join(
            f"<td data-d='{devices.index(label)}'>{_word(report.get(value))}</td>"
            for label, (_, report) in zip(labels, reports, strict=True)
        )
        lines.append(f"<tr><td>{word}</td>{cells}</tr>")
    cells = "".join(
        f"<td data-d='{devices.index(label)}'>{_gemm(report.get('gemm'))}</td>"
        for label, (_, report) in zip(labels, reports, strict=True)
    )
    lines.append(f"<tr><td>matrix product, GMAC/s</td>{cells}</tr>")
    return _section(
        "Devices", "", f"<div class='scroll'><table class='facts'><thead><tr><th></th>{heads}</tr></thead><tbody>"
        + "\n".join(lines) + "</tbody></table></div>",
    )  # fmt: skip


def _gemm(peaks: Any) -> str:
    if not isinstance(peaks, list):
        return "-"
    known = [peak for peak in peaks if isinstance(peak, dict)]
    return "<br>".join(
        f"{_word(p.get('runtime'))}, {_word(p.get('dtype'))}, {_word(p.get('threads'))} threads: "
        f"{_word(p.get('gmac_per_s'))}"
        for p in known
    ) or "-"  # fmt: skip


def _word(value: Any) -> str:
    text = "-" if value is None else str(value)[:120]
    return html.escape("".join(c if c.isprintable() else "?" for c in text))


def _place(row: Row, devices: Sequence[str], levels: Sequence[str]) -> str:
    return f"data-d='{devices.index(row.device)}' data-l='{levels.index(row.level or '-')}'"


def who(row: Row, mark: str = "", device: str = "") -> str:
    """A run in one cell, so that its figures also fit on a narrow screen; `mark` and `device` are text."""
    device = html.escape(device or row.device)
    return f"<td>{_level(row)} {html.escape(row.model)}{mark}<br><small>{device}</small></td>"


def _level(row: Row) -> str:
    return f"<i style='background:{colour_of(row.level)}'></i>{html.escape(row.level or '-')}"


def _signed(points: float) -> str:
    return f"{-100 * points:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0")


def _two_sided(share: float, colour: str) -> str:
    length = abs(share) * _BAR / 2
    left = _BAR / 2 if share >= 0 else _BAR / 2 - length
    return (
        f"<svg class='bar' viewBox='0 0 {_BAR} 14' aria-hidden='true'><rect x='{left:.1f}' y='2' height='10' "
        f"width='{length:.1f}' fill='{colour}'/><path class='zero' d='M{_BAR / 2} 0V14'/></svg>"
    )


def _one_sided(share: float, colour: str) -> str:
    return (
        f"<svg class='bar' viewBox='0 0 {_BAR} 14' aria-hidden='true'><rect class='ground' y='2' height='10' "
        f"width='{_BAR}'/><rect y='2' height='10' width='{min(share, 1.0) * _BAR:.1f}' fill='{colour}'/></svg>"
    )


def _section(title: str, explanation: str, body: str) -> str:
    said = f"<p>{explanation}</p>" if explanation else ""
    return f"<section><h2>{title}</h2>{said}\n{body}\n</section>"
