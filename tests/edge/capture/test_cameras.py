"""Cameras of every kind that needs no device, and the thread that reads them."""

from __future__ import annotations

import http.server
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.edge.capture.camera import (
    BACK_ENDS,
    CameraError,
    CameraOptions,
    LiveFrame,
    back_end_of,
    open_camera,
    public_name,
)
from unetlite.edge.capture.camera_opencv import OpenCvCamera
from unetlite.edge.capture.latest import LatestFrames, RecoverySettings
from unetlite.edge.capture.pixels import INTERLEAVED, LAYOUTS, picked, to_rgb
from unetlite.vision.contract import FITS, InputSpec
from unetlite.vision.errors import MissingExtraError
from unetlite.vision.image import write_image
from unetlite.vision.preprocess import preprocess

PATCHES = ((200, 40, 30), (30, 180, 60), (40, 60, 190), (220, 210, 40))
FAST = CameraOptions(paced=False)
HASTY = RecoverySettings(stall_s=0.3, first_wait_s=0.01, longest_wait_s=0.05)


def patch_picture(size_wh: tuple[int, int] = (64, 32)) -> np.ndarray:
    """Four colours side by side."""
    width, height = size_wh
    picture = np.zeros((height, width, 3), np.uint8)
    for column, colour in enumerate(PATCHES):
        picture[:, column * width // 4 : (column + 1) * width // 4] = colour
    return picture


def patches_of(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return np.array([image[height // 2, width * (2 * i + 1) // 8] for i in range(4)], int)


def in_layout(picture: np.ndarray, layout: str, padding: int) -> np.ndarray:
    """The bytes of a picture as a camera lays them down, rows padded."""
    height, width = picture.shape[:2]
    if layout in ("RGB", "BGR", "RGBX", "BGRX"):
        pixels = picture if layout.startswith("RGB") else picture[..., ::-1]
        if layout.endswith("X"):
            pixels = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
        return np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)))
    planar = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    luma = np.pad(planar[: width * height].reshape(height, width), ((0, 0), (0, padding)))
    u, v = planar[width * height :].reshape(2, height // 2, width // 2)
    if layout == "I420":
        chroma = [np.pad(plane, ((0, 0), (0, padding // 2))) for plane in (u, v)]
        return np.concatenate([luma.reshape(-1), *(plane.reshape(-1) for plane in chroma)])
    mixed = np.pad(np.stack([u, v], axis=2).reshape(height // 2, width), ((0, 0), (0, padding)))
    return np.concatenate([luma, mixed])


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_colours_come_out_as_rgb_from_every_layout(layout: str, padding: int) -> None:
    image = to_rgb(in_layout(patch_picture(), layout, padding), layout, (64, 32))
    assert image.shape == (32, 64, 3)
    assert np.abs(patches_of(image) - PATCHES).max() <= (4 if layout in ("I420", "NV12") else 0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_luminance_of_a_part_is_that_of_the_whole(layout: str) -> None:
    buffer = in_layout(patch_picture(), layout, 32)
    frame = LiveFrame(0, 0.0, buffer, layout, (64, 32))
    assert np.array_equal(frame.part((10, 4), (40, 20)), frame.image[4:24, 10:50])
    part = frame.luminance_within((10, 4), (40, 20)).astype(float)
    whole = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)[4:24, 10:50]
    if layout in ("I420", "NV12"):
        part = (part - 16) * 255 / 219  # theirs is of limited range
    assert np.abs(part - whole).max() <= 3


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_large_picture_is_fitted_as_it_is_and_made_smaller_for_all_else(layout: str, fit: str) -> None:
    picture = cv2.resize(patch_picture(), (1944, 1080), interpolation=cv2.INTER_NEAREST)
    frame = LiveFrame(0, 0.0, in_layout(picture, layout, 32), layout, (1944, 1080))
    spec = InputSpec((96, 160) if fit == "turn" else (160, 96), fit=fit)
    pixels, placement = frame.fit(spec)
    assert not {"small", "image"} & set(vars(frame))  # nothing that large was made for it
    expected, whole = preprocess(frame.image, spec)
    if layout in INTERLEAVED:
        assert np.array_equal(pixels, expected)
    else:  # of which four pixels share a colour in another way
        assert np.abs(pixels.astype(int) - expected).mean() < 2
        shown = np.abs(patches_of(placement.upright(pixels)) - PATCHES) if fit != "letterbox" else np.zeros(1)
        assert shown.max() <= 4
    assert frame.small.shape == (360, 648, 3)
    assert frame.small_wh == placement.image_size_wh == (648, 360)
    quad = np.array([[100, 80], [700, 90], [690, 500], [90, 480]], np.float32)
    assert np.allclose(placement.to_input(quad), whole.to_input(frame.in_image(quad)), atol=1e-3)
    averaged = frame.image.reshape(360, 3, 648, 3, 3).mean(axis=(1, 3))
    assert np.abs(frame.small - averaged).max() <= 2


def test_small_pictures_stay_as_they_are_and_larger_ones_have_640_pixels_or_more() -> None:
    sizes = {(640, 480): (640, 480), (1279, 720): (1279, 720), (1280, 720): (640, 360), (1080, 1920): (360, 640)}
    for size_wh, expected in {**sizes, (2592, 1944): (648, 486), (4608, 2592): (768, 432)}.items():
        frame = LiveFrame(0, 0.0, np.zeros((size_wh[1], size_wh[0], 3), np.uint8), "BGR", size_wh)
        assert (frame.small_wh, frame.small.shape[1::-1]) == (expected, expected)


@pytest.mark.parametrize(("input_wh", "from_low"), [((320, 180), True), ((160, 90), False)])
def test_what_the_camera_has_scaled_itself_is_taken_unless_a_fraction_of_the_whole_is_enough(
    input_wh: tuple[int, int], from_low: bool
) -> None:
    low = np.ascontiguousarray(patch_picture((320, 180)))
    frame = LiveFrame(0, 0.0, np.zeros((540, 960, 3), np.uint8), "BGR", (960, 540), low)
    assert frame.small is low and frame.small_wh == (320, 180)
    pixels, placement = frame.fit(InputSpec(input_wh))
    assert bool(pixels.any()) == from_low
    assert placement.image_size_wh == (320, 180)
    corners = placement.to_input(np.array([[-0.5, -0.5], [319.5, 179.5]]))
    assert np.allclose(corners, [[-0.5, -0.5], np.array(input_wh) - 0.5])


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("layout", ["I420", "NV12"])
def test_picked_pixels_have_the_colours_of_their_places(layout: str, padding: int) -> None:
    rng = np.random.default_rng(3)
    coarse = rng.integers(40, 220, (6, 8, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_NEAREST)
    shown = picked(in_layout(picture, layout, padding), layout, (320, 240), (48, 36))
    whole = to_rgb(in_layout(picture, layout, padding), layout, (320, 240))
    assert shown.shape == (36, 48, 3)
    middles = shown[3::6, 3::6].astype(int), whole[20::40, 20::40]
    assert np.abs(middles[0] - middles[1]).max() <= 1


@pytest.mark.parametrize("small", [True, False])
def test_the_cameras_thread_makes_the_small_picture_for_those_who_show_it(small: bool) -> None:
    frames = LatestFrames(lambda: Scripted([9]), every_frame=True, fit=InputSpec((4, 4)), small=small)
    frame = frames.next(5.0)
    frames.close()
    assert frame is not None and frame.fitted is not None
    assert (frame.low is not None) == small
    assert np.array_equal(frame.small, np.full((4, 4, 3), 9, np.uint8))


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
    frames = LatestFrames(lambda: open_camera(str(path), FAST), every_frame=True)
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
