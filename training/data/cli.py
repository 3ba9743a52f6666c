"""`unet-data`: download, prepare, synthesize, merge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from unetlite.vision.cli import SHARD, SIZE, Command, Group, progress, tell

FOLDER = click.Path(file_okay=False, path_type=Path)
shard_option = click.option(
    "--shard", type=SHARD, help="Do part I of N, each into a folder of its own; then unet-data merge."
)


@click.group("unet-data", cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Get, make and split training pictures."""


def _parse_shares(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    parts = text.split("/")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"expected three percentages such as 70/20/10, got {text!r}")
    return tuple(int(part) for part in parts)


@main.command(cls=Command)
@click.argument("source", type=FOLDER)
@click.option("--to", type=FOLDER, required=True, help="New folder for train/, validation/ and test/.")
@click.option("--split", "shares", default="70/20/10", callback=_parse_shares, help="Percent of pictures each gets.")
@click.option(
    "--by",
    type=click.Choice(["document", "clip", "frame"]),
    default="document",
    help="What is kept on one side. Neighbouring frames of a clip are nearly one picture: prefer document.",
)
@click.option("--seed", default=0, help="Another seed, another split.")
@click.option("--num-classes", default=2, type=click.IntRange(2, 255), help="Classes in the masks, with background.")
@click.option("--licence", help="The pictures' licence, kept for model cards.")
@click.option("--records", is_flag=True, help="Pack the training pictures into TFRecord files, for unet-train alone.")
@shard_option
@click.option("--jobs", type=click.IntRange(1), help="Threads.  [default: all cores]")
def prepare(source: Path, to: Path, shares: Any, **options: Any) -> None:
    """Split SOURCE, a MIDV folder or images/ beside masks/, into train, validation and test."""
    from unetlite.training.data.prepare import prepare as run

    result = run(
        source, to, shares=shares, progress=lambda items, length: progress(items, "Preparing", length), **options
    )
    for split, count in result.counts.items():
        click.echo(f"{to / split}   {count} pictures")
    if result.reused:
        tell(f"{result.reused} pictures were there already.")
    click.echo(f"{result.manifest}   who went where")
    tell(f"Next: unet-train --data {to}" if options["shard"] is None else _next_merge(options["shard"]))


def _next_merge(shard: Any) -> str:
    return f"Next, with all {shard.count} shards: unet-data merge PART... --to DIRECTORY"


@main.command(cls=Command)
@click.argument("parts", type=FOLDER, nargs=-1, required=True, metavar="PART...")
@click.option("--to", type=FOLDER, required=True, help="New folder for the whole set.")
def merge(parts: tuple[Path, ...], to: Path) -> None:
    """Put the PARTs that prepare or synthesize made with --shard together, as one run would have written them."""
    from unetlite.training.data.merge import merge as run

    result = run(parts, to)
    click.echo(f"{to}   {len(parts)} parts, {result.files} files")
    click.echo(f"{result.manifest}   as one run would have written it")


@main.command(cls=Command)
@click.option("--to", type=FOLDER, required=True, help="Folder for images/, masks/, ground_truth/.")
@click.option("--count", type=click.IntRange(1), required=True, help="How many pictures.")
@click.option("--seed", type=click.IntRange(0), default=0, help="The same seed gives the same pictures.")
@click.option("--backgrounds", type=FOLDER, help="Pictures and seamless tiles for the surfaces.")
@click.option("--faces", type=FOLDER, help="Flat pictures of documents to show beside the drawn ones.")
@click.option(
    "--poses",
    type=click.Path(dir_okay=False, path_type=Path),
    help="CSV of corners in real frames, to hold cards alike.",
)
@click.option(
    "--frames",
    type=FOLDER,
    help="Real frames with corners and nothing on their documents: draw new documents over those, and nothing else.",
)
@click.option("--size", "size_wh", type=SIZE, help="The pictures' size.  [default: several, upright and wide]")
@click.option("--negatives", type=click.FloatRange(0, 1), default=0.15, help="Share of pictures without a document.")
@click.option(
    "--classes",
    type=click.Choice(["document", "card,passport"]),
    default="document",
    help="What the masks tell apart beside the background.",
)
@shard_option
@click.option("--jobs", type=click.IntRange(1), help="Processes.  [default: all cores]")
def synthesize(to: Path, count: int, seed: int, classes: str, **options: Any) -> None:
    """Draw pictures of documents with their exact truth, and a contact sheet to look at."""
    from unetlite.training.synthesis.generator import generate

    shard = options["shard"]
    length = count if shard is None else -(-count // shard.count)
    with progress(range(length), "Drawing", length) as shown:
        step = iter(shown)
        finished = 0

        def show(done: int, _: int) -> None:
            nonlocal finished
            for _ in range(done - finished):
                next(step, None)
            finished = done

        result = generate(to, count, seed, classes=tuple(classes.split(",")), progress=show, **options)
    click.echo(f"{to}   {result.written} pictures drawn   {result.kept} were there already")
    click.echo(f"{to / 'contact-sheet.jpg'}   look at it first")
    tell(f"Next: unet-data prepare {to} --to {to}-split" if shard is None else _next_merge(shard))


@main.command(cls=Command)
@click.argument("dataset", type=click.Choice(["midv500", "midv2019"]))
@click.argument("more", nargs=-1, metavar="")
@click.option("--to", type=FOLDER, required=True, help="Folder for one subfolder a document.")
@click.option("--only", multiple=True, metavar="NAME ...", help="Only these documents, such as 01_alb_id.")
@click.option("--mirror", metavar="URL", help="Another FTP or HTTP(S) server with the same archives.")
@click.option("--jobs", type=click.IntRange(1), default=4, help="Archives at once.")
@click.option("--keep-archives", is_flag=True, help="Leave the .zip files after unpacking.")
def download(dataset: str, more: tuple[str, ...], to: Path, only: tuple[str, ...], **options: Any) -> None:
    """Fetch and unpack MIDV-500 or MIDV-2019; a run that was interrupted goes on where it stopped."""
    if more and not only:
        raise click.UsageError(f"unexpected {' '.join(more)}; name single documents with --only")
    from unetlite.training.data.bars import Bars
    from unetlite.training.data.download import download as run

    with Bars(sys.stderr) as bars:
        result = run(dataset, to, only=(*only, *more), report=bars, **options)
    click.echo(
        f"{to}   {len(result.unpacked)} documents unpacked   {len(result.present)} were there   "
        f"{result.bytes_on_disk / 1e6:.0f} MB"
    )
    tell(f"Next: unet-data prepare {to} --to {to}-split")
