"""Bring the documents of MIDV-500 or MIDV-2019 to a folder: in what order things happen, and what is recorded.

Stands apart from the fetching (fetch.py) and the unpacking (archive.py), which know no data set. For each
document: fetch NAME.zip.part, judge it, test every CRC-32, note its size and SHA-256 in download.json, give it its
name NAME.zip, unpack it beside its place, rename it to NAME, note that, delete the archive. Each step leaves a
state from which a later run goes on, so a run may be killed at any moment; a document noted as unpacked costs a
later run no request at all.

The publishers list neither sizes nor checksums. So each archive is held against what its server announces (FTP
SIZE, Content-Length), against its own CRCs, and against the limits whose reasons stand in fetch.py and archive.py;
the SHA-256 in download.json says what was unpacked here, so that two machines can compare.
"""

from __future__ import annotations

import contextlib
import fcntl
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from unetlite.training.data import archive, fetch
from unetlite.training.data.catalogue import archive_folders, document_names
from unetlite.training.data.transport import NotFoundError, shown
from unetlite.vision.errors import DownloadError, UnetliteError
from unetlite.vision.files import read_json, sha256_of, write_json

MANIFEST = "download.json"
_FORMAT = 1
_ENTRY_KEYS = frozenset({"source", "bytes", "sha256", "unpacked"})
_GIVE_UP_S = 2.0  # how long an interrupted run waits for its connections to notice

Stage = Literal["fetch", "wait", "check", "unpack", "done", "present", "failed"]


@dataclass(frozen=True)
class Progress:
    """Where one archive stands: `done` of `total` bytes (None: unknown) of this stage, and a word on it.

    "done", "present" (was here before this run) and "failed" come once for each archive and end it; their `note`
    is the line to show. In "wait" the note says why nothing moves.
    """

    name: str
    stage: Stage
    done: int = 0
    total: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Downloaded:
    """What `directory` holds after a run: documents unpacked by this run, and those that were there before."""

    directory: Path
    unpacked: tuple[str, ...]
    present: tuple[str, ...]
    bytes_on_disk: int


def download(
    dataset: str,
    directory: Path,
    *,
    only: Sequence[str] = (),
    mirror: str | None = None,
    jobs: int = 4,
    keep_archives: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
    retry_delays_s: Sequence[float] = fetch.RETRY_DELAYS_S,
) -> Downloaded:
    """Fetch and unpack the documents of `dataset` to `directory`/NAME, several at once, skipping what is there.

    Args:
        dataset: "midv500" or "midv2019"; one folder holds one of them, since their documents have the same names.
        directory: made if it is missing.
        only: names of documents; all fifty when empty.
        mirror: an FTP or HTTP(S) address, either of the folder that holds the archives or of a copy of the
            publishers' whole server. Tried in that order.
        jobs: how many archives at once.
        keep_archives: leave NAME.zip beside NAME; without it, those that this function fetched are deleted.
        report: called with every change, never from two threads at a time.
        retry_delays_s: seconds before each further attempt at a broken connection.

    Raises:
        DownloadError: an unknown name, an unusable mirror or folder, or, once all others are done, the names of
            the archives that failed. What was fetched stays and is continued by the next run.
    """
    names = document_names(dataset, only)
    bases = archive_folders(dataset, mirror)
    if jobs < 1:
        raise DownloadError(f"jobs: expected 1 or more, got {jobs}")
    directory = Path(directory)
    with _locked(directory):
        run = _Run(directory, bases, _Manifest(directory, dataset), keep_archives, tuple(retry_delays_s), report)
        run.all(names, jobs)
    if run.failures:
        failed = [name for name in names if name in run.failures]
        first = run.failures[failed[0]]
        raise DownloadError(
            f"{directory}: expected {len(names)} documents, but {len(failed)} failed: {', '.join(failed)} "
            f"(the first with: {first}); run the same command again for the rest"
        ) from first
    return Downloaded(
        directory,
        tuple(name for name in names if name in run.unpacked),
        tuple(name for name in names if name not in run.unpacked),
        sum(run.sizes.values()),
    )


