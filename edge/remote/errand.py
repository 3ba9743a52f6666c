"""The benchmark on other machines: copies what it needs to each, measures there, brings the report back.

Stands apart from `ssh`, which knows connections, and from the benchmark, which runs on the device as it does
here. Devices are independent: each has its own thread, its own connection and its own failure.
"""

from __future__ import annotations

import json
import re
import shlex
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from unetlite.edge.benchmark.pictures import benchmark_samples
from unetlite.edge.benchmark.report import REPORT_FORMAT
from unetlite.edge.remote.ssh import Connection, Ended, Stopped, device_path
from unetlite.vision.dataset import Sample
from unetlite.vision.errors import ModelError, RemoteError, SettingsError
from unetlite.vision.files import write_bytes

Said = Callable[[str, str], None]  # host, what it does now
_FULL = re.compile("No space left on device|Disk quota exceeded")

# Of a Python on the device: version, whether it can make environments, whether the camera's packages are its own.
_PROBE = (
    "import importlib.util as u, sys; "
    "print(*sys.version_info[:2], u.find_spec('ensurepip') is not None, u.find_spec('picamera2') is not None)"
)
_VERSION = "import importlib.metadata as m, unetlite.edge.cli; print(m.version('unetlite'))"
_RUN = "from unetlite.edge.cli import benchmark; benchmark(prog_name='unet-benchmark')"


@dataclass(frozen=True)
class Errand:
    """What every device gets and does.

    Attributes:
        files: (path below the device's folder, file here), in the order of sending.
        wheel: below the device's folder; None where `python` has the project already.
        models: below the device's folder.
        data: the data set's folder there.
        images: how many pictures.
        run_options: further options of `unet-benchmark run`.
        python: an interpreter of the device, None makes an environment.
        workdir: the device's folder to work in.
        keep: leave the folder there.
    """

    files: tuple[tuple[str, Path], ...]
    wheel: str | None
    models: tuple[str, ...]
    data: str
    images: int
    run_options: tuple[str, ...] = ()
    python: str | None = None
    workdir: str = "~"
    keep: bool = False

    @property
    def total_bytes(self) -> int:
        return sum(file.stat().st_size for _, file in self.files)


@dataclass(frozen=True)
class Outcome:
    """How it went on one device: `error` is a sentence, or None where the report was written."""

    host: str
    error: str | None
    warnings: tuple[str, ...] = ()


def plan_errand(
    models: Sequence[Path],
    data: Path,
    wheel: Path | None,
    *,
    limit: int | None = None,
    run_options: Sequence[str] = (),
    python: str | None = None,
    workdir: str = "~",
    keep: bool = False,
) -> Errand:
    """Choose what travels: of the data set only what is measured on, so that the report names it as here.

    Raises:
        ModelError: a model is no .tflite file.
        DatasetError, GroundTruthError: as `benchmark_samples`.
        SettingsError: a path on the device that holds control characters.
    """
    for text in (workdir, python or ""):
        if not text.isprintable():
            raise SettingsError(f"expected a path on the device without control characters, got {text!r}; rename it")
    files = [] if wheel is None else [(f"sent/{wheel.name}", wheel)]
    names = []
    for number, model in enumerate(models):
        if model.suffix.lower() != ".tflite" or not model.is_file():
            raise ModelError(f"{model}: expected a .tflite file, which is what devices run; make one with unet-export")
        names.append(f"sent/{number}/{model.name}")  # numbered: two folders may hold the same name
        files.append((names[-1], model))
    _, samples = benchmark_samples(data, limit)
    folder = f"sent/data/{data.resolve().name}"
    files += [(f"{folder}/{path.relative_to(data).as_posix()}", path) for path in _sample_files(data, samples)]
    return Errand(
        tuple(files),
        None if wheel is None else files[0][0],
        tuple(names),
        folder,
        len(samples),
        tuple(run_options),
        python,
        workdir,
        keep,
    )


