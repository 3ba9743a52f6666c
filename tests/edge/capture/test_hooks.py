"""Hooks on real commands and a real HTTP server: delivered, tried again, given up, never in the way."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from unetlite.edge.capture.hooks import Hooks, HookSettings
from unetlite.edge.capture.store import Saved
from unetlite.vision.errors import SettingsError

PICTURE = b"\x89PNG of a card"


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    crop, record = tmp_path / "20261123T120000.000Z.crop.png", tmp_path / "20261123T120000.000Z.json"
    crop.write_bytes(PICTURE)
    record.write_text("{}")
    return Saved("20261123T120000.000Z", crop, record, len(PICTURE))


def quick(**settings: Any) -> HookSettings:
    return HookSettings(**{"first_wait_s": 0.05, "longest_wait_s": 0.1, "timeout_s": 10.0, **settings})


def wait_for(condition: Callable[[], bool]) -> None:
    latest_s = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < latest_s, "it did not happen"
        time.sleep(0.01)


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses it is given, one after another, the last one for ever."""

    daemon_threads = True

    def __init__(self, statuses: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses, self.requests = statuses, []
        self.silent = threading.Event()
        self.silent.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/captures?key=secret"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.requests.append((self.path, self.headers, body))
        server.silent.wait(20)
        status = server.statuses.pop(0) if len(server.statuses) > 1 else server.statuses[0]
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        return None


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    servers: list[Receiver] = []

    def start(*statuses: int) -> Receiver:
        server = Receiver(list(statuses))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.silent.set()
        server.shutdown()
        server.server_close()


def script(folder: Path, body: str) -> Path:
    path = folder / "hook with a space.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_command_gets_the_paths_of_crop_and_record_after_its_own_words(saved: Saved, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command = script(tmp_path, f'printf "%s\\n" "$@" > {seen}.part && mv {seen}.part {seen}')
    with Hooks(quick(command=f"'{command}' --to 'two words'")) as hooks:
        hooks.deliver(saved, {})
        wait_for(seen.exists)
    assert seen.read_text().splitlines() == ["--to", "two words", str(saved.crop), str(saved.record)]


def test_a_command_that_fails_is_run_again_until_it_succeeds(saved: Saved, tmp_path: Path) -> None:
    runs, told = tmp_path / "runs", []
    command = script(tmp_path, f"echo run >> {runs}; [ $(wc -l < {runs}) -ge 3 ]")
    with Hooks(quick(command=f"'{command}'"), told.append) as hooks:
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert runs.read_text() == "run\n" * 3
    assert len(told) == 1
    assert "ended with status 1; it is tried again" in told[0]


def test_a_command_that_never_succeeds_is_given_up_and_the_next_capture_still_comes(
    saved: Saved, tmp_path: Path
) -> None:
    runs, told = tmp_path / "runs", []
    command = script(tmp_path, f"echo run >> {runs}; exit 7")
    with Hooks(quick(command=f"'{command}'", attempts=2), told.append) as hooks:
        hooks.deliver(saved, {})
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert runs.read_text() == "run\n" * 4
    assert sum("was not delivered in 2 attempts: ended with status 7" in line for line in told) == 2


def test_a_command_that_does_not_exist_is_not_tried_again(saved: Saved, tmp_path: Path) -> None:
    told: list[str] = []
    with Hooks(quick(command=str(tmp_path / "absent"), first_wait_s=60.0), told.append) as hooks:
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert len(told) == 1
    assert "could not be run: No such file or directory" in told[0]


def test_a_command_that_hangs_is_ended_with_all_it_started(saved: Saved, tmp_path: Path) -> None:
    child, told = tmp_path / "child", []
    command = script(tmp_path, f"sleep 600 & echo $! > {child}; wait")
    with Hooks(quick(command=f"'{command}'", timeout_s=1.0, attempts=1), told.append) as hooks:
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert "took longer than 1 s" in told[0]
    wait_for(lambda: ended(int(child.read_text())))


def ended(process: int) -> bool:
    """Gone, or dead and not yet fetched by its parent."""
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_running_command_ends_with_the_program(saved: Saved, tmp_path: Path) -> None:
    child, told = tmp_path / "child", []
    command = script(tmp_path, f"echo $$ > {child}; exec sleep 600")
    hooks = Hooks(quick(command=f"'{command}'", timeout_s=500.0), told.append)
    hooks.deliver(saved, {})
    wait_for(lambda: child.exists() and child.read_text() != "")
    hooks.close(0.1)
    wait_for(lambda: ended(int(child.read_text())))
    assert "1 captures were not delivered; they are on disk" in told[-1]


def test_a_post_carries_record_and_picture(saved: Saved, receive: Callable[..., Receiver]) -> None:
    server = receive(200)
    with Hooks(quick(url=server.url)) as hooks:
        hooks.deliver(saved, {"confidence": 0.9})
        wait_for(lambda: hooks.waiting == 0)
    (path, headers, body), *more = server.requests
    assert not more
    assert path == "/captures?key=secret"
    parts = message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body).get_payload()
    record, crop = parts
    assert json.loads(record.get_payload(decode=True)) == {"name": saved.name, "confidence": 0.9}
    assert crop.get_payload(decode=True) == PICTURE
    assert (crop.get_content_type(), crop.get_filename()) == ("image/png", saved.crop.name)


