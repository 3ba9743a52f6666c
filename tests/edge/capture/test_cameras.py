"""Cameras of every kind that needs no device."""

from __future__ import annotations

import http.server
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_patches import PATCHES, in_layout, patch_picture, patches_of

from unetlite.edge.capture.camera import (
    BACK_ENDS,
    CameraError,
    CameraOptions,
    back_end_of,
    open_camera,
    public_name,
)
from unetlite.edge.capture.camera_opencv import OpenCvCamera
from unetlite.vision.errors import MissingExtraError
from unetlite.vision.image import write_image

FAST = CameraOptions(paced=False)


def test_names_lead_to_back_ends(tmp_path: Path) -> None:
    named = {
        "picamera2": "picamera2",
        "picamera2:1": "picamera2",
        "0": "v4l2",
        "/dev/video2": "v4l2",
        "http://pi/stream": "url",
        "rtsp://user:secret@cam/1": "url",
        str(tmp_path): "file",
        "synthetic:4": "synthetic",
    }
    assert {name: back_end_of(name) for name in named} == named
    assert set(named.values()) == set(BACK_ENDS)
    with pytest.raises(CameraError, match=r"camera\.mp4: expected picamera2"):
        back_end_of("camera.mp4")


def test_passwords_are_not_shown() -> None:
    assert public_name("rtsp://user:secret@cam:8554/live?token=1") == "rtsp://cam:8554/live"
    assert public_name("/dev/video0") == "/dev/video0"


def test_a_missing_usb_camera_is_told() -> None:
    with pytest.raises(CameraError, match="/dev/video97: could not be opened"):
        open_camera("97", FAST)


