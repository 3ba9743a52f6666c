"""Benchmark reports of one or more devices as rows that can be compared.

Stands apart from measuring: reports come from other machines, so everything in them is checked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unetlite.edge.benchmark.latency import STAGES, Ratio
from unetlite.edge.benchmark.report import REPORT_FORMAT, REPORT_VERSION, network_name
from unetlite.vision.errors import UnetliteError
from unetlite.vision.files import read_json

OLD_VERSIONS = (1,)  # read as well: they know less, and what they lack is unknown
_NUMBER = (int, float)
_JPEG = re.compile(r"/9j/[A-Za-z0-9+/]{1,400000}={0,2}")  # base64 of what begins as JPEG does


class ReportError(UnetliteError, ValueError):
    """A benchmark report that cannot be read."""


@dataclass(frozen=True)
class Condition:
    """A model's scores over the pictures of one condition."""

    name: str
    value: str
    images: int
    iou: float
    quad_iou: float
    quad_ge_90: float


@dataclass(frozen=True)
class Row:
    """One model on one device with one number of threads; None is unknown.

    Attributes:
        device: as it is called beside the other reports' devices.
        board: as it is called alone.
        ratio: latency over that of the same network's float32 file on the same device; of an emulated device,
            instructions over instructions.
        median_ms, p90_ms, p99_ms: of whole frames; None of an emulated device.
        ratio_low, ratio_high: between these it would lie if it were measured again, as far as the rounds tell.
        spread: half of the rounds' inferences lie within this share of their median: the device's unrest.
        instructions: of a whole frame, by stage and "total"; None of a measured device.
        valid: False where the device was throttled or its governor moved.
        data_sha256: of the data set that the scores are over.
    """

    device: str
    board: str
    model: str
    level: str | None
    threads: int | None
    runtime: str | None
    model_bytes: int
    iou: float
    quad_iou: float
    quad_ge_90: float | None
    corner_error: float | None
    images: int
    delegated_ops: int | None
    total_ops: int | None
    partitions: int | None
    median_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    first_invoke_ms: float | None
    spread: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    steady_rss_bytes: int | None
    peak_rss_bytes: int | None
    gmac_per_s: float | None
    peak_share: float | None
    throttled: bool | None
    valid: bool
    emulated: bool
    instructions: dict[str, int] | None
    data_sha256: str
    conditions: tuple[Condition, ...]

    @property
    def network(self) -> str:
        """What two levels of one network share of their names."""
        return network_name(self.model, self.level)

    @property
    def named(self) -> str:
        """The run within its device, in words."""
        threads = "" if self.threads is None else f" with {self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.model}{threads}"


@dataclass(frozen=True)
class WorstAnswer:
    """What one model made of a picture; `jpeg` is base64, or None."""

    model: str
    iou: float
    quad_iou: float
    jpeg: str | None


def read_report(path: Path) -> dict[str, Any]:
    """A report of `unet-benchmark run`.

    Raises:
        ReportError: no such file, no JSON, another format or version.
    """
    try:
        content = read_json(path)
    except FileNotFoundError as error:
        raise ReportError(f"{path}: expected a benchmark report, but there is no such file; check the path") from error
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: expected a benchmark report in JSON, got {error}; make it again") from error
    if not isinstance(content, dict) or content.get("format") != REPORT_FORMAT:
        raise ReportError(f"{path}: expected a report of unet-benchmark run, got other JSON; name such a report")
    if content.get("version") not in (*OLD_VERSIONS, REPORT_VERSION):
        raise ReportError(
            f"{path}: expected report version {REPORT_VERSION}, got {content.get('version')!r}; "
            f"run the benchmark again with this unetlite"
        )
    return content


def table_rows(reports: Sequence[tuple[str, dict[str, Any]]]) -> list[Row]:
    """The runs of all reports as rows; two reports of devices with one name are told apart by the file's.

    Args:
        reports: name of the file and content.

    Raises:
        ReportError: a field is missing or of the wrong kind.
    """
    rows: list[Row] = []
    for (name, report), label in zip(reports, device_labels(reports), strict=True):
        own = [_row(run, name, label, report) for run in _get(report, name, "runs", kind=list)]
        rows += [replace(row, ratio=_ratio(row, own)) for row in own]
    return rows


