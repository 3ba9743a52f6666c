"""The report follows its published schema, and the page tells people the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from spoiled import spoiled_network, write_cards

from unetlite.export.layer_chart import layer_chart
from unetlite.export.page import export_page
from unetlite.export.worst import Answer, ShownPicture

SCHEMA = Path(__file__).resolve().parents[2] / "export" / "schema" / "export-report.schema.json"


@dataclass(frozen=True)
class Kept:
    """An export with layers kept in float, one level refused, and a page."""

    folder: Path
    result: Result
    report: dict[str, Any]
    page: str


@pytest.fixture(scope="module")
def kept(export: Callable[..., Result], tmp_path_factory: pytest.TempPathFactory) -> Kept:
    root = tmp_path_factory.mktemp("kept")
    write_cards(write_cards(root / "data"), "train")
    spoiled_network().save(root / "m.keras")
    result = export(
        root / "m.keras", "--float32", "--int8", "--int16x8", "--calibration", root / "data",
        "--validation", root / "data", "--to", root / "out", "--keep-float", "auto", "--html", "--allow-leakage",
    )  # fmt: skip
    assert result.exit_code == 3, result.output
    folder = root / "out"
    report = json.loads((folder / "m.export.json").read_text())
    return Kept(folder, result, report, (folder / "m.export.html").read_text())


def valid(report: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema = pytest.importorskip("jsonschema", reason="install it with: pip install -e '.[dev]'")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(report)


class Tags(HTMLParser):
    """Collects what a page is made of; fails on anything that would load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in ("src", "href") or str(value).startswith("data:image/jpeg;base64,")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> tuple[list[str], str]:
    parser = Tags()
    parser.feed(page)
    return parser.seen, " ".join(" ".join(parser.text).split())


def test_reports_follow_the_published_schema(kept: Kept, exported) -> None:
    valid(kept.report)
    valid(exported.report)


def test_the_schema_notices_what_it_does_not_know(kept: Kept) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="install it with: pip install -e '.[dev]'")
    for change in ({"surprise": 1}, {"version": 1}, {"levels": {"int4": kept.report["levels"]["float32"]}}):
        with pytest.raises(jsonschema.ValidationError):
            valid({**kept.report, **change})


def test_auto_saves_an_int8_file_that_would_be_rejected(kept: Kept) -> None:
    int8 = kept.report["levels"]["int8"]
    assert int8["status"] == "accepted"
    assert set(int8["in_float"]) == {"conv2", "conv3"}
    trade = kept.report["keep_float"]
    assert trade["trials"][trade["taken"]]["layers"] == int8["in_float"]
    assert trade["trials"][0]["over"]
    assert [layer["name"] for layer in kept.report["layers"]["layers"]] == ["conv1", "conv2", "conv3", "sigmoid1"]
    assert int8["input"]["dtype"] == int8["output"]["dtype"] == "uint8"
    assert kept.report["levels"]["int16x8"]["pieces"]["left_over"][1]["operation"] == "CONV_2D"
    assert "of this file's time as measured here" in kept.report["levels"]["int16x8"]["refused"]


def test_the_command_tells_ranking_and_trade(kept: Kept) -> None:
    told = kept.result.stdout
    assert "Each layer alone at int8, the others in float; IoU lost against the truth (N=10):" in told
    assert re.search(r"^-> +2 .* kept +(conv2, conv3|conv3, conv2)$", told, re.MULTILINE)
    for name in ("m.layers.svg", "m.export.html", "m.export.json"):
        assert str(kept.folder / name) in told
        assert (kept.folder / name).stat().st_size > 1000


def test_the_page_needs_nothing_else_and_says_what_the_report_says(kept: Kept) -> None:
    tags, text = read(kept.page)
    assert not {"script", "link", "iframe", "object"} & set(tags)
    assert "http" not in kept.page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert {"table", "svg"} <= set(tags)
    for level, found in kept.report["levels"].items():
        assert level in text
        assert found["status"] in text
    assert f"{kept.report['levels']['int8']['score']['iou_mean']:.3f}" in text
    assert "int8, 2 layers in float" in text
    assert "reference kernel" in text
    for heading in ("Levels", "Error along the network", "Layers kept in float", "What runs where", "Calibration"):
        assert heading in text


def test_the_worst_pictures_are_on_the_page_with_every_answer(kept: Kept) -> None:
    drawn = np.full((30, 40, 3), 200, np.uint8)
    shown = ShownPicture("a & b.png", 0.25, (Answer("keras", 0.9, drawn), Answer("int8", 0.65, drawn)))
    tags, text = read(export_page(kept.report, [shown]))
    assert tags.count("img") == 2
    assert "a & b.png: lost 0.250" in text
    assert "keras 0.900" in text
    assert "int8 0.650" in text


def test_worst_pictures_are_drawn_from_the_files(export: Callable[..., Result], tmp_path: Path) -> None:
    write_cards(write_cards(tmp_path / "data"), "train")
    spoiled_network().save(tmp_path / "m.keras")
    data = ("--calibration", tmp_path / "data", "--validation", tmp_path / "data", "--allow-leakage")
    result = export(tmp_path / "m.keras", "--int8", *data, "--to", tmp_path / "out", "--html")
    assert result.exit_code == 3, result.output
    tags, text = read((tmp_path / "out" / "m.export.html").read_text())
    assert tags.count("img") == 10  # five pictures, Keras and int8
    assert "int8 rejected:" in text
    assert "mean IoU falls from" in text


def test_hostile_names_stay_text(kept: Kept) -> None:
    hostile = "<script>alert(1)</script>"
    report = json.loads(json.dumps(kept.report).replace("m.keras", hostile).replace("conv2", hostile))
    drawn = np.zeros((4, 4, 3), np.uint8)
    tags, text = read(export_page(report, [ShownPicture(hostile, 0.1, (Answer(hostile, 0.5, drawn),))]))
    assert "script" not in tags
    assert hostile in text


def test_the_chart_has_a_bar_for_each_layer_and_two_lines(kept: Kept) -> None:
    chart = layer_chart(kept.report["layers"], ["conv2"])
    tags, text = read(chart)
    assert tags.count("rect") == 1 + 4
    assert tags.count("polyline") == 2
    assert "conv2 (CONV_2D, 32x32x4): IoU lost" in text


def test_layers_of_a_file_that_is_not_exported_are_a_usage_error(export: Callable, tmp_path: Path) -> None:
    for flag in ("--sensitivity", "--keep-float=auto"):
        result = export(tmp_path / "m.keras", "--float32", flag, "--to", tmp_path / "out")
        assert result.exit_code == 2
        assert "add --int8 and --calibration" in result.stderr
