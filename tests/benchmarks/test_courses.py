"""benchmarks/courses.py: what it writes of two known summaries."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import courses  # noqa: E402


def test_a_drawing_and_a_table_come_from_the_summaries_of_base_and_model(tmp_path: Path) -> None:
    course = [
        {"step": 500, "loss": 0.5, "iou": 0.61, "seconds": 10.0},
        {"step": 1000, "loss": 0.4, "iou": 0.75, "seconds": 9.6},
    ]
    summary = {
        "settings": {"batch": 256, "steps": 1000},
        "course": course,
        "validation": {"pictures": 800, "document_iou": 0.8219},
        "machine": "a GPU",
        "date": "2026-11-26",
    }
    for name in ("unetlite-base", "unetlite", "unetlite-nano-base", "unetlite-nano"):
        (tmp_path / f"{name}.training.json").write_text(json.dumps(summary))
    result = CliRunner().invoke(courses.main, [str(tmp_path), "--docs", str(tmp_path / "docs")])
    assert result.exit_code == 0, result.output
    for suffix in ("", "-nano"):
        written = json.loads((tmp_path / "docs" / "results" / f"training{suffix}.json").read_text())
        base, last = written["tables"][0]["rows"]
        assert base == [f"unetlite{suffix}-base", 1000, "0.26 million", "20 s", "0.750", "0.822"]
        assert last[0] == f"unetlite{suffix}"
        assert written["note"].startswith("2026-11-26, a GPU. ")
        drawing = (tmp_path / "docs" / f"training-curve{suffix}.svg").read_text()
        assert "2000 steps" in drawing and "validation" not in drawing
