"""Whether two reports of one machine, minutes apart, agree in how models compare.

    python benchmarks/repeatability.py DATA --model M --model M...

Runs `unet-benchmark run` twice with a pause between, and compares each model's time over the first model's, for the
whole frame and for the inference alone. The aim: no two models' ratio differs by more than a tenth. Wants a machine
that does nothing else; a report from one that does warns of it. Takes about four minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import click
from tables import table, write_tables

from unetlite.edge.benchmark.latency import paired_ratio

ROOT = Path(__file__).resolve().parents[1]
BENCHMARK = Path(sys.executable).parent / "unet-benchmark"
AIM = 1.1
TIMES = {"whole frame": "frame_total_ms", "inference": "round_invoke_ms"}


def measure(data: Path, models: tuple[Path, ...], threads: str, limit: int, report: Path) -> dict[str, Any]:
    """One report, by a process of its own as anyone would start it."""
    named = [part for model in models for part in ("--model", model)]
    options = ["--data", data, "--threads", threads, "--limit", limit, "--report", report]
    command = [str(part) for part in (BENCHMARK, "run", *named, *options)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text("utf-8"))


def ratio(report: dict[str, Any], one: int, other: int, field: str) -> float:
    """How many times the other run's time a run takes."""
    own, others = report["runs"][one], report["runs"][other]
    frames = len(own[field]) // len(own["round_clean"])  # 1 of what stands by round
    found = paired_ratio(own[field], others[field], [good for good in own["round_clean"] for _ in range(frames)])
    if found is None:
        raise click.ClickException("every round was throttled; look at unet-doctor, and run it again")
    return found.median


def apart(first: float, second: float) -> float:
    """By what factor two figures differ, 1 or more."""
    return max(first / second, second / first)


def compare(first: dict[str, Any], second: dict[str, Any]) -> tuple[list[list[Any]], float]:
    """The table's lines, and by what factor the worst pair of models with as many threads differs."""
    runs = first["runs"]
    by_threads: dict[int, list[int]] = {}
    for number, run in enumerate(runs):
        by_threads.setdefault(run["threads"], []).append(number)
    rows, worst = [], 1.0
    for threads, numbers in by_threads.items():
        for one, other in combinations(numbers, 2):
            figures: list[str] = []
            for field in TIMES.values():
                then, now = (ratio(report, other, one, field) for report in (first, second))
                worst = max(worst, apart(then, now))
                figures += [f"{then:.3f}", f"{now:.3f}", f"{100 * (apart(then, now) - 1):.1f} %"]
            rows.append([threads, f"{runs[other]['model']} / {runs[one]['model']}", *figures])
    return rows, worst


def unrest(report: dict[str, Any]) -> str:
    """The largest spread of a report's runs."""
    return f"{100 * max(run['spread'] for run in report['runs']):.0f} %"


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", "models", type=click.Path(exists=True, path_type=Path), multiple=True, required=True)
@click.option("--threads", default="1,2", show_default=True)
@click.option("--pause", type=click.IntRange(0), default=90, show_default=True, help="Seconds between the reports.")
@click.option("--limit", type=click.IntRange(1), default=12, show_default=True, help="Pictures.")
@click.option("--to", type=click.Path(path_type=Path), default=ROOT / "docs" / "results" / "repeatability.json")
def main(data: Path, models: tuple[Path, ...], threads: str, pause: int, limit: int, to: Path) -> None:
    """Measure twice and compare."""
    if len(models) < 2:
        raise click.UsageError("--model: expected two or more, because ratios are between models")
    with tempfile.TemporaryDirectory() as folder:
        first = measure(data, models, threads, limit, Path(folder) / "first.json")
        time.sleep(pause)
        second = measure(data, models, threads, limit, Path(folder) / "second.json")
    rows, worst = compare(first, second)
    columns = ["threads", "models"]
    columns += [f"{what}{rest}" for what in TIMES for rest in (", first report", ", second", ", apart")]
    verdict = "holds" if worst <= AIM else "does not hold"
    title = f"Ratios of latency in two reports {pause} s apart: at most {100 * (worst - 1):.1f} % apart"
    write_tables(
        to,
        [table(title, columns, rows)],
        data=f"{first['data']['images']} pictures of {first['data']['name']}; largest spread {unrest(first)} and "
        f"{unrest(second)}; the aim of {100 * (AIM - 1):.0f} % {verdict}",
        command="benchmarks/repeatability.py",
        worst=round(worst, 4),
    )


if __name__ == "__main__":
    main()