def device_labels(reports: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """What each report's device is called; an emulated one says so."""
    boards = [_board(name, report) for name, report in reports]
    return [
        f"{board} ({_clean(name)})" if boards.count(board) > 1 else board
        for (name, _), board in zip(reports, boards, strict=True)
    ]


def _board(name: str, report: dict[str, Any]) -> str:
    device = _get(report, name, "device", kind=dict)
    board = _clean(str(device.get("model") or device.get("cpu") or name))[:120]
    return f"{board}, emulated" if _emulated(report, name) else board


def _emulated(report: dict[str, Any], name: str) -> bool:
    return bool(_get(report, name, "emulated", kind=(bool, type(None)), default=None))


def _row(run: Any, name: str, device: str, report: dict[str, Any]) -> Row:
    if not isinstance(run, dict):
        raise ReportError(f"{name}: expected each run as a JSON object, got {type(run).__name__}; run it again")

    def needed(*path: str, kind: Any = _NUMBER) -> Any:
        return _get(run, name, *path, kind=kind)

    def known(*path: str, kind: Any = _NUMBER) -> Any:
        return _get(run, name, *path, kind=(*(kind if isinstance(kind, tuple) else (kind,)), type(None)), default=None)

    emulated = _emulated(report, name)
    level, runtime = needed("level", kind=(str, type(None))), known("runtime", kind=str)
    if emulated:
        counts = {stage: needed("instructions", stage, "p50") for stage in (*STAGES, "total")}
        median = p90 = p99 = None
    else:
        counts, p99 = None, known("latency_ms", "total", "p99")
        median, p90 = (needed("latency_ms", "total", share) for share in ("p50", "p90"))
    valid = known("valid", kind=bool)
    low, high = _interval(known("time_ratio_interval", kind=list), name)
    return Row(
        device=device,
        board=_board(name, report),
        model=_clean(needed("model", kind=str)),
        level=None if level is None else _clean(level),
        threads=known("threads", kind=int),
        runtime=None if runtime is None else _clean(runtime),
        model_bytes=needed("model_bytes", kind=int),
        iou=needed("iou_mean"),
        quad_iou=needed("quad_iou_mean"),
        quad_ge_90=known("quad_iou_ge_90"),
        corner_error=known("corner_error_mean"),
        images=needed("images", kind=int),
        delegated_ops=needed("delegated_ops", kind=(int, type(None))),
        total_ops=needed("total_ops", kind=(int, type(None))),
        partitions=known("partitions", kind=int),
        median_ms=median,
        p90_ms=p90,
        p99_ms=p99,
        first_invoke_ms=known("first_invoke_ms"),
        spread=known("spread"),
        ratio=known("time_ratio"),
        ratio_low=low,
        ratio_high=high,
        steady_rss_bytes=known("steady_rss_bytes", kind=int),
        # In version 1 it was of all models of the process together.
        peak_rss_bytes=None if report.get("version") in OLD_VERSIONS else known("peak_rss_bytes", kind=int),
        gmac_per_s=known("gmac_per_s"),
        peak_share=known("peak_share"),
        throttled=needed("throttled", kind=(bool, type(None))),
        valid=(not run.get("throttled")) if valid is None else valid,
        emulated=emulated,
        instructions=counts,
        data_sha256=_clean(_get(report, name, "data", "sha256", kind=str)),
        conditions=tuple(_condition(c, name) for c in known("conditions", kind=list) or ()),
    )


def _interval(content: list[Any] | None, name: str) -> tuple[float | None, float | None]:
    if content is None:
        return None, None
    ends = {"time_ratio_interval": dict(enumerate(content))}
    low, high = (_get(ends, name, "time_ratio_interval", place, kind=_NUMBER) for place in (0, 1))
    return low, high


def _condition(content: Any, name: str) -> Condition:
    figures = [_get(content, name, field, kind=_NUMBER) for field in ("iou_mean", "quad_iou_mean", "quad_iou_ge_90")]
    words = [_clean(_get(content, name, field, kind=str))[:40] for field in ("condition", "value")]
    return Condition(words[0], words[1], _get(content, name, "images", kind=int), *figures)


def _ratio(row: Row, rows: Sequence[Row]) -> float | None:
    """Against the float32 run that differs in the level alone."""
    key = (row.network, row.threads, row.runtime)
    whole = next((r for r in rows if r.level == "float32" and (r.network, r.threads, r.runtime) == key), None)
    if whole is None or not (row.valid and whole.valid):
        return None
    if row.instructions and whole.instructions:
        return row.instructions["total"] / max(whole.instructions["total"], 1)
    if row.ratio is not None:
        return row.ratio  # round by round, which holds while a machine drifts
    return row.median_ms / whole.median_ms if row.median_ms and whole.median_ms else None


def worst_answers(name: str, report: dict[str, Any]) -> list[tuple[str, tuple[WorstAnswer, ...]]]:
    """The pictures that a report's models do worst on, and what each model made of them; empty where it lists none.

    Raises:
        ReportError: a field is missing or of the wrong kind, or a picture is no JPEG in base64.
    """
    found = []
    for entry in _get(report, name, "worst", kind=list, default=[]):
        answers = []
        for answer in _get(entry, name, "models", kind=list):
            jpeg = _get(answer, name, "jpeg", kind=(str, type(None)))
            if jpeg is not None and not _JPEG.fullmatch(jpeg):
                raise ReportError(f"{name}: the field 'jpeg' holds no JPEG in base64; run the benchmark again")
            iou, quad_iou = (_get(answer, name, field, kind=_NUMBER) for field in ("iou", "quad_iou"))
            answers.append(WorstAnswer(_clean(_get(answer, name, "model", kind=str)), iou, quad_iou, jpeg))
        found.append((_clean(_get(entry, name, "image", kind=str)), tuple(answers)))
    return found


def report_warnings(reports: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """What a person must know before comparing these reports; sentences."""
    rows = table_rows(reports)
    found = [
        f"{_clean(name)}: report version {report['version']} knows no memory by model, spread or conditions"
        for name, report in reports
        if report.get("version") in OLD_VERSIONS
    ]
    if len({row.data_sha256 for row in rows}) > 1:
        found.append("the reports are over different data sets (their hashes differ): compare latencies, not scores")
    invalid = [row for row in rows if not row.valid]
    if invalid:
        found.append(
            f"{len(invalid)} of {len(rows)} runs are invalid (throttled, or the governor moved): they have no ratio "
            f"and are never recommended"
        )
    vague = Counter(row.device for row in rows if _is_vague(row))
    found += [
        f"{device} was not at rest: another run may find other ratios for {count} of its "
        f"{sum(row.device == device for row in rows)} runs (in brackets); stop other work there and run it again"
        for device, count in vague.items()
    ]
    if len({row.emulated for row in rows}) > 1:
        found.append("emulated devices count instructions, which are no latency: they stand in a table of their own")
    return found


def _is_vague(row: Row) -> bool:
    if row.ratio is None or row.ratio_low is None or row.ratio_high is None:
        return False
    return not Ratio(row.ratio, row.ratio_low, row.ratio_high).holds


_MISSING: Any = object()


def _get(content: Any, name: str, *path: str | int, kind: Any, default: Any = _MISSING) -> Any:
    field = ".".join(map(str, path))
    for key in path:
        if not isinstance(content, dict) or key not in content:
            if default is not _MISSING and (content is None or isinstance(content, dict)):
                return default
            raise ReportError(f"{name}: expected the field {field!r}, found none; run the benchmark again")
        content = content[key]
    absurd = isinstance(content, (int, float)) and not 0 <= content < 1e15  # NaN and infinity are neither
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(content, kinds) or absurd or (isinstance(content, bool) and bool not in kinds):
        raise ReportError(f"{name}: the field {field!r} holds {content!r:.60}; run the benchmark again")
    return content


def _clean(text: str) -> str:
    """Without control characters: a terminal would obey them."""
    return "".join(c if c.isprintable() else "?" for c in text)