class _Manifest:
    """download.json: what is known of each archive, written whole at every change."""

    def __init__(self, directory: Path, dataset: str) -> None:
        self._path = directory / MANIFEST
        self._lock = threading.Lock()
        self._content: dict[str, Any] = {"format": _FORMAT, "dataset": dataset, "archives": {}}
        if not self._path.exists():
            return
        try:
            content = read_json(self._path)
            found = content["dataset"]
            fit = content["format"] == _FORMAT and all(
                set(entry) >= _ENTRY_KEYS
                and type(entry["bytes"]) is int
                and type(entry["unpacked"]) is bool
                and (not entry["unpacked"] or type(entry["unpacked_bytes"]) is int)
                for entry in content["archives"].values()
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            fit = False
        if not fit:
            raise DownloadError(
                f"{self._path}: expected a record of format {_FORMAT}, as unet-data download writes it; "
                "delete it or choose another folder"
            )
        if found != dataset:
            raise DownloadError(
                f"{directory}: expected {dataset}, but {found} was downloaded there and its documents have the same "
                "names; choose another folder"
            )
        self._content = content

    def entry(self, name: str) -> dict[str, Any] | None:
        return self._content["archives"].get(name)

    def put(self, name: str, entry: dict[str, Any]) -> None:
        with self._lock:
            self._content["archives"] = dict(sorted({**self._content["archives"], name: entry}.items()))
            write_json(self._path, self._content)


class _Run:
    """One call of `download`: its threads, and what came of each archive."""

    def __init__(
        self,
        directory: Path,
        bases: tuple[str, ...],
        manifest: _Manifest,
        keep_archives: bool,
        retry_delays_s: tuple[float, ...],
        report: Callable[[Progress], None],
    ) -> None:
        self.directory = directory
        self.bases = bases
        self.manifest = manifest
        self.keep_archives = keep_archives
        self.retry_delays_s = retry_delays_s
        self.unpacked: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.failures: dict[str, UnetliteError] = {}
        self._report = report
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._fault: BaseException | None = None

    def all(self, names: Sequence[str], jobs: int) -> None:
        """Work through `names`, `jobs` at a time; on Ctrl-C or a fault of this program, stop all and raise it."""
        waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        for name in names:
            waiting.put(name)
        # Daemons, so that a server which has gone silent cannot hold up the end of an interrupted run.
        threads = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True) for _ in range(min(jobs, len(names)))
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._stop.set()
            for thread in threads:
                thread.join(_GIVE_UP_S)
            raise
        if self._fault is not None:
            raise self._fault

    def _work(self, waiting: queue.SimpleQueue[str]) -> None:
        while not self._stop.is_set():
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._one_or_failed(name)
            except fetch.Stopped:
                return
            except BaseException as fault:  # raised again by `all`, in the caller's thread
                self._fault = fault
                self._stop.set()

    def _one_or_failed(self, name: str) -> None:
        try:
            self._one(name)
            return
        except UnetliteError as error:
            failure = error
        except OSError as error:
            failure = DownloadError(f"{self.directory / name}: {error.strerror or error}")
        self.failures[name] = failure
        self._tell(Progress(name, "failed", note=str(failure)))

    def _tell(self, progress: Progress) -> None:
        with self._lock:
            try:
                self._report(progress)
            except BaseException as fault:  # not this archive's: a closed terminal, for example, ends the run
                self._fault = fault
                self._stop.set()
                raise fetch.Stopped from fault

    def _one(self, name: str) -> None:
        """Bring one document from whatever state an earlier run left it in to unpacked."""
        folder = self.directory / name
        packed = self.directory / f"{name}.zip"
        entry = self.manifest.entry(name)
        if entry is not None and entry["unpacked"] and _occupied(folder):
            self.sizes[name] = entry["unpacked_bytes"]
            self._tell(Progress(name, "present", note="already there"))
            return
        if not packed.exists():
            if _occupied(folder):
                raise DownloadError(f"{folder}: not recorded in {MANIFEST}; move it away or choose another folder")
            entry = self._fetch(name, packed)
        ours = entry is not None  # an archive that somebody put here is used, but not deleted
        members = archive.inspect(packed, name)
        if entry is None:
            entry = _entry(packed, None)
        if not _occupied(folder):
            archive.unpack(packed, members, folder, report=self._bytes(name, "unpack"), stop=self._stop)
        elif not archive.holds(folder, members):  # else: a run ended between the rename and the record of it
            raise DownloadError(f"{folder}: differs from {packed.name}; move one of them away")
        size = sum(member.info.file_size for member in members)
        self.manifest.put(name, {**entry, "unpacked": True, "files": len(members), "unpacked_bytes": size})
        if ours and not self.keep_archives:
            packed.unlink()
        self.unpacked.add(name)
        self.sizes[name] = size
        self._tell(Progress(name, "done", size, size, f"{len(members)} files, {size / 1e6:.1f} MB unpacked"))

    def _fetch(self, name: str, packed: Path) -> dict[str, Any]:
        """Leave a whole and tested archive at `packed`. Returns its entry, which the manifest has by then."""
        part = packed.with_name(packed.name + ".part")
        source = self._fetch_from_any(name, part)
        try:
            archive.inspect(part, name)
            archive.check(part, report=self._bytes(name, "check"), stop=self._stop)
        except DownloadError:
            fetch.discard(part)  # whole, and of no use: the next run must not take it up again
            raise
        entry = _entry(part, source)
        self.manifest.put(name, entry)
        fetch.finish(part, packed)
        return entry

    def _fetch_from_any(self, name: str, part: Path) -> str:
        """Fetch `name` from the first base that has it. Returns the address as it may be recorded."""
        missing = []
        for base in self.bases:
            parts = urlsplit(base)
            url = parts._replace(path=f"{parts.path.rstrip('/')}/{name}.zip").geturl()
            try:
                fetch.fetch(
                    url, part, report=self._bytes(name, "fetch"), stop=self._stop, retry_delays_s=self.retry_delays_s
                )
                return shown(url)
            except NotFoundError as error:
                missing.append(error)
        if len(missing) == 1:
            raise missing[0]
        raise DownloadError(f"{missing[0]}; nor is it at {shown(url)}") from missing[-1]

    def _bytes(self, name: str, stage: Stage) -> Callable[..., None]:
        def report(done: int, total: int | None, waiting_for: str = "") -> None:
            self._tell(Progress(name, "wait" if waiting_for else stage, done, total, waiting_for))

        return report


def _entry(packed: Path, source: str | None) -> dict[str, Any]:
    return {"source": source, "bytes": packed.stat().st_size, "sha256": sha256_of(packed), "unpacked": False}


def _occupied(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep `directory` for this process: two at once would write into the same partial files."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = open(directory / ".download.lock", "w")  # noqa: SIM115 - closed below, and with it the lock goes
    except OSError as error:
        raise DownloadError(f"{directory}: could not be written: {error.strerror or error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DownloadError(f"{directory}: another download is at work there; wait for it to end") from None
        except OSError as error:
            raise DownloadError(f"{directory}: could not be locked: {error.strerror or error}") from error
        yield