def _sample_files(data: Path, samples: Sequence[Sample]) -> list[Path]:
    found = set()
    for sample in samples:
        found |= {path for path in (sample.image, sample.mask, sample.polygon) if path is not None}
        # Beside masks this may hold no corners, but what the picture is of.
        described = sample.image.parent.parent / "ground_truth" / f"{sample.image.stem}.json"
        found |= {described} if described.is_file() else set()
    return sorted(found) + sorted({*data.glob("conditions.tsv"), *data.glob("test/conditions.tsv")})


def measure_devices(
    targets: dict[str, Path], errand: Errand, *, said: Said, config: Path | None = None
) -> list[Outcome]:
    """Run the errand on all devices at once; a failure of one is its outcome and does not stop the others.

    Args:
        targets: the report to write by host.
        said: called from several threads with a host and what it does now.
        config: an OpenSSH configuration instead of the user's own.

    Returns:
        One outcome a host, in their order. On KeyboardInterrupt every device is tidied before it goes on up.
    """
    # Short, because a socket's path has at most 108 bytes, of which OpenSSH needs 17 for itself. The folder in it is
    # a private one.
    short = "/tmp" if Path("/tmp").is_dir() else None  # nosec B108
    with tempfile.TemporaryDirectory(prefix="unet-", dir=short) as folder, ThreadPoolExecutor(len(targets)) as pool:
        connections = [Connection(host, Path(folder) / str(number), config) for number, host in enumerate(targets)]
        futures: list[Future[Outcome]] = []
        try:
            futures += [pool.submit(_outcome, c, errand, targets[c.host], said) for c in connections]
            wait(futures)
        except KeyboardInterrupt:
            for connection in connections:
                connection.stop()
            wait(futures)
            raise
        return [future.result() for future in futures]


def _outcome(connection: Connection, errand: Errand, target: Path, said: Said) -> Outcome:
    """The errand on one device, from connecting to tidying up."""
    host, error, warnings = connection.host, None, []
    try:
        try:
            said(host, "connecting")
            connection.open(errand.workdir, keep=errand.keep)
            warnings += _measure(connection, errand, target, said)
        finally:
            if connection.folder:
                said(host, "tidying up")
            tidy = connection.close()
    except Stopped:
        error = f"{host}: stopped"
    except RemoteError as failure:
        error = str(failure)
    except OSError as failure:
        error = f"{host}: {failure}; mend it here and run it again"
    if not tidy:
        warnings.append(f"{host}: {connection.folder} may still be there; remove it by hand")
    elif errand.keep and connection.folder:
        again = "" if errand.python else f"; next time: --python {shlex.quote(connection.folder + '/venv/bin/python')}"
        warnings.append(f"{host}: kept {connection.folder}{again}")
    said(host, "failed" if error else f"done: {target}")
    return Outcome(host, error, tuple(warnings))


def _measure(connection: Connection, errand: Errand, target: Path, said: Said) -> list[str]:
    """Copy, install, measure, fetch; returns the warnings."""
    host = connection.host
    warnings = []
    python = device_path(errand.python) if errand.python and "/" in errand.python else shlex.quote(errand.python or "")
    if errand.python:
        said(host, "looking at its Python")
        advice = "install unetlite[edge] for that interpreter, or leave out --python"
        there = _step(connection, f"{python} -c {shlex.quote(_VERSION)}", f"run unetlite with {errand.python}", advice)
        warnings += _version_warning(host, there.output.decode("utf-8", "replace").strip())
    else:
        site = _look_at_python(connection)
    said(host, f"copying {errand.total_bytes / 1e6:.1f} MB")
    advice = "look at the folder of --workdir there"
    _step(connection, "tar -xof -", "copy the files", advice, feed=lambda pipe: _send(pipe, errand))
    if not errand.python:
        said(host, "installing unetlite[edge]")
        _install(connection, errand, site)
        python = "venv/bin/python"
    said(host, f"measuring, models: {len(errand.models)}, pictures: {errand.images}")
    words = [word for model in errand.models for word in ("--model", model)]
    words += ["--data", errand.data, "--report", "report.json", *errand.run_options]
    # No compiled files beside an interpreter that was there before.
    command = f"PYTHONDONTWRITEBYTECODE=1 {python} -c {shlex.quote(_RUN)} run {shlex.join(words)}"
    ended = _step(connection, command, "measure", "mend that on the device")
    lines = [line for line in ended.errors.splitlines() if line.startswith("Warning: ")]
    warnings += [f"{host}: {line.removeprefix('Warning: ')}" for line in lines if line.isprintable()]
    said(host, "fetching the report")
    content = _step(connection, "cat report.json", "read the report", "run it again").output
    _check_report(host, content)
    write_bytes(target, content)
    return warnings


