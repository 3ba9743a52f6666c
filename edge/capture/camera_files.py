"""Videos and folders of pictures as cameras, in their own time or as fast as they are looked at.

Stands apart because they end, can be repeated exactly, and need no device: what tests and trials run on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame
from unetlite.edge.sources import BrokenFrame, Frame, open_source
from unetlite.vision.errors import ImageError

_FOLDER_RATE = 10.0  # pictures a second where nothing is said
_LATEST_S = 0.1  # a frame that is later than this is passed over


class FileCamera:
    """Frames of files, one after another."""

    live = False

    def __init__(self, path: Path, options: CameraOptions) -> None:
        self.name = str(path)
        self._options = options
        self._frames: Iterator[Frame | BrokenFrame] = open_source(path)
        self._begin_s: float | None = None
        self._number = 0

    def read(self) -> LiveFrame | None:
        while True:
            frame = self._next()
            if frame is None:
                return None
            time_s = self._time_of(frame)
            height, width = frame.image.shape[:2]
            shown = LiveFrame(self._number, time_s, frame.image, "RGB", (width, height))
            self._number += 1
            if not self._options.paced or self._wait_for(time_s):
                return shown

    def _next(self) -> Frame | None:
        try:
            frame = next(self._frames, None)
        except ImageError as error:
            raise CameraError(str(error)) from error
        if isinstance(frame, BrokenFrame):
            raise CameraError(str(frame.error))
        return frame

    def _time_of(self, frame: Frame) -> float:
        """Seconds since the first frame."""
        if frame.timestamp_s is not None and self._options.rate is None:
            return frame.timestamp_s
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
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()


def open_file(spec: str, options: CameraOptions) -> FileCamera:
    """Open a video, a picture, or all of a folder's pictures and videos."""
    return FileCamera(Path(spec), options)
