"""The systemd service: its unit judged by systemd itself, its configuration read back, its words heard."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from unetlite.edge.capture import service as service_module
from unetlite.edge.capture.cli import main
from unetlite.edge.capture.config import CaptureConfig, read_config
from unetlite.edge.capture.notify import Notifier
from unetlite.edge.capture.service import Service, config_text, default_user, install_service, unit_text
from unetlite.edge.segmenter import shipped_model
from unetlite.vision.errors import OutputError, SettingsError

USER = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., Service]:
    def plan(**changes: object) -> Service:
        parts = {
            "options": ("--camera", "picamera2", "--serve", "127.0.0.1:8080"),
            "folder": tmp_path / "captures",
            "user": USER,
            "unit": tmp_path / "unet-capture.service",
            "config": tmp_path / "etc" / "capture.toml",
        }
        return Service(**{**parts, **changes})

    return plan


def entries(unit: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


def systemd(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed; install the package systemd")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


def test_systemd_finds_no_fault_with_the_unit(planned: Callable[..., Service]) -> None:
    plan = planned()
    install_service(plan)
    result = systemd("verify", "--man=no", str(plan.unit))
    ours = [line for line in result.stderr.splitlines() if "unet-capture" in line]
    assert not ours
    assert result.returncode == 0, result.stderr
    broken = plan.unit.with_name("broken.service")
    broken.write_text(plan.unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=perhaps"))
    assert "perhaps" in systemd("verify", "--man=no", str(broken)).stderr  # so it does read such lines


def test_systemd_counts_the_unit_as_confined(planned: Callable[..., Service]) -> None:
    plan = planned(user="nobody", folder=planned().folder)
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another user; run it with sudo")
    install_service(plan)
    result = systemd("security", "--offline=true", "--threshold=35", str(plan.unit))
    assert result.returncode == 0, result.stdout
    unconfined = plan.unit.with_name("open.service")
    unconfined.write_text("[Service]\nExecStart=/bin/true\n")
    assert systemd("security", "--offline=true", "--threshold=35", str(unconfined)).returncode != 0


def test_the_unit_restarts_watches_and_confines(planned: Callable[..., Service]) -> None:
    plan = planned()
    install_service(plan)
    unit = plan.unit.read_text()
    for key, value in {
        "Type": "notify",
        "Restart": "on-failure",
        "WatchdogSec": "30",
        "NoNewPrivileges": "yes",
        "PrivateTmp": "yes",
        "ProtectSystem": "strict",
        "User": USER,
        "ReadWritePaths": str(plan.folder),
    }.items():
        assert entries(unit, key) == [value]
    command = f"{Path(sys.executable).with_name('unet-capture')} --camera picamera2 --serve 127.0.0.1:8080"
    assert entries(unit, "ExecStart") == [f"{command} --to {plan.folder} --config {plan.config}"]


def test_names_are_taken_literally_by_systemd(planned: Callable[..., Service]) -> None:
    unit = unit_text(["/bin/a b", "100%", "$HOME", 'say "x"', "a\\b"], Path("/srv/my cards"), "pi")
    assert entries(unit, "ExecStart") == ['"/bin/a b" 100%% "$$HOME" "say \\"x\\"" "a\\\\b"']
    assert entries(unit, "ReadWritePaths") == ['"/srv/my cards"']
    with pytest.raises(SettingsError, match="on one line"):
        unit_text(["two\nlines"], Path("/srv"), "pi")


def test_the_configuration_names_every_setting_and_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "capture.toml"
    path.write_text(config_text())
    assert read_config(path) == CaptureConfig()
    # With every value uncommented it is the same, so each line can be used as it stands.
    lines = [line.removeprefix("# ") if " = " in line else line for line in config_text().splitlines()]
    path.write_text("\n".join(line for line in lines if "# not set" not in line))
    assert read_config(path) == CaptureConfig()
    for name in ("hold_s", "most_bytes", "led_pin", "command", "url", "stall_s", "least_ppi"):
        assert f"\n# {name} = " in config_text()


def test_files_are_private_and_a_configuration_that_exists_is_kept(planned: Callable[..., Service]) -> None:
    plan = planned()
    assert install_service(plan) == [plan.config, plan.unit]
    assert stat.S_IMODE(plan.config.stat().st_mode) == 0o600
    assert stat.S_IMODE(plan.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(plan.unit.stat().st_mode) == 0o644
    plan.config.write_text("[states]\nhold_s = 2.0\n")
    with pytest.raises(OutputError, match="--overwrite"):
        install_service(plan)
    assert install_service(plan, overwrite=True) == [plan.unit]
    assert read_config(plan.config).states.hold_s == 2.0
    plan.config.write_text("[states]\nhold = 2.0\n")
    with pytest.raises(SettingsError, match="'hold'"):
        install_service(plan, overwrite=True)


def test_the_folder_belongs_to_whom_the_service_runs_as(planned: Callable[..., Service]) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another user; run it with sudo")
    plan = planned(user="nobody")
    install_service(plan)
    assert plan.folder.owner() == plan.config.owner() == "nobody"
    other = planned(user="daemon", unit=plan.unit.with_name("other.service"))
    with pytest.raises(OutputError, match="expected a folder of daemon; run: sudo chown"):
        install_service(other)


def test_the_service_does_not_run_as_root_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "nobody")
    assert default_user() == "nobody"
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr(service_module.os, "getuid", lambda: 0)
    with pytest.raises(SettingsError, match="--user"):
        default_user()


def test_a_user_that_does_not_exist_is_said(planned: Callable[..., Service]) -> None:
    plan = planned(user="no-such-user")
    with pytest.raises(SettingsError, match="'no-such-user'"):
        install_service(plan)
    assert not plan.unit.exists()
    assert not plan.folder.exists()


def test_the_command_writes_and_says_what_to_do_next(tmp_path: Path) -> None:
    options = ["--camera", "0", "--serve", "127.0.0.1:8080", "--to", str(tmp_path / "captures"), "--user", USER]
    where = ["--unit", str(tmp_path / "u.service"), "--config", str(tmp_path / "c.toml")]
    result = CliRunner().invoke(main, ["install-service", *options, *where])
    assert result.exit_code == 0, result.output
    assert [line.split("   ")[0] for line in result.stdout.splitlines()] == [
        str(tmp_path / "c.toml"),
        str(tmp_path / "u.service"),
    ]
    assert "sudo systemctl enable --now u.service" in result.stderr
    assert "--camera 0 --serve 127.0.0.1:8080" in entries((tmp_path / "u.service").read_text(), "ExecStart")[0]


def test_a_required_hash_is_checked_at_once_and_whenever_the_service_starts(tmp_path: Path) -> None:
    where = ["--unit", str(tmp_path / "u.service"), "--config", str(tmp_path / "c.toml"), "--user", USER]
    options = ["install-service", "--camera", "0", "--to", str(tmp_path / "captures"), *where, "--require-sha256"]
    refused = CliRunner().invoke(main, [*options, "0" * 64])
    assert refused.exit_code == 1
    assert f"expected the model of SHA-256 {'0' * 64}" in refused.stderr
    assert not list(tmp_path.iterdir())
    right = hashlib.sha256(shipped_model().read_bytes()).hexdigest()
    assert CliRunner().invoke(main, [*options, right]).exit_code == 0
    assert f"--require-sha256 {right}" in entries((tmp_path / "u.service").read_text(), "ExecStart")[0]


def test_a_shipped_models_name_becomes_its_file(tmp_path: Path) -> None:
    where = ["--unit", str(tmp_path / "u.service"), "--config", str(tmp_path / "c.toml"), "--user", USER]
    options = ["--camera", "0", "--to", str(tmp_path / "captures"), "--model", "unetlite"]
    result = CliRunner().invoke(main, ["install-service", *options, *where])
    assert result.exit_code == 0, result.output
    assert f"--model {shipped_model()}" in entries((tmp_path / "u.service").read_text(), "ExecStart")[0]


def test_wrong_options_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    where = ["--unit", str(tmp_path / "u.service"), "--config", str(tmp_path / "c.toml"), "--user", USER]
    for wrong in (["--camera", "no such camera"], ["--camera", "0", "--serve", "everywhere"]):
        command = ["install-service", "--to", str(tmp_path / "captures"), *wrong, *where]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1, result.output
        assert "Error: " in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_of_start_life_and_end(abstract: bool, tmp_path: Path) -> None:
    name = f"\0unetlite-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        listening.settimeout(10)
        notifier = Notifier({"NOTIFY_SOCKET": name.replace("\0", "@"), "WATCHDOG_USEC": "300000"})
        notifier.ready()
        for _ in range(5):
            notifier.alive()  # the second and later ones come too early
        time.sleep(0.15)
        notifier.alive()
        notifier.stopping()
        heard = [listening.recv(100) for _ in range(4)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]
    notifier.ready()  # nobody listens any more: no error


def test_without_a_service_manager_nobody_is_told() -> None:
    notifier = Notifier({})
    notifier.ready()
    notifier.alive()
    notifier.stopping()


def test_the_running_command_tells_systemd_and_ends_on_sigterm(tmp_path: Path) -> None:
    """As systemd starts and ends it; a file of settings from `install-service` at its side."""
    config = tmp_path / "capture.toml"
    config.write_text(config_text())
    command = [sys.executable, "-c", "from unetlite.edge.capture.cli import main; main()"]
    options = ["--camera", "synthetic:999", "--to", str(tmp_path / "captures"), "--config", str(config)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        process = subprocess.Popen([*command, *options], env={**os.environ, **told}, stderr=subprocess.DEVNULL)
        try:
            assert [listening.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            process.terminate()
            while listening.recv(100) != b"STOPPING=1":
                pass
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
