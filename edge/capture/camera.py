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

import cv2
import numpy as np

from unetlite.edge.capture.pixels import INTERLEAVED, interleaved, luminance_within, picked, to_rgb
from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import UnetliteError
from unetlite.vision.image import RgbImage
from unetlite.vision.preprocess import Placement, picked_size, preprocess
from unetlite.vision.quad import Quad

# Name to "module:function(spec, options)". The synthetic one shows drawn cards; it is chosen by its name alone.
BACK_ENDS = {
    "picamera2": "unetlite.edge.capture.camera_picamera2:open_picamera2",
    "v4l2": "unetlite.edge.capture.camera_opencv:open_v4l2",
    "url": "unetlite.edge.capture.camera_opencv:open_url",
    "file": "unetlite.edge.capture.camera_files:open_file",
    "synthetic": "unetlite.edge.capture.camera_synthetic:open_synthetic",
}
_SMALL_PX = 640  # of the longer side at least: the network takes 320 or so, the refined outline and the page want more
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
        low: (h, w, 3) uint8 RGB of the same view, as the camera itself has scaled it, or its thread; None where neither
            has.
        fitted: what `fit` gives for one network; None where nobody has made it yet.
    """

    number: int
    time_s: float
    buffer: np.ndarray
    layout: str
    size_wh: tuple[int, int]
    low: RgbImage | None = None
    fitted: tuple[np.ndarray, Placement] | None = None

    @cached_property
    def image(self) -> RgbImage:
        """(H, W, 3) uint8, RGB, converted when it is first asked for."""
        return to_rgb(self.buffer, self.layout, self.size_wh)

    @cached_property
    def small(self) -> RgbImage:
        """(h, w, 3) uint8, RGB: the view for outline and page, a whole number of times smaller where it is large."""
        if self.low is not None:
            return self.low
        small = self._pixels
        for size_wh, interpolation in self._steps_to_small:
            small = cv2.resize(small, size_wh, interpolation=interpolation)
        return self._in_rgb(small)

    @property
    def small_wh(self) -> tuple[int, int]:
        """The size of `small`, which need not be made for it."""
        if self.low is not None:
            return self.low.shape[1], self.low.shape[0]
        steps = self._steps_to_small
        return steps[-1][0] if steps else self.size_wh

    def fit(self, spec: InputSpec) -> tuple[np.ndarray, Placement]:
        """The view fitted into a network's input, and where `small` lies in that.

        What `preprocess` gives for the picture where that reads a fraction of a large one, so that none of its planes
        is converted or scaled for it; otherwise what it gives for `low`, where there is one.
        """
        size_wh = picked_size(self.size_wh, spec)
        if size_wh is None and self.low is not None:
            return preprocess(self.low, spec)
        if size_wh is None or self.layout in INTERLEAVED:
            picture = self._pixels
        else:
            picture = picked(self.buffer, self.layout, self.size_wh, size_wh)
        pixels, placement = preprocess(picture, spec)
        return self._in_rgb(pixels), placement.of_size(self.small_wh)

    @property
    def _steps_to_small(self) -> list[tuple[tuple[int, int], int]]:
        """Sizes on the way to `small`, and how they are reached. OpenCV averages blocks of 2x2 alone in vector
        instructions: so a large picture is halved, and of blocks of 3x3 four pixels stand for all."""
        (width, height), steps = self.size_wh, []
        while max(width, height) >= 4 * _SMALL_PX:
            width, height = width // 2, height // 2
            steps.append(((width, height), cv2.INTER_AREA))
        factor = max(width, height) // _SMALL_PX
        if factor == 3:
            steps.append(((2 * (width // 3), 2 * (height // 3)), cv2.INTER_NEAREST_EXACT))
        if factor >= 2:
            steps.append(((width // factor, height // factor), cv2.INTER_AREA))
        return steps

    @property
    def _pixels(self) -> np.ndarray:
        """The picture in the camera's own order of colours where those stand together, in RGB where not."""
        return interleaved(self.buffer, self.layout, self.size_wh) if self.layout in INTERLEAVED else self.image

    def _in_rgb(self, pixels: np.ndarray) -> RgbImage:
        """What was made of `_pixels`, in RGB."""
        if self.layout not in INTERLEAVED:
            return pixels
        return to_rgb(pixels, self.layout, (pixels.shape[1], pixels.shape[0]))

    def part(self, corner_xy: tuple[int, int], part_wh: tuple[int, int]) -> RgbImage:
        """(h, w, 3) uint8, RGB: a part of `image`, where possible without converting the rest."""
        (left, top), (width, height) = corner_xy, part_wh
        if self.layout not in INTERLEAVED:
            return self.image[top : top + height, left : left + width]
        pixels = interleaved(self.buffer, self.layout, self.size_wh)
        return to_rgb(pixels[top : top + height, left : left + width], self.layout, part_wh)

    def luminance_within(self, corner_xy: tuple[int, int], part_wh: tuple[int, int]) -> np.ndarray:
        """(h, w) uint8 luminance of a part of `image`, without converting the rest."""
        return luminance_within(self.buffer, self.layout, self.size_wh, corner_xy, part_wh)

    def in_image(self, quad: Quad) -> Quad:
        """A quad of `small` in pixels of `image`."""
        return _rescaled(quad, self.small_wh, self.size_wh)

    def in_small(self, quad: Quad) -> Quad:
        """A quad of `image` in pixels of `small`."""
        return _rescaled(quad, self.size_wh, self.small_wh)


def _rescaled(quad: Quad, from_wh: tuple[int, int], to_wh: tuple[int, int]) -> Quad:
    if from_wh == to_wh:
        return quad
    return ((np.asarray(quad, np.float64) + 0.5) * np.divide(to_wh, from_wh) - 0.5).astype(np.float32)


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
