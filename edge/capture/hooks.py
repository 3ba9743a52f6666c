"""What happens after a capture: a command is run, an address is told.

Stands apart because both can hang or fail, and neither may hold up the next capture: a thread of its own delivers, and
tries again. Captures are on disk before; what could not be delivered is not lost.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import secrets
import shlex
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from unetlite.edge.capture.store import Saved
from unetlite.vision.errors import SettingsError

_STDERR = 2
_POLL_S = 0.1  # until a stop is noticed while a command runs
_RETRIED = (408, 425, 429)  # of the statuses that otherwise say "never like this"
_CONTENT_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


@dataclass(frozen=True)
class HookSettings:
    """What happens after each capture; nothing, unless said.

    Attributes:
        command: run with the paths of crop and record added at the end; without a shell.
        url: http or https; gets a POST in multipart/form-data with the parts "record" (JSON) and "crop" (the picture).
        attempts: until a delivery is given up.
        timeout_s: of one attempt.
        first_wait_s, longest_wait_s: before the second attempt, and between later ones, doubling in between.
        most_waiting: captures that may wait for delivery; later ones are not delivered.
    """

    command: str | None = None
    url: str | None = None
    attempts: int = 8
    timeout_s: float = 20.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    most_waiting: int = 100

    def __post_init__(self) -> None:
        if self.command is not None and not _words(self.command):
            raise SettingsError("hooks.command: expected a command such as /home/pi/sort.sh, got an empty one")
        if self.url is not None and not re.match(r"https?://[^/?#]", self.url):
            raise SettingsError(f"hooks.url: expected http://HOST/... or https://HOST/..., got {self.url!r}")
        for name in ("attempts", "timeout_s", "first_wait_s", "longest_wait_s", "most_waiting"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"hooks.{name}: expected more than 0, got {getattr(self, name)!r}")


class _Retry(Exception):
    """An attempt that failed and may succeed later."""


class _Refused(Exception):
    """An attempt that would fail in the same way again."""


class _Stopped(Exception):
    """The program ends."""


class Hooks:
    """Delivers captures in the background, the oldest first, until it is closed.

    Use as a context manager, or call `close`. One thread for the command and one for the address: neither waits for
    the other.
    """

    def __init__(self, settings: HookSettings, tell: Callable[[str], object] = lambda sentence: None) -> None:
        """Begin to wait for captures.

        Args:
            settings: what is done.
            tell: told in one sentence when a capture could not be delivered.
        """
        self._stopping = threading.Event()
        self._lines: list[_Line] = []
        if settings.command is not None:
            words = _words(settings.command)
            run = partial(self._run, words, settings.timeout_s)
            self._lines.append(_Line(words[0], run, settings, self._stopping, tell))
        if settings.url is not None:
            # The host alone: path, user and query may hold what nobody else should read in a log.
            host = urlsplit(settings.url).hostname or "hooks.url"
            post = partial(_post, settings.url, settings.timeout_s)
            self._lines.append(_Line(host, post, settings, self._stopping, tell))
        for line in self._lines:
            line.start()

    def __enter__(self) -> Hooks:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def deliver(self, saved: Saved, record: Mapping[str, Any]) -> None:
        """Hand a capture over; returns at once, whatever the hooks are doing."""
        for line in self._lines:
            line.add(saved, record)

    @property
    def waiting(self) -> int:
        """Deliveries not made yet."""
        return sum(line.waiting for line in self._lines)

    def close(self, timeout_s: float = 0.5) -> None:
        """Wait for what is under way, for so long; then stop, ending a running command. Tells what was left."""
        end_s = time.monotonic() + timeout_s
        for line in self._lines:
            line.drain(end_s - time.monotonic())
        self._stopping.set()
        for line in self._lines:
            line.finish()

    def _run(self, words: list[str], timeout_s: float, saved: Saved, record: Mapping[str, Any]) -> None:
        # Its output goes where messages go: stdout is for captures. A group of its own, so that it ends as a whole.
        command = [*words, str(saved.crop), str(saved.record)]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=_STDERR, start_new_session=True)
        except OSError as error:
            raise _Refused(f"could not be run: {error.strerror or error}") from error
        end_s = time.monotonic() + timeout_s
        while process.poll() is None and time.monotonic() < end_s and not self._stopping.is_set():
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if self._stopping.is_set():
                raise _Stopped
            raise _Retry(f"took longer than {timeout_s:g} s")
        if process.returncode:
            raise _Retry(f"ended with status {process.returncode}")


class _Line:
    """One hook, its waiting captures and the thread that delivers them."""

    def __init__(
        self,
        name: str,
        attempt: Callable[[Saved, Mapping[str, Any]], None],
        settings: HookSettings,
        stopping: threading.Event,
        tell: Callable[[str], object],
    ) -> None:
        self._name, self._attempt, self._settings, self._tell = name, attempt, settings, tell
        self._stopping = stopping
        self._changed = threading.Condition()
        self._queue: deque[tuple[Saved, Mapping[str, Any]]] = deque()
        self._full = False
        self._thread = threading.Thread(target=self._work, name=f"hook {name}", daemon=True)

    @property
    def waiting(self) -> int:
        with self._changed:
            return len(self._queue)

    def start(self) -> None:
        self._thread.start()

    def add(self, saved: Saved, record: Mapping[str, Any]) -> None:
        with self._changed:
            was_full, self._full = self._full, len(self._queue) >= self._settings.most_waiting
            if not self._full:
                self._queue.append((saved, record))
                self._changed.notify_all()
        if self._full and not was_full:
            most = self._settings.most_waiting
            self._tell(f"Warning: {self._name}: {most} captures wait for it; later ones are not delivered")

    def drain(self, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._queue, max(0.0, timeout_s))

    def finish(self) -> None:
        with self._changed:
            self._changed.notify_all()
        # An HTTP request cannot be interrupted: its thread is left behind and ends with the program.
        self._thread.join(2 * _POLL_S)
        if self.waiting:
            self._tell(f"Warning: {self._name}: {self.waiting} captures were not delivered; they are on disk")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopping.is_set())
                if self._stopping.is_set():
                    return
                saved, record = self._queue[0]
            try:
                self._deliver(saved, record)
            except _Stopped:
                return
            with self._changed:
                self._queue.popleft()
                self._changed.notify_all()

    def _deliver(self, saved: Saved, record: Mapping[str, Any]) -> None:
        """Try until it succeeds or is given up; raises _Stopped where the program ends before."""
        wait_s = self._settings.first_wait_s
        for attempt in range(1, self._settings.attempts + 1):
            try:
                self._attempt(saved, record)
                return
            except _Refused as error:
                self._tell(f"Warning: {self._name}: {saved.name} was not delivered: {error}")
                return
            except _Retry as error:
                if attempt == self._settings.attempts:
                    self._tell(f"Warning: {self._name}: {saved.name} was not delivered in {attempt} attempts: {error}")
                    return
                if attempt == 1:
                    self._tell(f"{self._name}: {saved.name}: {error}; it is tried again")
            if self._stopping.wait(wait_s):
                raise _Stopped
            wait_s = min(2.0 * wait_s, self._settings.longest_wait_s)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET without its body: it would look delivered."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _post(url: str, timeout_s: float, saved: Saved, record: Mapping[str, Any]) -> None:
    try:
        body, content_type = _form(saved, record)
    except OSError as error:  # retention or a person may have removed it
        raise _Refused(f"its picture could not be read: {error.strerror or error}") from error
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(parts._replace(netloc=host).geturl(), body)
    request.add_header("Content-Type", content_type)
    request.add_header("User-Agent", "unetlite")
    if parts.username is not None:  # urllib would take user and password for a part of the host's name
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.add_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
    try:
        with _OPENER.open(request, timeout=timeout_s) as response:
            response.read(1)
    except urllib.error.HTTPError as error:
        with error:
            kind = _Retry if error.code >= 500 or error.code in _RETRIED else _Refused
            raise kind(f"the answer was {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Retry(str(getattr(error, "reason", None) or error or type(error).__name__)) from error


def _form(saved: Saved, record: Mapping[str, Any]) -> tuple[bytes, str]:
    """A capture as multipart/form-data (RFC 7578), and its content type."""
    boundary = secrets.token_hex(16)
    parts = (
        ("record", saved.record.name, "application/json", json.dumps({"name": saved.name, **record}).encode()),
        ("crop", saved.crop.name, _CONTENT_TYPES[saved.crop.suffix], saved.crop.read_bytes()),
    )
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
        f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, file, kind, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise SettingsError(f"hooks.command: expected words as in a shell, got {command!r}: {error}") from error
