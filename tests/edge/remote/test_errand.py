"""`unet-benchmark remote` against a real sshd on this machine, which is every device."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from drawn import draw_card

from unetlite.edge.benchmark.run import benchmark_samples
from unetlite.edge.remote.wheel import pack_wheel
from unetlite.edge.segmenter import shipped_model
from unetlite.vision.image import write_image

COMMAND = [sys.executable, "-c", "from unetlite.edge.cli import benchmark; benchmark(prog_name='unet-benchmark')"]
BRIEF = ("--threads", "1", "--rounds", "2")  # for `unet-benchmark run`: these tests are not about its numbers
ODD = """it's a "folder" with $HOME & `ls`; é"""  # for every path that passes the remote shell


@dataclass(frozen=True)
class Device:
    """A device: `config` tells ssh of it and its kin, `home` is its home folder, `log` its sshd's, `sshd` its pid."""

    config: Path
    home: Path
    log: Path
    sshd: int

    def leftovers(self, folder: Path | None = None) -> list[str]:
        """What lies in a folder of the device, and what runs there."""
        folder = folder or self.home
        left = [path.name for path in folder.iterdir() if path.name != ".bashrc"]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                cwd = os.readlink(process / "cwd")
            except OSError:  # not ours, or gone
                continue
            left += [process.name] if cwd.startswith(f"{folder}/unetlite-") else []
        return left


