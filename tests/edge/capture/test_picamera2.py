"""The Picamera2 back end on real picamera2 and real libcamera, whose virtual cameras show pictures from files."""

from __future__ import annotations

import importlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from printed_card import printed_face, view_of_card

from unetlite.edge.capture import camera_picamera2
from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame, open_camera
from unetlite.edge.capture.cli import main
from unetlite.edge.capture.states import quad_iou
from unetlite.vision.image import read_image, write_image

NO_CARD = Path(__file__).resolve().parents[3] / "samples" / "images" / "000001.jpg"
# Where libcamera looks for the virtual cameras. One at a time: of several, all show the last one's picture (0.4.0).
CONFIGURATION = Path("/usr/share/libcamera/pipeline/virtual/virtual.yaml")
SIZE_WH, LOW_WH = (960, 540), (640, 360)
CARDS = {"card": 0, "other card": 2}
LIE: dict[str, Any] = {"tilt_deg": 10.0, "width_px": 480.0, "size_wh": SIZE_WH}
COLOURS = [(200, 40, 40), (40, 180, 60), (50, 60, 200), (210, 190, 40)]

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("LIBCAMERA_PIPELINES_MATCH_LIST") != "virtual",
        reason="needs libcamera's virtual cameras: run it with `sudo tests/virtual_camera/run.sh`",
    ),
    pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning"),  # picamera2's
    # It leaves pipes open where a camera cannot be had, which are found whenever rubbish is collected.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def _virtual_pipeline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        _meet_the_virtual_pipeline(patch)
        yield


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Puts a scene before the camera; libcamera looks when the first camera is opened."""

    def put(scene: str) -> None:
        picture = patches() if scene == "patches" else picture_of(scene)
        assert picture.shape == (SIZE_WH[1], SIZE_WH[0], 3)
        # libcamera passes the levels of a JPEG on as they are, 0 to 255; a camera's are 16 to 235.
        write_image(tmp_path / "scene" / "0.jpg", np.rint(16.0 + picture * (219.0 / 255.0)).astype(np.uint8))
        lines = ["%YAML 1.1", "---", "Virtual0:", "  supported_formats:"]
        for width, height in (SIZE_WH, LOW_WH):
            lines += [f"  - width: {width}", f"    height: {height}", "    frame_rates: [30, 30]"]
        lines += ["  frames:", f"    path: {tmp_path / 'scene'}"]
        CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
        CONFIGURATION.write_text("\n".join(lines) + "\n")

    yield put
    CONFIGURATION.unlink(missing_ok=True)


def patches() -> np.ndarray:
    """A quarter of each colour."""
    picture = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    for (x, y), colour in zip(((0, 0), (480, 0), (0, 270), (480, 270)), COLOURS, strict=True):
        picture[y : y + 270, x : x + 480] = colour
    return picture


def _meet_the_virtual_pipeline(patch: pytest.MonkeyPatch) -> None:
    """It knows no raw pictures, and its memory is not to be had from a DMA heap: picamera2 expects both."""
    libcamera, module = importlib.import_module("libcamera"), importlib.import_module("picamera2")
    allocators = importlib.import_module("picamera2.allocators")

    class VirtualPicamera2(module.Picamera2):
        def __init__(self, number: int) -> None:
            super().__init__(number)
            self.allocator = allocators.LibcameraAllocator(self.camera)

        def _get_raw_modes(self) -> list[dict[str, Any]]:
            formats = self.camera.generate_configuration([libcamera.StreamRole.Viewfinder]).at(0).formats
            return [
                {"format": str(pixels), "size": (size.width, size.height)}
                for pixels in formats.pixel_formats
                for size in formats.sizes(pixels)
            ]

    patch.setattr(module, "Picamera2", VirtualPicamera2)


def picture_of(scene: str) -> np.ndarray:
    if scene == "no card":
        return read_image(NO_CARD)
    return view_of_card(printed_face(CARDS[scene]), **LIE)[0]


def read(count: int = 1) -> list[LiveFrame]:
    camera = open_camera("picamera2", CameraOptions(size_wh=SIZE_WH))
    try:
        return [camera.read() for _ in range(count)]
    finally:
        camera.close()


def truth_of(scene: str) -> np.ndarray:
    return view_of_card(printed_face(CARDS[scene]), **LIE)[1]


Show = Callable[[str], None]


def test_colours_are_rgb_in_both_streams(show: Show) -> None:
    show("patches")
    frame = read()[0]
    assert frame.layout == "NV12"  # all that the virtual pipeline gives, whatever was asked for
    assert frame.image.shape == (540, 960, 3)
    assert frame.low is not None
    assert frame.low.shape == (360, 640, 3)
    for image in (frame.image, frame.low):
        height, width = image.shape[:2]
        middles = [image[height * y // 4, width * x // 4] for y in (1, 3) for x in (1, 3)]
        np.testing.assert_allclose(middles, COLOURS, atol=8)


def test_both_streams_show_the_same_view(show: Show) -> None:
    show("card")
    for frame in read(3):
        smaller = cv2.resize(frame.image, LOW_WH, interpolation=cv2.INTER_AREA)
        assert np.corrcoef(smaller.ravel(), frame.low.ravel())[0, 1] > 0.98
        assert np.corrcoef(frame.image.ravel(), picture_of("card").ravel())[0, 1] > 0.99


def test_frames_count_up_and_carry_the_time_they_were_taken_at(show: Show) -> None:
    show("card")
    before_s = time.monotonic()
    frames = read(10)
    assert [frame.number for frame in frames] == list(range(10))
    times = [before_s, *(frame.time_s for frame in frames), time.monotonic()]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def test_a_camera_can_be_closed_and_opened_again(show: Show) -> None:
    for scene in ("card", "no card", "card"):
        show(scene)
        assert np.corrcoef(read()[0].image.ravel(), picture_of(scene).ravel())[0, 1] > 0.99


def test_a_camera_that_stops_giving_pictures_is_an_error_and_can_be_opened_again(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    show("card")
    monkeypatch.setattr(camera_picamera2, "_WAIT_S", 0.3)
    camera = open_camera("picamera2", CameraOptions(size_wh=SIZE_WH))
    try:
        assert camera.read() is not None
        camera._camera.stop()
        with pytest.raises(CameraError, match=r"picamera2: .*no picture for 0\.3 s"):
            camera.read()
    finally:
        camera.close()
    assert read()


def test_a_camera_that_is_not_there_is_said(show: Show) -> None:
    show("card")
    with pytest.raises(CameraError, match="picamera2:9: could not be opened .*cable"):
        open_camera("picamera2:9", CameraOptions())


@pytest.mark.parametrize("scene", ["card", "other card"])
def test_a_document_under_the_camera_is_captured_once(scene: str, show: Show, tmp_path: Path) -> None:
    """The whole chain with the shipped model, ended by SIGTERM."""
    show(scene)
    result = watch(tmp_path / "captures", 1)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1, result.stderr
    record = json.loads(next((tmp_path / "captures").glob("*.json")).read_text())
    assert record["camera"] == "picamera2"
    assert record["frame_size_wh"] == list(SIZE_WH)
    assert quad_iou(np.float32(record["quad"]), truth_of(scene)) >= 0.95
    crop = read_image(tmp_path / "captures" / record["files"][0])
    assert min(crop.shape[:2]) > 100


def test_a_table_without_a_document_gives_no_capture(show: Show, tmp_path: Path) -> None:
    show("no card")
    result = watch(tmp_path / "captures", 0)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert not list((tmp_path / "captures").iterdir())


def watch(folder: Path, captures: int) -> Result:
    """`unet-capture` until there are so many captures and for two seconds more, ended as systemd ends it."""
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        while signal.getsignal(signal.SIGTERM) == before:
            time.sleep(0.05)
        latest_s = time.monotonic() + 60.0
        while len(list(folder.glob("*.json"))) < captures and time.monotonic() < latest_s:
            time.sleep(0.05)
        time.sleep(2.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end, daemon=True).start()
    options = ["--camera", "picamera2", "--size", "960x540", "--to", str(folder)]
    return CliRunner().invoke(main, options, catch_exceptions=False)
