"""Frames from pictures, folders and videos, whole and broken."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from drawn import draw_card

from unetlite.edge.sources import BrokenFrame, Frame, open_source
from unetlite.vision.errors import ImageError

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]  # red, green, blue


def write_video(path, frames: int = 30, codec: str = "MJPG") -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10.0, (96, 64))
    assert writer.isOpened()
    for index in range(frames):
        writer.write(np.full((64, 96, 3), COLOURS[index % 3][::-1], np.uint8))  # BGR
    writer.release()


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "FFV1")])
def test_a_video_is_read_frame_by_frame_in_rgb_with_times(tmp_path, suffix, codec):
    write_video(tmp_path / f"clip{suffix}", codec=codec)
    frames = list(open_source(tmp_path / f"clip{suffix}"))
    assert [frame.index for frame in frames] == list(range(30))
    assert frames[2].name == f"{tmp_path}/clip{suffix}#2"
    assert [frame.timestamp_s for frame in frames[:4]] == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=0.005)
    for frame, colour in zip(frames[:3], COLOURS, strict=True):
        assert np.abs(frame.image.reshape(-1, 3).mean(axis=0) - colour).max() < 12


def test_a_truncated_video_gives_its_frames_and_a_warning(tmp_path):
    write_video(tmp_path / "whole.avi")
    content = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    told = []
    frames = list(open_source(tmp_path / "cut.avi", warn=told.append))
    assert 0 < len(frames) < 25
    assert all(isinstance(frame, Frame) for frame in frames)
    assert len(told) == 1
    assert f"expected 30 frames, got {len(frames)}" in told[0]


def test_the_warning_of_a_whole_video_is_not_given(tmp_path):
    write_video(tmp_path / "whole.mp4", codec="mp4v")
    told = []
    assert len(list(open_source(tmp_path / "whole.mp4", warn=told.append))) == 30
    assert told == []


@pytest.mark.parametrize("content", [b"", b"this is no video\n" * 50])
def test_a_broken_video_is_told(tmp_path, content):
    (tmp_path / "bad.mp4").write_bytes(content)
    (frame,) = open_source(tmp_path / "bad.mp4")
    assert isinstance(frame, BrokenFrame)
    assert "bad.mp4: expected a video" in str(frame.error)


def test_a_folder_is_read_in_order_of_name_and_broken_pictures_do_not_stop_it(card_file, tmp_path):
    for name in ("c.png", "a.jpg", "d.tif"):
        card_file(name)
    (tmp_path / "b.jpg").write_text("no picture")
    (tmp_path / "notes.txt").write_text("left out")
    (tmp_path / ".hidden.png").write_text("left out")
    (tmp_path / "inner").mkdir()
    shutil.copy(tmp_path / "a.jpg", tmp_path / "inner" / "e.jpg")
    frames = list(open_source(tmp_path))
    assert [frame.name.rsplit("/")[-1] for frame in frames] == ["a.jpg", "b.jpg", "c.png", "d.tif"]
    assert [isinstance(frame, BrokenFrame) for frame in frames] == [False, True, False, False]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert all(frame.timestamp_s is None for frame in frames if isinstance(frame, Frame))


def test_a_video_in_a_folder_takes_its_turn(card_file, tmp_path):
    card_file("a.png")
    card_file("c.png")
    write_video(tmp_path / "b.avi", frames=4)
    assert [frame.index for frame in open_source(tmp_path)] == [0, 1, 2, 3, 4, 5]


def test_a_picture_without_a_suffix_is_read_by_its_content(card_file, tmp_path, card_quad):
    card_file("a.png").rename(tmp_path / "upload")
    (frame,) = open_source(tmp_path / "upload")
    assert np.array_equal(frame.image, draw_card(card_quad)[0])


def test_a_path_that_leads_nowhere_is_an_error(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        next(open_source(tmp_path / "nowhere.jpg"))


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(ImageError, match="found none"):
        next(open_source(tmp_path))