def _step(
    connection: Connection, script: str, purpose: str, advice: str, feed: Callable[[IO[bytes]], None] | None = None
) -> Ended:
    """Run a script on the device; that it fails is a RemoteError with `advice`, or one on the full disk."""
    ended = connection.run(script, feed)
    if ended.status == 0:
        return ended
    if _FULL.search(ended.errors) or _FULL.search(ended.output.decode("utf-8", "replace")):
        raise RemoteError(
            f"{connection.host}: its disk was full when it had to {purpose} in {connection.folder}; "
            f"free some space there, or name a folder on another disk with --workdir"
        )
    raise RemoteError(f"{connection.host}: could not {purpose} there: {ended.reason}; {advice}")


def _look_at_python(connection: Connection) -> bool:
    """Whether the device's environment should see the system's packages.

    It should where the camera's packages are the system's: they and their NumPy belong together, and live capture
    runs in such an environment.
    """
    advice = "install it with sudo apt install python3-venv, or name an environment there with --python"
    answer = _step(connection, f"python3 -c {shlex.quote(_PROBE)}", "run python3", advice).output.decode().split()[-4:]
    version, can_make, has_camera = ".".join(answer[:2]), answer[2] == "True", answer[3] == "True"
    if (int(answer[0]), int(answer[1])) < (3, 10):
        raise RemoteError(
            f"{connection.host}: expected Python 3.10 or later, got {version}; "
            f"make an environment of a later one there and name it with --python"
        )
    if not can_make:
        raise RemoteError(
            f"{connection.host}: its Python {version} cannot make environments; "
            f"run there: sudo apt install python3-venv"
        )
    return has_camera


def _install(connection: Connection, errand: Errand, site: bool) -> None:
    options = " --system-site-packages" if site else ""
    _step(connection, f"python3 -m venv{options} venv", "make an environment", "name one there with --python")
    # No cache: it would be left behind in the home folder.
    pip = "venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-cache-dir"
    advice = "see whether it reaches its package index, or make an environment there and name it with --python"
    _step(connection, f"{pip} {shlex.quote(f'./{errand.wheel}[edge]')}", "install unetlite[edge]", advice)


def _send(pipe: IO[bytes], errand: Errand) -> None:
    """Write the errand's files as a tar stream: names need no quoting there, and one stream is quicker than files."""
    with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for name, path in errand.files:
            with open(path, "rb") as file:
                entry = tarfile.TarInfo(name)
                status = path.stat()
                entry.size, entry.mtime, entry.mode = status.st_size, int(status.st_mtime), 0o644
                archive.addfile(entry, file)


def _version_warning(host: str, there: str) -> list[str]:
    from unetlite.edge.runtime import installed_version

    here = installed_version("unetlite")
    return [] if there == here else [f"{host}: measured with unetlite {there}, while this is {here}"]


def _check_report(host: str, content: bytes) -> None:
    try:
        report = json.loads(content)
    except (ValueError, RecursionError):
        report = None
    if not isinstance(report, dict) or report.get("format") != REPORT_FORMAT:
        raise RemoteError(
            f"{host}: expected a report of unet-benchmark run, got {len(content)} bytes of something else; "
            f"see with --keep what is there"
        )
