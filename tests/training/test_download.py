"""Downloads against real FTP and HTTP servers on the loopback that break, lie, stall and forget."""

from __future__ import annotations

import base64
import contextlib
import errno
import functools
import hashlib
import http.server
import io
import json
import logging
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from unetlite.training.data import fetch, transport
from unetlite.training.data.catalogue import DOCUMENTS
from unetlite.training.data.download import Progress, download
from unetlite.vision.errors import DownloadError

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


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)


@pytest.fixture
def http_mirror():
    mirror = HttpMirror()
    mirror.files[f"/{NAME}.zip"] = midv_archive()
    yield mirror
    mirror.close()


@pytest.fixture
def ftp_mirror(tmp_path):
    root = tmp_path / "ftp"
    root.mkdir()
    (root / f"{NAME}.zip").write_bytes(midv_archive())
    mirror = FtpMirror(root)
    yield mirror
    mirror.close()


def get(mirror, directory: Path, only=(NAME,), **options):
    options.setdefault("retry_delays_s", QUICK)
    return download("midv500", directory, only=only, mirror=mirror.url, **options)


def record(directory: Path) -> dict:
    return json.loads((directory / "download.json").read_text())


# --- what a person gets


@pytest.mark.parametrize("protocol", ["ftp", "http"])
def test_a_document_is_unpacked_and_recorded_and_its_archive_deleted(protocol, request, tmp_path):
    result = get(request.getfixturevalue(f"{protocol}_mirror"), tmp_path / "data")
    folder = tmp_path / "data" / NAME
    assert files_in(folder) == expected_files()
    with zipfile.ZipFile(io.BytesIO(midv_archive())) as content:
        for inside in expected_files():
            assert (folder / inside).read_bytes() == content.read(f"{NAME}/{inside}")
    assert visible(tmp_path / "data") == {NAME, "download.json"}
    entry = record(tmp_path / "data")["archives"][NAME]
    assert entry["bytes"] == len(midv_archive())
    assert entry["sha256"] == hashlib.sha256(midv_archive()).hexdigest()
    assert (result.unpacked, result.present) == ((NAME,), ())
    assert result.bytes_on_disk == sum(path.stat().st_size for path in folder.rglob("*.*"))


