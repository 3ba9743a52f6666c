"""Kill commands at random moments, fill the disk under them, take their right to write, and count what is left.

Expected: nothing half-written under a final name, one sentence where a command could speak, and a second run that ends
with what an undisturbed run leaves.

    python benchmarks/faults.py --to docs/results/faults.json
"""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from fault_training import training_tables
from fault_work import Runner, Work, all_works, broken, finished_files, leftovers, slow_server
from tables import table, write_tables

from unetlite.vision.cli import tell

ROOT = Path(__file__).resolve().parents[1]
KILLED, FULL, READ_ONLY = "Killed at a random moment (SIGKILL)", "Disks too small, of growing size", "Target read-only"
TITLES = {KILLED: "kills", FULL: "full disks", READ_ONLY: "read-only targets"}


@dataclass
class Count:
    """What came of one command's interruptions."""

    tried: int = 0
    interrupted: int = 0
    half_written: list[str] = field(default_factory=list)
    failed_reruns: list[str] = field(default_factory=list)
    no_sentence: list[str] = field(default_factory=list)
    leftovers: int = 0

    @property
    def faults(self) -> list[str]:
        """All that should not be."""
        return self.half_written + self.failed_reruns + self.no_sentence


def whole_run(work: Work, runner: Runner, to: Path) -> tuple[dict[str, str], float]:
    """The files that an undisturbed run leaves, and how long it takes."""
    begin = time.monotonic()
    status, said = runner.run(work.at(to))
    if status != 0:
        raise click.ClickException(f"{work.name}: expected status 0, got {status}: {said}")
    return finished_files(to), time.monotonic() - begin


def kills(work: Work, runner: Runner, folder: Path, times: int, rng: random.Random) -> Count:
    """Kill the command so often, each time after a random part of the time that it takes, and run it again."""
    whole_run(work, runner, folder / "warm")  # the first run pays for what the others find in memory
    reference, seconds = whole_run(work, runner, folder / "whole")
    count = Count()
    for number in range(times):
        to = folder / f"{number}"
        status, _ = runner.run(work.at(to), kill_after_s=rng.uniform(0.0, seconds))
        count.tried += 1
        count.interrupted += status == -9
        _check_rest(work, to, reference, count)
        _check_rerun(work, runner, to, reference, count)
        shutil.rmtree(to, ignore_errors=True)
    return count


def _check_rest(work: Work, to: Path, reference: dict[str, str], count: Count) -> None:
    if to.is_dir():
        count.half_written += [f"{work.name}: {reason}" for reason in broken(to, reference, work.stable)]


def _check_rerun(work: Work, runner: Runner, to: Path, reference: dict[str, str], count: Count) -> None:
    status, said = runner.run(work.at(to, again=True))
    found = finished_files(to) if to.is_dir() else {}
    same = found == reference if work.stable else set(found) == set(reference)
    if status != 0 or not same:
        differing = sorted(set(found.items()) ^ set(reference.items()))[:3]
        count.failed_reruns.append(f"{work.name}: second run ended with {status}: {said[-300:]} {differing}")
    else:
        count.half_written += [f"{work.name}: second run: {r}" for r in broken(to, reference, work.stable)]
    count.leftovers += leftovers(to) if to.is_dir() else 0


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system in memory of so many bytes; needs the right to mount."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def why_no_mount(folder: Path) -> str:
    """Why no small disk can be made here; empty where it can."""
    try:
        with small_disk(folder / "probe", 1 << 20):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return " ".join(str(getattr(error, "stderr", "") or error).split())


