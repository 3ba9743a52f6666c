"""All commands together: each is documented, and each answers --help without its heavy extra."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parents[1]


def entry_points() -> dict[str, str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.entry_points"]["console_scripts"].split("\n")
    return dict(tuple(part.strip() for part in line.split("=")) for line in lines if line.strip())


def load(target: str) -> click.Command:
    module, name = target.split(":")
    return getattr(__import__(module, fromlist=[name]), name)


def all_commands() -> list[tuple[str, click.Command]]:
    found = []
    for name, target in entry_points().items():
        command = load(target)
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", command.commands[sub]) for sub in sorted(command.commands)]
    return found


COMMANDS = all_commands()


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_and_option_has_help(name: str, command: click.Command) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in ("batch_size", "seed"):
            assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS])
def test_every_command_stands_in_the_readme(name: str) -> None:
    assert name in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(("name", "target"), entry_points().items(), ids=list(entry_points()))
def test_help_needs_nothing_but_click(name: str, target: str) -> None:
    module, function = target.split(":")
    script = (
        "import sys\n"
        "for heavy in ('numpy', 'cv2', 'tensorflow', 'keras', 'ai_edge_litert', 'tflite_runtime'):\n"
        "    sys.modules[heavy] = None\n"
        f"from {module} import {function} as command\n"
        "command(['--help'])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout


@pytest.mark.parametrize(("name", "target"), entry_points().items(), ids=list(entry_points()))
def test_an_unknown_option_is_a_usage_error(name: str, target: str) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(load(target), ["--no-such-option"])
    assert result.exit_code == 2
    assert "No such option" in result.output
