from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.vision.errors import ImageError, OutputError
from unetlite.vision.image import read_image, write_image

PATCHES = np.zeros((4, 6, 3), np.uint8)
PATCHES[:, :2], PATCHES[:, 2:4], PATCHES[:, 4:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # red, green, blue in RGB


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".webp"])
def test_colours_survive_writing_and_reading_as_rgb(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"p{suffix}", PATCHES)
    read = read_image(tmp_path / f"p{suffix}")
    assert read.dtype == np.uint8
    assert np.argmax(read[2], axis=1).tolist() == [0, 0, 1, 1, 2, 2]


def test_sixteen_bit_grey_and_alpha_pictures_become_rgb_bytes(tmp_path: Path) -> None:
    grey16 = np.array([[0, 0x8000, 0xFFFF]], np.uint16)
    cv2.imwrite(str(tmp_path / "grey16.png"), grey16)
    assert read_image(tmp_path / "grey16.png").tolist() == [[[0] * 3, [128] * 3, [255] * 3]]
    colour16 = np.zeros((1, 1, 3), np.uint16)
    colour16[..., 2] = 0xFFFF  # OpenCV's last channel is red
    cv2.imwrite(str(tmp_path / "colour16.png"), colour16)
    assert read_image(tmp_path / "colour16.png").tolist() == [[[255, 0, 0]]]
    cv2.imwrite(str(tmp_path / "alpha.png"), np.array([[[1, 2, 3, 0]]], np.uint8))
    assert read_image(tmp_path / "alpha.png").tolist() == [[[3, 2, 1]]]
    cv2.imwrite(str(tmp_path / "grey.png"), np.array([[7]], np.uint8))
    assert read_image(tmp_path / "grey.png").tolist() == [[[7, 7, 7]]]
    cv2.imwrite(str(tmp_path / "float.tif"), np.array([[0.0, 0.5, 2.0]], np.float32))
    assert read_image(tmp_path / "float.tif")[0, :, 0].tolist() == [0, 128, 255]


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, :16] = 255
    encoded = cv2.imencode(".jpg", picture)[1].tobytes()
    # An APP1 segment with the one tag Orientation (0x0112) = 6: turn a quarter clockwise to see it upright.
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    marker = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    (tmp_path / "turned.jpg").write_bytes(encoded[:2] + marker + encoded[2:])
    read = read_image(tmp_path / "turned.jpg")
    assert read.shape == (32, 16, 3)
    assert read[4].mean() > 200 > 50 > read[28].mean()


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "dot.png", np.array([[[1, 2, 3]]], np.uint8))
    assert read_image(tmp_path / "dot.png").tolist() == [[[1, 2, 3]]]


def test_files_that_are_no_whole_picture_are_named_with_the_reason(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_image(tmp_path / "whole.png", rng.integers(0, 255, (64, 64, 3), np.uint8))
    write_image(tmp_path / "whole.jpg", rng.integers(0, 255, (64, 64, 3), np.uint8))
    for name, reason, content in [
        ("missing.jpg", "no such file", None),
        ("empty.jpg", "empty file", b""),
        ("text.jpg", "no decoder", b"not a picture at all\n" * 20),
        ("cut.png", "truncated", (tmp_path / "whole.png").read_bytes()[:2000]),
        ("cut.jpg", "truncated", (tmp_path / "whole.jpg").read_bytes()[:2000]),
    ]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError, match=reason) as caught:
            read_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(ImageError, match="could not be read"):
        read_image(tmp_path)


def test_a_header_that_claims_absurd_dimensions_is_an_error_of_ours(tmp_path: Path) -> None:
    body = b"IHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    chunk = (13).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    end = bytes(4) + b"IEND" + zlib.crc32(b"IEND").to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + end)
    with pytest.raises(ImageError, match="huge.png: expected a picture"):
        read_image(tmp_path / "huge.png")


def test_an_unknown_suffix_and_an_existing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no writer"):
        write_image(tmp_path / "a.xyz", PATCHES)
    write_image(tmp_path / "a.png", PATCHES)
    with pytest.raises(OutputError, match="exists"):
        write_image(tmp_path / "a.png", PATCHES, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
