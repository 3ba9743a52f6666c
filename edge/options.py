"""Options that several of the device's commands share, said once.

Stands apart so that a model is named and described alike everywhere. Imports click and names alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from unetlite.vision.contract import FITS

_F = TypeVar("_F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)

models_option = click.option(
    "--model",
    "models",
    type=PATH,
    multiple=True,
    help="A file or a shipped model's name; repeat for several.  [default: unetlite]",
)
require_sha256_option = click.option(
    "--require-sha256", metavar="HEX", help="Refuse a model file of another SHA-256 than this."
)


def model_options(command: _F) -> _F:
    """How a model is run, and what it may leave unsaid about itself."""
    for option in reversed(
        [
            click.option(
                "--input-range",
                type=float,
                nargs=2,
                metavar="LOW HIGH",
                help="Real values that 0 and 255 stand for, where the model does not say (or says wrong).",
            ),
            click.option(
                "--fit",
                type=click.Choice(FITS),
                help="How a picture is fitted into the input, instead of what the model says.",
            ),
            click.option("--labels", type=PATH, help="Class names, one a line, background first, likewise."),
        ]
    ):
        command = option(command)
    return command
