"""benchmarks/courses.py: what it writes of two known summaries."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import courses  # noqa: E402


def test_a_drawing_and_a_table_come_from_the_summaries_of_the_stages_that_a_model_came_through(tmp_path: Path) -> None:
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
    starts = {
        "unetlite-base": None,
        "unetlite": "unetlite-base",
        "unetlite-nano-base": None,
        "unetlite-nano-more": "unetlite-nano-base",
        "unetlite-nano": "unetlite-nano-more",
    }
    for name, start in starts.items():
        started = None if start is None else {"model": f"{start}.keras", "sha256": "ab"}
        (tmp_path / f"{name}.training.json").write_text(json.dumps({**summary, "start": started}))
    result = CliRunner().invoke(courses.main, [str(tmp_path), "--docs", str(tmp_path / "docs")])
    assert result.exit_code == 0, result.output
    for suffix, stages in (("", ["-base", ""]), ("-nano", ["-base", "-more", ""])):
        written = json.loads((tmp_path / "docs" / "results" / f"training{suffix}.json").read_text())
        rows = written["tables"][0]["rows"]
        assert [row[0] for row in rows] == [f"unetlite{suffix}{stage}" for stage in stages]
        assert rows[0][1:] == [1000, "0.26 million", "20 s", "0.750", "0.822"]
        assert written["note"].startswith("2026-11-26, a GPU. ")
        drawing = (tmp_path / "docs" / f"training-curve{suffix}.svg").read_text()
        assert f"{1000 * len(stages)} steps" in drawing and "validation" not in drawing
    table = json.loads((tmp_path / "docs" / "results" / "training-borders.json").read_text())
    course = json.loads((Path(courses.ROOT) / "models" / "borders.training.json").read_text())["course"]
    assert [row[0] for row in table["tables"][0]["rows"]] == [row["epoch"] for row in course]
