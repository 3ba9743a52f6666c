"""Fetch one large file into a `.part` file that any later attempt or run can go on with.

Stands apart because it knows neither protocols nor archives: the caller decides what the bytes are worth and gives
the file its final name. Beside `NAME.part` lies `NAME.part.json`, which says what the bytes were taken from (URL,
size, version); a partial file is continued only when all of that still agrees, else it is begun anew.

Where the numbers come from:
    RETRY_DELAYS_S: half a minute in all rides out a dropped line; six breaks with less than RETRY_PROGRESS_BYTES
        gained between them are an outage, which a person should see.
    MAX_FILE_BYTES: more than five times the frames of the largest document, uncompressed (see archive.py).
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from unetlite.training.data.transport import BrokenError, Partial, open_remote, shown
from unetlite.vision.errors import DownloadError, UnetliteError
from unetlite.vision.files import read_json, write_json

RETRY_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
RETRY_PROGRESS_BYTES = 1 << 20
MAX_FILE_BYTES = 16 << 30


class Stopped(Exception):
    """The caller's `stop` was set; what was fetched so far is kept."""


def fetch(
    url: str,
    part: Path,
    *,
    report: Callable[[int, int | None, str], None],
    stop: threading.Event,
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
) -> None:
    """Bring `part` to the whole content of `url`, going on where an earlier attempt or run broke off.

    Args:
        url: ftp, http or https; a user name and password in it are sent to that server only, and never shown.
        part: the partial file; on return it is complete, flushed to disk and of the size that the server announced.
        report: called with (bytes so far, size or None where the server does not tell, what is being waited for).
        stop: checked between blocks and while waiting.
        retry_delays_s: seconds before each further attempt; the count starts again after RETRY_PROGRESS_BYTES.

    Raises:
        NotFoundError: the server has no such file; `part` is as it was.
        DownloadError: anything else that no further attempt will mend, or that none of the attempts did.
        Stopped: `stop` was set.
    """
    started_with = best = _partial(url, part).have
    failures = 0
    while True:
        try:
            _attempt(url, part, report, stop)
            return
        except BrokenError as broken:
            partial = _partial(url, part)
            if partial.have - best >= RETRY_PROGRESS_BYTES:
                failures = 0
            best = max(best, partial.have)
            if broken.refused and best == started_with:
                raise DownloadError(f"{shown(url)}: nothing answers there ({broken}); check the address") from broken
            if failures == len(retry_delays_s):
                raise DownloadError(
                    f"{shown(url)}: expected {_bytes(partial.size)}, got {partial.have} before the connection failed "
                    f"{failures + 1} times ({broken}); run the same command again to go on from there"
                ) from broken
            delay = retry_delays_s[failures]
            failures += 1
            report(partial.have, partial.size, f"{broken}; trying again in {delay:g} s")
            if stop.wait(delay):
                raise Stopped from None
        except UnetliteError:
            raise
        except OSError as error:
            raise DownloadError(f"{part}: could not be written: {error.strerror or error}") from error


def discard(part: Path) -> None:
    """Remove a partial file and the note beside it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def finish(part: Path, target: Path) -> None:
    """Give a complete partial file its final name."""
    os.replace(part, target)
    _note(part).unlink(missing_ok=True)


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _partial(url: str, part: Path) -> Partial:
    """What `part` holds of `url`; nothing where the note beside it is missing, unreadable or about another URL."""
    try:
        note = read_json(_note(part))
        have = part.stat().st_size
        size, validator = note["bytes"], note["validator"]
        plain = validator is None or (isinstance(validator, str) and validator.isprintable())  # it goes into a header
        if note["url"] == shown(url) and plain and (size is None or (type(size) is int and have <= size)):
            return Partial(have, size, validator)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return Partial(0, None, None)


def _attempt(url: str, part: Path, report: Callable[[int, int | None, str], None], stop: threading.Event) -> None:
    """One connection's worth of `fetch`. Raises BrokenError, Stopped, DownloadError, or OSError of the local disk."""
    if stop.is_set():
        raise Stopped
    partial = _partial(url, part)
    if partial.size is not None and partial.have == partial.size:
        report(partial.have, partial.size, "")
        return
    with open_remote(url, partial) as body:
        limit = MAX_FILE_BYTES if body.size is None else body.size
        if limit > MAX_FILE_BYTES:
            raise DownloadError(f"{shown(url)}: expected at most {MAX_FILE_BYTES} bytes, the server announces {limit}")
        free = shutil.disk_usage(part.parent).free
        if body.size is not None and body.size - body.start > free:
            raise DownloadError(
                f"{part.parent}: expected {body.size - body.start} free bytes for {part.stem}, got {free}; "
                "free some space or choose another folder"
            )
        if body.start == 0:
            part.write_bytes(b"")  # before the note changes: at no moment does it describe bytes of another version
        _write_note(url, part, body.size, body.validator)
        have = body.start
        report(have, body.size, "")
        with open(part, "ab") as file:
            while block := body.read():
                if stop.is_set():
                    raise Stopped
                if have + len(block) > limit:
                    raise DownloadError(f"{shown(url)}: expected at most {limit} bytes, the server sends more; stopped")
                file.write(block)
                file.flush()  # what is here when the process is killed need not be fetched again
                have += len(block)
                report(have, body.size, "")
            os.fsync(file.fileno())
        if body.size is None:
            body.confirm()
            _write_note(url, part, have, body.validator)
        elif have < body.size:
            raise BrokenError(f"the connection ended {body.size - have} bytes short")


def _write_note(url: str, part: Path, size: int | None, validator: str | None) -> None:
    write_json(_note(part), {"url": shown(url), "bytes": size, "validator": validator})


def _bytes(size: int | None) -> str:
    return "the whole file" if size is None else f"{size} bytes"
