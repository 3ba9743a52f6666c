"""CPU seconds that each command takes to answer --help: the best of five, and all of them.

    python benchmarks/startup.py
"""

from __future__ import annotations

import configparser
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one run of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    scripts = config["options.entry_points"]["console_scripts"].strip().splitlines()
    names = [line.split("=")[0].strip() for line in scripts]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            times[name].append(cpu_seconds([str(Path(sys.executable).parent / name), "--help"]))
    print("command          best   all, in seconds of CPU time")
    for name, seconds in times.items():
        print(f"{name:<15} {min(seconds):.3f}   {' '.join(f'{s:.3f}' for s in seconds)}")


if __name__ == "__main__":
    main()
