"""What a person gets who downloads from real FTP and HTTP servers on the loopback."""

from __future__ import annotations

import hashlib
import io
import shutil
import threading
import zipfile

import pytest
from mirrors import NAME, OTHER, expected_files, files_in, get, midv_archive, record, visible

from unetlite.training.data.download import Progress, download


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
