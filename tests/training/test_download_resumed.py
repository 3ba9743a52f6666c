"""Downloads that break, and runs that end in the middle: what the next attempt goes on with."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mirrors import NAME, FtpMirror, HttpMirror, expected_files, files_in, get, midv_archive, record, visible, wait_for

from unetlite.training.data import fetch, transport
from unetlite.training.data.download import Progress, download
from unetlite.vision.errors import DownloadError


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
