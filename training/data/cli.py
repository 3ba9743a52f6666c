"""`unet-data`: download, prepare, synthesize."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from unetlite.vision.cli import Command, Group, progress, tell

FOLDER = click.Path(file_okay=False, path_type=Path)


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
    tell(f"Next: unet-train --data {to}")
