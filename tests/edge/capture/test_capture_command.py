"""The whole of `unet-capture`: camera, model, gates, states, store."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from printed_card import printed_face, view_of_card

from unetlite.edge.capture.camera import CameraError, CameraOptions, LiveFrame, open_camera
from unetlite.edge.capture.cli import main
from unetlite.edge.capture.config import CaptureConfig, read_config
from unetlite.edge.capture.latest import LatestFrames
from unetlite.edge.capture.loop import CaptureLoop, View, exact_quad
from unetlite.edge.capture.states import State, quad_iou
from unetlite.edge.capture.store import CaptureStore, StoreSettings
from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.errors import SettingsError
from unetlite.vision.image import read_image
from unetlite.vision.quad import crop_quad

RATE = 10.0


def capture(tmp_path: Path, models: Any, camera: str, *more: str) -> Result:
    options = ["--camera", camera, "--to", str(tmp_path / "captures"), "--model", str(models.bright__int8)]
    return CliRunner().invoke(main, [*options, *more])


def write_video(path: Path, scenes: list[tuple[np.ndarray | None, float]]) -> Path:
    """Pictures of one size, each shown for so many seconds; None is an empty table."""
    size_wh = next(picture.shape[1::-1] for picture, _ in scenes if picture is not None)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), RATE, size_wh)
    for picture, seconds in scenes:
        shown = np.full((480, 640, 3), 40, np.uint8) if picture is None else picture
        for _ in range(round(seconds * RATE)):
            writer.write(shown[..., ::-1])
    writer.release()
    return path


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_three_cards_shown_in_turn_are_three_captures_cropped_to_their_borders(tmp_path: Path, models: Any) -> None:
    views = [view_of_card(printed_face(n), tilt_deg=4.0 * n, shift_xy=(20.0 * n - 20.0, 10.0)) for n in range(3)]
    scenes = [(None, 0.5)]
    for picture, _ in views:
        scenes += [(picture, 2.0), (None, 1.5)]
    result = capture(tmp_path, models, str(write_video(tmp_path / "v.avi", scenes)), "--every-frame")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 3
    saved = records(tmp_path / "captures")
    assert [r["document_format"] for r in saved] == ["ID-1"] * 3
    assert [r["upright"] for r in saved] == [False] * 3  # no portrait is printed on them
    for record, (picture, quad) in zip(saved, views, strict=True):
        assert quad_iou(np.float32(record["quad"]), quad) >= 0.95
        crop = read_image(tmp_path / "captures" / record["files"][0])
        expected = cv2.resize(crop_quad(picture, quad), crop.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.corrcoef(crop.ravel(), expected.ravel())[0, 1] > 0.9


# Grey paper copies on tables, seen by phones; the first frame of the first clip of three document types.
REAL_FRAMES = (
    "01_alb_id/*/00cg0001/00cg0001_000029",
    "03_esp_id/*/00cg0001/00cg0001_000041",
    "09_srb_passport/*/00cg0001/00cg0001_000139",
)


def test_three_real_cards_shown_in_turn_to_the_shipped_model_are_three_captures(
    tmp_path: Path, real_data: Path
) -> None:
    scenes, quads = [], []
    rng = np.random.default_rng(1)
    table = cv2.resize(read_image(sorted((real_data / "backgrounds" / "dlc2021-dev-crops").iterdir())[0]), (540, 960))
    for pattern in REAL_FRAMES:
        image, truth = (
            next(path for path in (real_data / "dlc2021-dev").glob(f"{pattern}.*") if path.parts[-3] == folder)
            for folder in ("images", "ground_truth")
        )
        picture = read_image(image)
        quads.append(np.float32(json.loads(truth.read_text())["quad"]))
        scenes.append((table, 1.0))
        # A hand trembles, and so does the light.
        scenes += [(np.clip(picture * rng.uniform(0.97, 1.03), 0, 255).astype(np.uint8), 1 / RATE) for _ in range(14)]
    video = write_video(tmp_path / "v.avi", [*scenes, (table, 1.0)])
    result = CliRunner().invoke(main, ["--camera", str(video), "--to", str(tmp_path / "captures"), "--every-frame"])
    assert result.exit_code == 0, result.output
    saved = records(tmp_path / "captures")
    assert len(saved) == 3, result.output
    assert [record["upright"] for record in saved] == [True] * 3
    for record, quad in zip(saved, quads, strict=True):
        assert quad_iou(np.float32(record["quad"]), quad) >= 0.95


def test_cards_swapped_without_a_gap_and_one_shown_twice(tmp_path: Path, models: Any) -> None:
    pictures = [view_of_card(printed_face(n))[0] for n in range(2)]
    scenes = [(pictures[0], 2.5), (pictures[1], 2.5), (None, 1.5), (pictures[0], 2.5)]
    result = capture(tmp_path, models, str(write_video(tmp_path / "v.avi", scenes)), "--every-frame")
    assert len(result.stdout.splitlines()) == 2
    assert "captured already" in result.stderr


def test_a_record_says_what_when_where_and_how_good(tmp_path: Path, models: Any) -> None:
    result = capture(tmp_path, models, "synthetic:1", "--every-frame")
    (record,) = records(tmp_path / "captures")
    assert record["model"]["name"] == "bright.int8.tflite"
    assert len(record["model"]["sha256"]) == 64
    assert {gate["name"] for gate in record["gates"]} >= {"margin", "size", "tilt", "sharpness", "glare", "occlusion"}
    assert all(gate["passed"] for gate in record["gates"])
    assert record["device"]["architecture"] == os.uname().machine
    assert (record["manual"], record["camera"]) == (False, "synthetic")
    assert result.stdout.startswith(str(tmp_path / "captures"))
    files = list((tmp_path / "captures").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_card_that_fails_a_gate_is_not_captured_and_the_hint_is_said(tmp_path: Path, models: Any) -> None:
    picture, _ = view_of_card(printed_face(0), tilt_deg=50.0)
    result = capture(tmp_path, models, str(write_video(tmp_path / "v.avi", [(picture, 2.0)])), "--every-frame")
    assert result.stdout == ""
    assert "adjusting: Hold the card flat" in result.stderr


def test_the_configuration_moves_the_gates_and_the_store(tmp_path: Path, models: Any) -> None:
    config = tmp_path / "capture.toml"
    config.write_text('[quality]\nleast_ppi = 1000\n[store]\nimage_format = "jpg"\nkeep_frame = true\n')
    result = capture(tmp_path, models, "synthetic:1", "--every-frame", "--config", str(config))
    assert "Bring the card closer" in result.stderr
    config.write_text('[store]\nimage_format = "jpg"\nkeep_frame = true\n')
    capture(tmp_path, models, "synthetic:1", "--every-frame", "--config", str(config))
    assert sorted(p.name.split("Z.")[1] for p in (tmp_path / "captures").iterdir()) == ["crop.jpg", "frame.jpg", "json"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[quality]\nleast_dpi = 3\n", "got 'least_dpi'"),
        ("[gates]\n", "got 'gates'"),
        ('[states]\nhold_s = "long"\n', "expected float, got 'long'"),
        ("[store]\nkeep_frame = 1\n", "expected bool, got 1"),
        ("[store]\nmost_count = -1\n", "most_count: expected more than 0"),
        ("quality = 3\n", r"expected a section \[quality\]"),
        ("[quality\n", "expected a configuration in TOML"),
    ],
)
def test_a_wrong_configuration_is_told_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "capture.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=complaint):
        read_config(path)


def test_an_empty_configuration_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "capture.toml"
    path.write_text("")
    assert read_config(path) == CaptureConfig()


def test_a_missing_camera_is_one_sentence_and_exit_status_1(tmp_path: Path, models: Any) -> None:
    result = capture(tmp_path, models, "nothing.mp4")
    assert result.exit_code == 1
    assert result.stderr.strip().splitlines()[-1].startswith("Error: nothing.mp4: expected picamera2")


def run_loop(store: CaptureStore, models: Any, **watch: Any) -> CaptureLoop:
    frames = LatestFrames(lambda: open_camera("synthetic:3", CameraOptions(paced=False)), every_frame=True)
    loop = CaptureLoop(frames, load_segmenter(models.bright__int8), store, CaptureConfig(), {}, **watch)
    loop.run()
    return loop


def test_a_full_disk_is_told_once_and_capturing_goes_on(tmp_path: Path, models: Any) -> None:
    store = CaptureStore(tmp_path / "captures", StoreSettings(most_bytes=4096))
    told: list[str] = []
    views: list[View] = []

    def watch(view: View) -> None:
        views.append(view)
        if view.trouble is not None and len(views) > 120:
            store.settings = StoreSettings()  # room is made before the last card

    loop = run_loop(store, models, tell=told.append, publish=watch)
    assert len([line for line in told if line.startswith("Error:")]) == 1
    assert any(view.trouble and "Not saved" in view.trouble for view in views)
    assert loop.captures == 1
    assert views[-1].trouble is None


def test_old_captures_go_though_no_new_ones_come(tmp_path: Path, models: Any) -> None:
    store = CaptureStore(tmp_path, StoreSettings(most_days=1.0))
    store.save(printed_face(0), None, {}, now=datetime(2020, 1, 1, tzinfo=timezone.utc))
    old = store.names()
    run_loop(store, models)
    assert len(old) == 1
    assert len(store.names()) == 3
    assert old[0] not in store.names()


def test_a_camera_that_is_lost_is_not_shown_as_if_it_were_live(tmp_path: Path, models: Any) -> None:
    class Unplugged:
        """The synthetic camera until its cable is drawn."""

        name, live, left = "usb", True, 5

        def __init__(self) -> None:
            self.camera = open_camera("synthetic:1", CameraOptions())

        def read(self) -> LiveFrame | None:
            self.left -= 1
            if self.left < 0:
                raise CameraError("usb: gives no more pictures")
            return self.camera.read()

        def close(self) -> None:
            self.camera.close()

    views: list[View] = []

    def watch(view: View) -> None:
        views.append(view)
        if view.trouble is not None and view.image.mean() < 0.5 * views[0].image.mean():
            loop.stop()

    frames = LatestFrames(Unplugged)
    store = CaptureStore(tmp_path, StoreSettings())
    loop = CaptureLoop(frames, load_segmenter(models.bright__int8), store, CaptureConfig(), {}, publish=watch)
    loop.run()
    frames.close()
    assert views[-1].trouble == "usb: gives no more pictures"
    assert views[0].trouble is None


def test_onlookers_see_state_quad_and_figures(tmp_path: Path, models: Any) -> None:
    views: list[View] = []
    run_loop(CaptureStore(tmp_path, StoreSettings()), models, publish=views.append)
    assert {view.step.state for view in views} == {
        State.SEARCHING,
        State.HOLD_STILL,
        State.CAPTURED,
        State.REMOVE,
    }
    assert all(view.step.capture is None for view in views)
    figures = views[-1].figures
    assert figures.captures == 3
    assert figures.frames_per_s > 0
    assert {"invoke", "cycle"} <= set(figures.latency_ms)


def test_a_manual_trigger_saves_what_the_gates_refuse(tmp_path: Path, models: Any) -> None:
    picture, _ = view_of_card(printed_face(0), tilt_deg=50.0)
    video = write_video(tmp_path / "v.avi", [(picture, 2.0)])
    store = CaptureStore(tmp_path / "captures", StoreSettings())
    frames = LatestFrames(lambda: open_camera(str(video), CameraOptions(paced=False)), every_frame=True)
    loop = CaptureLoop(frames, load_segmenter(models.bright__int8), store, CaptureConfig(), {})
    loop.trigger()
    loop.run()
    assert [record["manual"] for record in records(store.folder)] == [True]


def test_a_quad_of_the_small_stream_is_refined_on_the_large_one() -> None:
    picture, quad = view_of_card(printed_face(0), width_px=800.0, size_wh=(1280, 960))
    low = cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA)
    rough = ((quad + 0.5) / 4 - 0.5 + np.random.default_rng(1).normal(0, 0.7, (4, 2))).astype(np.float32)
    frame = LiveFrame(0, 0.0, picture, "RGB", (1280, 960), low)
    near, found, corner = exact_quad(frame, frame.in_image(rough))
    assert np.abs(found + corner - quad).max() < 1.5
    (left, top), (height, width) = corner, near.shape[:2]
    assert np.array_equal(near, picture[top : top + height, left : left + width])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(tmp_path: Path, models: Any, number: signal.Signals) -> None:
    command = [sys.executable, "-c", "from unetlite.edge.capture.cli import main; main()", "--camera", "synthetic:99"]
    command += ["--to", str(tmp_path / "captures"), "--model", str(models.bright__int8)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stderr:
            if line.startswith("watching"):
                break
        time.sleep(0.5)
        running.send_signal(number)
        _, rest = running.communicate(timeout=20)
    assert running.returncode == 0
    assert "captures in" in rest
    assert not [path for path in (tmp_path / "captures").iterdir() if path.name.startswith(".")]
