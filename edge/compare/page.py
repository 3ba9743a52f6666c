"""The comparison of benchmark reports as one HTML page that needs nothing else.

Stands apart because the page is meant for people who have no terminal. What a report says can be hostile: every
string is escaped, and the page's own policy lets no script run but the one written here, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from typing import Any

from unetlite.edge.compare.chart import colour_of, legend_marker, scatter
from unetlite.edge.compare.choice import Budget, pareto_front, recommend, usable
from unetlite.edge.compare.report import Row, device_labels, report_warnings, table_rows
from unetlite.edge.compare.sections import conditions, device_table, level_loss, who, worst_pictures
from unetlite.edge.compare.tables import WORDS, tables
from unetlite.edge.page_head import page_head

_STYLE = """
body { max-width: 100rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; overflow-wrap: anywhere; } small { font-weight: normal; color: #5f6b7a; }
p { margin: .2rem 0 .6rem; max-width: 60rem; color: #44506a; }
.facts td { text-align: left; }
td:first-child, .facts td { white-space: normal; overflow-wrap: anywhere; min-width: 10rem; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; } th:first-child { background: #f2f5f9; }
tr.invalid { color: #9a4a00; } tr.best td { background: #e9f6ec; }
fieldset { border: 1px solid #d9dee7; border-radius: 6px; margin: .4rem 0; padding: .3rem .8rem; }
legend { font-weight: 600; padding: 0 .3rem; }
label { display: inline-flex; align-items: center; gap: .3rem; margin-right: 1.1rem; overflow-wrap: anywhere; }
i { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .35em; }
.warning, .choice { color: inherit; }
.choice { padding: .4rem .8rem; border-left: 4px solid #3c8d5a; background: #e9f6ec; overflow-wrap: anywhere; }
.chart svg { width: 100%; min-width: 34rem; max-width: 58rem; display: block; }
.grid { stroke: #e4e8ef; fill: none; } .tick { font-size: 12px; fill: #5f6b7a; } .axis { font-size: 13px; }
.front { fill: none; stroke: #1c2330; stroke-width: 1.5; stroke-dasharray: 5 4; opacity: .55; }
.key { width: 1em; height: 1em; } .bar { width: 10rem; height: .9rem; display: block; }
@media (max-width: 40rem) { .bar { width: 5rem; } td:first-child, .facts td { min-width: 8rem; } }
.zero { stroke: #1c2330; } .ground { fill: #eef1f6; }
.many { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(36rem, 100%), 1fr)); gap: 0 1.5rem; }
.many > div { min-width: 0; } summary { font-weight: 600; }
.side { display: flex; gap: .8rem; overflow-x: auto; padding-bottom: .3rem; }
figure { flex: 0 0 auto; width: 11rem; } figure img { width: 100%; display: block; border-radius: 4px; }
figcaption { overflow-wrap: anywhere; }
.off { display: none !important; }
"""
_SCRIPT = """
const boxes = [...document.querySelectorAll('input[data-kind]')];
function filter() {
  const off = {d: new Set(), l: new Set()};
  for (const box of boxes) if (!box.checked) off[box.dataset.kind].add(box.value);
  for (const element of document.querySelectorAll('[data-d],[data-l]'))
    element.classList.toggle('off', off.d.has(element.dataset.d) || off.l.has(element.dataset.l));
}
for (const box of boxes) box.addEventListener('change', filter);
filter();
"""


def html_page(reports: Sequence[tuple[str, dict[str, Any]]], budget: Budget | None = None) -> str:
    """A whole page.

    Args:
        reports: name of the file and content, as `read_report` gives it.
        budget: what to recommend for; None recommends nothing.

    Raises:
        ReportError: a field is missing or of the wrong kind.
    """
    rows = table_rows(reports)
    devices, levels = device_labels(reports), list(dict.fromkeys(row.level or "-" for row in rows))
    choices = [] if budget is None else recommend(rows, budget)
    picked = [choice.row for choice in choices if choice.row is not None]
    chart = scatter(rows, devices, levels)
    parts = [
        page_head("unetlite benchmark", _STYLE, _policy()),
        "<p>IoU over the document, picture by picture, then averaged, in pixels of the picture; N pictures. Latency "
        "is the whole of a frame: preprocess, invoke, postprocess.</p>",
        *(f"<p class='warning'>{html.escape(warning)}</p>" for warning in report_warnings(reports)),
        *(
            f"<p class='{'choice' if choice.row else 'warning'}'>{html.escape(str(choice))}</p>" for choice in choices
        ),
        _filters(devices, levels, {row.device for row in usable(rows)}),
        "<section><h2>IoU against latency</h2><p>Up and to the left is better. The dashed line is each device's Pareto "
        f"front: no other run of the device is both faster and better.</p><div class='chart scroll'>{chart}</div>"
        "</section>"
        if chart
        else "",
        _table(rows, devices, levels, picked),
        level_loss(rows, devices, levels),
        conditions(rows, devices, levels),
        worst_pictures(reports, rows, devices, levels),
        device_table(reports, devices),
        f"<script>{_SCRIPT}</script>\n</html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        f"form-action 'none'"
    )


def _filters(devices: Sequence[str], levels: Sequence[str], charted: set[str]) -> str:
    def box(kind: str, place: int, name: str, key: str) -> str:
        return (
            f"<label><input type='checkbox' data-kind='{kind}' value='{place}' checked>{key}{html.escape(name)}</label>"
        )

    by_device = "".join(
        box("d", i, device, legend_marker(i) if device in charted else "") for i, device in enumerate(devices)
    )
    by_level = "".join(
        box("l", i, level, f"<i style='background:{colour_of(level)}'></i>") for i, level in enumerate(levels)
    )
    return (
        f"<fieldset><legend>Devices</legend>{by_device}</fieldset>"
        f"<fieldset><legend>Levels</legend>{by_level}</fieldset>"
    )


def _table(rows: Sequence[Row], devices: Sequence[str], levels: Sequence[str], picked: Sequence[Row]) -> str:
    front = {id(row) for device in devices for row in pareto_front([r for r in rows if r.device == device])}
    parts = []
    for title, headings, own in tables(rows):
        heads = "".join(f"<th>{html.escape(heading)}</th>" for heading in ("model, device", *headings[WORDS:]))
        lines = []
        for row, cells in own:
            kind = "best" if row in picked else "" if row.valid else "invalid"
            star = " *" if id(row) in front else ""
            tds = who(row, star, cells[0]) + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells[WORDS:])
            place = f"data-d='{devices.index(row.device)}' data-l='{levels.index(row.level or '-')}'"
            lines.append(f"<tr class='{kind}' {place}>{tds}</tr>")
        note = html.escape(title) if title else (
            "* on its device's Pareto front. spread: how restless the device was: half of the rounds' inferences lie "
            "within this share of their median. memory: "
            "of a process with this model alone, Python included; peak: while loading. of GEMM: share of this "
            "device's speed at a bare matrix product through the same runtime. corners: mean distance as a share of "
            "the card's width. time / float32: frame by frame against the same network's float32 file; in brackets "
            "where it would lie if it were measured again, if that is not near."
        )  # fmt: skip
        parts.append(
            f"<section><h2>{'Emulated devices' if title else 'All runs'}</h2><p>{note}</p><div class='scroll'><table>"
            f"<thead><tr>{heads}</tr></thead><tbody>\n" + "\n".join(lines) + "\n</tbody></table></div></section>"
        )
    return "\n".join(parts)
