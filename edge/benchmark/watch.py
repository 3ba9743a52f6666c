"""What happens to a device while it is measured: power, heat, and the clock's rule.

Stands apart because a latency taken under a held-back processor is no property of the model, and the device record
alone would not say at which moment that began.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unetlite.edge.device import Throttling, read_governor, read_temperature_c, read_text, read_throttling


@dataclass(frozen=True)
class DeviceState:
    """One look at a device; None is unknown.

    Attributes:
        throttling: a Raspberry Pi's firmware's word.
        cooling: of the kernel's processor cooling devices, those at work.
        throttle_count: how often an x86 processor was held back by heat since it started, all cores together.
        governor: of the first processor core.
        max_khz: the highest clock that the governor may choose now.
        temperature_c: of the processor.
    """

    throttling: Throttling | None
    cooling: tuple[str, ...]
    throttle_count: int | None
    governor: str | None
    max_khz: str | None
    temperature_c: float | None


def read_state(root: Path = Path("/")) -> DeviceState:
    """Look at the device whose /proc and /sys lie under `root`."""
    cpus = root / "sys/devices/system/cpu"
    counts = [read_text(path) for path in sorted(cpus.glob("cpu*/thermal_throttle/*_throttle_count"))]
    numbers = [int(count) for count in counts if count is not None and count.isdigit()]
    return DeviceState(
        read_throttling(root),
        tuple(_cooling(root)),
        sum(numbers) if numbers else None,
        read_governor(root),
        read_text(cpus / "cpu0/cpufreq/scaling_max_freq"),
        read_temperature_c(root),
    )


def _cooling(root: Path) -> list[str]:
    """Processor cooling devices hold the clock down while their state is not 0; fans are not among them."""
    found = []
    for device in sorted((root / "sys/class/thermal").glob("cooling_device*")):
        kind, state = read_text(device / "type"), read_text(device / "cur_state")
        if kind is not None and "cpufreq" in kind and state not in (None, "0"):
            found.append(kind)
    return found


def held_back(earlier: DeviceState, now: DeviceState) -> list[str]:
    """What slowed the processor between two looks, in words; empty where nothing is known to have."""
    found: list[str] = []
    if now.throttling is not None:
        found += now.throttling.now
        if earlier.throttling is not None:
            # A short dip between two looks leaves only its mark in the firmware's memory.
            found += earlier.throttling.now
            found += set(now.throttling.since_start) - set(earlier.throttling.since_start)
    found += [f"{kind} cooling" for kind in (*earlier.cooling, *now.cooling)]
    if now.throttle_count != earlier.throttle_count:
        found.append("thermal throttling")
    return sorted(set(found))


def moved(start: DeviceState, now: DeviceState) -> list[str]:
    """What of the clock's rule is other than at the start, in words."""
    found = []
    if now.governor != start.governor:
        found.append(f"governor moved from {start.governor} to {now.governor}")
    if now.max_khz != start.max_khz:
        found.append(f"highest clock moved from {start.max_khz} to {now.max_khz} kHz")
    return found


def state_record(state: DeviceState) -> dict[str, Any]:
    """A look fit for JSON."""
    throttling = state.throttling
    return {
        "temperature_c": state.temperature_c,
        "governor": state.governor,
        "max_khz": None if state.max_khz is None or not state.max_khz.isdigit() else int(state.max_khz),
        "cooling": list(state.cooling),
        "throttle_count": state.throttle_count,
        "throttling": None
        if throttling is None
        else {"now": list(throttling.now), "since_start": list(throttling.since_start)},
    }
