"""The device's commands: `unet-infer`, `unet-benchmark`, `unet-doctor`.

Stands apart because options and words live here, work elsewhere. Imports click alone at module level.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unetlite.edge.options import PATH, model_options, models_option, require_sha256_option
from unetlite.edge.remote.cli import benchmark_remote
from unetlite.vision.cli import SHARD, Command, Group, overwrite_option, progress, tell

if TYPE_CHECKING:
    from unetlite.edge.segmenter import Segmenter

_F = TypeVar("_F", bound=Callable[..., Any])


@click.command(cls=Command, name="unet-infer")
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--model", type=PATH, help="A .tflite, .keras or .h5 file, or a shipped model's name.  [default: unetlite]"
)
@click.option("--mask-out", type=PATH, help="File (one picture) or folder for masks.")
@click.option("--crop-out", type=PATH, help="File or folder for the documents, flat and upright.")
@click.option("--overlay-out", type=PATH, help="File or folder for pictures with mask, quad and confidence drawn in.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a picture.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, help="Threads of the interpreter.")
@model_options
@click.option("--threshold", type=float, help="Probability from which on a pixel is document, likewise.")
@require_sha256_option
@overwrite_option
@click.pass_context
def infer(
    ctx: click.Context,
    paths: tuple[Path, ...],
    model: Path | None,
    mask_out: Path | None,
    crop_out: Path | None,
    overlay_out: Path | None,
    as_json: bool,
    overwrite: bool,
    **given: Any,
) -> None:
    """Find the document in pictures, folders of pictures and videos.

    Folders are not entered beyond their own files. A picture that cannot be read is told, the others go on, and the
    exit status is 1 at the end. That there is no document is an answer, not an error.
    """
    from unetlite.edge.infer import infer_sources, readable_line
    from unetlite.edge.outputs import plan_outputs
    from unetlite.edge.segmenter import chosen_model

    asked = {"mask": mask_out, "crop": crop_out, "overlay": overlay_out}
    targets = {kind: target for kind, target in asked.items() if target is not None}
    plan = plan_outputs(paths, targets, overwrite=overwrite)
    segmenter = _load(chosen_model(model), given)
    answered = documents = upright = 0
    failed = False
    for record in infer_sources(segmenter, paths, plan, warn=lambda message: tell(f"Warning: {message}")):
        if as_json:
            click.echo(json.dumps(record, allow_nan=False))
        elif "error" in record:
            tell(f"Error: {record['error']}")
        else:
            click.echo(readable_line(record))
        failed = failed or "error" in record
        answered += "error" not in record
        documents += record.get("document", False)
        upright += record.get("upright", False)
    for kind, target in targets.items():
        if kind == "crop":
            tell(f"crops written to {target}: {documents}, of which {upright} stand as their portraits do")
        else:
            tell(f"{kind}s written to {target}: {answered}")
    if failed:
        ctx.exit(1)


def _load(model: Path, given: dict[str, Any]) -> Segmenter:
    """Load a model as the options say, and say what runs it and what was taken for granted."""
    from unetlite.edge.model_contract import read_labels
    from unetlite.edge.segmenter import load_segmenter

    labels = given["labels"]
    segmenter = load_segmenter(
        model,
        threads=given["threads"],
        input_range=given["input_range"],
        fit=given["fit"],
        threshold=given.get("threshold"),
        labels=None if labels is None else read_labels(labels),
        require_sha256=given.get("require_sha256"),
    )
    threads = "" if segmenter.runtime.name == "keras" else f", threads: {given['threads']}"
    tell(f"{model.name} on {segmenter.runtime}{threads}")
    if segmenter.contract_origin != "contract.json":
        contract = segmenter.contract
        low, high = contract.input.real_range
        tell(
            f"{model.name} carries no contract; by its {segmenter.contract_origin}, 0..255 stands for "
            f"{low:g}..{high:g}, fit {contract.input.fit}, threshold {contract.output.threshold:g}, "
            f"classes {', '.join(contract.output.class_names)}"
        )
    return segmenter


@click.group(cls=Group, name="unet-benchmark", context_settings={"help_option_names": ["-h", "--help"]})
def benchmark() -> None:
    """Measure models on this device, and compare devices."""


benchmark.add_command(benchmark_remote)


class _Threads(click.ParamType):
    name = "N,N"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = value.split(",")
        if not all(part.strip().isdecimal() and 1 <= int(part) <= 64 for part in parts):
            self.fail(f"expected numbers of threads such as 1,2,4, got {value!r}", param, ctx)
        return tuple(dict.fromkeys(int(part) for part in parts))


def limit_options(command: _F) -> _F:
    """What makes a benchmark fail in someone's own checks."""
    for option in reversed(
        [
            click.option("--against", type=PATH, metavar="BASELINE", help="Exit 3 where this report was better."),
            click.option(
                "--max-iou-loss",
                type=click.FloatRange(0, 1),
                default=0.01,
                show_default=True,
                help="With --against: IoU and quad IoU that a model may lose.",
            ),
            click.option(
                "--max-slowdown",
                type=click.FloatRange(1),
                default=1.2,
                show_default=True,
                help="With --against: times the baseline's median that a frame may take.",
            ),
        ]
    ):
        command = option(command)
    return command