def test_a_post_is_tried_again_while_the_server_is_busy_or_away(saved: Saved, receive: Callable[..., Receiver]) -> None:
    server, told = receive(503, 429, 200), []
    with Hooks(quick(url=server.url), told.append) as hooks:
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert len(server.requests) == 3
    assert len(told) == 1
    closed = receive(200)
    closed.shutdown()
    closed.server_close()
    told.clear()
    with Hooks(quick(url=closed.url, attempts=3), told.append) as hooks:
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert "was not delivered in 3 attempts: [Errno 111] Connection refused" in told[-1]


@pytest.mark.parametrize("status", [302, 401, 413])
def test_a_post_that_is_refused_or_sent_elsewhere_is_not_repeated(
    status: int, saved: Saved, receive: Callable[..., Receiver]
) -> None:
    server, told = receive(status), []
    with Hooks(quick(url=server.url, first_wait_s=60.0), told.append) as hooks:
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert len(server.requests) == 1
    assert f"was not delivered: the answer was {status}" in told[0]


def test_what_the_address_keeps_secret_is_not_told_and_its_login_is_sent(
    saved: Saved, receive: Callable[..., Receiver]
) -> None:
    server, told = receive(500), []
    url = server.url.replace("http://", "http://me:p%40ss@")
    with Hooks(quick(url=url, attempts=1), told.append) as hooks:
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert base64.b64decode(server.requests[0][1]["Authorization"].removeprefix("Basic ")) == b"me:p@ss"
    assert told
    assert not any(secret in line for line in told for secret in ("me:", "p%40ss", "p@ss", "secret"))


def test_a_crop_that_was_removed_meanwhile_is_not_waited_for(saved: Saved, receive: Callable[..., Receiver]) -> None:
    saved.crop.unlink()
    told: list[str] = []
    with Hooks(quick(url=receive(200).url, first_wait_s=60.0), told.append) as hooks:
        hooks.deliver(saved, {})
        wait_for(lambda: hooks.waiting == 0)
    assert "its picture could not be read: No such file or directory" in told[0]


def test_a_server_that_never_answers_holds_up_neither_captures_nor_the_command_nor_the_end(
    saved: Saved, tmp_path: Path, receive: Callable[..., Receiver]
) -> None:
    server, runs, told = receive(200), tmp_path / "runs", []
    server.silent.clear()
    command = script(tmp_path, f"echo run >> {runs}")
    hooks = Hooks(quick(url=server.url, command=f"'{command}'", timeout_s=500.0, most_waiting=5), told.append)
    for _ in range(50):
        hooks.deliver(saved, {})  # a call that waited for the server would never return
    wait_for(lambda: runs.exists() and len(runs.read_text().splitlines()) >= 5)
    assert len(server.requests) <= 1
    assert sum("5 captures wait for it" in line for line in told if line.startswith("Warning: 127.0.0.1")) == 1
    hooks.close(0.1)
    assert any("127.0.0.1: 5 captures were not delivered" in line for line in told)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"command": " "}, "expected a command"),
        ({"command": "sort 'captures"}, "No closing quotation"),
        ({"url": "ftp://host/"}, "expected http://HOST"),
        ({"url": "http:///captures"}, "expected http://HOST"),
        ({"attempts": 0}, "hooks.attempts: expected more than 0, got 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        HookSettings(**settings)


def test_without_settings_nothing_is_started() -> None:
    before = threading.active_count()
    with Hooks(HookSettings()) as hooks:
        hooks.deliver(Saved("n", Path("absent"), Path("absent"), 0), {})
        assert threading.active_count() == before
        assert hooks.waiting == 0
