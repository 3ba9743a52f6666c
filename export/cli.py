"""`unet-export`: a Keras model to `.tflite` files that describe themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from unetlite.vision.cli import Command, overwrite_option, tell, watching
from unetlite.vision.contract import FITS

NOT_ALL = 3  # exit status where a level was refused or rejected and the others were written


@click.command(cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--float32", is_flag=True, help="Weights and arithmetic as trained.")
@click.option("--float16", is_flag=True, help="Weights halved, arithmetic in float.")
@click.option("--weights8", is_flag=True, help="int8 weights, arithmetic in float: a quarter of float32 at its speed.")
@click.option("--dynamic", is_flag=True, help="int8 weights, activations quantized while running.")
@click.option("--int8", is_flag=True, help="Full integer, uint8 in and out; needs --calibration.")
@click.option("--int16x8", is_flag=True, help="int8 weights, int16 activations; slow everywhere, see --allow-slow.")
@click.option("--calibration", type=click.Path(path_type=Path), metavar="DIR|MANIFEST",
              help="Pictures for int8: a manifest of unet-calibrate, or a folder to choose from.")  # fmt: skip
@click.option("--validation", type=click.Path(path_type=Path), metavar="DIR",
              help="A data set with truth to compare and score the files on.")  # fmt: skip
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--input-range", nargs=2, type=float, metavar="LOW HIGH",
              help="Real values of 0 and 255, if not as trained.")  # fmt: skip
@click.option("--fit", type=click.Choice(FITS), help="How pictures are fitted, if not as trained.")
@click.option("--labels", type=click.Path(path_type=Path), metavar="FILE",
              help="Class names, one a line, background first, if not as trained.")  # fmt: skip
@click.option("--author", default="not stated", help="For the metadata.")
@click.option("--licence", default="not stated", help="Of the weights, for the metadata.")
@click.option("--model-version", default="not stated", help="For the metadata.")
@click.option("--max-iou-loss", type=click.FloatRange(0, 1), default=0.005,
              help="Mean IoU that a level may lose against MODEL.")  # fmt: skip
@click.option("--max-share-loss", type=click.FloatRange(0, 100), default=0.5, metavar="POINTS",
              help="Share of quads of IoU 0.9 that it may lose; unless 0, one picture and what is chance.")  # fmt: skip
@click.option("--max-image-loss", type=click.FloatRange(0, 1), default=0.05,
              help="IoU that it may lose on any one picture.")  # fmt: skip
@click.option("--sensitivity", is_flag=True, help="Measure and tell what each layer costs at int8.")
@click.option("--keep-float", multiple=True, metavar="auto|N|LAYER",
              help="Layers of the int8 file that stay in float: as few as keep the budget, the N costliest, or by "
                   "the names that --sensitivity tells (repeat it).")  # fmt: skip
@click.option("--html", is_flag=True, help="Write the report as a page for people, too: NAME.export.html.")
@click.option("--allow-leakage", is_flag=True, help="Go on where calibration pictures are part of the validation.")
@click.option("--allow-slow", is_flag=True, help="Write levels, too, that would crawl on reference kernels.")
@overwrite_option
@click.pass_context
def main(
    ctx: click.Context,
    model: Path,
    calibration: Path | None,
    validation: Path | None,
    folder: Path,
    input_range: tuple[float, float] | None,
    fit: str | None,
    labels: Path | None,
    author: str,
    licence: str,
    model_version: str,
    max_iou_loss: float,
    max_share_loss: float,
    max_image_loss: float,
    sensitivity: bool,
    keep_float: tuple[str, ...],
    html: bool,
    allow_leakage: bool,
    allow_slow: bool,
    overwrite: bool,
    **wanted: bool,
) -> None:
    """Convert MODEL (.keras or .h5) to one .tflite file per level, each with metadata, labels and contract inside.

    Without a level flag: float32, float16, dynamic, and int8 where --calibration is given. Every file is scored
    beside MODEL on the validation pictures. One that loses more than the budget is kept in DIR/rejected/ with the
    reason on stderr. Without --validation only agreement with MODEL is gated, on the calibration's pictures, at ten
    times --max-iou-loss and --max-image-loss. Exit status 3: a level was rejected, or refused without a file; the
    others were written.
    """
    from unetlite.export.quiet import quiet_tensorflow

    quiet_tensorflow()  # before the first import of TensorFlow
    import datetime

    from unetlite.calibration.manifest import write_manifest
    from unetlite.edge.model_contract import Overrides, parse_labels
    from unetlite.export.exporter import Titles
    from unetlite.export.gates import Budget
    from unetlite.export.keep_float import parse_wish
    from unetlite.export.layer_chart import layer_chart
    from unetlite.export.metadata import import_writers
    from unetlite.export.output import targets_of, write_files
    from unetlite.export.page import export_page
    from unetlite.export.report import build_report, chart_path, page_path, report_path
    from unetlite.export.run import Request, export_model
    from unetlite.export.worst import show_worst
    from unetlite.vision.files import write_json, write_text

    levels = _levels([name for name, flag in wanted.items() if flag], calibration)
    # A folder's choice of pictures is kept beside the files, so that it can be repeated.
    manifest_path = folder / f"{model.stem}.calibration.json" if calibration and calibration.is_dir() else None
    report = report_path(model, folder)
    page, chart = page_path(model, folder), chart_path(model, folder)
    if (sensitivity or keep_float) and not any(level.name == "int8" for level in levels):
        raise click.UsageError("--sensitivity and --keep-float look at the int8 file: add --int8 and --calibration")
    wish = parse_wish(keep_float) if keep_float else None
    targets = [path for level in levels for path in targets_of(model, level, folder)] + [report]
    targets += [page] if html else []
    targets += [chart] if sensitivity or (wish is not None and not wish.names) else []
    _refuse_existing([*targets, manifest_path] if manifest_path else targets, overwrite)
    import_writers()  # a missing extra is told before minutes of work

    names = None if labels is None else parse_labels(_read_labels(labels))
    request = Request(
        model,
        levels,
        calibration,
        validation,
        given=Overrides(input_range, fit, None, names),
        titles=Titles(author, licence, model_version),
        budget=Budget(max_iou_loss, max_share_loss, max_image_loss),
        allow_leakage=allow_leakage,
        allow_slow=allow_slow,
        keep_float=wish,
        rank_layers=sensitivity,
    )
    outcome = export_model(request, tell, watching)
    written = write_files(outcome.network, outcome.exports, folder, overwrite=overwrite)
    manifest = outcome.facts.manifest
    if manifest_path is not None and manifest is not None:
        write_manifest(manifest_path, manifest, overwrite=overwrite)
    content = build_report(outcome, datetime.datetime.now(datetime.timezone.utc))
    write_json(report, content, overwrite=overwrite)
    if content["layers"] is not None:
        write_text(chart, layer_chart(content["layers"], content["levels"]["int8"]["in_float"]), overwrite=overwrite)
    if html:
        shown = show_worst(outcome.network, outcome.exports, outcome.pictures)
        write_text(page, export_page(content, shown), overwrite=overwrite)
    accepted = _tell_outcome(outcome, written, report)
    if content["layers"] is not None:
        click.echo(f"{chart}  error along the network")
    if html:
        click.echo(f"{page}  report as a page")
    if accepted < len(levels):
        ctx.exit(NOT_ALL)


def _tell_outcome(outcome: Any, written: Mapping[str, Path], report: Path) -> int:
    """Say what was written, and what was not and why; returns how many files may ship."""
    from unetlite.export.report import preferred, rejection, summary_line, warnings_about

    for export in outcome.exports:
        if export.refused is not None:
            tell(f"Refused {export.level.name}: {export.refused}")
        for line in rejection(written[export.level.name], export) if export.rejected else []:
            tell(line)
        for warning in warnings_about(export):
            tell(f"WARNING: {warning}")
    accepted = {export.level.name: written[export.level.name] for export in outcome.exports if export.ships}
    for export in outcome.exports:
        if export.ships:
            click.echo(summary_line(accepted[export.level.name], export))
    if outcome.study is not None:
        _tell_study(outcome.study)
    click.echo(f"{report}  report")
    first = preferred(accepted)
    if first is not None:
        tell(f"Next: unet-infer PICTURES --model {first} --crop-out crops/")
    return len(accepted)


def _tell_study(study: Any) -> None:
    from unetlite.export.keep_float import trade_table
    from unetlite.export.sensitivity import sensitivity_table

    if study.sensitivity is not None:
        click.echo(sensitivity_table(study.sensitivity))
    if study.trade is not None:
        click.echo("Layers of the int8 file in float, and what that gives and takes:")
        click.echo(trade_table(study.trade))


def _levels(wanted: list[str], calibration: Path | None) -> list[Any]:
    from unetlite.export.levels import LEVELS

    for name in wanted:
        if LEVELS[name].calibrated and calibration is None:
            raise click.UsageError(
                f"--{name} needs --calibration with a manifest (unet-calibrate DATA --to manifest.json) "
                f"or a folder of pictures like those the device will see"
            )
    if wanted:
        return [LEVELS[name] for name in LEVELS if name in wanted]
    levels = [level for level in LEVELS.values() if level.default]
    left_out = [level.name for level in levels if level.calibrated and calibration is None]
    if left_out:
        tell(f"Left out {', '.join(left_out)}: it needs --calibration with a manifest or a folder of pictures.")
    return [level for level in levels if level.name not in left_out]


def _refuse_existing(targets: list[Path], overwrite: bool) -> None:
    """Before minutes of work; the writers check again."""
    from unetlite.vision.errors import OutputError

    existing = [str(path) for path in targets if path.exists()]
    if existing and not overwrite:
        raise OutputError(f"{', '.join(existing)}: expected new files; choose another --to or pass --overwrite")


def _read_labels(path: Path) -> bytes:
    from unetlite.vision.errors import ContractError

    try:
        return path.read_bytes()
    except OSError as error:
        raise ContractError(f"{path}: expected class names, one a line: {error.strerror}; check --labels") from error