def _key(path: Path) -> str:
    """Make a key pair; returns the public one's type and key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    sshd = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh") is None:
        pytest.skip("OpenSSH is not installed here: sudo apt install openssh-server openssh-client")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # Debian's service makes it, and root's sshd insists on it
    folder = tmp_path_factory.mktemp("device")
    home, site, bin_folder = folder / "home", folder / "site", folder / "bin"
    for made in (home, site, bin_folder):
        made.mkdir()
    (home / ".bashrc").write_text("echo welcome to this device\n")
    # The device's own packages: those of this environment but unetlite, so that pip there has nothing to fetch.
    for path in Path(np.__file__).parents[1].iterdir():
        if "unetlite" not in path.name and path.suffix != ".pth":
            (site / path.name).symlink_to(path)
    base = Path(getattr(sys, "_base_executable", sys.executable))
    (bin_folder / "python3").write_text(f'#!/bin/sh\nexec {shlex.quote(str(base))} "$@"\n')
    (bin_folder / "python3").chmod(0o755)
    host_key, other = _key(folder / "host"), _key(folder / "other")
    (folder / "authorized").write_text(_key(folder / "mine") + "\n")
    _key(folder / "stranger")
    ports = [_free_port(), _free_port()]
    environment = {
        "HOME": home,
        "PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": site,
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": "/dev/null",
    }
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {ports[0]}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items()) + "\n"
    )
    known = {"known": host_key, "changed": other, "nothing": ""}
    for name, key in known.items():
        (folder / name).write_text(f"[127.0.0.1]:{ports[0]} {key}\n" if key else "")
    hosts = {
        "pi": (ports[0], "mine", "known"),
        "nobody": (ports[1], "mine", "known"),
        "stranger": (ports[0], "stranger", "known"),
        "unknown": (ports[0], "mine", "nothing"),
        "changed": (ports[0], "mine", "changed"),
    }
    user = pwd.getpwuid(os.getuid()).pw_name
    (folder / "ssh_config").write_text(
        "".join(
            f"Host {host}\n HostName 127.0.0.1\n Port {port}\n IdentityFile {folder}/{key}\n"
            f" UserKnownHostsFile {folder}/{hosts_file}\n"
            for host, (port, key, hosts_file) in hosts.items()
        )
        + f"Host *\n User {user}\n IdentitiesOnly yes\n IdentityAgent none\n GlobalKnownHostsFile none\n"
    )
    log = folder / "sshd.log"
    with open(log, "wb") as errors:
        server = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=errors)
    try:
        _wait_for(lambda: "Server listening" in log.read_text() or server.poll() is not None)
        assert server.poll() is None, log.read_text()
        yield Device(folder / "ssh_config", home, log, server.pid)
    finally:
        server.terminate()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(holds: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def pictures(tmp_path: Path, card_quad: np.ndarray) -> Path:
    """Three drawn cards with masks, in a folder of an odd name."""
    folder = tmp_path / f"data {ODD}"
    for number in range(3):
        picture, mask = draw_card(card_quad + 5 * number)
        write_image(folder / "images" / f"{number} {ODD}.png", picture)
        write_image(folder / "masks" / f"{number} {ODD}.png", mask.astype(np.uint8) * 255)
    return folder


def remote(device: Device, data: Path, folder: Path, *options: str, hosts: tuple[str, ...] = ("pi",)) -> list[str]:
    """The command line."""
    named = [word for host in hosts for word in ("--host", host)]
    config = ["--ssh-config", str(device.config)]
    return [*COMMAND, "remote", *named, *config, "--data", str(data), "--to", str(folder), *BRIEF, *options]


def ended(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_paths_with_quotes_and_spaces_reach_the_device_and_nothing_stays(
    device: Device, pictures: Path, tmp_path: Path
) -> None:
    models = [tmp_path / number / f"model {ODD}.tflite" for number in "ab"]
    for model in models:
        model.parent.mkdir()
        shutil.copy(shipped_model(), model)
    python = tmp_path / f"python {ODD}"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    workdir = tmp_path / f"there {ODD}"
    workdir.mkdir()
    connected = device.log.read_text().count("Accepted publickey")
    result = ended(
        remote(device, pictures, tmp_path / "re ports", "--python", str(python), "--workdir", str(workdir))
        + [word for model in models for word in ("--model", str(model))]
    )
    assert result.returncode == 0, result.stderr
    target = tmp_path / "re ports" / "pi.json"
    assert result.stdout == f"{target}\n"
    assert f"unet-benchmark compare '{target}'" in result.stderr
    report = json.loads(target.read_text())
    assert {run["model"] for run in report["runs"]} == {models[0].name}
    assert report["data"]["name"] == pictures.name
    assert report["data"]["images"] == 3
    assert device.leftovers(workdir) == []
    assert device.log.read_text().count("Accepted publickey") == connected + 1


def test_only_what_is_measured_on_is_copied_and_run_gets_its_options(
    device: Device, pictures: Path, tmp_path: Path
) -> None:
    options = ("--python", sys.executable, "--limit", "2", "--threshold", "0.25", "--keep")
    result = ended(remote(device, pictures, tmp_path / "reports", *options))
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "reports" / "pi.json").read_text())
    assert report["data"]["images"] == 2
    assert report["runs"][0]["threshold"] == 0.25
    kept = next(device.home.glob("unetlite-*"))
    assert f"pi: kept {kept}" in result.stderr
    _, samples = benchmark_samples(pictures, 2)
    copied = {path.name for path in (kept / "sent" / "data" / pictures.name / "images").iterdir()}
    shutil.rmtree(kept)
    assert copied == {sample.image.name for sample in samples}
    assert device.leftovers() == []


@pytest.mark.timeout(900)  # pip is slow on a busy machine
def test_a_device_without_unetlite_gets_it_in_an_environment_of_its_own(
    device: Device, pictures: Path, tmp_path: Path
) -> None:
    result = ended(remote(device, pictures, tmp_path / "reports"))
    assert result.returncode == 0, result.stderr
    assert "pi: installing unetlite[edge]" in result.stderr
    assert json.loads((tmp_path / "reports" / "pi.json").read_text())["runs"][0]["level"] == "int8"
    assert device.leftovers() == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_pip_cannot_find_is_told_with_the_way_out(device: Device, pictures: Path, tmp_path: Path) -> None:
    packed = pack_wheel(tmp_path)
    wheel = tmp_path / "wanting" / packed.name
    wheel.parent.mkdir()
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(wheel, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("/METADATA"):
                content = content.replace(b"\nRequires-Dist:", b"\nRequires-Dist: not-to-be-had\nRequires-Dist:", 1)
            new.writestr(name, content)
    result = ended(remote(device, pictures, tmp_path / "reports", "--wheel", str(wheel)))
    assert result.returncode == 1
    assert "Error: pi: could not install unetlite[edge] there: No matching distribution found for not" in result.stderr
    assert "name it with --python" in result.stderr
    assert device.leftovers() == []


def test_devices_that_fail_do_not_stop_the_others(device: Device, pictures: Path, tmp_path: Path) -> None:
    hosts = ("nobody", "stranger", "pi", "unknown", "changed")
    result = ended(remote(device, pictures, tmp_path / "reports", "--python", sys.executable, hosts=hosts))
    assert result.returncode == 1
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["pi.json"]
    errors = {line.split(": ")[1]: line for line in result.stderr.splitlines() if line.startswith("Error: ")}
    assert list(errors) == [host for host in hosts if host != "pi"]
    assert "Connection refused" in errors["nobody"]
    assert errors["nobody"].endswith("check its name, power and network with: ssh nobody")
    assert errors["stranger"].endswith("ssh-copy-id stranger")
    assert errors["unknown"].endswith("not known yet; look at it and accept it once with: ssh unknown")
    assert "ssh-keygen -R" in errors["changed"]
    assert "reports: 1 of 5" in result.stderr
    assert device.leftovers() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    folder = tmp_path / f"disk {ODD}"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    mounted = ended(mount) if shutil.which("mount") else None
    if mounted is None or mounted.returncode:
        pytest.skip(f"a small disk needs root to mount it: {'no mount' if mounted is None else mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_left_as_it_was(
    device: Device, pictures: Path, tmp_path: Path, small_disk: Path
) -> None:
    assert shipped_model().stat().st_size > 256 << 10
    options = ("--python", sys.executable, "--workdir", str(small_disk))
    result = ended(remote(device, pictures, tmp_path / "reports", *options))
    assert result.returncode == 1
    assert "Error: pi: its disk was full when it had to copy the files" in result.stderr
    assert "--workdir" in result.stderr
    assert not (tmp_path / "reports").exists()
    assert device.leftovers(small_disk) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--workdir", "/no/such/folder"), "expected to make a folder in /no/such/folder there"),
        (("--python", "/no/such/python"), "could not run unetlite with /no/such/python there"),
        (("--python", "python3"), "No module named 'unetlite'"),
    ],
)
def test_what_the_device_lacks_is_named(
    device: Device, pictures: Path, tmp_path: Path, options: tuple[str, ...], sentence: str
) -> None:
    result = ended(remote(device, pictures, tmp_path / "reports", *options))
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert device.leftovers() == []


def test_an_error_of_the_benchmark_there_is_told_here(device: Device, pictures: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    options = ("--python", sys.executable, "--model", str(broken))
    result = ended(remote(device, pictures, tmp_path / "reports", *options))
    assert result.returncode == 1
    error = next(line for line in result.stderr.splitlines() if line.startswith("Error: "))
    assert error.startswith("Error: pi: could not measure there: ")
    assert "broken.tflite: expected" in error
    assert device.leftovers() == []


@pytest.fixture
def many_pictures(pictures: Path) -> Path:
    """Enough to measure for long."""
    for number in range(3, 400):
        for kind in ("images", "masks"):
            shutil.copy(pictures / kind / f"0 {ODD}.png", pictures / kind / f"{number}.png")
    return pictures


@contextmanager
def measuring(device: Device, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command, while its benchmark runs on the device."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("pi: measuring"):
                break
        else:
            pytest.fail("it ended before it measured")
        _wait_for(lambda: len(device.leftovers()) > 1)  # the folder, and the benchmark in it
        yield running


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing_on_the_device(
    device: Device, many_pictures: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    options = ("--python", sys.executable)
    command = remote(device, many_pictures, tmp_path / "reports", *options, hosts=("pi", "nobody"))
    with measuring(device, command) as running:
        running.send_signal(ending)
        _, said = running.communicate()
    if ending is signal.SIGINT:
        assert running.returncode == 1
        assert "Aborted!" in said
        assert device.leftovers() == []
    else:
        _wait_for(lambda: device.leftovers() == [])
    assert not (tmp_path / "reports").exists()


def test_a_connection_that_breaks_is_told_and_leaves_nothing(
    device: Device, many_pictures: Path, tmp_path: Path
) -> None:
    with measuring(device, remote(device, many_pictures, tmp_path / "reports", "--python", sys.executable)) as running:
        listed = ["ps", "-o", "pid=,ppid=,comm=", "-A"]
        rows = [line.split() for line in subprocess.run(listed, capture_output=True, text=True).stdout.splitlines()]
        of_server = {str(device.sshd)}
        for pid, parent, name in (row[:3] for row in rows):  # sorted, so that a parent comes before its child
            if parent in of_server and name.startswith("sshd"):
                of_server.add(pid)
        for pid in of_server - {str(device.sshd)}:
            os.kill(int(pid), signal.SIGKILL)
        _, said = running.communicate()
    assert running.returncode == 1
    assert "Error: pi: the connection broke" in said
    assert "may still be there" in said
    _wait_for(lambda: device.leftovers() == [])


def test_a_picture_that_goes_away_while_it_is_sent_is_told(device: Device, pictures: Path, tmp_path: Path) -> None:
    from unetlite.edge.remote.errand import measure_devices, plan_errand

    errand = plan_errand([shipped_model()], pictures, None, python=sys.executable)

    def said(host: str, state: str) -> None:
        if state.startswith("copying"):
            (pictures / "images" / f"2 {ODD}.png").unlink()

    target = tmp_path / "pi.json"
    outcome = measure_devices({"pi": target}, errand, said=said, config=device.config)[0]
    assert outcome.error is not None
    assert "No such file" in outcome.error
    assert not target.exists()
    assert device.leftovers() == []


