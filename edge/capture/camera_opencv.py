"""USB cameras through V4L2 and network cameras through FFmpeg, both by OpenCV.

Stands apart because of the quirks of OpenCV's wheels.
"""

from __future__ import annotations

import time

import cv2

from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame, public_name

_DEFAULT_SIZE_WH = (1280, 720)
_OPEN_MS, _READ_MS = 5000, 5000
# Uncompressed pictures of this size fill USB 2 at 10 a second.
_COMPRESSED_FROM = 640 * 480


class OpenCvCamera:
    """An open capture device or stream."""

    live = True

    def __init__(self, capture: cv2.VideoCapture, name: str) -> None:
        self.name = name
        self._capture = capture
        self._number = 0

    def read(self) -> LiveFrame | None:
        read, pixels = self._capture.read()
        time_s = time.monotonic()
        if not read or pixels is None:
            raise CameraError(f"{self.name}: gives no more pictures; check its cable, power or network")
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            # OpenCV 4.11 returns one row of bytes after it has agreed with the driver upon BGR3.
            if pixels.size != width * height * 3:
                raise CameraError(f"{self.name}: expected {width}x{height} pictures, got an array {pixels.shape}")
            pixels = pixels.reshape(height, width, 3)
        frame = LiveFrame(self._number, time_s, pixels, "BGR", (pixels.shape[1], pixels.shape[0]))
        self._number += 1
        return frame

    def close(self) -> None:
        self._capture.release()


def open_v4l2(spec: str, options: CameraOptions) -> OpenCvCamera:
    """Open a USB camera by number or device file."""
    capture = cv2.VideoCapture(int(spec) if spec.isdecimal() else spec, cv2.CAP_V4L2)
    if not capture.isOpened():
        capture.release()
        device = f"/dev/video{spec}" if spec.isdecimal() else spec
        raise CameraError(
            f"{device}: could not be opened as a camera; check that it is plugged in, that no other program uses it, "
            f"and that you are in the group video"
        )
    width, height = options.size_wh or _DEFAULT_SIZE_WH
    # By name: left to choose, OpenCV 4.11 may agree upon BGR3 and then hand out one row of bytes.
    for code in ("MJPG", "YUYV") if width * height > _COMPRESSED_FROM else ("YUYV",):
        wanted = cv2.VideoWriter.fourcc(*code)
        capture.set(cv2.CAP_PROP_FOURCC, wanted)
        if int(capture.get(cv2.CAP_PROP_FOURCC)) == wanted:
            break
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    if options.rate is not None:
        capture.set(cv2.CAP_PROP_FPS, options.rate)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # older frames would only be dropped
    return OpenCvCamera(capture, spec)


def open_url(spec: str, options: CameraOptions) -> OpenCvCamera:
    """Open an MJPEG or RTSP stream."""
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_MS]
    capture = cv2.VideoCapture(spec, cv2.CAP_FFMPEG, limits)
    name = public_name(spec)
    if not capture.isOpened():
        capture.release()
        raise CameraError(f"{name}: no video could be opened there; check the address, user and password")
    return OpenCvCamera(capture, name)