@benchmark.command(name="run")
@models_option
@click.option("--data", type=PATH, required=True, help="MIDV layout, images/ beside masks/, or a split (its test/).")
@click.option("--report", type=PATH, required=True, help="The JSON report to write.")
@click.option("--limit", type=click.IntRange(1), help="Use so many pictures, spread evenly over the data set.")
@click.option("--shard", type=SHARD, help="Measure on part I of N of them; then unet-benchmark merge.")
@click.option(
    "--threads",
    type=_Threads(),
    help="Time each model with these numbers of threads.  [default: those of 1,2,4 that there are cores for]",
)
@click.option("--rounds", type=click.IntRange(1), default=50, help="Rounds of timing; every model has a turn in each.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.9, help="List the pictures of lower IoU.")
@click.option("--low-iou-out", type=PATH, help="Folder for overlays of the pictures below --threshold.")
@click.option("--pictures", is_flag=True, help="Put small overlays of the worst pictures into the report.")
@limit_options
@model_options
@overwrite_option
@click.pass_context
def benchmark_run(
    ctx: click.Context,
    models: tuple[Path, ...],
    data: Path,
    report: Path,
    limit: int | None,
    shard: Any,
    threads: tuple[int, ...] | None,
    rounds: int,
    threshold: float,
    low_iou_out: Path | None,
    pictures: bool,
    against: Path | None,
    max_iou_loss: float,
    max_slowdown: float,
    overwrite: bool,
    **given: Any,
) -> None:
    """Measure IoU, latency and memory of models over one data set on this device.

    Pictures are looked at as live capture looks at frames; where a map leaves doubt, unet-infer takes longer and finds
    more.

    Models take turns in rounds, so that their ratios hold while the device drifts. Rounds in which the device was
    throttled, or its governor moved, are left out and their run is marked invalid. The options on a model's contract
    hold for every model of the run.
    """
    import os

    from unetlite.edge.benchmark.low_iou import check_low_iou_folder, write_low_iou_overlays
    from unetlite.edge.benchmark.run import run_benchmark
    from unetlite.edge.compare.report import read_report, report_warnings, table_rows
    from unetlite.edge.compare.tables import run_lines, text_table
    from unetlite.edge.segmenter import chosen_model
    from unetlite.vision.errors import OutputError
    from unetlite.vision.files import write_json

    if report.exists() and not overwrite:
        raise OutputError(f"{report}: expected a new file, but it exists; choose another name or pass --overwrite")
    if low_iou_out is not None:
        check_low_iou_folder(low_iou_out, overwrite=overwrite)
    baseline = None if against is None else (against.name, read_report(against))
    if threads is None:
        cores = len(os.sched_getaffinity(0))
        threads = tuple(count for count in (1, 2, 4) if count <= cores)
    paths = [chosen_model(model) for model in models or (None,)]
    loaded = [(path, _load(path, {**given, "threads": threads[0]})) for path in paths]

    def track(items: Any, what: str) -> Any:
        with progress(items, what, len(items)) as shown:
            yield from shown

    content = run_benchmark(
        loaded,
        data,
        threads=threads,
        limit=limit,
        shard=shard,
        rounds=rounds,
        threshold=threshold,
        pictures=pictures,
        track=track,
    )
    write_json(report, content, overwrite=overwrite)
    click.echo(text_table(table_rows([(report.name, content)])))
    for line in run_lines(content):
        click.echo(line)
    for warning in report_warnings([(report.name, content)]):
        tell(f"Warning: {warning}")
    for reason in sorted({reason for run in content["runs"] for reason in run["invalid_because"]}):
        tell(f"Warning: these runs are invalid: {reason}; see unet-doctor, and run again")
    if low_iou_out is not None:
        count = write_low_iou_overlays(content, loaded, data, low_iou_out)
        tell(f"{count} overlays written to {low_iou_out}")
    if shard is None:
        tell(f"{report} written; next: unet-benchmark compare {report} --html report.html")
    else:
        tell(f"{report} written; next, with all {shard.count} shards: unet-benchmark merge REPORT... --report REPORT")
    if baseline is not None:
        _judge(ctx, [(report.name, content)], baseline, max_iou_loss, max_slowdown)


def _judge(
    ctx: click.Context,
    reports: list[tuple[str, dict[str, Any]]],
    baseline: tuple[str, dict[str, Any]],
    max_iou_loss: float,
    max_slowdown: float,
) -> None:
    """Say how the reports do against a baseline; exit 3 where they lose too much."""
    from unetlite.edge.compare.choice import judge_against
    from unetlite.edge.compare.report import table_rows

    verdicts = judge_against(
        table_rows(reports), table_rows([baseline]), max_iou_loss=max_iou_loss, max_slowdown=max_slowdown
    )
    for verdict in verdicts:
        click.echo(str(verdict))
    if any(verdict.losses for verdict in verdicts):
        ctx.exit(3)


@benchmark.command(name="merge")
@click.argument("reports", type=PATH, nargs=-1, required=True, metavar="PART...")
@click.option("--report", type=PATH, required=True, help="The JSON report to write.")
@overwrite_option
def benchmark_merge(reports: tuple[Path, ...], report: Path, overwrite: bool) -> None:
    """Make one report of the PARTs that run wrote with --shard: exact scores of the whole, each part's latencies."""
    from unetlite.edge.compare.merge import merge_reports
    from unetlite.edge.compare.report import read_report
    from unetlite.vision.files import write_json

    content = merge_reports([(path.name, read_report(path)) for path in reports])
    write_json(report, content, overwrite=overwrite)
    click.echo(f"{report}   {len(reports)} parts, {content['data']['images']} pictures")
    for run in content["runs"][: len(content["runs"]) // len(reports)]:
        scores = f"IoU {run['iou_mean']:.4f}   quad IoU {run['quad_iou_mean']:.4f}"
        click.echo(f"{run['model']}   {scores} (N={run['images']})")
    tell(f"Next: unet-benchmark compare {report} --html report.html")


@benchmark.command(name="compare")
@click.argument("reports", type=PATH, nargs=-1, required=True, metavar="REPORT...")
@click.option("--html", "html_out", type=PATH, help="Also write a page with charts, conditions and worst pictures.")
@click.option("--markdown", "markdown_out", type=PATH, help="Also write the table as Markdown.")
@click.option("--csv", "csv_out", type=PATH, help="Also write it as CSV.")
@click.option("--max-ms", type=click.FloatRange(0, min_open=True), help="Recommend a model within this median a frame.")
@click.option("--min-iou", type=click.FloatRange(0, 1), help="Recommend a model of at least this mean IoU.")
@limit_options
@overwrite_option
@click.pass_context
def benchmark_compare(
    ctx: click.Context,
    reports: tuple[Path, ...],
    html_out: Path | None,
    markdown_out: Path | None,
    csv_out: Path | None,
    max_ms: float | None,
    min_iou: float | None,
    against: Path | None,
    max_iou_loss: float,
    max_slowdown: float,
    overwrite: bool,
) -> None:
    """Put the reports of one or more devices into one table, and choose which model goes where."""
    from unetlite.edge.compare.choice import Budget, recommend
    from unetlite.edge.compare.page import html_page
    from unetlite.edge.compare.report import read_report, report_warnings, table_rows
    from unetlite.edge.compare.tables import csv_table, markdown_table, text_table
    from unetlite.vision.errors import OutputError
    from unetlite.vision.files import write_text

    for target in (html_out, markdown_out, csv_out):
        if target is not None and target.exists() and not overwrite:
            raise OutputError(f"{target}: expected a new file, but it exists; choose another name or pass --overwrite")
    content = [(path.name, read_report(path)) for path in reports]
    baseline = None if against is None else (against.name, read_report(against))
    budget = None if max_ms is None and min_iou is None else Budget(max_ms, min_iou)
    rows = table_rows(content)
    click.echo(text_table(rows))
    for warning in report_warnings(content):
        tell(f"Warning: {warning}")
    if budget is not None:
        for choice in recommend(rows, budget):
            click.echo(str(choice))
    written = (
        (html_out, lambda: html_page(content, budget)),
        (markdown_out, lambda: markdown_table(rows)),
        (csv_out, lambda: csv_table(rows)),
    )
    for target, write in written:
        if target is not None:
            write_text(target, write(), overwrite=overwrite)
            tell(f"{target} written ({target.stat().st_size} bytes)")
    if baseline is not None:
        _judge(ctx, content, baseline, max_iou_loss, max_slowdown)


@click.command(cls=Command, name="unet-doctor")
@click.option("--gpu", is_flag=True, help="Compare the GPU with the CPU; its absence is then a failure.")
@click.option("--json", "as_json", is_flag=True, help="The checks as JSON.")
@click.pass_context
def doctor(ctx: click.Context, gpu: bool, as_json: bool) -> None:
    """Check this machine and print the exact command that mends what is wrong.

    Exit status 0: all that this machine is for works: inference, and training where TensorFlow is installed.
    """
    from dataclasses import asdict

    from unetlite.edge.doctor.checks import examine, works

    checks = examine(gpu=gpu)
    healthy = works(checks)
    if as_json:
        click.echo(json.dumps({"ok": healthy, "checks": [asdict(check) for check in checks]}, indent=1))
    else:
        for check in checks:
            click.echo(f"{check.status:<5} {check.name}: {check.detail}")
            if check.fix and check.status != "ok":
                click.echo(f"      fix: {check.fix}")
    if not healthy:
        ctx.exit(1)
