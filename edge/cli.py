"""The device's commands: `unet-infer`, `unet-benchmark`, `unet-doctor`.

Stands apart because options and words live here, work elsewhere. Imports click alone at module level.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unetlite.edge.remote_cli import benchmark_remote
from unetlite.vision.cli import Command, Group, overwrite_option, progress, tell

if TYPE_CHECKING:
    from unetlite.edge.segmenter import Segmenter

_F = TypeVar("_F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)


def model_options(command: _F) -> _F:
    """How a model is run, and what it may leave unsaid about itself."""
    for option in reversed(
        [
            click.option("--threads", type=click.IntRange(1, 64), default=1, help="Threads of the interpreter."),
            click.option(
                "--input-range",
                type=float,
                nargs=2,
                metavar="LOW HIGH",
                help="Real values that 0 and 255 stand for, where the model does not say (or says wrong).",
            ),
            click.option(
                "--fit",
                type=click.Choice(["stretch", "letterbox"]),
                help="How a picture is fitted into the input, instead of what the model says.",
            ),
            click.option("--labels", type=PATH, help="Class names, one a line, background first, likewise."),
        ]
    ):
        command = option(command)
    return command


@click.command(cls=Command, name="unet-infer")
@click.argument("paths", type=PATH, nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--model", type=PATH, help="A .tflite, .keras or .h5 file, or a shipped model: unetlite-nano.  [default: unetlite]"
)
@click.option("--mask-out", type=PATH, help="File (one picture) or folder for masks.")
@click.option("--crop-out", type=PATH, help="File or folder for the flattened documents.")
@click.option("--overlay-out", type=PATH, help="File or folder for pictures with mask, quad and confidence drawn in.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line a picture.")
@model_options
@click.option("--threshold", type=float, help="Probability from which on a pixel is document, likewise.")
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
    answered = documents = 0
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
    for kind, target in targets.items():
        tell(f"{kind}s written to {target}: {documents if kind == 'crop' else answered}")
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


@benchmark.command(name="run")
@click.option(
    "--model",
    "models",
    type=PATH,
    multiple=True,
    help="A file or a shipped model's name; repeat for several.  [default: unetlite]",
)
@click.option("--data", type=PATH, required=True, help="MIDV layout, images/ beside masks/, or a split (its test/).")
@click.option("--report", type=PATH, required=True, help="The JSON report to write.")
@click.option("--limit", type=click.IntRange(1), help="Use so many pictures, spread evenly over the data set.")
@click.option("--repeat", type=click.IntRange(1), default=1, help="How often each picture is timed.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.9, help="List the pictures of lower IoU.")
@click.option("--low-iou-out", type=PATH, help="Folder for overlays of the pictures below --threshold.")
@model_options
@overwrite_option
def benchmark_run(
    models: tuple[Path, ...],
    data: Path,
    report: Path,
    limit: int | None,
    repeat: int,
    threshold: float,
    low_iou_out: Path | None,
    overwrite: bool,
    **given: Any,
) -> None:
    """Measure IoU and latency of models over one data set on this device.

    The options on a model's contract hold for every model of the run.
    """
    from unetlite.edge.benchmark import run_benchmark
    from unetlite.edge.low_iou import check_low_iou_folder, write_low_iou_overlays
    from unetlite.edge.report import table_rows, text_table
    from unetlite.edge.segmenter import chosen_model
    from unetlite.vision.errors import OutputError
    from unetlite.vision.files import write_json

    if report.exists() and not overwrite:
        raise OutputError(f"{report}: expected a new file, but it exists; choose another name or pass --overwrite")
    if low_iou_out is not None:
        check_low_iou_folder(low_iou_out, overwrite=overwrite)
    paths = [chosen_model(model) for model in models or (None,)]
    loaded = [(path, _load(path, given)) for path in paths]

    def track(rounds: list[Any]) -> Any:
        with progress(rounds, "rounds", len(rounds)) as shown:
            yield from shown

    content = run_benchmark(
        loaded, data, threads=given["threads"], limit=limit, repeat=repeat, threshold=threshold, track=track
    )
    write_json(report, content, overwrite=overwrite)
    click.echo(text_table(table_rows([(report.name, content)])))
    for run in content["runs"]:
        below = run["below_threshold"]
        click.echo(f"{run['model']}: {len(below)} of {run['images']} pictures below IoU {threshold:g}")
        for entry in below:
            click.echo(f"  {entry['iou']:.3f}  {entry['image']}")
        if run["throttled"]:
            tell("Warning: the device was throttled: power supply or cooling; see unet-doctor")
    if low_iou_out is not None:
        count = write_low_iou_overlays(content, loaded, data, low_iou_out)
        tell(f"{count} overlays written to {low_iou_out}")
    tell(f"{report} written; next: unet-benchmark compare {report} --html report.html")


@benchmark.command(name="compare")
@click.argument("reports", type=PATH, nargs=-1, required=True, metavar="REPORT...")
@click.option("--html", "html_out", type=PATH, help="Also write the table as an HTML page.")
@click.option("--markdown", "markdown_out", type=PATH, help="Also write it as Markdown.")
@click.option("--csv", "csv_out", type=PATH, help="Also write it as CSV.")
@overwrite_option
def benchmark_compare(
    reports: tuple[Path, ...],
    html_out: Path | None,
    markdown_out: Path | None,
    csv_out: Path | None,
    overwrite: bool,
) -> None:
    """Put the reports of one or more devices into one table."""
    from unetlite.edge.html_report import html_page
    from unetlite.edge.report import csv_table, data_warning, markdown_table, read_report, table_rows, text_table
    from unetlite.vision.errors import OutputError
    from unetlite.vision.files import write_text

    writers = ((html_out, html_page), (markdown_out, markdown_table), (csv_out, csv_table))
    for target, _ in writers:
        if target is not None and target.exists() and not overwrite:
            raise OutputError(f"{target}: expected a new file, but it exists; choose another name or pass --overwrite")
    rows = table_rows([(path.name, read_report(path)) for path in reports])
    click.echo(text_table(rows))
    warning = data_warning(rows)
    if warning:
        tell(f"Warning: {warning}")
    for target, write in writers:
        if target is not None:
            write_text(target, write(rows), overwrite=overwrite)
            tell(f"{target} written ({target.stat().st_size} bytes)")


@click.command(cls=Command, name="unet-doctor")
@click.option("--gpu", is_flag=True, help="Compare the GPU with the CPU; its absence is then a failure.")
@click.option("--json", "as_json", is_flag=True, help="The checks as JSON.")
@click.pass_context
def doctor(ctx: click.Context, gpu: bool, as_json: bool) -> None:
    """Check this machine and print the exact command that mends what is wrong.

    Exit status 0: all that this machine is for works: inference, and training where TensorFlow is installed.
    """
    from dataclasses import asdict

    from unetlite.edge.doctor import examine, works

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
