"""What `unet-benchmark remote` refuses before it asks any device, and how it draws its lines."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from unetlite.edge.cli import benchmark
from unetlite.edge.remote.ssh import device_path, last_words


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (["--host", "pi", "--host", "pi"], 2, "named twice"),
        (["--host", "pi:1", "--host", "pi/1"], 2, "its report would be"),
        (["--host", "-oProxyCommand=touch pwned"], 2, "expected what ssh takes"),
        (["--host", "pi\x1b[2J"], 2, "expected what ssh takes"),
        (["--host", "pi", "--no-such-option"], 2, "No such option"),
        (["--host", "pi", "--limit", "none"], 2, "--limit"),
        (["--host", "pi", "--report", "mine.json"], 2, "--to"),
        (["--host", "pi", "--low-iou-out", "pictures"], 2, "--low-iou-out: names a file"),
        (["--host", "pi", "--wheel", "x.whl", "--python", "python3"], 2, "exclude each other"),
        (["--host", "pi", "--wheel", "x.whl"], 1, "expected a wheel of unetlite"),
        (["--host", "pi", "--model", "unet.keras", "--python", "python3"], 1, "expected a .tflite file"),
        (["--host", "pi", "--python", "a\nb"], 1, "without control characters"),
        (["--host", "there"], 1, "there.json: expected a new file"),
        ([], 2, "--host"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    tmp_path: Path, midv_folder: Path, options: list[str], status: int, sentence: str
) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "there.json").write_text("{}")
    result = CliRunner().invoke(benchmark, ["remote", "--data", str(midv_folder), "--to", str(reports), *options])
    assert result.exit_code == status, result.output
    assert sentence in result.output
    assert "connecting" not in result.output


def test_a_data_set_that_is_not_whole_is_refused_at_once(tmp_path: Path) -> None:
    options = ["remote", "--host", "pi", "--data", str(tmp_path), "--to", str(tmp_path / "reports")]
    result = CliRunner().invoke(benchmark, options)
    assert result.exit_code == 1
    assert "expected images/ beside masks/" in result.output


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a b/it's", "/a b/it's"),
        ("~", "/the home"),
        ("~/x y", "/the home/x y"),
        ("x/$HOME", "/the home/x/$HOME"),
        ("~other", "/the home/~other"),
    ],
)
def test_paths_on_the_device_start_at_its_home_folder(path: str, expected: str) -> None:
    shell = ["sh", "-c", f"printf %s {device_path(path)}"]
    ended = subprocess.run(shell, env={**os.environ, "HOME": "/the home"}, capture_output=True, text=True, check=True)
    assert ended.stdout == expected


def test_a_devices_words_are_one_printable_line() -> None:
    assert last_words("ERROR: first\nERROR: no room\n[notice] update\n\n") == "no room"
    assert last_words("Traceback:\n  x\nOSError: \x1b[2Jgone") == "OSError: ?[2Jgone"
    assert last_words("") == ""


def test_a_terminal_shows_one_line_a_device() -> None:
    program = (
        "from unetlite.edge.remote.cli import DeviceLines\n"
        "lines = DeviceLines(['a', 'longer'])\n"
        "lines('longer', 'connecting')\n"
        "lines('a', 'done')\n"
    )
    leader, follower = pty.openpty()
    subprocess.run([sys.executable, "-c", program], stderr=follower, env={**os.environ, "COLUMNS": "40"}, check=True)
    os.close(follower)
    shown = os.read(leader, 4096).decode().replace("\r\n", "\n")
    os.close(leader)
    first = "\x1b[2Ka       \n\x1b[2Klonger  connecting\n"
    assert shown == first + "\x1b[2A" + "\x1b[2Ka       done\n\x1b[2Klonger  connecting\n"
