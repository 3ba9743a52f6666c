"""Pareto front, recommendation and the verdict against a baseline, on reports with known answers."""

from __future__ import annotations

import copy
import json

import pytest
from click.testing import CliRunner
from reports import report, run

from unetlite.edge.cli import benchmark
from unetlite.edge.compare.choice import Budget, judge_against, pareto_front, recommend
from unetlite.edge.compare.report import ReportError, table_rows


def rows(*runs, device="Pi", **changes):
    return table_rows([("r.json", {**report(device, list(runs)), **changes})])


FOUR = (
    run("float32", 90.0, iou_mean=0.96),
    run("float16", 95.0, iou_mean=0.96),
    run("dynamic", 60.0, iou_mean=0.93),
    run("int8", 30.0, iou_mean=0.95),
)


def test_the_front_holds_what_nothing_beats():
    assert [row.level for row in pareto_front(rows(*FOUR))] == ["int8", "float32"]


def test_invalid_and_emulated_runs_are_not_on_the_front():
    assert pareto_front(rows(run("int8", 1.0, throttled=True))) == []


@pytest.mark.parametrize(
    ("budget", "level"),
    [
        (Budget(50, 0.95), "int8"),
        (Budget(100, 0.95), "float32"),
        (Budget(100, None), "float32"),
        (Budget(None, 0.94), "int8"),
        (Budget(None, 0.955), "float32"),
        (Budget(50, 0.96), None),
        (Budget(10, None), None),
    ],
)
def test_the_recommendation_keeps_within_the_budget(budget, level):
    choice = recommend(rows(*FOUR), budget)[0]
    assert (choice.row.level if choice.row else None) == level
    assert str(budget) in str(choice)


def test_of_equally_right_runs_the_faster_is_recommended():
    fast, slow = run("int8", 30.0, iou_mean=0.950), run("float32", 45.0, iou_mean=0.951)
    assert recommend(rows(fast, slow), Budget(50, None))[0].row.level == "int8"


def test_what_comes_nearest_is_named():
    assert "best in time is edge.int8.tflite" in str(recommend(rows(*FOUR), Budget(50, 0.96))[0])
    assert "the fastest is edge.int8.tflite" in str(recommend(rows(*FOUR), Budget(10, 0.9))[0])


def test_each_device_has_its_own_recommendation():
    two = table_rows([("a", report("Pi 5", list(FOUR))), ("b", report("Pi 4", [run("int8", 80.0, iou_mean=0.95)]))])
    found = {choice.device: choice.row for choice in recommend(two, Budget(50, 0.95))}
    assert found["Pi 5"].level == "int8"
    assert found["Pi 4"] is None


def verdicts(now, then, **limits):
    return judge_against(now, then, **{"max_iou_loss": 0.01, "max_slowdown": 1.2, **limits})


def test_losses_beyond_the_limits_are_regressions():
    then = rows(run("int8", 10.0, iou_mean=0.95))
    assert verdicts(rows(run("int8", 11.9, iou_mean=0.941)), then)[0].losses == ()
    assert "IoU fell" in verdicts(rows(run("int8", 10.0, iou_mean=0.939)), then)[0].losses[0]
    assert "takes 12.10" in verdicts(rows(run("int8", 12.1, iou_mean=0.95)), then)[0].losses[0]
    assert "quad IoU fell" in verdicts(rows(run("int8", 10.0, iou_mean=0.95, quad_iou_mean=0.9)), then)[0].losses[0]
    assert verdicts(rows(run("int8", 5.0, iou_mean=0.99)), then)[0].losses == ()


@pytest.mark.parametrize(
    ("now", "sentence"),
    [
        (rows(run("int8", 10.0), device="Other"), "the baseline is of Pi, this report of Other"),
        (rows(run("int8", 10.0), data={"sha256": "d1"}), "another data set"),
        (rows(run("int8", 10.0, threads=4)), "no counterpart"),
        (rows(run("int8", 10.0, throttled=True)), "in this report the run of edge.int8.tflite with 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(now, sentence):
    with pytest.raises(ReportError, match=sentence):
        verdicts(now, rows(run("int8", 10.0)))


def test_the_command_recommends_and_ends_with_3_on_a_regression(tmp_path):
    good = report("Pi", list(FOUR))
    bad = copy.deepcopy(good)
    bad["runs"][3]["iou_mean"] = 0.9
    for name, content in (("good.json", good), ("bad.json", bad)):
        (tmp_path / name).write_text(json.dumps(content))
    good_path, bad_path = str(tmp_path / "good.json"), str(tmp_path / "bad.json")

    def compare(*arguments):
        return CliRunner().invoke(benchmark, ["compare", *arguments], catch_exceptions=False)

    chosen = compare(good_path, "--max-ms", "50", "--min-iou", "0.95")
    assert chosen.exit_code == 0
    assert "Pi: edge.int8.tflite with 1 thread for at most 50 ms, IoU at least 0.95" in chosen.stdout
    assert compare(good_path, "--against", good_path).exit_code == 0
    worse = compare(bad_path, "--against", good_path, "--max-iou-loss", "0.02")
    assert (worse.exit_code, worse.stdout.count("REGRESSION")) == (3, 1)
    assert compare(bad_path, "--against", good_path, "--max-iou-loss", "0.1").exit_code == 0
