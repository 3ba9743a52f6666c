"""Damaged files by the hundred for every reader; the thousands are run by `make hostile`."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.segmenter import shipped_model
from unetlite.vision.errors import ImageError
from unetlite.vision.image import MAX_PIXELS, read_image, write_image
from unetlite.vision.picture_header import read_header

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from hostile import FAULTS, Ended, judged, run_cases  # noqa: E402
from hostile_pictures import SEEDS  # noqa: E402


def faults(kind: str, numbers: range, seed: int = 7) -> list[Ended]:
    """The cases that neither answered nor were refused in a sentence."""
    found = [judged(ended) for ended in run_cases(kind, seed, numbers, [shipped_model()])]
    assert len(found) == len(numbers)
    assert {ended.outcome for ended in found} >= {"refused"}
    return [ended for ended in found if ended.outcome in FAULTS]


@pytest.mark.parametrize(("kind", "count", "step"), [("pictures", 744, 3), ("models", 90, 1), ("files", 150, 1)])
def test_damaged_files_are_answered_or_refused_in_a_sentence(kind, count, step):
    assert faults(kind, range(0, count, step)) == []


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("pictures", 5000), ("models", 500), ("files", 1000)])
def test_thousands_of_damaged_files_are_answered_or_refused_in_a_sentence(kind, count):
    assert faults(kind, range(count), seed=11) == []


@pytest.mark.parametrize("name", [name for name in SEEDS if not name.startswith("header.")])
def test_the_header_says_the_size_that_the_decoder_finds(tmp_path, name):
    (tmp_path / name).write_bytes(SEEDS[name])
    header = read_header(SEEDS[name])
    assert header is not None and header.size_wh == (56, 40)
    assert header.deep == (name.split(".")[0] in ("grey16", "deflate", "float", "double", "deep", "radiance")
                           or name.endswith((".jp2", ".pfm")))  # fmt: skip
    assert sorted(read_image(tmp_path / name).shape) == [3, 40, 56]


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG without a pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks) + chunk(b"IEND", b"")


CLAIMS = {
    "a.png": png(10_000, 10_000),
    "a.bmp": b"BM" + bytes(12) + struct.pack("<Iii", 40, 30_000, -30_000) + bytes(40),
    "a.jpg": b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08" + struct.pack(">HH", 60_000, 60_000) + b"\0\0\xff\xd9",
    "a.ppm": b"P6\n# a comment\n9000 9000\n255\n" + bytes(30),
    "a.webp": b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0",
    "a.tif": b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 256, 4, 1, 20_000, 257, 4, 1, 20_000) + bytes(4),
    "a.jp2": b"\xff\x4f\xff\x51" + struct.pack(">HHIIIIII", 47, 0, 9000, 9000, 0, 0, 9000, 9000) + bytes(30),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_picture_that_claims_too_many_pixels_is_refused_with_the_limit(tmp_path, name):
    (tmp_path / name).write_bytes(CLAIMS[name])
    with pytest.raises(ImageError, match=r"expected a picture of up to (50|12) million pixels.*make it smaller"):
        read_image(tmp_path / name)


def test_the_limit_lets_a_phones_largest_picture_pass():
    assert MAX_PIXELS >= 8064 * 6048  # 48 megapixels
    assert read_header(png(8064, 6048)).size_wh == (8064, 6048)


def test_a_chunk_that_reaches_past_the_end_does_not_wait_for_it(tmp_path):
    (tmp_path / "a.png").write_bytes(png(8, 8, struct.pack(">I", 0x00FF_FFFF) + b"tEXtabc"))
    with pytest.raises(ImageError, match="a PNG header that cannot be read; it is truncated or damaged"):
        read_image(tmp_path / "a.png")


def test_a_file_that_ends_its_decoder_is_an_error(tmp_path):
    content = bytearray(SEEDS["colour.jp2"])
    at = content.index(b"ihdr") + 4
    content[at : at + 4] = b"\0\0\xff\xff"  # another height than the code stream's: OpenCV 4.11 leaves its memory
    (tmp_path / "a.jp2").write_bytes(content)
    with pytest.raises(ImageError, match="a.jp2: expected a picture"):
        read_image(tmp_path / "a.jp2")


def test_an_endless_file_is_read_to_the_limit_only():
    with pytest.raises(ImageError, match="up to 256 MiB, got a larger file"):
        read_image(Path("/dev/zero"))


def test_what_a_killed_writer_left_is_no_picture_of_a_data_set(tmp_path):
    from unetlite.vision.dataset import find_samples

    picture = np.full((8, 8, 3), 200, np.uint8)
    for name in ("a", ".b.1234abcd"):
        write_image(tmp_path / "images" / f"{name}.png", picture)
    write_image(tmp_path / "masks" / "a.png", picture[..., 0] > 9)
    assert [sample.image.name for sample in find_samples(tmp_path)] == ["a.png"]
