"""Unpack an archive that a stranger's server sent: all of it, safely, or nothing.

Stands apart because it trusts nothing: every name, type and size in the archive's directory is judged before a
byte is written, the whole archive is refused for one bad entry, and the files appear under their final folder by
one rename.

Where the limits come from. One document of MIDV-500 is 10 clips of 30 frames at 1080 x 1920 (1.9 GB as raw RGB),
one of MIDV-2019 4 clips of 30 frames at 2160 x 3840 (3.0 GB), each frame with one JSON file, besides the clips
themselves and a template:
    MAX_UNPACKED_BYTES: five times the larger.
    MAX_ENTRIES: more than ten times the larger.
    MAX_RATIO: photographs hardly compress at all; deflate's own limit, which bombs reach, is about 1,000. Asked
        only above RATIO_FLOOR_BYTES: a few drawn pictures may well compress a thousandfold and harm nobody.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from unetlite.training.data.fetch import Stopped
from unetlite.vision.errors import DownloadError, UnetliteError

MAX_UNPACKED_BYTES = 16 << 30
MAX_ENTRIES = 10_000
MAX_RATIO = 100
RATIO_FLOOR_BYTES = 64 << 20
BLOCK_BYTES = 1 << 20

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Member:
    """A file of the archive and where it goes, relative to the document's own folder."""

    info: zipfile.ZipInfo
    path: PurePosixPath


def inspect(archive: Path, name: str) -> tuple[Member, ...]:
    """List the files that `archive` would unpack to, having judged every entry.

    A top folder called `name` is taken off, so that the files end in one folder however the archive was made.
    Left out: `__MACOSX`, `.DS_Store`, and the stray `NN.zip.tif` and `NN.zip.json` beside MIDV's templates.

    Raises:
        DownloadError: no zip archive, or one with absolute or climbing paths, drive letters, backslashes, links,
            devices, encryption, unusual compression, two entries of one name, or beyond a limit above.
    """
    with _opened(archive) as content:
        infos = content.infolist()
    if len(infos) > MAX_ENTRIES:
        raise _refused(archive, f"at most {MAX_ENTRIES} entries", f"{len(infos)}")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > MAX_UNPACKED_BYTES:
        raise _refused(archive, f"at most {MAX_UNPACKED_BYTES} bytes unpacked", f"{unpacked}")
    packed = archive.stat().st_size
    if unpacked > max(RATIO_FLOOR_BYTES, MAX_RATIO * packed):
        raise _refused(archive, f"at most {MAX_RATIO} times its own {packed} bytes unpacked", f"{unpacked}")
    if sum(info.compress_size for info in infos) > packed:
        raise _refused(archive, f"entries that share no bytes within {packed}", "entries that overlap")
    for info in infos:
        _judge(archive, info)
    members = [
        Member(info, PurePosixPath(info.filename)) for info in infos if not info.is_dir() and not _stray(info.filename)
    ]
    if not members:
        raise DownloadError(f"{archive.name}: expected the pictures of a document, got an archive without files")
    if all(len(member.path.parts) > 1 and member.path.parts[0] == name for member in members):
        members = [Member(member.info, PurePosixPath(*member.path.parts[1:])) for member in members]
    _judge_clashes(archive, members)
    return tuple(members)


def check(archive: Path, *, report: Report, stop: threading.Event) -> None:
    """Read every file in `archive` to its end, so that each is held against its CRC-32.

    Raises:
        DownloadError: an entry is damaged or cut off.
        Stopped: `stop` was set.
    """
    with _opened(archive) as content:
        infos = [info for info in content.infolist() if not info.is_dir()]
        for _ in _blocks(content, infos, report, stop):
            pass


