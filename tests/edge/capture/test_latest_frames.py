"""The thread that reads a camera: the newest frame, what is made of it meanwhile, cameras that fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame, open_camera
from unetlite.edge.capture.latest import LatestFrames, RecoverySettings
from unetlite.vision.contract import FITS, InputSpec

HASTY = RecoverySettings(stall_s=0.3, first_wait_s=0.01, longest_wait_s=0.05)


class Scripted:
    """A camera that plays a script: numbers are brightness, an exception is raised, an event is waited for."""

    live = True
    name = "scripted"

    def __init__(self, script: list[object]) -> None:
        self.script = iter(script)
        self.closed = False

    def read(self) -> LiveFrame | None:
        for item in self.script:
            if isinstance(item, Exception):
                raise item
            if isinstance(item, threading.Event):
                item.wait(10)
                continue
            return LiveFrame(0, time.monotonic(), np.full((4, 4, 3), item, np.uint8), "RGB", (4, 4))
        return None

    def close(self) -> None:
        self.closed = True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come true within 10 s"
        time.sleep(0.01)


def drain(frames: LatestFrames) -> list[int]:
    values = []
    while not frames.ended:
        frame = frames.next(0.05)
        if frame is not None:
            values.append(int(frame.image[0, 0, 0]))
    return values


@pytest.mark.parametrize("small", [True, False])
def test_the_cameras_thread_makes_the_small_picture_for_those_who_show_it(small: bool) -> None:
    frames = LatestFrames(lambda: Scripted([9]), every_frame=True, fit=InputSpec((4, 4)), small=small)
    frame = frames.next(5.0)
    frames.close()
    assert frame is not None and frame.fitted is not None
    assert (frame.low is not None) == small
    assert np.array_equal(frame.small, np.full((4, 4, 3), 9, np.uint8))


def test_the_newest_frame_wins_and_the_others_are_counted() -> None:
    frames = LatestFrames(lambda: Scripted(list(range(10))))
    wait_until(lambda: frames._finished)
    newest = frames.next(1.0)
    assert (int(newest.image[0, 0, 0]), newest.number) == (9, 9)
    assert frames.dropped == 9
    assert frames.ended


def test_frames_that_the_camera_itself_passed_over_are_counted() -> None:
    class Gaps(Scripted):
        numbers = iter((0, 1, 5, 6))

        def read(self) -> LiveFrame | None:
            frame = super().read()
            return None if frame is None else replace(frame, number=next(self.numbers))

    frames = LatestFrames(lambda: Gaps([1, 2, 3, 4]), every_frame=True)
    numbers = []
    while not frames.ended:
        frame = frames.next(0.05)
        numbers += [] if frame is None else [frame.number]
    assert (numbers, frames.dropped) == ([0, 1, 5, 6], 3)


def test_an_error_of_the_back_end_itself_is_not_swallowed() -> None:
    frames = LatestFrames(lambda: Scripted([1, ZeroDivisionError("a bug")]), every_frame=True)
    with pytest.raises(ZeroDivisionError):
        drain(frames)


def test_every_frame_is_handed_out_where_that_is_asked_for() -> None:
    frames = LatestFrames(lambda: Scripted(list(range(10))), every_frame=True)
    assert drain(frames) == list(range(10))
    assert frames.dropped == 0


def test_a_camera_that_fails_comes_back_and_numbers_go_on() -> None:
    told: list[str] = []
    scripts = iter([[1, CameraError("unplugged")], CameraError("still away"), [2, 3]])

    def opener() -> Scripted:
        script = next(scripts)
        if isinstance(script, CameraError):
            raise script
        return Scripted(script)

    frames = LatestFrames(opener, every_frame=True, recovery=HASTY, tell=told.append)
    assert drain(frames) == [1, 2, 3]
    assert told == ["unplugged", "still away", "scripted: pictures again"]
    assert (frames.trouble, frames.reopened) == (None, 1)


def test_a_camera_that_hangs_is_opened_anew_and_closed_when_it_wakes() -> None:
    wake = threading.Event()
    cameras: list[Scripted] = []
    scripts = iter([[1, wake, 99], [2]])

    def opener() -> Scripted:
        cameras.append(Scripted(next(scripts)))
        return cameras[-1]

    told: list[str] = []
    frames = LatestFrames(opener, recovery=HASTY, tell=told.append)
    values = drain(frames)
    wake.set()
    assert values == [1, 2]
    assert "no picture for 0.3 s" in told[0]
    wait_until(lambda: cameras[0].closed)


def test_a_camera_that_is_missing_at_the_start_is_an_error() -> None:
    def opener() -> Scripted:
        raise CameraError("not there")

    with pytest.raises(CameraError, match="not there"):
        LatestFrames(opener)


def test_a_damaged_file_ends_in_its_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    frames = LatestFrames(lambda: open_camera(str(path), CameraOptions(paced=False)), every_frame=True)
    with pytest.raises(CameraError, match=r"broken\.mp4"):
        drain(frames)


def test_closing_does_not_wait_for_a_camera_that_hangs() -> None:
    wake = threading.Event()
    frames = LatestFrames(lambda: Scripted([wake]))
    begin = time.monotonic()
    frames.close(timeout_s=0.1)
    hung = frames._thread.is_alive()
    wake.set()
    assert hung
    assert time.monotonic() - begin < 5  # the script hangs for 10


@pytest.mark.parametrize("fit", [None, *FITS])
@pytest.mark.parametrize("green", [True, False])
def test_one_plain_colour_is_told_whatever_bars_the_network_is_shown(fit: str | None, green: bool) -> None:
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[..., 1] = 135 if green else np.arange(160, dtype=np.uint8)

    class Still(Scripted):
        def read(self) -> LiveFrame | None:
            item = next(self.script, None)
            return None if item is None else LiveFrame(item, float(item), picture, "RGB", (160, 90))

    spec = None if fit is None else InputSpec((64, 64), fit=fit)
    frames = LatestFrames(lambda: Still([0, 1, 2, 3, 4]), every_frame=True, fit=spec)
    while not frames.ended:
        frames.next(0.05)
    assert (frames.blank is not None) == green