@pytest.mark.parametrize("protocol", ["ftp", "http"])
def test_a_second_run_makes_no_request(protocol, request, tmp_path):
    mirror = request.getfixturevalue(f"{protocol}_mirror")
    get(mirror, tmp_path / "data")
    mirror.log.clear()
    written = (tmp_path / "data" / "download.json").stat().st_mtime_ns
    result = get(mirror, tmp_path / "data")
    assert mirror.log == []
    assert (result.unpacked, result.present) == ((), (NAME,))
    assert (tmp_path / "data" / "download.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("dataset", ["midv500", "midv2019"])
def test_a_mirror_may_be_a_copy_of_the_whole_server(ftp_mirror, tmp_path, dataset):
    folder = ftp_mirror.root / "midv-500" / ("dataset" if dataset == "midv500" else "extra/midv-2019/dataset")
    folder.mkdir(parents=True)
    (ftp_mirror.root / f"{NAME}.zip").rename(folder / f"{NAME}.zip")
    download(dataset, tmp_path / "data", only=[NAME], mirror=ftp_mirror.url + "/")
    assert files_in(tmp_path / "data" / NAME) == expected_files()
    assert record(tmp_path / "data")["dataset"] == dataset


def test_archives_are_kept_on_request(http_mirror, tmp_path):
    get(http_mirror, tmp_path / "data", keep_archives=True)
    assert (tmp_path / "data" / f"{NAME}.zip").read_bytes() == midv_archive()
    shutil.rmtree(tmp_path / "data" / NAME)
    http_mirror.log.clear()
    get(http_mirror, tmp_path / "data", keep_archives=True)
    assert http_mirror.log == []
    assert files_in(tmp_path / "data" / NAME) == expected_files()


def test_an_archive_that_somebody_put_there_is_unpacked_and_not_deleted(http_mirror, tmp_path):
    (tmp_path / f"{NAME}.zip").write_bytes(midv_archive())
    get(http_mirror, tmp_path)
    assert http_mirror.log == []
    assert visible(tmp_path) == {NAME, f"{NAME}.zip", "download.json"}


def test_several_archives_come_at_once(http_mirror, tmp_path):
    http_mirror.files[f"/{OTHER}.zip"] = midv_archive(OTHER, seed=1)
    http_mirror.both_here = threading.Barrier(2)  # breaks, and with it the download, unless both requests are open
    result = get(http_mirror, tmp_path, only=(NAME, OTHER), jobs=2)
    assert result.unpacked == (NAME, OTHER)
    assert files_in(tmp_path / OTHER) == expected_files(OTHER)


def test_progress_tells_every_stage_in_order_and_never_moves_back(http_mirror, tmp_path):
    told: list[Progress] = []
    get(http_mirror, tmp_path, report=told.append)
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages == ["fetch", "check", "unpack", "done"]
    for stage in stages[:-1]:
        done = [progress.done for progress in told if progress.stage == stage]
        assert done == sorted(done)
        assert done[-1] == next(progress.total for progress in told if progress.stage == stage)


# --- broken connections


@pytest.mark.parametrize("protocol", ["ftp", "http"])
def test_a_broken_connection_is_resumed_within_the_run(protocol, request, tmp_path):
    mirror = request.getfixturevalue(f"{protocol}_mirror")
    mirror.cuts = [50_000, 60_000]
    told: list[Progress] = []
    get(mirror, tmp_path / "data", report=told.append)
    assert files_in(tmp_path / "data" / NAME) == expected_files()
    assert mirror.sent == len(midv_archive())  # not a byte twice
    waits = [progress for progress in told if progress.stage == "wait"]
    assert [wait.done for wait in waits] == [50_000, 110_000]
    assert "trying again in 0.01 s" in waits[0].note
    if protocol == "ftp":
        assert ftp_offsets(mirror) == [50_000, 110_000]
    else:
        assert [asked for _, asked, _ in mirror.log] == [None, "bytes=50000-", "bytes=110000-"]


def ftp_offsets(mirror: FtpMirror) -> list[int]:
    return [int(line.split()[1]) for line in mirror.commands("REST")]


@pytest.mark.parametrize("protocol", ["ftp", "http"])
def test_a_later_run_goes_on_where_the_first_gave_up(protocol, request, tmp_path):
    mirror = request.getfixturevalue(f"{protocol}_mirror")
    mirror.cuts = [70_000]
    with pytest.raises(DownloadError, match="run the same command again"):
        get(mirror, tmp_path / "data", retry_delays_s=())
    assert visible(tmp_path / "data") == {f"{NAME}.zip.part", f"{NAME}.zip.part.json"}
    assert (tmp_path / "data" / f"{NAME}.zip.part").stat().st_size == 70_000
    get(mirror, tmp_path / "data")
    assert mirror.sent == len(midv_archive())
    assert visible(tmp_path / "data") == {NAME, "download.json"}


def test_a_reset_connection_is_survived(http_mirror, tmp_path):
    http_mirror.resets = True
    http_mirror.cuts = [50_000, 100_000, 0]
    get(http_mirror, tmp_path)
    assert files_in(tmp_path / NAME) == expected_files()


def test_attempts_without_progress_are_bounded(http_mirror, tmp_path):
    http_mirror.cuts = [10_000] * 3 + [0] * 50
    with pytest.raises(DownloadError, match=rf"expected {len(midv_archive())} bytes, got 30000 .* 6 times"):
        get(http_mirror, tmp_path)
    assert len(http_mirror.log) == 6


def test_the_count_of_attempts_starts_again_when_the_file_grows(http_mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "RETRY_PROGRESS_BYTES", 10_000)
    http_mirror.cuts = [12_000] * 12
    get(http_mirror, tmp_path)
    assert len(http_mirror.log) == 13
    assert files_in(tmp_path / NAME) == expected_files()


def test_a_server_without_ranges_starts_again_cleanly(http_mirror, tmp_path):
    http_mirror.ranges = False
    http_mirror.cuts = [100_000]
    get(http_mirror, tmp_path)
    assert files_in(tmp_path / NAME) == expected_files()
    assert http_mirror.sent == 100_000 + len(midv_archive())


@pytest.mark.parametrize("missing", [{"REST"}, {"SIZE"}, {"MDTM"}, {"SIZE", "MDTM", "REST"}])
def test_an_ftp_server_that_lacks_commands_still_serves(ftp_mirror, tmp_path, missing):
    ftp_mirror.refused_commands = missing
    ftp_mirror.cuts = [100_000]
    get(ftp_mirror, tmp_path / "data")
    assert files_in(tmp_path / "data" / NAME) == expected_files()
    twice = bool(missing & {"REST", "SIZE"})  # without the size nothing shows that the file is still the same
    assert ftp_mirror.sent == len(midv_archive()) + (100_000 if twice else 0)


def test_an_archive_that_changed_over_http_is_fetched_anew(http_mirror, tmp_path):
    http_mirror.cuts = [70_000]
    with pytest.raises(DownloadError):
        get(http_mirror, tmp_path, retry_delays_s=())
    http_mirror.files[f"/{NAME}.zip"] = midv_archive(seed=5)
    get(http_mirror, tmp_path)
    assert record(tmp_path)["archives"][NAME]["sha256"] == hashlib.sha256(midv_archive(seed=5)).hexdigest()


def test_the_rest_of_another_version_is_not_taken_from_a_server_that_sends_it_all_the_same(http_mirror, tmp_path):
    http_mirror.heeds_if_range = False
    http_mirror.cuts = [70_000]
    with pytest.raises(DownloadError):
        get(http_mirror, tmp_path, retry_delays_s=())
    http_mirror.files[f"/{NAME}.zip"] = midv_archive(seed=5)
    get(http_mirror, tmp_path)
    assert record(tmp_path)["archives"][NAME]["sha256"] == hashlib.sha256(midv_archive(seed=5)).hexdigest()


def test_an_archive_that_shrank_over_http_is_fetched_anew(http_mirror, tmp_path):
    http_mirror.cuts = [150_000]
    with pytest.raises(DownloadError):
        get(http_mirror, tmp_path, retry_delays_s=())
    http_mirror.files[f"/{NAME}.zip"] = midv_archive(frames=1)
    http_mirror.answers = [416]
    get(http_mirror, tmp_path)
    assert files_in(tmp_path / NAME) == expected_files(frames=1)


def test_an_archive_that_changed_over_ftp_is_fetched_anew(ftp_mirror, tmp_path):
    ftp_mirror.cuts = [70_000]
    with pytest.raises(DownloadError):
        get(ftp_mirror, tmp_path / "data", retry_delays_s=())
    source = ftp_mirror.root / f"{NAME}.zip"
    source.write_bytes(midv_archive(seed=5))  # of the same size: only the time of the change tells
    os.utime(source, (1_600_000_000, 1_600_000_000))
    get(ftp_mirror, tmp_path / "data")
    assert ftp_offsets(ftp_mirror) == []
    assert record(tmp_path / "data")["archives"][NAME]["sha256"] == hashlib.sha256(midv_archive(seed=5)).hexdigest()


def test_a_partial_file_from_another_mirror_is_not_continued(http_mirror, tmp_path):
    http_mirror.cuts = [70_000]
    with pytest.raises(DownloadError):
        get(http_mirror, tmp_path, retry_delays_s=())
    http_mirror.files[f"/elsewhere/{NAME}.zip"] = midv_archive()
    http_mirror.log.clear()
    download("midv500", tmp_path, only=[NAME], mirror=f"{http_mirror.url}/elsewhere")
    assert [asked for _, asked, _ in http_mirror.log] == [None]
    assert files_in(tmp_path / NAME) == expected_files()


def test_a_partial_file_without_its_note_is_not_trusted(http_mirror, tmp_path):
    (tmp_path / f"{NAME}.zip.part").write_bytes(b"x" * 70_000)
    get(http_mirror, tmp_path)
    assert [asked for _, asked, _ in http_mirror.log] == [None]
    assert files_in(tmp_path / NAME) == expected_files()


def test_a_chunked_transfer_is_resumed_once_its_version_is_known(http_mirror, tmp_path):
    http_mirror.announces = "chunked"
    http_mirror.cuts = [100_000]
    get(http_mirror, tmp_path)
    assert [asked for _, asked, _ in http_mirror.log] == [None, "bytes=99993-"]  # less the chunk's own length line
    assert files_in(tmp_path / NAME) == expected_files()


def test_a_partial_file_that_is_too_long_is_fetched_anew(ftp_mirror, tmp_path):
    ftp_mirror.cuts = [70_000]
    with pytest.raises(DownloadError):
        get(ftp_mirror, tmp_path / "data", retry_delays_s=())
    with open(tmp_path / "data" / f"{NAME}.zip.part", "ab") as part:
        part.write(b"x" * 200_000)
    get(ftp_mirror, tmp_path / "data")
    assert ftp_offsets(ftp_mirror) == []
    assert files_in(tmp_path / "data" / NAME) == expected_files()


def test_a_silent_server_is_given_up_and_resumed(http_mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "TIMEOUT_S", 1.0)
    http_mirror.stalls_after = 80_000
    told: list[Progress] = []
    get(http_mirror, tmp_path, report=told.append)
    assert [asked for _, asked, _ in http_mirror.log] == [None, "bytes=80000-"]
    assert any("nothing came for 1 s" in progress.note for progress in told)


def test_a_server_that_is_briefly_overloaded_is_asked_again(http_mirror, tmp_path):
    http_mirror.answers = [503, 429]
    get(http_mirror, tmp_path)
    assert len(http_mirror.log) == 3


# --- what is refused, and what is said of it


def test_a_server_that_forbids_is_not_asked_again(http_mirror, tmp_path):
    http_mirror.answers = [403]
    with pytest.raises(DownloadError, match="the server answers 403"):
        get(http_mirror, tmp_path)
    assert len(http_mirror.log) == 1


def test_an_address_where_nothing_listens_is_reported_at_once(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        told: list[Progress] = []
        with pytest.raises(DownloadError, match="nothing answers there"):
            download(
                "midv500",
                tmp_path,
                only=[NAME],
                mirror=f"http://127.0.0.1:{unused.getsockname()[1]}",
                report=told.append,
            )
    assert [progress.stage for progress in told] == ["failed"]


@pytest.mark.parametrize("protocol", ["ftp", "http"])
def test_one_missing_archive_does_not_stop_the_others(protocol, request, tmp_path):
    mirror = request.getfixturevalue(f"{protocol}_mirror")
    told: list[Progress] = []
    with pytest.raises(DownloadError, match=f"expected 2 documents, but 1 failed: {OTHER}") as raised:
        get(mirror, tmp_path / "data", only=(OTHER, NAME), jobs=1, report=told.append)
    assert f"{mirror.url}/{OTHER}.zip" in str(raised.value)
    assert files_in(tmp_path / "data" / NAME) == expected_files()
    assert [(progress.name, progress.stage) for progress in told if progress.stage in ("done", "failed")] == [
        (OTHER, "failed"),
        (NAME, "done"),
    ]


def test_a_truncated_archive_is_refused_and_not_kept(http_mirror, tmp_path):
    http_mirror.files[f"/{NAME}.zip"] = midv_archive()[:150_000]
    with pytest.raises(DownloadError, match="expected a whole zip archive, got a damaged one"):
        get(http_mirror, tmp_path)
    assert visible(tmp_path) == set()


def test_an_archive_with_a_flipped_bit_is_refused_and_not_kept(ftp_mirror, tmp_path):
    content = bytearray(midv_archive())
    content[90_000] ^= 1
    (ftp_mirror.root / f"{NAME}.zip").write_bytes(content)
    with pytest.raises(DownloadError, match="got a damaged one"):
        get(ftp_mirror, tmp_path / "data")
    assert visible(tmp_path / "data") == set()


def test_a_page_in_place_of_the_archive_is_refused(http_mirror, tmp_path):
    http_mirror.files[f"/{NAME}.zip"] = b"<html>please log in</html>"
    with pytest.raises(DownloadError, match="not a zip file"):
        get(http_mirror, tmp_path)
    assert visible(tmp_path) == set()


def test_an_archive_that_climbs_out_is_refused_and_leaves_nothing(http_mirror, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        content.writestr(f"{NAME}/../../evil.txt", b"evil")
    http_mirror.files[f"/{NAME}.zip"] = buffer.getvalue()
    with pytest.raises(DownloadError, match="refused as unsafe"):
        get(http_mirror, tmp_path / "data")
    assert visible(tmp_path / "data") == set()
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize("announces", ["chunked", "nothing"])
def test_an_archive_of_unknown_length_is_judged_by_its_own_checks(http_mirror, tmp_path, announces):
    http_mirror.announces = announces
    get(http_mirror, tmp_path / "whole")
    assert files_in(tmp_path / "whole" / NAME) == expected_files()
    http_mirror.cuts = [100_000]
    with pytest.raises(DownloadError):
        get(http_mirror, tmp_path / "cut", retry_delays_s=())
    assert not (tmp_path / "cut" / f"{NAME}.zip").exists()
    assert not (tmp_path / "cut" / NAME).exists()


def test_fewer_bytes_than_announced_are_not_taken_for_the_whole(http_mirror, tmp_path):
    http_mirror.announced_too_many = 10
    with pytest.raises(DownloadError, match=rf"expected {len(midv_archive()) + 10} bytes, got {len(midv_archive())}"):
        get(http_mirror, tmp_path, retry_delays_s=())
    assert not (tmp_path / f"{NAME}.zip").exists()


def test_more_bytes_than_announced_are_not_written(ftp_mirror, tmp_path):
    ftp_mirror.claimed_size = 100_000
    with pytest.raises(DownloadError, match="expected at most 100000 bytes, the server sends more"):
        get(ftp_mirror, tmp_path / "data")
    assert (tmp_path / "data" / f"{NAME}.zip.part").stat().st_size <= 100_000
    assert not (tmp_path / "data" / NAME).exists()


def test_a_transfer_without_end_is_cut_off_at_the_limit(http_mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_FILE_BYTES", 100_000)
    http_mirror.announces = "nothing"
    with pytest.raises(DownloadError, match="expected at most 100000 bytes, the server sends more"):
        get(http_mirror, tmp_path)
    assert not (tmp_path / NAME).exists()


def test_an_absurd_size_is_refused_before_it_is_fetched(http_mirror, tmp_path):
    http_mirror.announced_too_many = 17 << 30
    with pytest.raises(DownloadError, match="expected at most 17179869184 bytes, the server announces"):
        get(http_mirror, tmp_path)
    assert visible(tmp_path) == set()


def test_too_little_room_is_said_before_fetching(http_mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 5, 5))
    with pytest.raises(DownloadError, match=rf"expected {len(midv_archive())} free bytes for {NAME}.zip, got 5"):
        get(http_mirror, tmp_path)
    assert visible(tmp_path) == set()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_is_named_and_not_retried(http_mirror, tmp_path):
    (tmp_path / f"{NAME}.zip.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=os.strerror(errno.ENOSPC)):
        get(http_mirror, tmp_path)
    assert len(http_mirror.log) == 1


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("alb", "01_alb_id"),
        ("01_alb", "01_alb_id"),
        ("05_aze_pasport", "05_aze_passport"),
        ("DEU_DRVLIC", "12_deu_drvlic_new, 13_deu_drvlic_old"),
        ("zzzzzzzzz", "01_alb_id to 50_xpo_id"),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones(tmp_path, asked, hint):
    with pytest.raises(DownloadError, match=f"{asked}: no document of midv500 has this name.*{hint}"):
        download("midv500", tmp_path / "data", only=[asked])
    assert not (tmp_path / "data").exists()


def test_there_are_fifty_documents_numbered_in_order():
    assert [int(name[:2]) for name in DOCUMENTS] == list(range(1, 51))


def test_an_unknown_data_set_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(DownloadError, match="midv1999: expected one of midv500, midv2019"):
        download("midv1999", tmp_path)


@pytest.mark.parametrize(
    "mirror",
    ["smartengines.com", "file:///etc", "sftp://host/x", "ftp://", "http://host:port/", "ftp://h/a b", "ftp://h/%0d%0a"],
)
def test_a_mirror_that_is_no_address_is_refused(tmp_path, mirror):
    with pytest.raises(DownloadError, match="mirror: expected an address"):
        download("midv500", tmp_path, only=[NAME], mirror=mirror)


def test_no_jobs_at_all_are_refused(tmp_path):
    with pytest.raises(DownloadError, match="jobs: expected 1 or more, got 0"):
        download("midv500", tmp_path, only=[NAME], jobs=0)


def test_one_folder_holds_one_data_set(http_mirror, tmp_path):
    get(http_mirror, tmp_path)
    with pytest.raises(DownloadError, match="expected midv2019, but midv500 was downloaded there"):
        download("midv2019", tmp_path, only=[NAME], mirror=http_mirror.url)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format": 2, "dataset": "midv500", "archives": {}}', '{"archives": 1}']
)
def test_a_record_that_cannot_be_read_is_not_overwritten(http_mirror, tmp_path, content):
    (tmp_path / "download.json").write_text(content)
    with pytest.raises(DownloadError, match="expected a record of format 1"):
        get(http_mirror, tmp_path)
    assert (tmp_path / "download.json").read_text() == content


def test_a_folder_of_somebody_elses_is_left_alone(http_mirror, tmp_path):
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "mine.txt").write_text("mine")
    with pytest.raises(DownloadError, match="not recorded in download.json; move it away"):
        get(http_mirror, tmp_path)
    assert http_mirror.log == []
    assert files_in(tmp_path / NAME) == {"mine.txt"}


def test_a_folder_that_differs_from_the_archive_beside_it_is_left_alone(http_mirror, tmp_path):
    (tmp_path / f"{NAME}.zip").write_bytes(midv_archive())
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "mine.txt").write_text("mine")
    with pytest.raises(DownloadError, match=f"differs from {NAME}.zip; move one of them away"):
        get(http_mirror, tmp_path)
    assert files_in(tmp_path / NAME) == {"mine.txt"}


def test_a_target_that_is_a_file_is_refused(http_mirror, tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DownloadError, match="data: could not be written"):
        get(http_mirror, tmp_path / "data")


def test_two_downloads_into_one_folder_do_not_mix(http_mirror, tmp_path):
    http_mirror.stalls_after = 80_000
    first = threading.Thread(target=get, args=(http_mirror, tmp_path))
    first.start()
    wait_for(lambda: http_mirror.sent >= 80_000)
    with pytest.raises(DownloadError, match="another download is at work there"):
        get(http_mirror, tmp_path)
    http_mirror.go_on.set()
    first.join()
    assert files_in(tmp_path / NAME) == expected_files()


def wait_for(condition, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "did not come about"
        time.sleep(0.01)


# --- accounts and certificates


def test_an_ftp_account_is_used_and_not_shown(ftp_mirror, tmp_path):
    address = ftp_mirror.url.replace("://", "://ann:s3cret@")
    download("midv500", tmp_path / "data", only=[NAME], mirror=address)
    assert ftp_mirror.commands("USER", "PASS") == ["USER ann", "PASS s3cret"]
    assert "s3cret" not in (tmp_path / "data" / "download.json").read_text()
    with pytest.raises(DownloadError) as raised:
        download("midv500", tmp_path / "data", only=[OTHER], mirror=address)
    assert "s3cret" not in str(raised.value)


def test_an_http_account_is_used_and_not_shown(http_mirror, tmp_path):
    download("midv500", tmp_path, only=[NAME], mirror=http_mirror.url.replace("://", "://ann:s3%20cret@"))
    assert http_mirror.log[0][2] == "Basic " + base64.b64encode(b"ann:s3 cret").decode()
    assert "cret" not in (tmp_path / "download.json").read_text()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate: apt install openssl")
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1"]
        + ["-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return key, certificate


@pytest.fixture
def https_mirror(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    mirror = HttpMirror(context)
    mirror.files[f"/{NAME}.zip"] = midv_archive()
    yield mirror
    mirror.close()


def test_a_certificate_nobody_vouches_for_is_refused(https_mirror, tmp_path):
    with pytest.raises(DownloadError, match="expected a certificate that this machine trusts"):
        get(https_mirror, tmp_path)
    assert visible(tmp_path) == set()
    assert https_mirror.log == []


def test_a_private_mirror_is_trusted_through_ssl_cert_file(https_mirror, tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    https_mirror.announces = "length"
    get(https_mirror, tmp_path)
    assert files_in(tmp_path / NAME) == expected_files()


def test_a_redirect_from_https_to_http_is_refused(https_mirror, http_mirror, tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    https_mirror.redirect = http_mirror.url
    with pytest.raises(DownloadError, match="which is not https; refused"):
        get(https_mirror, tmp_path)
    assert http_mirror.log == []


def test_a_redirect_within_http_is_followed_and_resumed(http_mirror, tmp_path):
    front = HttpMirror()
    front.redirect = http_mirror.url
    http_mirror.cuts = [50_000]
    with contextlib.closing(front):
        get(front, tmp_path)
    assert files_in(tmp_path / NAME) == expected_files()
    assert http_mirror.sent == len(midv_archive())


# --- a run that ends in the middle


def start_download(mirror: HttpMirror, directory: Path) -> subprocess.Popen:
    script = (
        "import sys; from pathlib import Path; from unetlite.training.data.download import download; "
        f"download('midv500', Path(sys.argv[1]), only=['{NAME}'], mirror=sys.argv[2])"
    )
    command = [sys.executable, "-c", script, str(directory), mirror.url]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_killed_while_fetching_is_gone_on_with(http_mirror, tmp_path, how):
    http_mirror.stalls_after = 90_000
    part = tmp_path / f"{NAME}.zip.part"
    with start_download(http_mirror, tmp_path) as process:
        wait_for(lambda: part.exists() and part.stat().st_size == 90_000)
        process.send_signal(how)
        _, said = process.communicate(timeout=30)
    assert process.returncode == -how
    assert how == signal.SIGKILL or said.strip().endswith("KeyboardInterrupt")
    assert not (tmp_path / NAME).exists()
    get(http_mirror, tmp_path)
    assert [asked for _, asked, _ in http_mirror.log] == [None, "bytes=90000-"]
    assert files_in(tmp_path / NAME) == expected_files()
    assert visible(tmp_path) == {NAME, "download.json"}


class Killed(BaseException):
    """Stands for the end of the process at a chosen moment."""


@pytest.mark.parametrize(
    ("moment", "left"),
    [
        ("unetlite.training.data.archive.check", {"{}.zip.part", "{}.zip.part.json"}),
        ("unetlite.training.data.fetch.finish", {"{}.zip.part", "{}.zip.part.json", "download.json"}),
        ("unetlite.training.data.archive.unpack", {"{}.zip", "download.json"}),
        ("os.rename", {"{}.zip", "download.json"}),
    ],
)
def test_a_run_that_ends_between_two_steps_is_gone_on_with(http_mirror, tmp_path, monkeypatch, moment, left):
    def end(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(moment, end)
        with pytest.raises(Killed):
            get(http_mirror, tmp_path)
    assert visible(tmp_path) == {name.format(NAME) for name in left}
    http_mirror.log.clear()
    get(http_mirror, tmp_path)
    assert http_mirror.log == []  # all the bytes were here
    assert files_in(tmp_path / NAME) == expected_files()
    assert visible(tmp_path) == {NAME, "download.json"}


def test_a_run_that_ended_before_it_could_record_the_folder_is_gone_on_with(http_mirror, tmp_path):
    get(http_mirror, tmp_path, keep_archives=True)
    content = record(tmp_path)
    content["archives"][NAME]["unpacked"] = False
    (tmp_path / "download.json").write_text(json.dumps(content))
    http_mirror.log.clear()
    get(http_mirror, tmp_path)
    assert http_mirror.log == []
    assert visible(tmp_path) == {NAME, "download.json"}


def test_a_half_unpacked_folder_of_a_killed_run_is_replaced(http_mirror, tmp_path):
    leftover = tmp_path / f".{NAME}.unpacking" / "images"
    leftover.mkdir(parents=True)
    (leftover / "half.tif").write_bytes(b"half")
    get(http_mirror, tmp_path)
    assert files_in(tmp_path / NAME) == expected_files()
    assert visible(tmp_path) == {NAME, "download.json"}


def test_an_error_in_the_report_ends_the_run_and_comes_to_the_caller(http_mirror, tmp_path):
    def report(progress: Progress) -> None:
        raise BrokenPipeError(errno.EPIPE, "the terminal is gone")

    with pytest.raises(BrokenPipeError, match="the terminal is gone"):
        get(http_mirror, tmp_path, report=report)
