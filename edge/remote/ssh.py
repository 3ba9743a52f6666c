"""One OpenSSH connection to a device, and one folder there that goes when the connection does.

Stands apart because everything that passes a remote shell is quoted here. The folder is held by a shell on the
device that waits for the end of its input. Whatever ends this side, be it a finished run, Ctrl-C or a killed process,
ends that input too; the shell then ends what still runs in the folder and removes it, so nothing on this side has to
live long enough to clean up. Needs `sh`, `mktemp`, `tar` and /proc on the device, and no SFTP server.

Source: ssh(1), ssh_config(5): ControlMaster, BatchMode.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from unetlite.vision.errors import RemoteError

CONNECT_TIMEOUT_S = 10
REMOVAL_TIMEOUT_S = 120  # an environment is some 10,000 files, and SD cards are slow
_MARK = "unetlite-begins-here"  # what a device's own profile prints comes before it

# On the command line, and so before anything that the user's configuration says.
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": str(CONNECT_TIMEOUT_S),
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    "LogLevel": "ERROR",
    "RequestTTY": "no",
    "RemoteCommand": "none",
    "PermitLocalCommand": "no",
    "ClearAllForwardings": "yes",
    "ControlPersist": "no",
}

# Signals are ignored so that a closing connection cannot end it before it has removed the folder.
_KEEPER = """
trap '' HUP INT TERM PIPE
export LC_ALL=C
made=$(mktemp -d {base}/unetlite-XXXXXXXX) && folder=$(cd "$made" && pwd -P) && mkdir "$folder/tmp" || exit 1
printf '%s %s\\n' {mark} "$folder"
cat >/dev/null
for attempt in 1 2 3 4 5; do
    busy=false
    for entry in /proc/[0-9]*; do
        case $(readlink "$entry/cwd") in
            "$folder"|"$folder"/*) kill -KILL "${{entry#/proc/}}" && busy=true ;;
        esac
    done 2>/dev/null
    {keep} || rm -rf -- "$folder" 2>/dev/null || busy=true
    $busy || exit 0
    sleep 1
done
exit 1
"""


class Stopped(Exception):
    """The connection was told to stop from another thread."""


@dataclass(frozen=True)
class Ended:
    """A command that ended on the device; what it said is decoded with replacement characters."""

    status: int
    output: bytes
    errors: str

    @property
    def reason(self) -> str:
        """The line of `errors` that says most, fit for one sentence on a terminal."""
        return last_words(self.errors) or f"exit status {self.status}"


def last_words(text: str) -> str:
    """The last line that an `Error:` begins, else the last line; printable, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"error:", line, re.IGNORECASE)]
    line = (named or lines or [""])[-1]
    line = re.sub(r"^error:\s*", "", line, flags=re.IGNORECASE)
    # A device's words reach the user's terminal: no escape sequences.
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:300].rstrip(".")


def device_path(path: str) -> str:
    """A path on the device, quoted for its shell; `~/x` and `x` both start at the home folder there."""
    if path.startswith("/"):
        return shlex.quote(path)
    below = path.removeprefix("~").lstrip("/") if path == "~" or path.startswith("~/") else path
    return '"$HOME"/' + shlex.quote(below) if below else '"$HOME"'


class Connection:
    """One device: opened once, several commands, closed once. `stop` may be called from another thread."""

    def __init__(self, host: str, socket: Path, config: Path | None = None) -> None:
        """`socket`: where OpenSSH puts the shared connection's socket; at most 80 bytes. `config`: for `ssh -F`."""
        self.host = host
        self.folder = ""
        self._ssh = ["ssh", *(["-F", str(config)] if config else [])]
        for name, value in {**_OPTIONS, "ControlPath": str(socket)}.items():
            self._ssh += ["-o", f"{name}={value}"]
        self._keeper: subprocess.Popen[bytes] | None = None
        self._step: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def open(self, workdir: str, *, keep: bool = False) -> None:
        """Connect, and make `folder`, new and empty, inside the device's folder `workdir`.

        Raises:
            RemoteError: not reached, not let in, or no folder made; the sentence says what to do.
            Stopped: `stop` was called.
        """
        script = _KEEPER.format(base=device_path(workdir), mark=_MARK, keep="true" if keep else "false")
        with tempfile.TemporaryFile() as errors:
            self._keeper = keeper = self._start(["-o", "ControlMaster=yes"], script, subprocess.PIPE, errors)
            assert keeper.stdout is not None
            for line in keeper.stdout:
                if line.startswith(f"{_MARK} ".encode()):
                    self.folder = os.fsdecode(line).removeprefix(f"{_MARK} ").removesuffix("\n")
                    return
            status = keeper.wait()
            self._check_stopped()
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")
        if status == 255:
            raise RemoteError(_explain(self.host, said))
        raise RemoteError(
            f"{self.host}: expected to make a folder in {workdir} there, got: {last_words(said)}; "
            f"name a folder with room that you may write to with --workdir"
        )

    def run(self, script: str, feed: Callable[[IO[bytes]], None] | None = None) -> Ended:
        """Run shell commands in `folder` on the device; `feed` writes their standard input.

        Raises:
            RemoteError: the connection broke.
            Stopped: `stop` was called.
            OSError: `feed` could not read what it was to send.
        """
        folder = shlex.quote(self.folder)
        script = f"cd {folder} || exit 1\nexport LC_ALL=C TMPDIR={folder}/tmp\necho {_MARK}\n{script}"  # nosec B108
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            stdin = subprocess.PIPE if feed else subprocess.DEVNULL
            step = self._step = self._start(["-o", "ControlMaster=no"], script, stdin, errors, output)
            try:
                if feed:
                    assert step.stdin is not None
                    # A device that stops reading has said why on its standard error.
                    with suppress(BrokenPipeError), step.stdin:
                        feed(step.stdin)
            finally:
                status = step.wait()
            self._check_stopped()
            output.seek(0)
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")
            content = output.read().partition(f"{_MARK}\n".encode())[2]
        if status == 255 and self._lost():
            raise RemoteError(f"{self.host}: the connection broke; check its power and network, then run it again")
        return Ended(status, content, said)

    def stop(self) -> None:
        """End what runs; the thread that waits for it gets `Stopped`. `close` still has to be called."""
        with self._lock:
            self._stopped = True
            if self._step is not None:
                self._step.kill()
            if self._keeper is not None and not self.folder:
                self._keeper.kill()  # still connecting

    def close(self) -> bool:
        """End what runs in `folder`, remove it unless it is kept, and disconnect; False if that was not confirmed."""
        keeper = self._keeper
        if keeper is None:
            return True
        assert keeper.stdin is not None and keeper.stdout is not None
        with suppress(OSError):
            keeper.stdin.close()
        try:
            status = keeper.wait(REMOVAL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            keeper.kill()
            status = keeper.wait()
        keeper.stdout.close()
        return status == 0 or not self.folder

    def _start(
        self, options: list[str], script: str, stdin: int, errors: IO[bytes], output: IO[bytes] | None = None
    ) -> subprocess.Popen[Any]:
        # `sh -c` because the login shell may be any; a session of its own so that Ctrl-C does not end it first.
        command = [*self._ssh, *options, "--", self.host, "exec sh -c " + shlex.quote(script)]
        with self._lock:
            self._check_stopped()
            return subprocess.Popen(
                command, stdin=stdin, stdout=output or subprocess.PIPE, stderr=errors, start_new_session=True
            )

    def _lost(self) -> bool:
        """Whether the shared connection is gone: 255 is ssh's own status, but a command may end with it too."""
        assert self._keeper is not None
        with suppress(subprocess.TimeoutExpired):
            self._keeper.wait(5)
        return self._keeper.returncode is not None

    def _check_stopped(self) -> None:
        if self._stopped:
            raise Stopped


def _explain(host: str, said: str) -> str:
    """Why OpenSSH did not get through, and what mends it."""
    words = last_words(said)
    if re.search(r"host identification has changed", said, re.IGNORECASE):
        return (
            f"{host}: its host key is not the one that is known; if the device was set up anew, "
            f"remove the old key with ssh-keygen -R and accept the new one with: ssh {host}"
        )
    if re.search(r"host key verification failed|host key is known for", said, re.IGNORECASE):
        return f"{host}: its host key is not known yet; look at it and accept it once with: ssh {host}"
    if re.search(r"permission denied|too many authentication failures", said, re.IGNORECASE):
        return f"{host}: it does not accept your key ({words}); send it there with: ssh-copy-id {host}"
    if re.search(r"refused|timed out|no route|unreachable|not resolve|not known|reset|closed by", said, re.IGNORECASE):
        return f"{host}: cannot be reached ({words}); check its name, power and network with: ssh {host}"
    return f"{host}: ssh failed ({words or 'without a word'}); see what it says to: ssh {host}"
