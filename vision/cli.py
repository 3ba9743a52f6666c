"""What all commands share: errors as one sentence, numbers and progress told alike.

Stands apart so that `cli.py` in the other folders holds options and calls only. Imports click alone,
because every `--help` passes through here.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

import click


class Command(click.Command):
    """A click command that turns this toolkit's errors into `Error: ...` and exit status 1."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"], "show_default": True})
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(["--traceback", "show_traceback"], is_flag=True, help="Show where an error came from.")
        )

    def invoke(self, ctx: click.Context) -> Any:
        show_traceback = ctx.params.pop("show_traceback", False)
        from unetlite.vision.errors import UnetliteError

        try:
            return super().invoke(ctx)
        except UnetliteError as error:
            if show_traceback:
                traceback.print_exc()
            raise click.ClickException(str(error)) from error


class Group(click.Group):
    """A group whose commands are `Command`s."""

    command_class = Command


def tell(message: str) -> None:
    """Say something on stderr: stdout is for results."""
    click.echo(message, err=True)


def progress(items: Any, label: str, length: int | None = None) -> Any:
    """Iterate with a progress bar on stderr, or silently where stderr is no terminal."""
    if not sys.stderr.isatty():
        return _Quiet(items)
    return click.progressbar(items, label=label, length=length, file=sys.stderr, show_pos=True)


def watching(label: str) -> Any:
    """A function that hands items on one by one under a `progress` bar of this label."""

    def watch(items: Any) -> Any:
        with progress(items, label) as watched:
            yield from watched

    return watch


class _Quiet:
    """Stands in for click's progress bar where there is no terminal to draw it on."""

    def __init__(self, items: Any) -> None:
        self._items = items

    def __enter__(self) -> Any:
        return iter(self._items)

    def __exit__(self, *_: object) -> None:
        return None


class _Size(click.ParamType):
    name = "WxH"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        parts = value.lower().split("x")
        if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
            self.fail(f"expected WIDTHxHEIGHT in pixels such as 256x256, got {value!r}", param, ctx)
        return int(parts[0]), int(parts[1])


class _ShardType(click.ParamType):
    name = "I/N"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        from unetlite.vision.errors import SettingsError
        from unetlite.vision.shard import Shard, parse_shard

        if isinstance(value, Shard):
            return value
        try:
            return parse_shard(value)
        except SettingsError as error:
            self.fail(str(error), param, ctx)


SIZE = _Size()
SHARD = _ShardType()
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace files that exist.")
