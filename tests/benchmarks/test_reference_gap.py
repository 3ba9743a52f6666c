"""benchmarks/reference_gap.py: what its lines say of known scores and summaries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import reference_gap  # noqa: E402

ROUNDS = [
    {
        "sets": ["first"],
        "rate": 0.003,
        "stages": [
            {"size_wh": [80, 48], "batch": 64, "steps": 200, "share": 0.5},
            {"size_wh": [160, 96], "batch": 32, "steps": 100, "share": 0.5},
        ],
    },
    {
        "sets": ["first", "more1"],
        "rate": 0.002,
        "stages": [{"size_wh": [160, 96], "batch": 32, "steps": 50, "share": 1.0}],
    },
]
COURSE = [
    {"step": 100, "loss": 0.9, "iou": 0.5, "seconds": 60.0},
    {"step": 200, "loss": 0.8, "iou": 0.6, "seconds": 60.0},
    {"step": 300, "loss": 0.6, "iou": 0.7, "seconds": 240.0},
    {"step": 350, "loss": 0.5, "iou": 0.8, "seconds": 120.0},
]
SUMMARY: dict[str, Any] = {
    "settings": {"rounds": ROUNDS},
    "data": [{"pictures": 400}, {"pictures": 100}],
    "parameters": 6_000_000,
    "course": COURSE,
    "validation": {"document_iou": 0.75},
}


def test_a_model_stands_beside_how_much_it_was_taught() -> None:
    found, well = {"quad_iou": 0.95, "quad_iou_map": 0.8}, {"quad_iou": 0.98, "quad_iou_map": 0.83}
    lost = {"quad_iou": 0.0, "quad_iou_map": 0.0}
    scores = {
        **dict.fromkeys(("uncut", "occluders"), [found]),
        "cut": [well],
        reference_gap.DRAWN: [found, lost],
        reference_gap.WITHOUT: [{"found": True}, {"found": False}, {"found": False}],
    }
    told = reference_gap.line("reference", [SUMMARY], scores)
    assert len(told) == len(reference_gap.COLUMNS)
    assert told[:5] == ["`reference`", "6.00 million", "0.02 million", 500, "0.750"]
    assert told[5:8] == ["0.960, 100 % (0.810)", "0.980, 100 % (0.830)", "0.950, 100 % (0.800)"]
    assert told[9:] == ["0.475, 50 % (0.400)", "1 of 3"]
    small = {**SUMMARY, "settings": {"batch": 256, "steps": 10500}}
    grown = {**SUMMARY, "settings": {"batch": 128, "steps": 5000}}
    assert reference_gap.line("unetlite-small", [small], scores)[2] == "2.69 million"
    # What a network was taught before it grew counts as well.
    assert reference_gap.line("unetlite-base", [small, grown], scores)[2] == "3.33 million"


def test_a_training_in_stages_is_told_stage_by_stage() -> None:
    assert reference_gap.stages(SUMMARY) == [
        ["first", "80x48", 200, 12800, "2 min", "0.600"],
        ["first", "160x96", 100, 3200, "4 min", "0.700"],
        ["first, more1", "160x96", 50, 1600, "2 min", "0.800"],
    ]
