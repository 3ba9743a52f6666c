"""`unet-benchmark compare`: reports from other machines, honest and hostile."""

from __future__ import annotations

import copy
import csv
import io
import json

import pytest
from click.testing import CliRunner
from reports import report, run

from unetlite.edge.benchmark.latency import STAGES
from unetlite.edge.cli import benchmark
from unetlite.edge.compare.report import ReportError, read_report, report_warnings, table_rows
from unetlite.edge.compare.tables import csv_table, markdown_table, text_table

PI = report("Raspberry Pi 5", [run("float32", 40.0), run("int8", 10.0)])
OTHER = report("Raspberry Pi 4", [run("float32", 100.0), run("int8", 40.0)])


def test_the_ratio_is_to_float32_of_the_same_device():
    rows = table_rows([("pi5.json", PI), ("pi4.json", OTHER)])
    assert [(row.device, row.ratio) for row in rows] == [
        ("Raspberry Pi 5", 1.0),
        ("Raspberry Pi 5", 0.25),
        ("Raspberry Pi 4", 1.0),
        ("Raspberry Pi 4", 0.4),
    ]


@pytest.mark.parametrize("change", [{"threads": 4}, {"runtime": "tensorflow"}, {"model": "nano.int8.tflite"}])
def test_runs_that_differ_in_more_than_the_level_have_no_ratio(change):
    rows = table_rows([("r.json", report("Pi", [run("float32", 40.0), run("int8", 10.0, **change)]))])
    assert rows[1].ratio is None
    assert text_table(rows).splitlines()[2].endswith(" -")


def test_the_ratio_that_was_taken_round_by_round_is_preferred():
    runs = [run("float32", 40.0, time_ratio=1.0), run("int8", 10.0, time_ratio=0.5)]
    assert table_rows([("r.json", report("Pi", runs))])[1].ratio == 0.5


def test_a_ratio_that_another_run_would_not_find_again_says_so():
    runs = [run("float32", 40.0, time_ratio=1.0, time_ratio_interval=[1.0, 1.0]),
            run("int8", 10.0, time_ratio=0.5, time_ratio_interval=[0.4, 0.61]),
            run("float16", 20.0, time_ratio=0.5, time_ratio_interval=[0.49, 0.52])]  # fmt: skip
    rows = table_rows([("r.json", report("Pi", runs))])
    ends = [line.split()[-2:] for line in text_table(rows).splitlines()[1:]]
    assert [" ".join(end) for end in ends][1] == "0.50 (0.40-0.61)"
    assert [end[-1] for end in ends][::2] == ["1.00", "0.50"]
    restless = [warning for warning in report_warnings([("r.json", report("Pi", runs))]) if "not at rest" in warning]
    assert len(restless) == 1
    assert restless[0].startswith("Pi was not at rest: another run may find other ratios for 1 of its 3 runs")


def test_an_invalid_run_has_no_ratio_and_says_so():
    rows = table_rows([("r.json", report("Pi", [run("float32", 40.0), run("int8", 10.0, throttled=True)]))])
    assert (rows[1].valid, rows[1].ratio) == (False, None)
    assert "Pi (throttled)" in text_table(rows)
    moved = run("int8", 10.0, valid=False, throttled=None)
    assert "Pi (invalid)" in text_table(table_rows([("r.json", report("Pi", [moved]))]))


def test_instructions_never_stand_beside_milliseconds():
    counts = {stage: {"p50": 10**6 * n, "min": 1, "max": 1} for n, stage in enumerate(STAGES, 1)}
    emulated = [run(level, 1.0, latency_ms=None, instructions={**counts, "total": {"p50": total, "min": 1, "max": 1}})
                for level, total in (("float32", 8 * 10**6), ("int8", 6 * 10**6))]  # fmt: skip
    content = {**report("Raspberry Pi 5", emulated), "emulated": True}
    rows = table_rows([("a", PI), ("e", content)])
    assert rows[3].device == "Raspberry Pi 5, emulated"
    assert (rows[3].median_ms, rows[3].ratio) == (None, 0.75)
    measured, _, counted = text_table(rows).partition("\n\nEmulated")
    assert "emulated" not in measured
    assert " ms" not in counted
    assert "6.00 M" in counted
    lines = list(csv.DictReader(io.StringIO(csv_table(rows))))
    assert [(line["median_ms"], line["instructions"]) for line in lines[::3]] == [("40.0", ""), ("", "6000000")]
    assert [(line["ratio"], line["instruction_ratio"]) for line in lines[::3]] == [("1.0", ""), ("", "0.75")]
    assert any("a table of their own" in warning for warning in report_warnings([("a", PI), ("e", content)]))