def remount(folder: Path, options: str) -> None:
    """Change a mounted disk's options."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True, capture_output=True, text=True)


def full_disks(work: Work, runner: Runner, folder: Path, steps: int) -> Count:
    """Run the command on disks of growing size, so that each of its writes is the one that does not fit."""
    reference, _ = whole_run(work, runner, folder / "whole")
    needed = sum(-(-path.stat().st_size // 4096) * 4096 for path in (folder / "whole").rglob("*") if path.is_file())
    count = Count()
    for number in range(steps):
        size = max(4096, int(needed * number / steps) // 4096 * 4096)
        with small_disk(folder / f"disk{number}", size) as disk:
            status, said = runner.run(work.at(disk / "to"))
            count.tried += 1
            count.interrupted += status != 0
            _check_sentence(work, status, said, count)
            _check_rest(work, disk / "to", reference, count)
            remount(disk, f"size={8 * needed + (64 << 20)}")
            _check_rerun(work, runner, disk / "to", reference, count)
    return count


def read_only(work: Work, runner: Runner, folder: Path) -> Count:
    """Run the command with a target that nothing can be written to, then with one that can."""
    reference, _ = whole_run(work, runner, folder / "whole")
    count = Count()
    with small_disk(folder / "read-only", 64 << 20) as disk:
        remount(disk, "ro")
        status, said = runner.run(work.at(disk / "to"))
        count.tried, count.interrupted = 1, int(status != 0)
        _check_sentence(work, status, said, count)
        remount(disk, "rw")
        _check_rerun(work, runner, disk / "to", reference, count)
    return count


def _check_sentence(work: Work, status: int, said: str, count: Count) -> None:
    if status == 0:
        return
    last = (said.strip().splitlines() or [""])[-1]
    if status != 1 or not last.startswith("Error: ") or "Traceback" in said:
        count.no_sentence.append(f"{work.name}: status {status}, said {said[-300:]!r}")


def _row(name: str, count: Count) -> list[object]:
    return [name, count.tried, count.interrupted, len(count.half_written), len(count.failed_reruns),
            len(count.no_sentence), count.leftovers]  # fmt: skip


@click.command()
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The result file.")
@click.option("--kills", "times", default=200, help="Kills in all, shared among the commands.")
@click.option("--disks", default=24, help="Disks of growing size for each command.")
@click.option("--trainings", default=3, help="Trainings that are killed; 0 leaves them out.")
@click.option("--only", multiple=True, help="These commands alone: prepare, synthesize, download, export.")
@click.option("--seed", default=1, help="Another seed, other moments.")
def main(to: Path, times: int, disks: int, trainings: int, only: tuple[str, ...], seed: int) -> None:
    """Disturb every command and write the counts."""
    rng = random.Random(seed)
    done: dict[str, dict[str, Count]] = {}
    trained: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, slow_server(Path(name), 0.4) as url:
        folder = Path(name)
        works = {n: make for n, make in all_works(folder, ROOT, url).items() if n in (only or (n,))}
        no_mount = why_no_mount(folder)
        if no_mount:
            tell(f"no small disks can be mounted here: {no_mount}")

        def write() -> int:
            """What is known by now: an interrupted run leaves the counts of the commands that it finished."""
            faults = [fault for counts in done.values() for count in counts.values() for fault in count.faults]
            sums = {title: sum(counts[title].tried for counts in done.values() if title in counts) for title in TITLES}
            data = ", ".join(f"{sums[title]} {word}" for title, word in TITLES.items())
            write_tables(to, [*_tables(done), *trained], data=f"{data}, seed {seed}",
                         command=f"python benchmarks/faults.py --to {to}", faults=faults)  # fmt: skip
            return len(faults)

        for number, (kind, make) in enumerate(works.items()):
            work = make()
            runner = work.runner()
            counts = done.setdefault(kind, {})
            try:
                share = times // len(works) + (number < times % len(works))
                counts[KILLED] = kills(work, runner, folder / f"{kind}-kills", share, rng)
                if not no_mount:
                    counts[FULL] = full_disks(work, runner, folder / f"{kind}-disks", disks)
                    counts[READ_ONLY] = read_only(work, runner, folder / f"{kind}-read-only")
            finally:
                runner.close()
            for count in counts.values():
                for fault in count.faults:
                    tell(fault)
            write()
        if trainings:
            trained += training_tables(folder / "trainings", trainings, rng)
        sys.exit(1 if write() else 0)


def _tables(done: dict[str, dict[str, Count]]) -> list[dict[str, Any]]:
    columns = ["command", "tries", "interrupted", "half-written under a final name", "second run not complete"]
    tables = []
    for title in TITLES:
        rows = [_row(f"`{kind}`", counts[title]) for kind, counts in done.items() if title in counts]
        if title == KILLED:  # who is killed cannot speak
            tables.append(table(title, [*columns, "temporary files left"], [[*row[:5], row[6]] for row in rows]))
        elif rows:
            tables.append(table(title, [*columns, "without a sentence", "temporary files left"], rows))
    return tables


if __name__ == "__main__":
    main()
