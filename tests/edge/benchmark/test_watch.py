"""What holds a device back, read from drawn-up /sys trees."""

from __future__ import annotations

from pathlib import Path

from unetlite.edge.benchmark.watch import held_back, moved, read_state, state_record

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
CEILING = "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq"


def tree(root: Path, **changes: str) -> Path:
    files = {
        THROTTLED: "0",
        GOVERNOR: "ondemand",
        CEILING: "2400000",
        "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0",
        "sys/class/thermal/cooling_device0/cur_state": "0",
        "sys/class/thermal/cooling_device1/type": "pwm-fan",
        "sys/class/thermal/cooling_device1/cur_state": "3",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "7",
        **changes,
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n")
    return root


def look(root: Path, **changes: str):
    return read_state(tree(root, **changes))


def test_a_calm_device_is_held_back_by_nothing(tmp_path):
    calm = look(tmp_path)
    assert held_back(calm, look(tmp_path)) == moved(calm, look(tmp_path)) == []
    assert state_record(calm)["max_khz"] == 2400000


def test_undervoltage_now_holds_back(tmp_path):
    calm = look(tmp_path)
    assert held_back(calm, look(tmp_path, **{THROTTLED: "50005"})) == ["throttled", "under-voltage"]


def test_a_dip_between_two_looks_is_known_by_its_mark(tmp_path):
    calm, dipped = look(tmp_path), look(tmp_path, **{THROTTLED: "40000"})
    assert held_back(calm, dipped) == ["throttled"]
    # What was so before the measurement began says nothing of it.
    assert held_back(dipped, dipped) == []


def test_a_pi_5s_firmware_is_found_too(tmp_path):
    (tmp_path / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware").mkdir(parents=True)
    (tmp_path / "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled").write_text("4\n")
    assert read_state(tmp_path).throttling.now == ("throttled",)


def test_cooling_by_the_clock_counts_and_a_fan_does_not(tmp_path):
    calm = look(tmp_path)
    hot = look(tmp_path, **{"sys/class/thermal/cooling_device0/cur_state": "2"})
    assert held_back(calm, hot) == ["thermal-cpufreq-0 cooling"]


def test_an_x86_processors_counter_that_moves_counts(tmp_path):
    calm = look(tmp_path)
    hot = look(tmp_path, **{"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "8"})
    assert held_back(calm, hot) == ["thermal throttling"]


def test_a_clocks_rule_that_moves_is_told(tmp_path):
    calm = look(tmp_path)
    other = look(tmp_path, **{GOVERNOR: "performance", CEILING: "1500000"})
    assert moved(calm, other) == [
        "governor moved from ondemand to performance",
        "highest clock moved from 2400000 to 1500000 kHz",
    ]


def test_a_machine_that_tells_nothing_is_held_back_by_nothing_known(tmp_path):
    silent = read_state(tmp_path)
    assert held_back(silent, silent) == moved(silent, silent) == []
    assert silent.throttle_count is None