def test_an_emulated_report_with_latencies_only_is_refused():
    with pytest.raises(ReportError, match="instructions"):
        table_rows([("e", {**PI, "emulated": True})])


def test_an_older_report_is_read_and_what_it_lacks_is_unknown():
    row = table_rows([("r.json", report("Pi", [run("int8", 1.0, peak_rss_bytes=5)]))])[0]
    assert (row.spread, row.peak_rss_bytes, row.conditions) == (None, None, ())
    assert "version 1 knows no" in report_warnings([("r.json", PI)])[0]


def test_two_devices_of_one_name_are_told_apart():
    rows = table_rows([("left.json", PI), ("right.json", copy.deepcopy(PI))])
    assert {row.device for row in rows} == {"Raspberry Pi 5 (left.json)", "Raspberry Pi 5 (right.json)"}


def test_the_terminal_table_is_aligned():
    lines = text_table(table_rows([("a", PI), ("b", OTHER)])).splitlines()
    assert len(lines) == 5
    assert lines[1].split("  ")[0] == "Raspberry Pi 5"
    assert len({len(line) for line in lines[1:]}) == 1
    assert "1.25 MB" in lines[1]
    assert "40/42" in lines[1]
    assert len({line.index(" ms") for line in lines[1:]}) <= 2  # figures end in one column
    assert all(line.rstrip()[-4:].strip().replace(".", "").isdigit() for line in lines[1:])


HOSTILE = "<script>alert(1)</script>|`x`\x1b[2J\n=cmd()"


def hostile_rows():
    content = report(HOSTILE, [run("float32", 1.0, model="=HYPERLINK(1)" + HOSTILE)], data=HOSTILE)
    return table_rows([(HOSTILE, content), ("b", OTHER)])


def test_hostile_strings_cannot_steer_a_terminal_a_table_or_a_spreadsheet():
    rows = hostile_rows()
    text = text_table(rows)
    assert "\x1b" not in text
    assert len(text.splitlines()) == 4
    markdown = markdown_table(rows)
    assert "<script" not in markdown
    body = markdown.splitlines()[2]
    assert body.replace("\\|", "").count("|") == markdown.splitlines()[0].count("|")
    cells = [cell for line in csv.reader(io.StringIO(csv_table(rows))) for cell in line]
    assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
    assert any(cell.startswith("'=HYPERLINK(1)") for cell in cells)


def test_the_csv_holds_full_figures():
    lines = list(csv.DictReader(io.StringIO(csv_table(table_rows([("a", PI)])))))
    assert (lines[1]["level"], lines[1]["median_ms"], lines[1]["ratio"]) == ("int8", "10.0", "0.25")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("runs"),
        lambda r: r.update(runs=[3]),
        lambda r: r.update(device=None),
        lambda r: r["runs"][0].pop("iou_mean"),
        lambda r: r["runs"][0].update(model_bytes="big"),
        lambda r: r["runs"][0].update(model_bytes=10**400),
        lambda r: r["runs"][0]["latency_ms"].update(total=None),
        lambda r: r["runs"][0].update(latency_ms=None),
        lambda r: r["runs"][0].update(conditions=[{"condition": "cut"}]),
        lambda r: r["runs"][0].update(threads=True),
        lambda r: r["runs"][0].update(time_ratio_interval=[1.0]),
        lambda r: r["runs"][0].update(time_ratio_interval=["low", "high"]),
        lambda r: r.update(emulated="yes"),
        lambda r: r["runs"][0]["latency_ms"]["total"].update(p50=float("nan")),
        lambda r: r["runs"][0]["latency_ms"]["total"].update(p90=float("inf")),
    ],
)
def test_a_report_with_a_wrong_field_is_one_error_that_names_file_and_field(change):
    broken = copy.deepcopy(PI)
    change(broken)
    with pytest.raises(ReportError, match=r"^r\.json: "):
        table_rows([("r.json", broken)])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "other"}', '{"format": "unetlite-benchmark", "version": 9}']
)
def test_a_file_that_is_no_report_is_an_error(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ReportError, match=r"r\.json: expected"):
        read_report(tmp_path / "r.json")


def test_the_command_prints_the_table_and_writes_what_is_asked_for(tmp_path):
    for name, content in (("a.json", PI), ("b.json", OTHER)):
        (tmp_path / name).write_text(json.dumps(content))
    arguments = ["compare", *(str(tmp_path / name) for name in ("a.json", "b.json"))]
    for option in ("html", "markdown", "csv"):
        arguments += [f"--{option}", str(tmp_path / f"out.{option}")]
    result = CliRunner().invoke(benchmark, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].startswith("device")
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")
    refused = CliRunner().invoke(benchmark, arguments, catch_exceptions=False)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
