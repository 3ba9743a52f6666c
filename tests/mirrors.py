"""Real FTP and HTTP servers on the loopback that break, lie, stall and forget, and what they serve."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import socket
import ssl
import struct
import threading
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np

from unetlite.training.data.download import download

with warnings.catch_warnings():
    # pyftpdlib is built on the standard library's asyncore, which says at import that Python 3.12 lacks it.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

NAME, OTHER = "01_alb_id", "02_aut_drvlic_new"
QUICK = (0.01,) * 5


@functools.cache  # a zip holds the time it was made, so a second one would differ
def midv_archive(name: str = NAME, frames: int = 3, seed: int = 0) -> bytes:
    """A zip as the publishers make them, about 60 kB a frame, whose pictures do not compress."""
    noise = np.random.default_rng(seed)
    number = name[:2]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr(f"{name}/", b"")
        content.writestr(f"{name}/images/{name}.tif", b"II*\0template")
        content.writestr(f"{name}/images/{name}.zip.tif", b"stray")
        for frame in range(1, frames + 1):
            stem = f"CA/CA{number}_{frame:02}"
            content.writestr(f"{name}/images/{stem}.tif", b"II*\0" + noise.bytes(60_000))
            corners = [[10, 10], [90, 10], [90, 60], [10, 60]]
            content.writestr(f"{name}/ground_truth/{stem}.json", json.dumps({"quad": corners}))
    return buffer.getvalue()


def expected_files(name: str = NAME, frames: int = 3) -> set[str]:
    stems = [f"CA/CA{name[:2]}_{frame:02}" for frame in range(1, frames + 1)]
    pairs = {f"images/{stem}.tif" for stem in stems} | {f"ground_truth/{stem}.json" for stem in stems}
    return pairs | {f"images/{name}.tif"}


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def visible(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {".download.lock"}


class HttpMirror:
    """A web server whose `files` are served with Range and If-Range, and with whatever misbehaviour is set."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.log: list[tuple[str, str | None, str | None]] = []  # path, Range, Authorization
        self.heeds_if_range = True
        self.sent = 0
        self.cuts: list[int] = []  # each request breaks after so many bytes of body, while there are cuts left
        self.resets = False  # break with a reset, which may throw away what is under way, instead of a plain end
        self.answers: list[int] = []  # statuses to answer with instead, while there are any left
        self.ranges = True
        self.announces = "length"  # or "chunked", or "nothing"
        self.announced_too_many = 0
        self.stalls_after: int | None = None
        self.go_on = threading.Event()
        self.both_here: threading.Barrier | None = None
        self.redirect: str | None = None
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # noqa: N802 - http.server's name
                self.close_connection = True
                mirror.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                pass  # a client that went away is what these tests are about

        self._server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.log.append((request.path, asked, request.headers.get("Authorization")))
        if self.both_here is not None:
            self.both_here.wait(timeout=20)
        if self.redirect is not None:
            request.send_response(302)
            request.send_header("Location", self.redirect + request.path)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        content = self.files.get(request.path)
        if self.answers or content is None:
            request.send_error(self.answers.pop(0) if self.answers else 404)
            return
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        start = 0
        if self.ranges and asked and (request.headers.get("If-Range") == tag or not self.heeds_if_range):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            request.send_response(200)
        request.send_header("ETag", tag)
        body = content[start:]
        if self.announces == "length":
            request.send_header("Content-Length", str(len(body) + self.announced_too_many))
        elif self.announces == "chunked":
            request.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        else:
            request.send_header("Connection", "close")
        request.end_headers()
        if self.stalls_after is not None:
            at, self.stalls_after = self.stalls_after, None
            self.send(request, body[:at])
            self.go_on.wait(timeout=60)
        elif self.cuts:
            self.send(request, body[: self.cuts.pop(0)])
            if self.resets:
                request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.send(request, body)

    def send(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        request.wfile.write(body)
        self.sent += len(body)

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class FtpMirror:
    """A real FTP server over the folder `root`, which can cut transfers and forget commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[str] = []
        self.sent = 0
        self.cuts: list[int] = []
        self.refused_commands: set[str] = set()
        self.claimed_size: int | None = None
        mirror = self

        class Data(DTPHandler):
            left: int | None = None

            def send(self, block: bytes) -> int:
                if self.left is None:
                    self.left = mirror.cuts.pop(0) if mirror.cuts else 1 << 40
                sent = super().send(block[: self.left]) if self.left else 0
                self.left -= sent
                mirror.sent += sent
                if not self.left:
                    self.cmd_channel.close()
                return sent

        class Control(FTPHandler):
            dtp_handler = Data
            use_sendfile = False  # so that `send` above sees every byte
            banner = "ready"

            def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
                mirror.log.append(line)
                if cmd in mirror.refused_commands:
                    self.respond("502 not here")
                elif cmd == "SIZE" and mirror.claimed_size is not None:
                    self.respond(f"213 {mirror.claimed_size}")
                else:
                    super().pre_process_command(line, cmd, arg)

        accounts = DummyAuthorizer()
        accounts.add_anonymous(str(root))
        accounts.add_user("ann", "s3cret", str(root))
        Control.authorizer = accounts
        self._loop = IOLoop()
        self._server = FTPServer(("127.0.0.1", 0), Control, ioloop=self._loop)
        self.url = f"ftp://127.0.0.1:{self._server.address[1]}"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def commands(self, *names: str) -> list[str]:
        return [line for line in list(self.log) if line.split()[0] in names]

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._loop.loop(timeout=0.02, blocking=False)
        self._server.close_all()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


def get(mirror, directory: Path, only=(NAME,), **options):
    options.setdefault("retry_delays_s", QUICK)
    return download("midv500", directory, only=only, mirror=mirror.url, **options)


def record(directory: Path) -> dict:
    return json.loads((directory / "download.json").read_text())


def wait_for(condition, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not come about"
        time.sleep(0.01)
