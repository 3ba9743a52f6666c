"""Captures on disk: whole, private, and never more of them than allowed.

Stands apart because it is the only part of live capture that touches the disk.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import cv2

from unetlite.vision.errors import OutputError, SettingsError
from unetlite.vision.files import atomic_path
from unetlite.vision.image import RgbImage

RECORD_FORMAT = "unetlite-capture"
RECORD_VERSION = 1
_NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z(?:\.crop\.(?:png|jpg)|\.frame\.(?:png|jpg)|\.json)")
_NAME_LENGTH = len("20260504T030201.234Z")
_LEFT_BEHIND = re.compile(r"\.\d{8}T\d{6}\.\d{3}Z[.\w]*\.[0-9a-f]{8}\.(?:png|jpg|json)")
_BLOCK_BYTES = 4096  # of the usual file systems: a small file takes one as well
_JPEG_QUALITY = 95
FORMATS = ("png", "jpg")


@dataclass(frozen=True)
class StoreSettings:
    """What is written, and how much may stay.

    Attributes:
        image_format: "png" (lossless) or "jpg".
        keep_frame: also write the whole frame.
        most_bytes: of all captures together, rounded up to blocks of 4 KiB.
        most_count: captures that stay; None: as many as `most_bytes` allows.
        most_days: after which a capture is removed; None: never.
    """

    image_format: str = "png"
    keep_frame: bool = False
    most_bytes: int = 1_000_000_000
    most_count: int | None = None
    most_days: float | None = None

    def __post_init__(self) -> None:
        if self.image_format not in FORMATS:
            raise SettingsError(f"image_format: expected {' or '.join(FORMATS)}, got {self.image_format!r}")
        for name in ("most_bytes", "most_count", "most_days"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingsError(f"{name}: expected more than 0, got {value!r}; leave it out for no such limit")


@dataclass(frozen=True)
class Saved:
    """A capture on disk: its name (its time, so names sort by it), its files and their bytes."""

    name: str
    crop: Path
    record: Path
    size_bytes: int


class CaptureStore:
    """A folder of captures of this program; other files in it are neither counted nor touched."""

    def __init__(self, folder: Path, settings: StoreSettings) -> None:
        """Make the folder, owner-only, and clear away what a power cut left half-written.

        Raises:
            OutputError: the folder cannot be made or written.
        """
        self.folder, self.settings = Path(folder), settings
        self._saved: dict[str, int] = {}  # names of this run, in the order of saving, whatever the clock does
        self._sequence = count()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.chmod(0o700)  # one made beforehand, or by a umask of its own
            for path in self.folder.iterdir():
                if _LEFT_BEHIND.fullmatch(path.name):
                    path.unlink()
        except OSError as error:
            raise OutputError(f"{self.folder}: could not be used for captures: {error.strerror or error}") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OutputError(f"{self.folder}: expected a folder to write captures to, got one that may not be written")

    @property
    def is_private(self) -> bool:
        """Whether nobody but the owner can look into the folder."""
        return self.folder.stat().st_mode & 0o077 == 0

    def save(
        self, crop: RgbImage, frame: RgbImage | None, record: Mapping[str, Any], *, now: datetime | None = None
    ) -> Saved:
        """Write one capture, after removing as many old ones as it needs room.

        Args:
            crop: the flattened document.
            frame: the whole frame; written where the settings ask for it.
            record: fit for JSON; format, version, time and file names are added.
            now: with a time zone; the present by default.

        Raises:
            OutputError: the disk is full or read-only, or this capture alone exceeds what is allowed. Nothing of the
                capture stays then.
        """
        name, time = self._new_name(now or datetime.now(timezone.utc))
        suffix = self.settings.image_format
        contents = {f"{name}.crop.{suffix}": _encoded(crop, suffix)}
        if frame is not None and self.settings.keep_frame:
            contents[f"{name}.frame.{suffix}"] = _encoded(frame, suffix)
        full = {
            "format": RECORD_FORMAT,
            "version": RECORD_VERSION,
            "time": time.isoformat(timespec="milliseconds"),
            "files": sorted(contents),
            **record,
        }
        # Last: where the record is, the pictures are whole.
        contents[f"{name}.json"] = (json.dumps(full, indent=1, allow_nan=False) + "\n").encode()
        size = sum(_on_disk(len(content)) for content in contents.values())
        if size > self.settings.most_bytes:
            raise OutputError(
                f"{self.folder}: expected captures within {self.settings.most_bytes} bytes, got one of {size}; "
                f"allow more, or save JPEG"
            )
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # someone may have tidied it away
            self.retain(room_bytes=size, room_count=1, now=time)
            for file, content in contents.items():
                _write_private(self.folder / file, content)
        except OSError as error:
            self._remove(name)
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{self.folder}: could not be written: {error.strerror or error}") from error
        self._saved[name] = next(self._sequence)
        return Saved(name, self.folder / f"{name}.crop.{suffix}", self.folder / f"{name}.json", size)

    def retain(self, *, room_bytes: int = 0, room_count: int = 0, now: datetime | None = None) -> list[str]:
        """Remove the oldest captures until all limits hold with the given room to spare; returns their names."""
        s = self.settings
        sizes = self._sizes()
        total = sum(sizes.values())
        oldest = None
        if s.most_days is not None:
            oldest = _name_of((now or datetime.now(timezone.utc)) - timedelta(days=s.most_days))
        removed: list[str] = []
        for name in sorted(sizes, key=self._age_key):
            too_many = s.most_count is not None and len(sizes) - len(removed) + room_count > s.most_count
            too_old = oldest is not None and name < oldest
            if too_many or too_old or total + room_bytes > s.most_bytes:
                self._remove(name)
                self._saved.pop(name, None)
                total -= sizes[name]
                removed.append(name)
        return removed

    def names(self) -> list[str]:
        """Of whole captures, oldest first."""
        return sorted((path.stem for path in self._own_files() if path.suffix == ".json"), key=self._age_key)

    def crop_path(self, name: str) -> Path | None:
        """The crop of a capture; None where there is no capture of that name."""
        match = _NAME.fullmatch(f"{name}.json")  # so a name from the network cannot lead out of the folder
        found = [self.folder / f"{name}.crop.{suffix}" for suffix in FORMATS] if match else []
        return next((path for path in found if path.is_file()), None)

    def _age_key(self, name: str) -> tuple[int, str]:
        """Sorts by age: captures of earlier runs by their time, those of this run as they came: a clock may go back."""
        return self._saved.get(name, -1), name

    def _own_files(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        except FileNotFoundError:
            return []

    def _sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for path in self._own_files():
            with suppress(FileNotFoundError):  # the owner may delete captures at any time
                name = path.name[:_NAME_LENGTH]
                sizes[name] = sizes.get(name, 0) + _on_disk(path.stat().st_size)
        return sizes

    def _new_name(self, time: datetime) -> tuple[str, datetime]:
        taken = set(self._sizes())
        time = time.astimezone(timezone.utc)
        while _name_of(time) in taken:
            time += timedelta(milliseconds=1)
        return _name_of(time), time

    def _remove(self, name: str) -> None:
        # The record first: what is left of a capture after a power cut has none.
        files = [f"{name}.json", *(f"{name}.{kind}.{suffix}" for kind in ("crop", "frame") for suffix in FORMATS)]
        for file in files:
            with suppress(OSError):
                (self.folder / file).unlink(missing_ok=True)


def _name_of(time: datetime) -> str:
    return f"{time.astimezone(timezone.utc):%Y%m%dT%H%M%S}.{time.microsecond // 1000:03}Z"


def _on_disk(size_bytes: int) -> int:
    return -(-size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES


def _encoded(image: RgbImage, suffix: str) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix == "jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    return cv2.imencode(f".{suffix}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def _write_private(path: Path, content: bytes) -> None:
    """Atomic, and owner-only from the first byte on."""
    with atomic_path(path, overwrite=False) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
