"""Reports of parts of a data set: together they say exactly what one run over all of it says."""

from __future__ import annotations

import copy
import json

import pytest
from click.testing import CliRunner
from drawn import draw_card
from reports import check_schema

from unetlite.edge.cli import benchmark
from unetlite.edge.compare.merge import merge_reports
from unetlite.edge.compare.report import ReportError, table_rows
from unetlite.vision.errors import SettingsError
from unetlite.vision.image import write_image

TIMES = {
    "latency_ms", "frames", "round_total_ms", "round_clean", "spread", "first_invoke_ms", "steady_rss_bytes",
    "peak_rss_bytes", "gmac_per_s", "peak_share", "throttled", "valid", "invalid_because", "time_ratio", "load_ms",
    "first_frame_ms", "base_rss_bytes",
}  # fmt: skip


def call(*arguments):
    return CliRunner().invoke(benchmark, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def reports(models, tmp_path_factory):
    """The report of eleven pictures, and those of three parts of them."""
    folder = tmp_path_factory.mktemp("parts")
    lines = ["image\tlight\tclip"]
    for number in range(11):
        quad = [[50 + number, 40], [240, 60 + 2 * number], [240, 180], [52, 170 - number]]
        image, mask = draw_card(quad, card=60 + 15 * number)
        write_image(folder / "set" / "images" / f"{number:02}.png", image)
        write_image(folder / "set" / "masks" / f"{number:02}.png", mask)
        lines.append(f"images/{number:02}.png\t{'dim' if number < 3 else 'day'}\t{number // 4}")
    (folder / "set" / "conditions.tsv").write_text("\n".join(lines))
    options = ["--model", models.bright__float32, "--model", models.bright__int8, "--threads", 1, "--rounds", 2]
    options += ["--pictures", "--data", folder / "set"]
    assert call("run", *options, "--report", folder / "whole.json").exit_code == 0
    for number in (1, 2, 3):
        result = call("run", *options, "--report", folder / f"part{number}.json", "--shard", f"{number}/3")
        assert result.exit_code == 0 and "unet-benchmark merge" in result.stderr
    return folder


def read(folder, *names):
    return [(f"{name}.json", json.loads((folder / f"{name}.json").read_text())) for name in names]


def test_parts_make_the_scores_of_the_whole_exactly(reports, tmp_path):
    merged = tmp_path / "merged.json"
    result = call("merge", *(reports / f"part{number}.json" for number in (2, 3, 1)), "--report", merged)
    assert result.exit_code == 0, result.output
    content, (_, whole) = json.loads(merged.read_text()), *read(reports, "whole")
    assert content["data"] == whole["data"] and content["worst"] == whole["worst"]
    assert [run["shard"] for run in content["runs"]] == ["1/3", "1/3", "2/3", "2/3", "3/3", "3/3"]
    for number, run in enumerate(content["runs"]):
        expected = whole["runs"][number % 2]
        assert {k: v for k, v in run.items() if k not in TIMES | {"shard"}} == {
            k: v for k, v in expected.items() if k not in TIMES
        }
    assert whole["runs"][0]["conditions"] and whole["runs"][0]["below_threshold"]
    check_schema(content)
    check_schema(read(reports, "part1")[0][1])


def test_latencies_stay_with_their_part(reports):
    parts = read(reports, "part1", "part2", "part3")
    merged = merge_reports(parts)
    for number, (_, part) in enumerate(parts):
        for own, run in zip(part["runs"], merged["runs"][2 * number : 2 * number + 2], strict=True):
            assert {k: run[k] for k in TIMES if k in run} == {k: own[k] for k in TIMES if k in own}
        assert merged["parts"][number]["device"] == part["device"]
    assert len(table_rows([("merged.json", merged)])) == 6


def test_parts_that_make_no_whole_are_named(reports):
    one, two, three = read(reports, "part1", "part2", "part3")
    with pytest.raises(SettingsError, match="all 3 shards, but 2/3 is missing"):
        merge_reports([one, three])
    with pytest.raises(SettingsError, match="part2.json: expected each shard once"):
        merge_reports([one, two, two, three])
    with pytest.raises(ReportError, match="whole.json: expected a report of unet-benchmark run --shard, got a whole"):
        merge_reports([*read(reports, "whole"), one])
    for what, change in (
        ("models", lambda part: part["models"][0].update(sha256="0" * 64)),
        ("pictures", lambda part: part["of"].update(names_sha256="0" * 64)),
        ("conditions", lambda part: part.update(columns=["image"])),
    ):
        other = copy.deepcopy(two)
        change(other[1]["part"])
        with pytest.raises(ReportError, match=f"part2.json: expected a part of the same benchmark .* other {what}"):
            merge_reports([one, other, three])


def test_a_damaged_part_is_refused(reports):
    parts = read(reports, "part1", "part2", "part3")
    for spoil in (
        lambda part: part.pop("models"),
        lambda part: part["pictures"].pop(),
        lambda part: part["models"][0]["ious"].clear(),
        lambda part: part.update(shard=7),
        lambda part: part.update(of=None),
        lambda part: part["pictures"][0].update(conditions=3),
    ):
        spoiled = copy.deepcopy(parts)
        spoil(spoiled[0][1]["part"])
        with pytest.raises((ReportError, SettingsError)):
            merge_reports(spoiled)
