"""One report of the reports that `unet-benchmark run --shard` wrote of the parts of a data set.

Stands apart from measuring: the parts come from other machines. Scores are those of one run over all pictures;
latencies are never mixed, they stay with their part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from unetlite.edge.benchmark.conditions import Conditions
from unetlite.edge.benchmark.part import SCORE_LISTS
from unetlite.edge.benchmark.pictures import PictureFiles, data_summary
from unetlite.edge.benchmark.scores import Scores, score_record
from unetlite.edge.benchmark.worst import worst_pictures
from unetlite.edge.compare.report import ReportError
from unetlite.vision.errors import SettingsError
from unetlite.vision.shard import check_complete, parse_shard

_KEPT = ("date", "unetlite", "device", "rounds", "gemm")  # of each part


def merge_reports(reports: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """One report of all parts: data, scores, conditions and worst pictures as one run over all pictures gives them.

    Each part's runs stand in it with its own latencies and the scores of the whole; `parts` says what each ran on.

    Args:
        reports: name of the file, and content, of each part in any order.

    Raises:
        ReportError: no part, or a part of another benchmark, or a damaged one.
        SettingsError: a part is missing or there twice.
    """
    try:
        return _merged(reports)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, (ReportError, SettingsError)):
            raise
        names = ", ".join(name for name, _ in reports)
        raise ReportError(
            f"{names}: expected reports of unet-benchmark run --shard, got a damaged one ({error}); make it again"
        ) from error


def _merged(reports: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    if not reports:
        raise SettingsError("expected the reports of all shards, got none; name them")
    for name, report in reports:
        if "part" not in report:
            raise ReportError(f"{name}: expected a report of unet-benchmark run --shard, got a whole one; leave it out")
    named = sorted(
        ((name, parse_shard(report["part"]["shard"]), report) for name, report in reports),
        key=lambda entry: entry[1].number,
    )
    check_complete([(name, shard) for name, shard, _ in named])
    first_name, _, first = named[0]
    for name, _, report in named[1:]:
        for what, same in _sameness(first, report).items():
            if not same:
                raise ReportError(
                    f"{name}: expected a part of the same benchmark as {first_name}, got one with other {what}; "
                    "run it again"
                )
    parts = [report["part"] for _, _, report in named]
    count, total = len(parts), parts[0]["of"]["images"]
    for (name, shard, _), part in zip(named, parts, strict=True):
        if len(part["pictures"]) != len(range(shard.number - 1, total, count)):
            raise ReportError(f"{name}: expected every {count}th of {total} pictures, got {len(part['pictures'])}")

    def in_order(lists: Sequence[Sequence[Any]]) -> list[Any]:
        return [lists[i % count][i // count] for i in range(total)]

    pictures = in_order([part["pictures"] for part in parts])
    names = [picture["image"] for picture in pictures]
    conditions = Conditions(parts[0]["columns"], {p["image"]: p["conditions"] for p in pictures}).groups(names)
    models = []
    for number, model in enumerate(parts[0]["models"]):
        own = [part["models"][number] for part in parts]
        lists: dict[str, Any] = {name: in_order([o[name] for o in own]) for name in SCORE_LISTS}
        scores = Scores(tuple(model["class_names"]), names, **lists)
        scores.two_class = np.sum([o["two_class"] for o in own], axis=0, dtype=np.int64)
        scores.by_class = np.sum([o["by_class"] for o in own], axis=0, dtype=np.int64)
        models.append((model["model"], model["sha256"], scores))
    threshold = parts[0]["of"]["threshold"]
    records = {(model, sha256): score_record(scores, threshold, conditions) for model, sha256, scores in models}
    files = [PictureFiles(p["image"], tuple((n, h) for n, h in p["files"]), p["bytes"]) for p in pictures]
    return {
        **{key: value for key, value in first.items() if key != "part"},
        "date": max(report["date"] for _, _, report in named),
        "data": data_summary(first["data"]["name"], files),
        "runs": [
            {**run, **records[run["model"], run["sha256"]], "shard": str(shard)}
            for _, shard, report in named
            for run in report["runs"]
        ],
        "worst": worst_pictures(
            names,
            [(model, scores.ious, scores.quad_ious) for model, _, scores in models],
            _drawn([report["worst"] for _, _, report in named], names),
        ),
        "parts": [{"shard": str(shard), **{key: report[key] for key in _KEPT}} for _, shard, report in named],
    }


def _sameness(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, bool]:
    def models(report: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
        return [(model["model"], model["sha256"], model["class_names"]) for model in report["part"]["models"]]

    return {
        "models": models(first) == models(other),
        "pictures": first["part"]["of"] == other["part"]["of"] and first["data"]["name"] == other["data"]["name"],
        "conditions": first["part"]["columns"] == other["part"]["columns"],
    }


def _drawn(worst: Sequence[Sequence[Mapping[str, Any]]], names: Sequence[str]) -> Callable[[int, int], str]:
    """Draws with what the parts drew: the worst of all are among each part's worst."""
    jpegs = {entry["image"]: [model["jpeg"] for model in entry["models"]] for entries in worst for entry in entries}
    return lambda model, place: jpegs[names[place]][model]
