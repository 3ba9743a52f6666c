"""What a download refuses, and what it says of it."""

from __future__ import annotations

import errno
import io
import os
import shutil
import socket
import threading
import zipfile

import pytest
from mirrors import NAME, OTHER, expected_files, files_in, get, midv_archive, visible, wait_for

from unetlite.training.data import fetch
from unetlite.training.data.catalogue import DOCUMENTS
from unetlite.training.data.download import Progress, download
from unetlite.vision.errors import DownloadError


def test_a_server_that_forbids_is_not_asked_again(http_mirror, tmp_path):
    http_mirror.answers = [403]
    with pytest.raises(DownloadError, match="the server answers 403"):
        get(http_mirror, tmp_path)
    assert len(http_mirror.log) == 1


def test_an_address_where_nothing_listens_is_reported_at_once(direct, tmp_path):
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
