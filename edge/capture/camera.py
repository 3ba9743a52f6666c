"""One small interface for whatever shows live pictures, and how a camera's name leads to its back end.

Stands apart so that the loop need not know what it looks through. Back ends are imported on first use: each needs
something else to be installed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np

from unetlite.edge.capture.pixels import to_rgb
from unetlite.vision.errors import UnetliteError
from unetlite.vision.image import RgbImage

# Name to "module:function(spec, options)". The synthetic one shows drawn cards; it is chosen by its name alone.
BACK_ENDS = {
    "picamera2": "unetlite.edge.capture.camera_picamera2:open_picamera2",
    "v4l2": "unetlite.edge.capture.camera_opencv:open_v4l2",
    "url": "unetlite.edge.capture.camera_opencv:open_url",
    "file": "unetlite.edge.capture.camera_files:open_file",
    "synthetic": "unetlite.edge.capture.camera_synthetic:open_synthetic",
}
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class CameraError(UnetliteError, OSError):
    """A camera that is not there, or gives no pictures any more."""


@dataclass(frozen=True)
class CameraOptions:
    """What is asked of a camera; each gives what it can.

    Attributes:
        size_wh: of the picture that is cropped from; None: the back end's choice.
        rate: pictures a second; None: the camera's own.
        paced: files are shown in their own time, dropping what comes too late; otherwise every frame is shown.
    """

    size_wh: tuple[int, int] | None = None
    rate: float | None = None
    paced: bool = True


@dataclass(frozen=True)
class LiveFrame:
    """One picture of a camera.

    Attributes:
        number: counts the camera's frames, also those that nobody looked at.
        time_s: when it was taken, of a clock that does not go backwards.
        buffer: the pixels as the camera gave them.
        layout: what they are: a key of `pixels.LAYOUTS`.
        size_wh: the picture's size.
        low: (h, w, 3) uint8 RGB of the same view, smaller, for the network; None: use `image`.
    """

    number: int
    time_s: float
    buffer: np.ndarray
    layout: str
    size_wh: tuple[int, int]
    low: RgbImage | None = None

    @cached_property
    def image(self) -> RgbImage:
        """(H, W, 3) uint8, RGB, converted when it is first asked for."""
        return to_rgb(self.buffer, self.layout, self.size_wh)

    @property
    def small(self) -> RgbImage:
        """The smallest picture of this view."""
        return self.image if self.low is None else self.low


class Camera(Protocol):
    """An open camera.

    Attributes:
        name: for messages and records, without passwords.
        live: whether more frames may come after a failure; a file's do not.
    """

    name: str
    live: bool

    def read(self) -> LiveFrame | None:
        """Wait for the next frame; None after the last one. Raises CameraError where it fails."""

    def close(self) -> None:
        """Give the camera back. May be called once more."""


def back_end_of(spec: str) -> str:
    """Which of BACK_ENDS opens a camera of this name.

    Args:
        spec: "picamera2" or "picamera2:1", "0" or "/dev/video0", a URL, a file or folder, or "synthetic".

    Raises:
        CameraError: a name that means nothing here.
    """
    if _URL.match(spec):
        return "url"
    name = spec.split(":")[0]
    if name in ("picamera2", "synthetic"):
        return name
    if spec.isdecimal() or spec.startswith("/dev/video"):
        return "v4l2"
    if Path(spec).exists():
        return "file"
    raise CameraError(
        f"{spec}: expected picamera2, a number such as 0, /dev/video0, a video, a folder of pictures or a URL, "
        f"but there is no such file; check the name"
    )


def open_camera(spec: str, options: CameraOptions) -> Camera:
    """Open a camera by its name.

    Raises:
        CameraError: there is no such camera, or it is in use.
        MissingExtraError: its back end is not installed.
    """
    module, function = BACK_ENDS[back_end_of(spec)].split(":")
    opener: Callable[[str, CameraOptions], Camera] = getattr(importlib.import_module(module), function)
    return opener(spec, options)


def public_name(spec: str) -> str:
    """A camera's name without the user and password that a URL may hold."""
    if not _URL.match(spec):
        return spec
    parts = urlsplit(spec)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
