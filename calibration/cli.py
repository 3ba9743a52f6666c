"""`unet-calibrate`: choose, audit and record the representative data set."""

from __future__ import annotations

from pathlib import Path

import click

from unetlite.vision.cli import SIZE, Command, overwrite_option, tell, watching
from unetlite.vision.contract import FITS


@click.command(cls=Command)
@click.argument("source", metavar="DATA", type=click.Path(path_type=Path))
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="The manifest to write (JSON).")
@click.option("--count", type=click.IntRange(min=1), default=64, help="How many pictures to choose.")
@click.option("--strategy", type=click.Choice(["stratified", "random", "k-centre"]), default="stratified",
              help="Evenly over documents and brightness; each equally likely; or least like each other.")  # fmt: skip
@click.option("--seed", type=int, default=0, help="The same seed over the same files chooses the same pictures.")
@click.option("--size", "size_wh", type=SIZE, default="320x192", help="The network's input size in pixels.")
@click.option("--input-range", nargs=2, type=float, default=(0.0, 1.0), metavar="LOW HIGH",
              help="The real values that 0 and 255 stand for.")  # fmt: skip
@click.option("--fit", type=click.Choice(FITS), default="turn",
              help="How a picture is brought to that size.")  # fmt: skip
@overwrite_option
def main(
    source: Path,
    target: Path,
    count: int,
    strategy: str,
    seed: int,
    size_wh: tuple[int, int],
    input_range: tuple[float, float],
    fit: str,
    overwrite: bool,
) -> None:
    """Choose the pictures that full-integer quantization learns its ranges from.

    DATA is a folder of pictures or a data set; of a prepared one (train/ validation/ test/) the training part is
    used. Pictures that would break the model (too few, all dark) are refused.
    """
    from unetlite.calibration.audit import audit
    from unetlite.calibration.manifest import make_manifest, write_manifest
    from unetlite.vision.contract import InputSpec
    from unetlite.vision.errors import OutputError

    if target.exists() and not overwrite:  # before minutes of reading
        raise OutputError(f"{target}: expected a new file, but it exists; choose another name or pass --overwrite")
    if not input_range[0] < input_range[1]:
        raise click.BadParameter(f"expected LOW below HIGH, got {input_range}", param_hint="--input-range")

    spec = InputSpec(size_wh, input_range, fit)
    watch = watching("Reading pictures")
    manifest = make_manifest(source, spec, count=count, strategy=strategy, seed=seed, watch=watch)
    if manifest.copies_left_out:
        tell(f"{manifest.copies_left_out} pictures left out: copies of others, by bytes or by looks.")
    if manifest.unreadable_left_out:
        tell(f"{manifest.unreadable_left_out} files left out: they are named like pictures, but cannot be read.")
    if len(manifest.pictures) < count:
        tell(f"{len(manifest.pictures)} different pictures found where --count asks for {count}; all are used.")
    audit(manifest)
    write_manifest(target, manifest, overwrite=overwrite)
    spread = manifest.brightness
    click.echo(
        f"{target}  {len(manifest.pictures)} of {manifest.candidates} pictures, {strategy}, seed {seed}  "
        f"brightness {spread.min:.0f}..{spread.median:.0f}..{spread.max:.0f}  SHA-256 {manifest.sha256[:12]}"
    )
    tell(f"Next: unet-export MODEL --int8 --calibration {target} --to DIR")

