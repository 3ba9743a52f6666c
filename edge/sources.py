"""Pictures one after another, from a file, a folder or a video.

Stands apart so that whoever looks at frames need not know where they come from.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from unetlite.vision.errors import ImageError
from unetlite.vision.image import RgbImage, is_image_path, read_image

VIDEO_SUFFIXES = frozenset([".avi", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"])


@dataclass(frozen=True)
class Frame:
    """A picture and where it is from.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        name: the picture's path, or `PATH#INDEX` of a video's frame.
        timestamp_s: seconds since the source began; None for pictures, which have no time.
        index: place in the source, from 0.
        path: the file that it was read from.
    """

    image: RgbImage
    name: str
    timestamp_s: float | None
    index: int
    path: Path


@dataclass(frozen=True)
class BrokenFrame:
    """A picture that could not be read, among others that may well be."""

    name: str
    index: int
    error: ImageError


def is_video_path(path: Path) -> bool:
    """Whether the suffix is one of a video that OpenCV may read."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def list_folder(folder: Path) -> list[Path]:
    """The pictures and videos directly in a folder, sorted by name; folders inside it are not entered.

    Raises:
        ImageError: there are none, or the folder cannot be read.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise ImageError(f"{folder}: could not be read: {error.strerror}; check its permissions") from error
    found = [path for path in files if is_image_path(path) or is_video_path(path)]
    if not found:
        raise ImageError(f"{folder}: expected pictures or videos in this folder, found none; name the right folder")
    return found


def open_source(path: Path, *, warn: Callable[[str], object] = warnings.warn) -> Iterator[Frame | BrokenFrame]:
    """Read a picture, all pictures and videos of a folder in order of name, or a video frame by frame.

    Args:
        path: a file or a folder. A file whose suffix is not a video's is read as a picture.
        warn: told, in one sentence, that a video ended before its end.

    Yields:
        Frames in order; for a picture or video that cannot be read a `BrokenFrame`, so that the others go on.

    Raises:
        ImageError: at the first step: there is no such file or folder, or the folder holds nothing to read.
    """
    path = Path(path)
    if not path.exists():
        raise ImageError(f"{path}: expected a picture, folder or video, but there is no such file; check the path")
    index = 0
    for file in list_folder(path) if path.is_dir() else [path]:
        for frame in _read_video(file, index, warn) if is_video_path(file) else _read_picture(file, index):
            yield frame
            index += 1


def _read_picture(path: Path, index: int) -> Iterator[Frame | BrokenFrame]:
    try:
        image = read_image(path)
    except ImageError as error:
        yield BrokenFrame(str(path), index, error)
        return
    yield Frame(image, str(path), None, index, path)


def _read_video(path: Path, first_index: int, warn: Callable[[str], object]) -> Iterator[Frame | BrokenFrame]:
    # FFmpeg by name: left to choose, OpenCV would also take the path for a pattern of numbered pictures.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        count = 0
        while capture.isOpened():
            read, pixels = capture.read()
            if not read:
                break
            timestamp_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0  # of the frame just read, with FFmpeg
            image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
            yield Frame(image, f"{path}#{count}", timestamp_s, first_index + count, path)
            count += 1
    finally:
        capture.release()
    if count == 0:
        error = ImageError(f"{path}: expected a video, got a file without a frame that FFmpeg can read; check the file")
        yield BrokenFrame(str(path), first_index, error)
    elif count < expected - 1:  # containers without an index state the count to within one
        warn(f"{path}: expected {expected} frames, got {count}: the video is truncated or damaged")
