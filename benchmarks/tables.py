"""Result files that hold tables: what measuring scripts write, and `docs/fill.py` puts into the documents.

Stands apart so that every script says date, machine and data in the same words.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from unetlite.edge.device import device_record
from unetlite.vision.files import write_json

TABLES_FORMAT = "unetlite-tables"


def table(title: str, columns: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    """One table; cells are text, or numbers that the script has rounded itself."""
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{title}: expected {len(columns)} cells, got {row}")
    return {"title": title, "columns": columns, "rows": rows}


def table_lines(columns: list[str], rows: list[list[Any]]) -> list[str]:
    """A Markdown table, line by line."""
    cells = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in cells]


def write_tables(path: Path, tables: list[dict[str, Any]], *, data: str, command: str, **more: Any) -> None:
    """Write a result file; `more` are the figures themselves, for machines."""
    result = {
        "format": TABLES_FORMAT,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": device_record(),
        "data": data,
        "command": command,
        "tables": tables,
        **more,
    }
    write_json(path, result)
    print(markdown(path.name, result))


def markdown(name: str, result: dict[str, Any]) -> str:
    """The tables of a result file with what they were measured on and where."""
    parts = []
    for entry in result["tables"]:
        lines = [f"**{entry['title']}**\n"] if entry["title"] else []
        parts.append("\n".join([*lines, *table_lines(entry["columns"], entry["rows"])]) + "\n")
    if "note" in result:  # what was measured where takes more words
        return "\n".join([*parts, f"{result['note']}\n"])
    device = result["device"]
    parts.append(
        f"{result['date'][:10]}, {device['model'] or device['cpu']}, {device['cores']} cores, {device['os']}; "
        f"{result['data']}. Written by `{result['command']}` ({name}).\n"
    )
    return "\n".join(parts)
