"""What live capture does when camera, disk or clock fail; benchmarks/capture_faults.py counts the same at length."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from printed_card import printed_face, view_of_card

from unetlite.edge.capture.camera import Camera, CameraOptions, LiveFrame, open_camera
from unetlite.edge.capture.config import CaptureConfig
from unetlite.edge.capture.latest import LatestFrames, is_plain
from unetlite.edge.capture.loop import CaptureLoop, View
from unetlite.edge.capture.store import CaptureStore, StoreSettings
from unetlite.edge.segmenter import load_segmenter

PER_CARD = 68  # frames of the synthetic camera
BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


class Changed:
    """A camera whose frames are passed through a function of their number."""

    name, live = "synthetic", True

    def __init__(self, camera: Camera, change: Callable[[LiveFrame], LiveFrame]) -> None:
        self.camera, self.change = camera, change

    def read(self) -> LiveFrame | None:
        frame = self.camera.read()
        return None if frame is None else self.change(frame)

    def close(self) -> None:
        self.camera.close()


def watched(
    folder: Path, model: Path, change: Callable[[LiveFrame], LiveFrame], *, told: list[str] | None = None
) -> tuple[list[dict[str, Any]], list[View]]:
    """The records and views of a run over two cards whose frames are changed."""
    camera = open_camera("synthetic:2", CameraOptions(paced=False))
    told = [] if told is None else told
    frames = LatestFrames(lambda: Changed(camera, change), every_frame=True, tell=told.append)
    views: list[View] = []
    store = CaptureStore(folder, StoreSettings())
    CaptureLoop(frames, load_segmenter(model), store, CaptureConfig(), {}, publish=views.append).run()
    frames.close()
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))], views


def test_a_camera_that_changes_its_resolution_while_a_card_is_held_still_gives_its_capture(
    tmp_path: Path, models: Any
) -> None:
    def grow(frame: LiveFrame) -> LiveFrame:
        size_wh = (640, 480) if frame.number < 27 else (1280, 960)  # the first card lies still since frame 23
        return replace(frame, buffer=cv2.resize(frame.buffer, size_wh), size_wh=size_wh)

    records, _ = watched(tmp_path, models.bright__int8, grow)
    assert [record["frame_size_wh"] for record in records] == [[1280, 960]] * 2
    for record in records:
        assert np.ptp(np.float32(record["quad"])[:, 0]) == pytest.approx(0.6 * 1280, rel=0.05)


def test_plain_pictures_are_said_until_there_is_something_to_see(tmp_path: Path, models: Any) -> None:
    def green(frame: LiveFrame) -> LiveFrame:
        plain = np.full_like(frame.buffer, (0, 135, 0))
        return replace(frame, buffer=plain) if PER_CARD <= frame.number < PER_CARD + 50 else frame

    told: list[str] = []
    records, views = watched(tmp_path, models.bright__int8, green, told=told)
    assert len([line for line in told if "plain colour" in line]) == 1
    troubled = [bool(view.trouble) for view in views]
    assert any(troubled[: PER_CARD + 50])
    assert not troubled[0]
    assert not troubled[-1]
    assert len(records) == 2


def test_a_plain_picture_is_one_without_anything_but_noise() -> None:
    rng = np.random.default_rng(1)
    for colour in ((0, 135, 0), (0, 0, 0), (128, 128, 128)):
        noisy = np.clip(np.float32(colour) + rng.normal(0, 4, (360, 640, 3)), 0, 255).astype(np.uint8)
        assert is_plain(noisy), colour
    table = np.clip(np.linspace(90, 80, 640)[None, :, None] + rng.normal(0, 4, (360, 640, 3)), 0, 255)
    assert not is_plain(table.astype(np.uint8))
    assert not is_plain(view_of_card(printed_face(0))[0])


def test_captures_keep_their_order_when_the_clock_goes_back(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path, StoreSettings(most_count=2))
    crop, start = printed_face(0)[:40, :60], datetime(2026, 5, 4, tzinfo=timezone.utc)
    names = [store.save(crop, None, {}, now=start - timedelta(days=days)).name for days in range(4)]
    assert store.names() == names[-2:]  # the two newest, though their times are the oldest


def test_a_model_file_that_is_overwritten_while_it_runs_changes_nothing(tmp_path: Path, models: Any) -> None:
    model = Path(shutil.copy(models.bright__int8, tmp_path / "model.tflite"))

    def overwrite(frame: LiveFrame) -> LiveFrame:
        if frame.number == 10:
            model.write_bytes(b"something else")
        return frame

    records, _ = watched(tmp_path / "captures", model, overwrite)
    assert len(records) == 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_fault_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("capture_faults", BENCHMARKS / "capture_faults.py")
    faults = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(faults)
    report = tmp_path / "faults.json"
    monkeypatch.setattr(sys, "argv", ["capture_faults.py", "--kills", "20", "--trials", "3", "--to", str(report)])
    faults.main()
    assert all(r["held"] == r["trials"] > 0 for r in json.loads(report.read_text())["results"].values())
