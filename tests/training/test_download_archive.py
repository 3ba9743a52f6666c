"""Archives made to do harm, each refused as a whole, and what the limits still let through."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import threading
import zipfile
from pathlib import Path

import pytest

from unetlite.training.data import archive
from unetlite.training.data.fetch import Stopped
from unetlite.vision.errors import DownloadError

NAME = "01_alb_id"


def write_archive(path: Path, entries, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """`entries`: pairs of a name, or a ready ZipInfo, and content. Names are stored as they are."""
    with zipfile.ZipFile(path, "w", compression) as content:
        for entry, body in entries:
            content.writestr(entry, body)
    return path


def unpack(path: Path, folder: Path, stop: threading.Event | None = None) -> set[str]:
    members = archive.inspect(path, folder.name)
    archive.unpack(path, members, folder, report=lambda done, total: None, stop=stop or threading.Event())
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def check(path: Path) -> None:
    archive.check(path, report=lambda done, total: None, stop=threading.Event())


def entry(name: str, *, mode: int = 0, system: int = 3) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name  # past ZipInfo's own cleaning
    info.external_attr = mode << 16
    info.create_system = system
    return info


def patch_directory(path: Path, offset: int, value: bytes) -> None:
    """Overwrite bytes at `offset` in every entry of the archive's directory (APPNOTE 4.3.12)."""
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\1\2")
    while at >= 0:
        content[at + offset : at + offset + len(value)] = value
        at = content.find(b"PK\1\2", at + 1)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "a/..",
        "/etc/evil",
        "//host/share/evil",
        "C:/evil",
        "c:evil",
        "..\\evil",
        "a\\b",
        "a\nb",
        "a\x1b[2Jb",
    ],
)
def test_names_that_lead_out_or_deceive_are_refused(tmp_path, name):
    path = write_archive(tmp_path / "a.zip", [("good.tif", b"good"), (entry(name), b"evil")])
    with pytest.raises(DownloadError, match="refused as unsafe: expected (plain names|paths inside)") as raised:
        unpack(path, tmp_path / "out" / NAME)
    assert str(raised.value).isprintable()
    assert not (tmp_path / "out").exists()


def test_a_name_with_a_nul_is_refused(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("good.tif_x", b"evil")])
    path.write_bytes(path.read_bytes().replace(b"good.tif_x", b"good.tif\0x"))
    with pytest.raises(DownloadError, match="refused as unsafe: expected plain names"):
        archive.inspect(path, NAME)


@pytest.mark.parametrize("system", [0, 3])
@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path, kind, system):
    path = write_archive(tmp_path / "a.zip", [(entry("images/link", mode=kind | 0o777, system=system), b"/etc/passwd")])
    with pytest.raises(DownloadError, match="a link or device"):
        unpack(path, tmp_path / NAME)


def test_a_link_that_a_later_entry_would_go_through_is_refused(tmp_path):
    entries = [(entry("images", mode=stat.S_IFLNK | 0o777), b"/tmp"), ("images/evil.txt", b"evil")]
    with pytest.raises(DownloadError, match="a link or device"):
        unpack(write_archive(tmp_path / "a.zip", entries), tmp_path / NAME)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile says so when such an archive is made
@pytest.mark.parametrize(
    "names",
    [("a.tif", "a.tif"), ("a.tif", "A.TIF"), ("a.tif", "./a.tif"), ("a/b", "a//b"), (f"{NAME}/a", f"{NAME}/./a")],
)
def test_two_files_of_one_name_are_refused(tmp_path, names):
    path = write_archive(tmp_path / "a.zip", [(entry(name), b"x") for name in names])
    with pytest.raises(DownloadError, match="expected each name once"):
        archive.inspect(path, NAME)


def test_a_file_that_is_also_a_folder_is_refused(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("images", b"x"), ("images/a.tif", b"x")])
    with pytest.raises(DownloadError, match="expected each name to be a file or a folder, got 'images' as both"):
        archive.inspect(path, NAME)


def test_too_many_entries_are_refused(tmp_path):
    entries = [(f"{number}", b"") for number in range(archive.MAX_ENTRIES + 1)]
    with pytest.raises(DownloadError, match="expected at most 10000 entries, got 10001"):
        archive.inspect(write_archive(tmp_path / "a.zip", entries, zipfile.ZIP_STORED), NAME)


def test_an_absurd_total_is_refused_by_what_the_directory_says(tmp_path):
    path = write_archive(tmp_path / "a.zip", [(f"{number}", b"x") for number in range(5)], zipfile.ZIP_STORED)
    patch_directory(path, 24, struct.pack("<I", 0xFFFFFFF0))  # uncompressed size: 4 GB each
    with pytest.raises(DownloadError, match="expected at most 17179869184 bytes unpacked, got 21474836400"):
        archive.inspect(path, NAME)


def test_an_absurd_compression_ratio_is_refused(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("zeros", b"\0" * (archive.RATIO_FLOOR_BYTES + 1))])
    with pytest.raises(DownloadError, match="expected at most 100 times its own"):
        archive.inspect(path, NAME)


def test_a_small_drawn_picture_may_compress_a_thousandfold(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("images/CA/flat.tif", b"\0" * 10_000_000)])
    assert path.stat().st_size * 900 < 10_000_000
    assert unpack(path, tmp_path / NAME) == {"images/CA/flat.tif"}


def test_more_bytes_than_the_directory_says_are_never_written(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("bomb", b"\0" * 5_000_000)])
    patch_directory(path, 24, struct.pack("<I", 10))
    with pytest.raises(DownloadError, match="got a damaged one"):
        unpack(path, tmp_path / NAME)
    assert set(tmp_path.iterdir()) == {path}


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    body = os.urandom(50_000)
    path = write_archive(tmp_path / "a.zip", [("a", body), ("b", b"x")], zipfile.ZIP_STORED)
    patch_directory(path, 20, struct.pack("<II", 50_000, 50_000))
    with pytest.raises(DownloadError, match="entries that overlap"):
        archive.inspect(path, NAME)


