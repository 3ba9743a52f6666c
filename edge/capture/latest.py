"""The newest frame of a camera, read in a thread of its own, which also brings a lost camera back.

Stands apart because it is the only part where two threads meet on the way of the pictures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np

from unetlite.edge.capture.camera import Camera, CameraError, LiveFrame
from unetlite.vision.contract import InputSpec
from unetlite.vision.image import RgbImage
from unetlite.vision.preprocess import Placement

_PATCHES_WH = (16, 9)
_PLAIN_LEVELS = 3  # that the patches of a plain picture differ by; a white wall's light falls off by more


@dataclass(frozen=True)
class RecoverySettings:
    """How a camera that fails is brought back.

    Attributes:
        stall_s: without a frame for so long, a camera is given up and opened anew.
        blank_s: showing one plain colour for so long, it is said to be at fault.
        first_wait_s, longest_wait_s: before the first attempt, and between later ones, doubling in between.
    """

    stall_s: float = 8.0
    blank_s: float = 3.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 15.0


class LatestFrames:
    """Reads a camera all the time; whoever asks gets the newest frame, those it was too slow for are counted.

    Attributes:
        name: the camera's.
        dropped: frames that came too late, or that a newer one replaced before they were asked for.
        reopened: how often the camera came back.
        trouble: one sentence while there are no pictures; None while there are.
        blank: one sentence while the pictures show nothing at all; None otherwise.
        ended: whether the last frame has been handed out, and no error is left to be raised.
    """

    def __init__(
        self,
        opener: Callable[[], Camera],
        *,
        every_frame: bool = False,
        fit: InputSpec | None = None,
        small: bool = True,
        recovery: RecoverySettings | None = None,
        tell: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        """Open the camera and begin to read.

        Args:
            opener: opens it, and again after a failure.
            every_frame: wait until each frame is asked for instead of replacing it.
            fit: the network's input, for which each frame is then fitted here: the loop is busy with the one before.
            small: whether a small picture of each frame is made here, too: who shows a page wants it; the loop looks
                at a few frames a second.
            recovery: patience.
            tell: told in one sentence when the camera is lost and when it is back.

        Raises:
            CameraError, MissingExtraError: it cannot be opened. Later failures are retried instead.
        """
        self._opener, self._every_frame, self._fit, self._small, self._tell = opener, every_frame, fit, small, tell
        self._recovery = recovery or RecoverySettings()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._frame: LiveFrame | None = None
        self._count = 0
        self._last_s = time.monotonic()
        self._finished = False
        self._reader = 0  # a stalled reader cannot be ended: it is succeeded, and finds out when it wakes
        self.dropped = 0
        self.reopened = 0
        self.trouble: str | None = None
        self.blank: str | None = None
        self._blank_since_s: float | None = None
        self._failure: Exception | None = None
        self._own_number = -1  # of the frame before, as the camera counts
        camera = opener()
        self.name = camera.name
        self._live = camera.live
        self._thread = self._start(camera)

    @property
    def ended(self) -> bool:
        with self._changed:
            return self._finished and self._frame is None and self._failure is None

    def next(self, timeout_s: float) -> LiveFrame | None:
        """The newest frame not handed out yet; None where there is none within the time.

        Raises:
            CameraError: a file ended in damage: no more can come. Whatever else a back end raised is raised here, too.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._finished, timeout_s)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            if frame is None and self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
        if frame is None and not self._finished:
            self._look_after()
        return frame

    def close(self, timeout_s: float = 1.0) -> None:
        """Stop reading. A reader that hangs in its driver is left behind: it ends with the program."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _start(self, camera: Camera | None) -> threading.Thread:
        self._reader += 1
        thread = threading.Thread(target=self._read, args=(self._reader, camera), name="camera", daemon=True)
        thread.start()
        return thread

    def _look_after(self) -> None:
        """Succeed a reader whose camera gives nothing and no error either."""
        with self._changed:
            stalled = self.trouble is None and time.monotonic() - self._last_s > self._recovery.stall_s
        if stalled and self._live and not self._stopping.is_set():
            self._lost(f"{self.name}: no picture for {self._recovery.stall_s:g} s; it is opened anew")
            self._thread = self._start(None)

    def _read(self, reader: int, camera: Camera | None) -> None:
        try:
            self._read_on(reader, camera)
        except Exception as error:  # no camera's trouble but ours: whoever asks for frames must hear of it
            self._finish(error)

    def _read_on(self, reader: int, camera: Camera | None) -> None:
        wait_s = self._recovery.first_wait_s
        while not self._is_over(reader):
            if camera is None:
                self._stopping.wait(wait_s)
                wait_s = min(2.0 * wait_s, self._recovery.longest_wait_s)
                if self._is_over(reader):
                    return
                try:
                    camera = self._opener()
                except CameraError as error:
                    self._lost(str(error))
                    continue
            try:
                while not self._is_over(reader):
                    if not self._take(reader, camera.read()):
                        return
                    wait_s = self._recovery.first_wait_s
            except CameraError as error:
                if not self._live:
                    self._finish(error)
                    return
                if not self._is_over(reader):
                    self._lost(str(error))
            finally:
                with suppress(Exception):  # it may be gone: there is nothing left to give back then
                    camera.close()
                camera = None

    def _is_over(self, reader: int) -> bool:
        return self._stopping.is_set() or reader != self._reader

    def _take(self, reader: int, frame: LiveFrame | None) -> bool:
        """Offer a frame; False where no more are wanted."""
        if frame is None:
            self._finish(None)
            return False
        # Made here: the loop is busy with the frame before.
        fitted = None if self._fit is None else frame.fit(self._fit)
        low = frame.small if self._small else frame.low
        self._watch_for_blanks(frame.small if fitted is None else _without_bars(*fitted), frame.time_s)
        with self._changed:
            if self._is_over(reader):
                return False
            if self._every_frame:
                self._changed.wait_for(lambda: self._frame is None or self._is_over(reader))
                if self._is_over(reader):
                    return False
            skipped = max(0, frame.number - self._own_number - 1)  # a camera opened anew counts from 0 again
            self._own_number = frame.number
            self.dropped += skipped + (self._frame is not None)
            self._frame = replace(frame, number=self._count + skipped, low=low, fitted=fitted)
            self._count += skipped + 1
            self._last_s = time.monotonic()
            back = self.trouble is not None
            self.trouble = None
            self.reopened += back
            self._changed.notify_all()
        if back:
            self._tell(f"{self.name}: pictures again")
        return True

    def _watch_for_blanks(self, picture: RgbImage, time_s: float) -> None:
        """Say it when a camera has shown one plain colour for a while: all green of lost data, or a covered lens."""
        if not is_plain(picture):
            self._blank_since_s, self.blank = None, None
            return
        if self._blank_since_s is None or time_s < self._blank_since_s:
            self._blank_since_s = time_s
        if self.blank is None and time_s - self._blank_since_s >= self._recovery.blank_s:
            self.blank = f"{self.name}: shows one plain colour; check its cable, the light, and that nothing covers it"
            self._tell(self.blank)

    def _finish(self, error: Exception | None) -> None:
        with self._changed:
            self._finished, self._failure = True, error
            self._changed.notify_all()

    def _lost(self, sentence: str) -> None:
        news = sentence != self.trouble
        self.trouble = sentence
        with self._changed:
            self._last_s = time.monotonic()
        if news:
            self._tell(sentence)


def _without_bars(pixels: np.ndarray, placement: Placement) -> np.ndarray:
    """The part of a network's input that the picture fills."""
    (left, top), (width, height) = placement.offset_xy, placement.filled_wh
    return placement.upright(pixels)[int(top) : int(top) + height, int(left) : int(left) + width]


def is_plain(image: RgbImage) -> bool:
    """Whether (h, w, 3) uint8 is of one colour all over but for noise, which averaging takes away."""
    patches = cv2.resize(image, _PATCHES_WH, interpolation=cv2.INTER_AREA)
    return bool((patches.max(axis=(0, 1)) - patches.min(axis=(0, 1)) <= _PLAIN_LEVELS).all())
