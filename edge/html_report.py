"""The comparison table as one HTML page that needs nothing else, with bars for the latencies.

Stands apart because the page is meant for people who have no terminal.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from unetlite.edge.report import HEADINGS, Row, data_warning

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1c2330; }
h1 { font-size: 1.4rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #d9dee7; white-space: nowrap; }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left; white-space: normal; overflow-wrap: anywhere; }
thead th { background: #f2f5f9; }
.bar { display: inline-block; height: .7rem; background: #2f7de1; border-radius: 2px; }
.bar.p90 { background: #a9c8f2; }
td.bars { text-align: left; min-width: 12rem; line-height: .8rem; }
.warning { background: #fff3d6; padding: .5rem .8rem; border-left: 4px solid #e0a100; }
"""


def page_head(title: str, style: str = "") -> str:
    """A page's beginning up to its heading, in the house's style; `style` adds to it."""
    return (
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{style}</style>\n<h1>{html.escape(title)}</h1>"
    )


def html_page(rows: Sequence[Row]) -> str:
    """A whole page; every string from a report is escaped."""
    longest = max((row.p90_ms for row in rows), default=0.0) or 1.0
    warning = data_warning(rows)
    parts = [
        page_head("unetlite benchmark"),
        f"<p class='warning'>{html.escape(warning)}</p>" if warning else "",
        "<p>IoU over the document, per picture, then averaged, in pixels of the picture; N pictures. Latency is the "
        "whole of a frame: preprocess, invoke, postprocess.</p>",
        "<table><thead><tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in HEADINGS),
        "<th>median and p90</th></tr></thead><tbody>",
    ]
    for row in rows:
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row.cells())
        bars = "<br>".join(
            f"<span class='bar {kind}' style='width:{100 * value / longest:.1f}%'></span>"
            for kind, value in (("p50", row.median_ms), ("p90", row.p90_ms))
        )
        parts.append(f"<tr>{cells}<td class='bars'>{bars}</td></tr>")
    parts.append("</tbody></table>\n</html>\n")
    return "\n".join(part for part in parts if part)
