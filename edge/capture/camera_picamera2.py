"""Raspberry Pi cameras through picamera2: the ISP scales, so the network's small picture costs no processor time.

Stands apart because picamera2 and libcamera exist on a Pi alone; they are imported when a camera is opened.

Source: The Picamera2 Library, Raspberry Pi Ltd; libcamera, colour spaces and control names.
"""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np

from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame
from unetlite.edge.capture.pixels import to_rgb
from unetlite.vision.errors import MissingExtraError

_DEFAULT_SIZE_WH = (1920, 1080)
_LOW_WIDTH = 640  # the network takes 256 or so: more is left for the preview page
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


class Picamera2Camera:
    """An open Pi camera: a main stream for the crop and a low one for the network, both of one request."""

    live = True

    def __init__(self, camera: Any, name: str) -> None:
        self.name = name
        self._camera = camera
        self._number = 0
        streams = camera.camera_configuration()
        self._main, self._low = _stream_of(streams["main"], name), _stream_of(streams.get("lores"), name)

    def read(self) -> LiveFrame | None:
        try:
            request = self._camera.capture_request(wait=False).get_result(timeout=_WAIT_S)
        except Exception as error:  # picamera2 lets through whatever libcamera, its thread or the timeout raised
            raise CameraError(f"{self.name}: gives no more pictures ({error}); check the camera's cable") from error
        try:
            main = _pixels(request, "main", self._main)
            low = None if self._low is None else to_rgb(_pixels(request, "lores", self._low), *self._low[:2])
        finally:
            request.release()
        frame = LiveFrame(self._number, time.monotonic(), main, *self._main[:2], low)
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
    camera = None
    try:
        camera = picamera2.Picamera2(int(number))
        width, height = options.size_wh or _DEFAULT_SIZE_WH
        low_wh = (_LOW_WIDTH, round(_LOW_WIDTH * height / width / 2) * 2)
        configuration = camera.create_video_configuration(
            main={"size": (width, height), "format": "YUV420"},
            lores={"size": low_wh, "format": "YUV420"} if low_wh[0] < width else None,
            colour_space=libcamera.ColorSpace.Smpte170m(),  # BT.601 limited: what OpenCV converts from
            buffer_count=_BUFFERS,
            controls={} if options.rate is None else {"FrameRate": options.rate},
        )
        camera.configure(configuration)
        known = camera.camera_controls
        camera.set_controls({name: value for name, value in _CONTROLS.items() if name in known})
        camera.start()
        return Picamera2Camera(camera, spec)
    except CameraError:
        camera.close()
        raise
    except Exception as error:  # picamera2 raises IndexError for no camera, RuntimeError for one in use, and others
        if camera is not None:
            camera.close()
        raise CameraError(
            f"{spec}: could not be opened ({error}); check the cable with `rpicam-hello --list-cameras`, and that no "
            f"other program uses the camera"
        ) from error


_Stream = tuple[str, tuple[int, int], int]  # layout, size, bytes from row to row


def _stream_of(configuration: dict[str, Any] | None, name: str) -> _Stream | None:
    """What a stream has become: libcamera may have changed what was asked for."""
    if configuration is None:
        return None
    layout = _LAYOUT_OF.get(configuration["format"])
    if layout is None:
        raise CameraError(
            f"{name}: expected pictures as {', '.join(_LAYOUT_OF)}, got {configuration['format']!r}; update picamera2"
        )
    width, height = configuration["size"]
    return layout, (int(width), int(height)), int(configuration["stride"])


def _pixels(request: Any, stream: str, kind: _Stream) -> np.ndarray:
    """A copy of a stream's rows, without what the allocator added at the end."""
    layout, (_, height), stride = kind
    rows = height * 3 // 2 if layout in ("I420", "NV12") else height
    return np.array(request.make_buffer(stream), copy=True).reshape(-1)[: rows * stride]
