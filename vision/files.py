"""Atomic writers: a result is either whole under its final name or not there at all.

Stands apart because every folder writes files and none may leave half of one behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from unetlite.vision.errors import OutputError

MAX_JSON_BYTES = 64 << 20  # a report with pictures has a few; parsed, a file takes many times its size


@contextmanager
def atomic_path(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success flush it to disk and rename it into place.

    The temporary file keeps the target's suffix, so that writers which choose a format by suffix work.
    On any error it is removed and `target` stays as it was.

    Raises:
        OutputError: `target` exists and `overwrite` is false, or the disk refused (full, read-only).
    """
    target = Path(target)
    if target.exists() and not overwrite:
        raise OutputError(f"{target}: expected a new file, but it exists; choose another name or pass --overwrite")
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{target}: could not be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # its folder may not exist: that error is on its way already
            temporary.unlink(missing_ok=True)


def write_bytes(target: Path, content: bytes, *, overwrite: bool = True) -> None:
    """Write `content` to `target` atomically. Raises OutputError."""
    with atomic_path(target, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path, content: str, *, overwrite: bool = True) -> None:
    """Write `content` to `target` as UTF-8, atomically. Raises OutputError."""
    write_bytes(target, content.encode("utf-8"), overwrite=overwrite)


def write_json(target: Path, content: Any, *, overwrite: bool = True) -> None:
    """Write `content` to `target` as indented JSON, atomically. NaN is refused: it is no JSON.

    Raises:
        OutputError: the file could not be written.
        ValueError: `content` holds NaN or infinity.
    """
    write_text(target, json.dumps(content, indent=1, allow_nan=False) + "\n", overwrite=overwrite)


def read_json(path: Path) -> Any:
    """The content of a JSON file that anyone may have written.

    Raises:
        OSError: it cannot be read.
        ValueError: no JSON, nested deeper than Python follows, or larger than `MAX_JSON_BYTES`.
    """
    with open(path, "rb") as file:
        content = file.read(MAX_JSON_BYTES + 1)
    if len(content) > MAX_JSON_BYTES:
        raise ValueError(f"more than {MAX_JSON_BYTES >> 20} MiB")
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("lists nested too deep") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)


def _sha256(file: Any) -> str:
    digest = hashlib.sha256()  # Python 3.10 has no file_digest
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()