def test_entries_with_a_password_are_refused(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("a.tif", b"x")])
    patch_directory(path, 8, struct.pack("<H", 1))
    with pytest.raises(DownloadError, match="expected entries without a password"):
        archive.inspect(path, NAME)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_zipfile_unpacks_without_bound_are_refused(tmp_path, method):
    path = write_archive(tmp_path / "a.zip", [("a.tif", b"x" * 1000)], method)
    with pytest.raises(DownloadError, match="expected entries stored or deflated"):
        archive.inspect(path, NAME)


@pytest.mark.parametrize("entries", [[], [("images/", b"")], [("__MACOSX/a", b"x")]])
def test_an_archive_without_files_is_refused(tmp_path, entries):
    with pytest.raises(DownloadError, match="got an archive without files"):
        archive.inspect(write_archive(tmp_path / "a.zip", entries), NAME)


@pytest.mark.parametrize("keep", [0, 10, 30_000, 49_000])
def test_a_truncated_archive_is_damaged(tmp_path, keep):
    path = write_archive(tmp_path / "a.zip", [("a.tif", os.urandom(50_000))])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DownloadError, match="expected a whole zip archive, got a damaged one"):
        archive.inspect(path, NAME)


def test_every_flipped_byte_of_a_small_archive_is_either_harmless_or_one_clear_error(tmp_path):
    entries = [("images/a.tif", b"II*\0 some pixels"), ("b.json", b"{}" * 20)]
    path = write_archive(tmp_path / "a.zip", entries)
    whole = path.read_bytes()
    outcomes = set()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        folder = tmp_path / f"{at}" / NAME
        folder.parent.mkdir()
        try:
            check(path)
            unpack(path, folder)
            contents = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
            assert set(contents) <= {body for _, body in entries}
            outcomes.add("harmless")  # a date, a version, one letter of a name: no content
        except DownloadError:
            assert not any(folder.parent.iterdir())
            outcomes.add("refused")
    assert outcomes == {"harmless", "refused"}


def test_the_check_finds_a_damaged_entry_that_would_not_be_unpacked(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("a.tif", b"good"), ("a.zip.tif", b"stray")], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"stray", b"strax"))
    assert unpack(path, tmp_path / NAME) == {"a.tif"}
    with pytest.raises(DownloadError, match="Bad CRC-32"):
        check(path)


@pytest.mark.parametrize("top", ["", f"{NAME}/"])
def test_the_documents_own_folder_is_made_once_and_strays_are_left_out(tmp_path, top):
    entries = [
        (f"{top}images/{NAME}.tif", b"template"),
        (f"{top}images/{NAME}.zip.tif", b"stray"),
        (f"{top}ground_truth/{NAME}.zip.json", b"stray"),
        (f"{top}images/CA/CA01_01.tif", b"frame"),
        (f"{top}ground_truth/CA/CA01_01.json", b"{}"),
        (f"{top}images/.DS_Store", b"stray"),
        (f"__MACOSX/{top}images/._CA01_01.tif", b"stray"),
    ]
    assert unpack(write_archive(tmp_path / "a.zip", entries), tmp_path / NAME) == {
        f"images/{NAME}.tif",
        "images/CA/CA01_01.tif",
        "ground_truth/CA/CA01_01.json",
    }


def test_unpacked_files_take_no_permissions_from_the_archive(tmp_path):
    path = write_archive(tmp_path / "a.zip", [(entry("run.sh", mode=stat.S_IFREG | 0o6777), b"#!/bin/sh")])
    unpack(path, tmp_path / NAME)
    assert not (tmp_path / NAME / "run.sh").stat().st_mode & 0o6111


def test_a_failed_unpacking_leaves_nothing_beside_the_archive(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("a.tif", b"good"), ("b.tif", b"damaged")], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"damaged", b"DAMAGED"))
    with pytest.raises(DownloadError, match="got a damaged one"):
        unpack(path, tmp_path / NAME)
    assert set(tmp_path.iterdir()) == {path}


def test_a_stopped_unpacking_leaves_nothing_beside_the_archive(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("a.tif", b"x")])
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        unpack(path, tmp_path / NAME, stop)
    assert set(tmp_path.iterdir()) == {path}


def test_too_little_room_is_said_before_unpacking(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "a.zip", [("a.tif", b"x" * 1000)])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2000, 1001, 999))
    with pytest.raises(DownloadError, match="expected 1000 free bytes to unpack a.zip, got 999"):
        unpack(path, tmp_path / NAME)
    assert set(tmp_path.iterdir()) == {path}


def test_a_name_too_long_for_the_disk_is_one_clear_error(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("n" * 300, b"x")])
    with pytest.raises(DownloadError, match="could not be unpacked"):
        unpack(path, tmp_path / NAME)
    assert set(tmp_path.iterdir()) == {path}


def test_a_folder_holds_the_archive_only_if_every_size_agrees(tmp_path):
    path = write_archive(tmp_path / "a.zip", [("a.tif", b"12"), ("b/c.json", b"{}")])
    members = archive.inspect(path, NAME)
    unpack(path, tmp_path / NAME)
    assert archive.holds(tmp_path / NAME, members)
    (tmp_path / NAME / "a.tif").write_bytes(b"1")
    assert not archive.holds(tmp_path / NAME, members)
    (tmp_path / NAME / "a.tif").unlink()
    assert not archive.holds(tmp_path / NAME, members)