def unpack(
    archive: Path, members: tuple[Member, ...], folder: Path, *, report: Report, stop: threading.Event
) -> None:
    """Write `members` below a temporary folder beside `folder`, then rename it to `folder`.

    `folder` must not exist, or be empty. What an earlier run left of its temporary folder is removed first.

    Raises:
        DownloadError: too little room, an entry is damaged, or the disk refused.
        Stopped: `stop` was set.
    """
    temporary = folder.with_name(f".{folder.name}.unpacking")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        needed = sum(member.info.file_size for member in members)
        free = shutil.disk_usage(folder.parent).free
        if needed > free:
            raise DownloadError(
                f"{folder}: expected {needed} free bytes to unpack {archive.name}, got {free}; free some space and "
                "run the same command again"
            )
        temporary.mkdir()
        targets = {member.info.filename: temporary / member.path for member in members}
        with _opened(archive) as content:
            done = _blocks(content, [member.info for member in members], report, stop)
            _write(done, targets)
        os.rename(temporary, folder)
    except UnetliteError:
        raise
    except OSError as error:
        raise DownloadError(f"{folder}: could not be unpacked: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def holds(folder: Path, members: tuple[Member, ...]) -> bool:
    """Whether `folder` has every one of `members` in its full size."""
    try:
        return all((folder / member.path).stat().st_size == member.info.file_size for member in members)
    except OSError:
        return False


def _blocks(
    content: zipfile.ZipFile, infos: list[zipfile.ZipInfo], report: Report, stop: threading.Event
) -> Iterator[tuple[zipfile.ZipInfo, bytes]]:
    """The content of `infos` block by block, each file ending with an empty block; CRCs are checked on the way."""
    total = sum(info.file_size for info in infos)
    done = 0
    report(done, total)
    for info in infos:
        with content.open(info) as file:
            while block := file.read(BLOCK_BYTES):
                if stop.is_set():
                    raise Stopped
                done += len(block)
                yield info, block
                report(done, total)
        yield info, b""


def _write(blocks: Iterator[tuple[zipfile.ZipInfo, bytes]], targets: dict[str, Path]) -> None:
    file = None
    try:
        for info, block in blocks:
            if file is None:
                target = targets[info.filename]
                target.parent.mkdir(parents=True, exist_ok=True)
                file = open(target, "xb")  # noqa: SIM115 - open over several blocks
            file.write(block)
            if not block:
                file.flush()
                os.fsync(file.fileno())
                file.close()
                file = None
    finally:
        if file is not None:
            file.close()


def _judge(archive: Path, info: zipfile.ZipInfo) -> None:
    name = info.orig_filename  # as it stands in the archive; `filename` ends at a NUL
    shown = ascii(name[:80])
    if not name or any(ord(letter) < 32 for letter in name) or "\\" in name:
        raise _refused(archive, "plain names with / between folders", shown)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise _refused(archive, "paths inside its own folder", shown)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(archive, "files and folders only", f"{shown}, a link or device")
    if info.flag_bits & 0x1:
        raise _refused(archive, "entries without a password", shown)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _refused(archive, "entries stored or deflated", f"{shown} with method {info.compress_type}")


def _judge_clashes(archive: Path, members: list[Member]) -> None:
    """Refuse two files of one name, also where only case differs, and a file that is a folder to another."""
    paths = [PurePosixPath(str(member.path).casefold()) for member in members]
    files = set(paths)
    folders = {parent for path in paths for parent in path.parents}
    if len(files) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise _refused(archive, "each name once", f"{ascii(str(twice))} twice")
    if clash := files & folders:
        raise _refused(archive, "each name to be a file or a folder", f"{ascii(str(min(clash)))} as both")


def _stray(name: str) -> bool:
    parts = name.split("/")
    return "__MACOSX" in parts or parts[-1] == ".DS_Store" or parts[-1].lower().endswith((".zip.tif", ".zip.json"))


def _refused(archive: Path, expected: str, got: str) -> DownloadError:
    return DownloadError(f"{archive.name}: refused as unsafe: expected {expected}, got {got}; nothing was unpacked")


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """`archive` open for reading; whatever zipfile raises on a damaged one becomes a DownloadError."""
    try:
        with zipfile.ZipFile(archive) as content:
            yield content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # an offset in the archive's directory that leads before its beginning
            raise _damaged(archive, error) from error
        raise


def _damaged(archive: Path, error: Exception) -> DownloadError:
    return DownloadError(f"{archive.name}: expected a whole zip archive, got a damaged one ({error})")
