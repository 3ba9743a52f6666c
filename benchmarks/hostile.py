"""Give thousands of damaged and malicious files to every reader, and count what comes of them.

Expected of each: an answer, or an error of the project's own in one sentence. Counted against it: another exception,
the end of the process, more than 10 s, more than 1 GB. The cases follow from the seed; `--keep` writes the files of
those that went wrong.

    python benchmarks/hostile.py --to docs/results/hostile.json
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from hostile_guided import guided_tables
from tables import table, write_tables

from unetlite.edge.segmenter import shipped_model
from unetlite.vision.cli import tell
from unetlite.vision.files import write_bytes

ROOT = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("hostile_trials.py")
MAX_SECONDS = 10.0
MAX_MB = 1000.0
_START_SECONDS = 180.0  # a worker imports and makes its seeds first
FAULTS = ("wrong exception", "crash", "hang", "memory")
LEVELS = ("float32", "float16", "dynamic", "int8", "int16x8")


@dataclass(frozen=True)
class Ended:
    """What came of a case.

    Attributes:
        outcome: "answer", "refused", or one of `FAULTS`.
        why: the error's sentence, or what went wrong.
    """

    number: int
    what: str
    outcome: str
    why: str
    seconds: float
    mb: float


def run_cases(
    kind: str, seed: int, numbers: range, seeds: Sequence[Path] = (), max_seconds: float = MAX_SECONDS
) -> Iterator[Ended]:
    """Run cases in worker processes; one that a case ends or holds up is replaced, and the case counted."""
    first = numbers.start
    while first < numbers.stop:
        command = [sys.executable, str(WORKER), kind, str(seed), str(first), str(numbers.stop), str(numbers.step)]
        worker = subprocess.Popen(
            [*command, *map(str, seeds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        begun: dict[str, object] = {}
        try:
            for line in _lines(worker, max_seconds):
                told = json.loads(line)
                if "outcome" not in told:
                    begun = told
                    continue
                outcome, why = told["outcome"], told["why"]
                if outcome in ("answer", "refused") and told["mb"] > MAX_MB:
                    outcome, why = "memory", f"{told['mb']:.0f} MB"
                yield Ended(told["case"], str(begun["what"]), outcome, why, told["s"], told["mb"])
                first, begun = told["case"] + numbers.step, {}
            hung = False
        except TimeoutError:
            hung = True
        finally:
            worker.kill()
            _, said = worker.communicate()
        if begun:
            code = worker.returncode
            why = f"more than {max_seconds:g} s" if hung else f"{_signal(-code) if code < 0 else f'status {code}'}"
            outcome = "hang" if hung else "crash"
            yield Ended(int(str(begun["case"])), str(begun["what"]), outcome, why, 0.0, 0.0)
            first = int(str(begun["case"])) + numbers.step
        elif first < numbers.stop:
            last = said[-2000:].decode("utf-8", "replace")
            raise RuntimeError(f"the worker for {kind} ended between two cases: {last}")


def _signal(number: int) -> str:
    return signal.Signals(number).name


def _lines(worker: subprocess.Popen[bytes], max_seconds: float) -> Iterator[bytes]:
    """The worker's lines; TimeoutError where a case takes too long, by the processor's clock or by any."""
    assert worker.stdout is not None
    limit, rest = _START_SECONDS, b""
    while True:
        begin, used = time.monotonic(), _cpu_seconds(worker.pid)
        while not select.select([worker.stdout], [], [], 0.5)[0]:
            # A busy machine makes anything wait: what counts is the processor time that the case itself took.
            if _cpu_seconds(worker.pid) - used > limit or time.monotonic() - begin > _START_SECONDS:
                raise TimeoutError
        block = os.read(worker.stdout.fileno(), 1 << 16)  # not readline: what it keeps, select does not see
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
        limit = max_seconds


def _cpu_seconds(pid: int) -> float:
    """Of a process and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def judged(ended: Ended, max_seconds: float = MAX_SECONDS) -> Ended:
    """The same, counted as a hang where the worker's own clock says so."""
    if ended.outcome in ("answer", "refused") and ended.seconds > max_seconds:
        return Ended(ended.number, ended.what, "hang", f"{ended.seconds:.1f} s", ended.seconds, ended.mb)
    return ended


