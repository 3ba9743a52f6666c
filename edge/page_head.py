"""The beginning of a page for people, in the house's style: the export report's and the comparison's.

Stands apart because style and escaping of the title are no matter of what a page shows.
"""

from __future__ import annotations

import html

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; padding: 0 1rem; color: #1c2330; }
h1 { font-size: 1.5rem; margin: 0 0 .4rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .5rem; text-align: right; border-bottom: 1px solid #d9dee7; white-space: nowrap; }
th { background: #f2f5f9; font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
summary { cursor: pointer; margin: .6rem 0; } figure { margin: 0; } figcaption { font-size: .85rem; }
.warning { padding: .4rem .8rem; border-left: 4px solid #e0a100; background: #fff3d6; }
"""


def page_head(title: str, style: str = "", policy: str = "") -> str:
    """A page's beginning up to its heading.

    Args:
        title: of the page, also its heading.
        style: CSS that adds to the house's.
        policy: the page's own Content-Security-Policy, fit for an attribute; none where it is empty.
    """
    guard = f"<meta http-equiv='Content-Security-Policy' content=\"{policy}\">\n" if policy else ""
    return (
        f"<!doctype html>\n<html lang='en'>\n<meta charset='utf-8'>\n{guard}"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{style}</style>\n<h1>{html.escape(title)}</h1>"
    )
