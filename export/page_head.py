"""The beginning of a page in the house's style, for the export report.

Stands apart because style and escaping of the title are no matter of what the page shows.
"""

from __future__ import annotations

import html

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1c2330; }
h1 { font-size: 1.4rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #d9dee7; white-space: nowrap; }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left; white-space: normal; overflow-wrap: anywhere; }
thead th { background: #f2f5f9; }
.warning { background: #fff3d6; padding: .5rem .8rem; border-left: 4px solid #e0a100; }
"""


def page_head(title: str, style: str = "") -> str:
    """A page's beginning up to its heading, in the house's style; `style` adds to it."""
    return (
        "<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{style}</style>\n<h1>{html.escape(title)}</h1>"
    )