def exported_models(folder: Path) -> list[Path]:
    """The shipped network at every level, made by unet-export."""
    network, pictures = ROOT / "models" / "unetlite.keras", ROOT / "samples"
    command = [sys.executable, "-c", "from unetlite.export.cli import main; main()", str(network)]
    flags = [f"--{level}" for level in LEVELS]
    subprocess.run(
        [*command, *flags, "--allow-slow", "--calibration", str(pictures), "--to", str(folder)], check=False,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return sorted(folder.rglob("*.tflite"))


def _row(kind: str, found: Sequence[Ended]) -> list[object]:
    counts = Counter(ended.outcome for ended in found)
    slowest = max((ended.seconds for ended in found), default=0.0)
    return [
        kind, len(found), counts["answer"], counts["refused"], *(counts[fault] for fault in FAULTS),
        f"{slowest:.1f} s", f"{max((ended.mb for ended in found), default=0.0):.0f} MB",
    ]  # fmt: skip


def _part(ended: Ended) -> str:
    return ended.what.partition(":")[2].partition(":")[0].strip() or ended.what


@click.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The result file.")
@click.option("--pictures", default=10_000, help="Damaged pictures.")
@click.option("--models", default=1_000, help="Damaged models.")
@click.option("--files", default=1_000, help="Damaged ground truths, manifests, reports, configurations.")
@click.option("--guided-seconds", default=60.0, help="Seconds of coverage-guided search a reader; 0 leaves it out.")
@click.option("--atheris", type=click.Path(path_type=Path), default=ROOT / ".venv-atheris" / "bin" / "python",
              help="An interpreter with atheris for that search.")
@click.option("--seed", default=1, help="Another seed, other damage.")
@click.option("--jobs", default=2, help="Workers at once.")
@click.option("--model", "given", multiple=True, type=click.Path(path_type=Path), help="Models to damage, as well.")
@click.option("--export/--no-export", default=True, help="Export the shipped network at every level to damage, too.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the files of cases that went wrong.")
def main(to: Path, pictures: int, models: int, files: int, guided_seconds: float, atheris: Path, seed: int,
         jobs: int, given: tuple[Path, ...], export: bool, keep: Path | None) -> None:  # fmt: skip
    """Run all cases and write the counts."""
    counts = {"pictures": pictures, "files": files, "models": models}
    done: dict[str, list[Ended]] = {}
    wrong: list[tuple[str, Ended]] = []
    guided: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        seeds = [shipped_model(), *given, *(exported_models(Path(folder)) if export and models else ())]

        def write() -> None:
            """What is known by now: an interrupted run leaves the counts of the parts that it finished."""
            options = "".join(f" --{kind} {len(found)}" for kind, found in done.items())
            options += "".join(f" --model {path.name}" for path in given) + ("" if export else " --no-export")
            write_tables(
                to, [*_tables(done), *guided],
                data=f"{sum(map(len, done.values()))} files, from {len(seeds)} models and drawn pictures, seed {seed}",
                command=f"python benchmarks/hostile.py{options} --to {to}",
                faults=[{"kind": k, "case": e.number, "what": e.what, "outcome": e.outcome, "why": e.why}
                        for k, e in wrong],
            )  # fmt: skip

        for kind, count in counts.items():
            begin = time.monotonic()
            shares = [range(start, count, jobs) for start in range(min(jobs, count))]
            with ThreadPoolExecutor(jobs) as pool:
                runs = pool.map(lambda share, kind=kind: _told(run_cases(kind, seed, share, seeds)), shares)
                done[kind] = [ended for run in runs for ended in run]
            faults = [ended for ended in done[kind] if ended.outcome in FAULTS]
            for ended in faults:
                if keep is not None:
                    _keep(keep, kind, seed, ended.number, seeds)
            wrong += [(kind, ended) for ended in faults]
            tell(f"{kind}: {len(done[kind])} cases, {len(faults)} faults, {time.monotonic() - begin:.0f} s")
            write()
        if guided_seconds:
            guided.append(guided_tables(atheris, guided_seconds, seed))
            write()
    sys.exit(1 if wrong else 0)


def _told(cases: Iterator[Ended]) -> list[Ended]:
    """The cases, having said at once what went wrong."""
    found = []
    for ended in map(judged, cases):
        found.append(ended)
        if ended.outcome in FAULTS:
            tell(f"{ended.number}: {ended.outcome}: {ended.what}: {ended.why}")
    return found


def _tables(done: dict[str, list[Ended]]) -> list[dict[str, Any]]:
    columns = ["files", "cases", "answered", "refused in a sentence", *FAULTS, "slowest", "most memory"]
    rows, parts = [], []
    for kind, found in done.items():
        if found:
            rows.append(_row(kind, found))
            groups = sorted({_part(ended) for ended in found})
            parts += [[kind, *_row(group, [e for e in found if _part(e) == group])[:8]] for group in groups]
    return [
        table("Damaged files", columns, rows),
        table("By kind of damage, or of file", ["files", "damage or file", *columns[1:8]], parts),
    ]


def _keep(folder: Path, kind: str, seed: int, number: int, seeds: Sequence[Path]) -> None:
    from hostile_models import model_case
    from hostile_pictures import picture_case

    if kind == "pictures":
        name, content, _ = picture_case(seed, number)
        write_bytes(folder / f"{number}-{name}", content)
    elif kind == "models":
        write_bytes(folder / f"{number}.tflite", model_case(seeds, seed, number)[0])


if __name__ == "__main__":
    main()