class OneRowOfBytes:
    """Stands in for a USB camera behind OpenCV 4.11, which agrees upon BGR3 and then returns a single row."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self.size_wh = size_wh

    def read(self) -> tuple[bool, np.ndarray]:
        return True, patch_picture()[..., ::-1].reshape(1, -1)

    def get(self, what: int) -> float:
        return float(self.size_wh[0] if what == cv2.CAP_PROP_FRAME_WIDTH else self.size_wh[1])


def test_a_usb_camera_that_gives_one_row_of_bytes_is_put_right() -> None:
    frame = OpenCvCamera(OneRowOfBytes((64, 32)), "0").read()
    assert np.abs(patches_of(frame.image) - PATCHES).max() == 0
    with pytest.raises(CameraError, match="expected 640x480 pictures"):
        OpenCvCamera(OneRowOfBytes((640, 480)), "0").read()


def test_picamera2_that_is_not_installed_is_named_with_the_command() -> None:
    if "picamera2" in sys.modules:
        pytest.skip("picamera2 is installed here")
    with pytest.raises(MissingExtraError, match="apt install python3-picamera2"):
        open_camera("picamera2", FAST)


def write_video(path: Path, frames: int, rate: float = 20.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), rate, (64, 32))
    for number in range(frames):
        writer.write(np.full((32, 64, 3), number * 5, np.uint8) if number else patch_picture()[..., ::-1])
    writer.release()
    return path


def test_every_frame_of_a_video_comes_with_number_time_and_true_colours(tmp_path: Path) -> None:
    camera = open_camera(str(write_video(tmp_path / "v.avi", 6)), FAST)
    frames = list(iter(camera.read, None))
    assert [f.number for f in frames] == list(range(6))
    assert [f.time_s for f in frames] == pytest.approx([n / 20 for n in range(6)], abs=1e-3)
    assert np.abs(patches_of(frames[0].image) - PATCHES).max() <= 4


def test_a_paced_video_drops_what_comes_too_late(tmp_path: Path) -> None:
    camera = open_camera(str(write_video(tmp_path / "v.avi", 20)), CameraOptions())
    first = camera.read()
    time.sleep(0.5)
    assert first.number == 0
    assert camera.read().number > 5


def test_a_folder_is_shown_in_order_of_name(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.png", 1)):
        write_image(tmp_path / name, np.full((8, 8, 3), value, np.uint8))
    camera = open_camera(str(tmp_path), CameraOptions(rate=4.0, paced=False))
    frames = list(iter(camera.read, None))
    assert [(int(f.image[0, 0, 0]), f.time_s) for f in frames] == [(1, 0.0), (2, 0.25)]


def test_the_synthetic_camera_shows_cards_and_pauses() -> None:
    frames = list(iter(open_camera("synthetic:2", FAST).read, None))
    bright = [bool((f.image > 200).mean() > 0.1) for f in frames]
    assert sum(now != before for before, now in zip(bright, bright[1:], strict=False)) == 3
    with pytest.raises(CameraError, match="synthetic:COUNT"):
        open_camera("synthetic:many", FAST)


@pytest.fixture
def mjpeg_server() -> Iterator[Callable[[int], str]]:
    """Serves a stream of so many pictures, then breaks it off."""
    servers = []

    def serve(count: int) -> str:
        picture = cv2.imencode(".jpg", patch_picture((128, 64))[..., ::-1])[1].tobytes()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
                self.end_headers()
                for _ in range(count):
                    self.wfile.write(b"--b\r\nContent-Type: image/jpeg\r\n\r\n" + picture + b"\r\n")

            def log_message(self, *_: object) -> None:
                return None

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/stream.mjpg"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_mjpeg_stream_is_read_and_its_end_is_an_error(mjpeg_server: Callable[[int], str]) -> None:
    camera = open_camera(mjpeg_server(40), FAST)
    frames = []
    with pytest.raises(CameraError, match="no more pictures"):
        while True:
            frames.append(camera.read())
    camera.close()
    assert len(frames) > 20
    assert np.abs(patches_of(frames[-1].image) - PATCHES).max() < 40


def test_a_refused_url_is_told_without_its_password() -> None:
    with pytest.raises(CameraError, match="http://127.0.0.1:9/x: no video") as caught:
        open_camera("http://me:secret@127.0.0.1:9/x", FAST)
    assert "secret" not in str(caught.value)


class FakeRequest:
    """A libcamera request: rows padded to 64 bytes, as on a Pi."""

    def __init__(self, streams: dict[str, dict], released: list[int]) -> None:
        self.streams, self.released = streams, released

    def make_buffer(self, name: str) -> np.ndarray:
        stream = self.streams[name]
        layout = {"RGB888": "BGR", "YUV420": "I420", "NV12": "NV12"}[stream["format"]]
        rows = in_layout(patch_picture(stream["size"]), layout, stream["padding"]).reshape(-1)
        return np.concatenate([rows, np.zeros(4096, np.uint8)])  # the allocator rounds up to pages

    def get_metadata(self) -> dict[str, int]:
        return {"SensorTimestamp": 12_500_000_000}

    def release(self) -> None:
        self.released.append(1)


@pytest.mark.parametrize("given", ["YUV420", "NV12", "RGB888"])
def test_picamera2_frames_are_rgb_whatever_format_libcamera_chose(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for hardware: memory as documented by picamera2, whose RGB888 is B, G, R in memory."""
    released: list[int] = []
    asked: dict = {}

    class FakePicamera2:
        camera_controls = {"AfMode": (0, 2, 0)}

        def __init__(self, number: int) -> None:
            asked["number"] = number

        def create_video_configuration(self, **configuration: object) -> dict:
            asked.update(configuration)
            return configuration

        def configure(self, configuration: dict) -> None:
            self.streams = {}
            for name in ("main", "lores"):
                width, height = configuration[name]["size"]
                padding = 32 if given != "RGB888" else 16
                stride = width * (3 if given == "RGB888" else 1) + padding
                stream = {"size": (width, height), "format": given, "stride": stride, "padding": padding}
                self.streams[name] = stream

        def camera_configuration(self) -> dict:
            return self.streams

        def set_controls(self, controls: dict) -> None:
            asked["set"] = controls

        def start(self) -> None:
            asked["started"] = True

        def close(self) -> None:
            asked["closed"] = True

        def capture_request(self, wait: bool) -> object:
            request = FakeRequest(self.streams, released)
            return types.SimpleNamespace(get_result=lambda timeout: request)

    libcamera = types.SimpleNamespace(ColorSpace=types.SimpleNamespace(Smpte170m=lambda: "601"))
    monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=FakePicamera2))
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    camera = open_camera("picamera2:1", CameraOptions(size_wh=(1280, 720)))
    frame = camera.read()
    camera.close()
    assert asked["number"] == 1
    assert asked["set"] == {"AfMode": 2}
    assert (frame.image.shape, frame.small.shape) == ((720, 1280, 3), (360, 640, 3))
    for image in (frame.image, frame.small):
        assert np.abs(patches_of(image) - PATCHES).max() <= 4
    assert (frame.time_s, released) == (12.5, [1])
    assert asked["closed"]
