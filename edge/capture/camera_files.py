"""Videos and folders of pictures as cameras, in their own time or as fast as they are looked at.

Stands apart because they end, can be repeated exactly, and need no device: what tests and trials run on.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np

from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame
from unetlite.edge.sources import is_video_path, list_folder
from unetlite.vision.errors import ImageError
from unetlite.vision.image import read_image

_FOLDER_RATE = 10.0  # pictures a second where nothing is said
_LATEST_S = 0.1  # a frame that is later than this is passed over


_Picture = tuple[np.ndarray, str, float | None]  # pixels, their layout, seconds since the file began


class FileCamera:
    """Frames of files, one after another."""

    live = False

    def __init__(self, path: Path, options: CameraOptions) -> None:
        self.name = str(path)
        self._options = options
        self._pictures = _pictures_of(path)
        self._begin_s: float | None = None
        self._number = 0

    def read(self) -> LiveFrame | None:
        while True:
            try:
                picture = next(self._pictures, None)
            except ImageError as error:
                raise CameraError(str(error)) from error
            if picture is None:
                return None
            pixels, layout, timestamp_s = picture
            time_s = self._time_of(timestamp_s)
            shown = LiveFrame(self._number, time_s, pixels, layout, (pixels.shape[1], pixels.shape[0]))
            self._number += 1
            if not self._options.paced or self._wait_for(time_s):
                return shown

    def _time_of(self, timestamp_s: float | None) -> float:
        """Seconds since the first frame."""
        if timestamp_s is not None and self._options.rate is None:
            return timestamp_s
        return self._number / (self._options.rate or _FOLDER_RATE)

    def _wait_for(self, time_s: float) -> bool:
        """Sleep until a frame is due; whether it is still worth showing."""
        if self._begin_s is None:
            self._begin_s = time.monotonic() - time_s
        due_in_s = self._begin_s + time_s - time.monotonic()
        if due_in_s > 0:
            time.sleep(due_in_s)
        return due_in_s > -_LATEST_S

    def close(self) -> None:
        self._pictures.close()


def _pictures_of(path: Path) -> Generator[_Picture, None, None]:
    for file in list_folder(path) if path.is_dir() else [path]:
        if is_video_path(file):
            yield from _frames_of(file)
        else:
            yield read_image(file), "RGB", None


def _frames_of(video: Path) -> Generator[_Picture, None, None]:
    # FFmpeg by name: left to choose, OpenCV would also take the path for a pattern of numbered pictures.
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG)
    count = 0
    try:
        while capture.isOpened():
            read, *pixels = capture.read()
            if not read:
                break
            count += 1
            # In OpenCV's order: most frames are never needed as RGB in full size. And given out of hand: whoever waits
            # here for the next frame must not hold on to the last one, which may be as large as all else together.
            yield pixels.pop(), "BGR", capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
    finally:
        capture.release()
    if count == 0:
        raise CameraError(f"{video}: expected a video, got a file without a frame that FFmpeg can read; check the file")


def open_file(spec: str, options: CameraOptions) -> FileCamera:
    """Open a video, a picture, or all of a folder's pictures and videos."""
    return FileCamera(Path(spec), options)
