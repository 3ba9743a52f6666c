"""Raspberry Pi cameras through picamera2: the ISP scales, so the small picture for outline and page costs little.

Stands apart because picamera2 and libcamera exist on a Pi alone; they are imported when a camera is opened.

Source: The Picamera2 Library, Raspberry Pi Ltd; libcamera, colour spaces and control names.
"""

from __future__ import annotations

import importlib
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame
from unetlite.edge.capture.pixels import to_rgb
from unetlite.vision.errors import MissingExtraError

_DEFAULT_SIZE_WH = (1920, 1080)
_LOW_WIDTH = 640  # for outline and page, as `LiveFrame.small` has it
_WAIT_S = 5.0
_BUFFERS = 4
# picamera2's names are those of DRM: from the highest byte to the lowest, so the bytes in memory run backwards.
_LAYOUT_OF = {
    "RGB888": "BGR",
    "BGR888": "RGB",
    "XRGB8888": "BGRX",
    "XBGR8888": "RGBX",
    "YUV420": "I420",
    "NV12": "NV12",
}
# Where the module has them: a short exposure, since a hand moves; focus all the time, over the whole range.
_CONTROLS = {"AeExposureMode": 1, "AfMode": 2, "AfRange": 2, "AfSpeed": 1}


@dataclass(frozen=True)
class _Stream:
    layout: str
    size_wh: tuple[int, int]
    row_bytes: int  # from one row to the next


class Picamera2Camera:
    """An open Pi camera: a main stream for network and crop, a low one for outline and page, both of one request."""

    live = True

    def __init__(self, camera: Any, name: str) -> None:
        self.name = name
        self._camera = camera
        self._number = 0
        streams = camera.camera_configuration()
        self._main = _stream_of(streams["main"], name)
        self._low = None if streams.get("lores") is None else _stream_of(streams["lores"], name)

    def read(self) -> LiveFrame | None:
        try:
            request = self._camera.capture_request(wait=False).get_result(timeout=_WAIT_S)
        except Exception as error:  # picamera2 lets through whatever libcamera, its thread or the timeout raised
            reason = str(error) or f"no picture for {_WAIT_S:g} s"
            raise CameraError(f"{self.name}: gives no more pictures ({reason}); check the camera's cable") from error
        try:
            taken_ns = request.get_metadata().get("SensorTimestamp")  # of the clock that time.monotonic reads
            main = _pixels(request, "main", self._main)
            low = None
            if self._low is not None:
                low = to_rgb(_pixels(request, "lores", self._low), self._low.layout, self._low.size_wh)
        finally:
            request.release()
        time_s = time.monotonic() if taken_ns is None else taken_ns / 1e9
        frame = LiveFrame(self._number, time_s, main, self._main.layout, self._main.size_wh, low)
        self._number += 1
        return frame

    def close(self) -> None:
        self._camera.close()


def open_picamera2(spec: str, options: CameraOptions) -> Picamera2Camera:
    """Open the Pi's camera, `picamera2:1` the second one.

    Raises:
        MissingExtraError: picamera2 is not installed.
        CameraError: no camera is connected, or another program uses it.
    """
    number = spec.partition(":")[2] or "0"
    if not number.isdecimal():
        raise CameraError(f"{spec}: expected picamera2 or picamera2:NUMBER, such as picamera2:1")
    try:
        picamera2 = importlib.import_module("picamera2")
        libcamera = importlib.import_module("libcamera")
    except ImportError as error:
        raise MissingExtraError(
            f"{spec} needs picamera2, which is not installed ({error}); on Raspberry Pi OS run "
            f"`sudo apt install python3-picamera2` and make the virtual environment with --system-site-packages"
        ) from error
    camera: Any = None
    try:
        camera = picamera2.Picamera2(int(number))
        width, height = options.size_wh or _DEFAULT_SIZE_WH
        low_wh = (_LOW_WIDTH, round(_LOW_WIDTH * height / width / 2) * 2)
        configuration = camera.create_video_configuration(
            main={"size": (width, height), "format": "YUV420"},
            lores={"size": low_wh, "format": "YUV420"} if low_wh[0] < width else None,
            raw=None,  # picamera2 would keep the sensor's own pictures too: 30 MB and more that nobody looks at
            colour_space=libcamera.ColorSpace.Smpte170m(),  # BT.601 limited: what OpenCV converts from
            buffer_count=_BUFFERS,
            controls={} if options.rate is None else {"FrameRate": options.rate},
        )
        camera.configure(configuration)
        known = camera.camera_controls
        camera.set_controls({name: value for name, value in _CONTROLS.items() if name in known})
        camera.start()
        return Picamera2Camera(camera, spec)
    except Exception as error:  # picamera2 raises IndexError for no camera, RuntimeError for one in use, and others
        if camera is not None:
            with suppress(Exception):  # half opened, it may not know how to close
                camera.close()
        if isinstance(error, CameraError):
            raise
        raise CameraError(
            f"{spec}: could not be opened ({error}); check the cable with `rpicam-hello --list-cameras`, and that no "
            f"other program uses the camera"
        ) from error


def _stream_of(configuration: dict[str, Any], name: str) -> _Stream:
    """What a stream has become: libcamera may have changed what was asked for."""
    layout = _LAYOUT_OF.get(configuration["format"])
    if layout is None:
        raise CameraError(
            f"{name}: expected pictures as {', '.join(_LAYOUT_OF)}, got {configuration['format']!r}; update picamera2"
        )
    width, height = configuration["size"]
    return _Stream(layout, (int(width), int(height)), int(configuration["stride"]))


def _pixels(request: Any, name: str, stream: _Stream) -> np.ndarray:
    """A stream's rows, without what the allocator added at the end."""
    height = stream.size_wh[1]
    rows = height * 3 // 2 if stream.layout in ("I420", "NV12") else height
    # A copy already: the buffer goes back to the camera.
    return request.make_buffer(name).reshape(-1)[: rows * stream.row_bytes]
