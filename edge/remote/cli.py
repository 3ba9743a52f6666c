"""`unet-benchmark remote`: its options, and one line a device on the terminal.

Stands apart from the device's other commands because it runs where no model does. Imports click alone at module level.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import click

from unetlite.edge.options import PATH, models_option
from unetlite.vision.cli import Command, overwrite_option, tell

_CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True, "ignore_unknown_options": True}


@click.command(cls=Command, name="remote", context_settings=_CONTEXT)
@click.option("--host", "hosts", multiple=True, required=True, help="As ssh takes it: a name, user@name; repeat.")
@models_option
@click.option("--data", type=PATH, required=True, help="The data set here; what is measured on is copied.")
@click.option("--to", "folder", type=PATH, required=True, help="Folder for the reports, HOST.json each.")
@click.option("--wheel", type=PATH, help="A wheel of unetlite to install there.  [default: this installation, packed]")
@click.option("--python", help="Interpreter on the device that has unetlite[edge] already: nothing is installed.")
@click.option("--workdir", default="~", help="Folder on the device to work in; it needs about 500 MB without --python.")
@click.option("--keep", is_flag=True, help="Leave environment, models and data on the device.")
@click.option("--ssh-config", type=PATH, help="An OpenSSH configuration instead of your own.")
@overwrite_option
@click.argument("run_options", nargs=-1, type=click.UNPROCESSED, metavar="[RUN_OPTIONS]...")
@click.pass_context
def benchmark_remote(
    ctx: click.Context,
    hosts: tuple[str, ...],
    models: tuple[Path, ...],
    data: Path,
    folder: Path,
    wheel: Path | None,
    python: str | None,
    workdir: str,
    keep: bool,
    ssh_config: Path | None,
    overwrite: bool,
    run_options: tuple[str, ...],
) -> None:
    """Measure on other devices over OpenSSH, all at once, and bring their reports here.

    A host is what `ssh HOST` takes, with your own configuration and keys; it must let you in without a question.
    Models, pictures and a wheel are copied into a new folder on each device, which is removed in the end, also after
    Ctrl-C. Paths on a device start at its home folder. RUN_OPTIONS are options of `unet-benchmark run`, such as
    --limit 50. A device that fails does not stop the others; the exit status is 1 at the end.
    """
    from unetlite.edge.remote.errand import measure_devices, plan_errand
    from unetlite.edge.remote.wheel import check_wheel, pack_wheel
    from unetlite.edge.segmenter import chosen_model
    from unetlite.vision.errors import RemoteError

    if wheel is not None and python is not None:
        raise click.UsageError("--wheel and --python exclude each other: with --python nothing is installed")
    if shutil.which("ssh") is None:
        raise RemoteError("expected OpenSSH's ssh here, found none; install it: sudo apt install openssh-client")
    targets = _targets(hosts, folder, overwrite)
    limit = _limit_of(ctx, data, run_options)
    chosen = [chosen_model(model) for model in models or (None,)]
    with tempfile.TemporaryDirectory(prefix="unet-") as packed:
        if wheel is not None:
            check_wheel(wheel)
        elif python is None:
            wheel = pack_wheel(Path(packed))
        errand = plan_errand(
            chosen, data, wheel, limit=limit, run_options=run_options, python=python, workdir=workdir, keep=keep
        )
        outcomes = measure_devices(targets, errand, said=DeviceLines(hosts), config=ssh_config)
    for outcome in outcomes:
        for warning in outcome.warnings:
            tell(f"Warning: {warning}")
    written = [str(targets[outcome.host]) for outcome in outcomes if not outcome.error]
    for path in written:
        click.echo(path)
    for outcome in outcomes:
        if outcome.error:
            tell(f"Error: {outcome.error}")
    if written:
        tell(f"reports: {len(written)} of {len(hosts)}; next: unet-benchmark compare {shlex.join(written)}")
    if len(written) < len(hosts):
        ctx.exit(1)


def _targets(hosts: Sequence[str], folder: Path, overwrite: bool) -> dict[str, Path]:
    """The report's file by host; hosts and files are each themselves alone."""
    from unetlite.vision.errors import OutputError

    targets: dict[str, Path] = {}
    for host in hosts:
        if not re.fullmatch(r"[^-\s][^\s]*", host) or not host.isprintable():
            raise click.UsageError(f"--host: expected what ssh takes, such as pi@kitchen, got {host!r}")
        target = folder / (re.sub(r"[^A-Za-z0-9._@-]", "_", host).lstrip(".") + ".json")
        if host in targets or target in targets.values():
            raise click.UsageError(f"--host {host}: named twice, or its report would be {target} as another's is")
        if target.exists() and not overwrite:
            raise OutputError(f"{target}: expected a new file, but it exists; choose another --to or pass --overwrite")
        targets[host] = target
    return targets


def _limit_of(ctx: click.Context, data: Path, run_options: Sequence[str]) -> int | None:
    """Let `unet-benchmark run` read its options here, before any device is asked; returns its --limit."""
    assert ctx.parent is not None and isinstance(ctx.parent.command, click.Group)
    run = ctx.parent.command.commands["run"]
    report = "report.json"
    words = ["--data", str(data), "--report", report, *run_options]
    parsed = run.make_context("unet-benchmark run", words)
    if parsed.params["report"] != Path(report):
        raise click.UsageError("--report: the devices' reports go to the folder of --to, leave it out")
    for parameter in run.params:
        given = parsed.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and isinstance(parameter.type, click.Path) and parameter.name not in ("data", "report"):
            raise click.UsageError(f"{parameter.opts[0]}: names a file, and only --model and --data are copied there")
    return parsed.params.get("limit")


class DeviceLines:
    """What each device does: one line a device, drawn again on a terminal, one line a change elsewhere."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._states = dict.fromkeys(hosts, "")
        self._lock = threading.Lock()
        self._live = sys.stderr.isatty()
        self._drawn = 0

    def __call__(self, host: str, state: str) -> None:
        with self._lock:
            self._states[host] = state
            if not self._live:
                tell(f"{host}: {state}")
                return
            columns = shutil.get_terminal_size().columns
            width = max(map(len, self._states))
            lines = [f"{name:<{width}}  {text}"[: columns - 1] for name, text in self._states.items()]
            # Up over what was drawn, and each line anew to its end.
            up = f"\x1b[{self._drawn}A" if self._drawn else ""
            tell(up + "\n".join(f"\x1b[2K{line}" for line in lines))
            self._drawn = len(lines)

