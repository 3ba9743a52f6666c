"""benchmarks/kinds.py: what its lines say of known scores."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import kinds  # noqa: E402


def row(kind: str, score: float) -> dict[str, object]:
    return {"image": "000000", "kind": kind, "negative": kind == "negative", "model": score}


def test_documents_are_told_by_kind_and_together_and_pictures_without_one_apart() -> None:
    rows = [row("card", 0.95), row("card", 0.85), row("uncut-copy", 1.0), row("negative", 1.0), row("negative", 0.0)]
    assert kinds.lines(rows, ["model"]) == [
        ["card", 2, "0.900, 50 %"],
        ["uncut-copy", 1, "1.000, 100 %"],
        ["all with a document", 3, "0.933, 67 %"],
        ["no document, taken for one", 2, "1"],
    ]


def test_a_kind_that_is_not_there_has_no_line() -> None:
    assert kinds.lines([row("negative", 0.0)], ["model"])[0] == ["all with a document", 0, "-"]
