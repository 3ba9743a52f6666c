"""The device record against drawn-up /proc and /sys trees, and on the machine that runs the tests."""

from __future__ import annotations

import json
from pathlib import Path

from unetlite.edge.device import Throttling, device_record, read_temperature_c, read_throttling


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_a_pi_is_described(tmp_path):
    root = write_tree(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\nprocessor\t: 1\n",
            "proc/meminfo": "MemTotal:        4041792 kB\nMemFree:  100 kB\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "61200\n",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
        },
    )
    record = device_record(root)
    assert record["model"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert record["cpu"] == "Cortex-A76"
    assert record["governor"] == "ondemand"
    assert record["max_mhz"] == 2400
    assert record["memory_bytes"] == 4041792 * 1024
    assert record["os"] == "Debian GNU/Linux 12 (bookworm)"
    assert record["temperature_c"] == 61.2
    assert record["throttling"] == {
        "now": ["under-voltage", "throttled"],
        "since_start": ["under-voltage", "throttled"],
    }


def test_what_a_machine_does_not_tell_is_null(tmp_path):
    record = device_record(tmp_path)
    for name in ("model", "cpu", "governor", "max_mhz", "memory_bytes", "os", "temperature_c", "throttling"):
        assert record[name] is None


def test_this_machine_is_described_in_json():
    record = json.loads(json.dumps(device_record(), allow_nan=False))
    assert record["cores"] >= 1
    assert record["runtimes"]["ai-edge-litert"]
    assert record["python"].startswith("3.")


def test_throttling_in_the_past_is_told_apart_from_now(tmp_path):
    path = "sys/devices/platform/soc/soc:firmware/get_throttled"
    found = read_throttling(write_tree(tmp_path, {path: "0x20000"}))
    assert found == Throttling((), ("frequency capped",))
    assert not found.slowed
    assert read_throttling(write_tree(tmp_path, {path: "not a number"})) is None


def test_the_processors_zone_is_preferred_over_a_hotter_one(tmp_path):
    root = write_tree(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/type": "rp1_adc",
            "sys/class/thermal/thermal_zone0/temp": "70000",
            "sys/class/thermal/thermal_zone1/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone1/temp": "50500",
            "sys/class/thermal/thermal_zone2/type": "broken",
            "sys/class/thermal/thermal_zone2/temp": "n/a",
        },
    )
    assert read_temperature_c(root) == 50.5
