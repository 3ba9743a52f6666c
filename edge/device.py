"""What a device is and how it fares: the record beside every measured figure.

Stands apart because a latency without its board, governor and temperature says little. What is unknown is None.

Source: Raspberry Pi firmware, `vcgencmd get_throttled` (the same word as its sysfs file).
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unetlite.edge.runtime import RUNTIMES, installed_version

_THROTTLED = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
# Packages that provide a runtime under another name than its own.
_DISTRIBUTIONS = {"tensorflow": ("tensorflow", "tensorflow-cpu")}


@dataclass(frozen=True)
class Throttling:
    """A Raspberry Pi's power and heat: what is so now, and what has been so since it started."""

    now: tuple[str, ...]
    since_start: tuple[str, ...]

    @property
    def slowed(self) -> bool:
        """Whether the processor is held back now."""
        return bool(self.now)


_THROTTLE_BITS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")


def read_throttling(root: Path = Path("/")) -> Throttling | None:
    """The firmware's word on throttling; None where there is no such firmware."""
    # The Pi 5 names the same node after its bus address.
    text = next(filter(None, map(read_text, sorted(root.glob(_THROTTLED)))), None)
    if text is None:
        return None
    try:
        word = int(text, 16)
    except ValueError:
        return None
    now = tuple(name for bit, name in enumerate(_THROTTLE_BITS) if word >> bit & 1)
    since_start = tuple(name for bit, name in enumerate(_THROTTLE_BITS) if word >> (bit + 16) & 1)
    return Throttling(now, since_start)


def read_temperature_c(root: Path = Path("/")) -> float | None:
    """The processor's temperature; of several zones the one that names the CPU or SoC, else the hottest."""
    zones = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        kind, value = read_text(zone / "type"), read_text(zone / "temp")
        if value is not None and value.lstrip("-").isdigit():
            named = kind is not None and any(part in kind.lower() for part in ("cpu", "soc", "pkg"))
            zones.append((named, int(value) / 1000.0))
    return max(zones)[1] if zones else None


def device_record(root: Path = Path("/")) -> dict[str, Any]:
    """Board, processor, memory, system and versions, fit for JSON.

    Args:
        root: where /proc and /sys lie.
    """
    throttling = read_throttling(root)
    return {
        "model": board_model(root),
        "cpu": _cpu_name(root),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "governor": read_governor(root),
        "max_mhz": _max_mhz(root),
        "memory_bytes": _memory_bytes(root),
        "os": _os_name(root),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "runtimes": {name: _runtime_version(name) for name in RUNTIMES},
        "temperature_c": read_temperature_c(root),
        "throttling": None
        if throttling is None
        else {"now": list(throttling.now), "since_start": list(throttling.since_start)},
    }


def read_governor(root: Path = Path("/")) -> str | None:
    """The rule by which the first processor core's clock moves, for example "ondemand"."""
    return read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def board_model(root: Path = Path("/")) -> str | None:
    """The board's name as its device tree states it, for example "Raspberry Pi 5 Model B Rev 1.0"."""
    return read_text(root / "proc/device-tree/model") or read_text(root / "sys/firmware/devicetree/base/model")


def _runtime_version(name: str) -> str | None:
    versions = (installed_version(distribution) for distribution in _DISTRIBUTIONS.get(name, (name,)))
    return next((version for version in versions if version), None)


def _cpu_name(root: Path) -> str | None:
    fields: dict[str, str] = {}
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    if fields.get("model name"):
        return fields["model name"]
    part = fields.get("CPU part", "").lower()  # ARM states numbers only
    return _ARM_PARTS.get(part, f"ARM part {part}" if part else None)


# Source: Arm's Main ID Register part numbers, those of Raspberry Pi 2 to 5.
_ARM_PARTS = {"0xc07": "Cortex-A7", "0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}


def _max_mhz(root: Path) -> int | None:
    text = read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    return int(text) // 1000 if text is not None and text.isdigit() else None


def _memory_bytes(root: Path) -> int | None:
    for line in (read_text(root / "proc/meminfo") or "").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _os_name(root: Path) -> str | None:
    for line in (read_text(root / "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return None


def read_text(path: Path) -> str | None:
    """A file's text without the zeros, blanks and line ends around it; None where there is none or it is empty."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0\n ") or None
    except OSError:
        return None
