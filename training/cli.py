"""`unet-train`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from unetlite.vision.cli import SIZE, Command, overwrite_option, tell
from unetlite.vision.contract import FITS


@click.command("unet-train", cls=Command)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    multiple=True,
    required=True,
    help="Prepared data set with train/ and validation/; may be repeated, and one named twice counts twice.",
)
@click.option("--preset", type=click.Choice(["reference", "edge", "nano"]), default="edge", help="Which U-Net.")
@click.option("--size", "size_wh", type=SIZE, help="Input size.  [default: the preset's]")
@click.option("--fit", type=click.Choice(FITS),
              help="How a picture is brought to that size.  [default: the preset's]")  # fmt: skip
@click.option("--epochs", default=50, type=click.IntRange(1), help="At most; training stops early at a plateau.")
@click.option(
    "--batch-size", default=16, type=click.IntRange(1), help="Pictures a step; with --strategy on each processor."
)
@click.option("--learning-rate", default=1e-3, type=click.FloatRange(0, min_open=True), help="AdamW's, at the start.")
@click.option("--weight-decay", default=1e-4, type=click.FloatRange(0), help="AdamW's.")
@click.option("--loss", default="dice", help="dice, iou, bce, sparse_categorical, or several joined: dice+bce.")
@click.option(
    "--schedule",
    type=click.Choice(["plateau", "cosine"]),
    default="plateau",
    help="Halve the rate when the validation IoU stands still, or lower it along a cosine over all epochs.",
)
@click.option("--num-classes", default=2, type=click.IntRange(2, 255), help="With background.")
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Class names, one a line, background first.  [default: background, document; or class_1 ...]",
)
@click.option(
    "--min-confidence",
    default=0.5,
    type=click.FloatRange(0, 1),
    help="From which on a picture holds a document; goes into the exported contract.",
)
@click.option("--patience", default=10, type=click.IntRange(1), help="Epochs without a better validation IoU.")
@click.option("--seed", default=0)
@click.option(
    "--model-out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("models/unet.keras"),
    help="Ending in .keras or .h5.",
)
@click.option(
    "--log-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="For TensorBoard.  [default: beside the model]",
)
@click.option(
    "--start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Begin with this trained model's weights instead of random ones.",
)
@click.option(
    "--strategy",
    type=click.Choice(["mirrored", "multi-worker"]),
    help="Train on all GPUs of this machine, or on the workers that TF_CONFIG or SLURM names.",
)
@click.option("--resume", is_flag=True, help="Go on after the last whole epoch of an interrupted run.")
@overwrite_option
def main(
    data: tuple[Path, ...],
    model_out: Path,
    num_classes: int,
    labels: Path | None,
    log_dir: Path | None,
    start: Path | None,
    resume: bool,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Train a U-Net and write the best epoch's model, with a training summary beside it."""
    class_names = _class_names(labels, num_classes)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # By itself TensorFlow takes oneDNN's kernels on processors with AVX-512 VNNI alone; they are the faster ones with
    # AVX2, too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        from unetlite.training.fit import Settings, train
    except ImportError as error:
        from unetlite.vision.errors import MissingExtraError

        raise MissingExtraError(
            f"unet-train needs TensorFlow ({error}); install it with: pip install 'unetlite[train-cpu]'"
        ) from error
    summary = train(
        list(data),
        model_out,
        Settings(class_names=class_names, **settings),
        start=start,
        resume=resume,
        overwrite=overwrite,
        log_dir=log_dir,
        tell=tell,
    )
    if summary is None:
        tell(f"Done; the chief writes {model_out}")
        return
    scores = summary["validation"]
    click.echo(f"{model_out}   {model_out.stat().st_size / 1e6:.2f} MB   {summary['parameters']} parameters")
    click.echo(
        f"validation IoU {scores['document_iou']:.4f}   MeanIoU {scores['mean_iou']:.4f}   "
        f"(N={scores['pictures']}, epoch {summary['best_epoch']} of {summary['epochs']})"
    )
    tell(f"Next: unet-export {model_out} --int8 --calibration {data[0]} --validation {data[0]}")


def _class_names(labels: Path | None, num_classes: int) -> tuple[str, ...]:
    if labels is None:
        if num_classes == 2:
            return ("background", "document")
        return ("background", *(f"class_{i}" for i in range(1, num_classes)))
    names = tuple(line.strip() for line in labels.read_text("utf-8").splitlines() if line.strip())
    if len(names) != num_classes:
        raise click.UsageError(f"{labels}: expected {num_classes} class names (--num-classes), got {len(names)}")
    return names
