"""Damaged and malicious picture files of every format, each made from a good one by a seed and a number.

Stands apart because decoders stop at the first checksum: PNG chunks are sealed again after they were damaged.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

Rng = np.random.Generator
NUMBERS = (0, 1, 2, 7, 255, 256, 32767, 32768, 65500, 65535, 65536, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


def _drawn() -> np.ndarray:
    """A small picture with edges, noise and flat parts."""
    picture = np.random.default_rng(3).integers(0, 60, (40, 56, 3)).astype(np.uint8)
    cv2.fillConvexPoly(picture, np.array([[8, 6], [46, 9], [44, 33], [10, 30]]), (210, 220, 230))
    picture[12:20, 14:24] = (40, 90, 160)
    return picture


def seeds() -> dict[str, bytes]:
    """Good files by name; what this OpenCV cannot write stands here as bytes that its reader recognizes."""
    picture, grey = _drawn(), _drawn()[..., 0]
    alpha = np.dstack([picture, grey])
    made = {
        "baseline.jpg": (picture, [cv2.IMWRITE_JPEG_QUALITY, 80]),
        "progressive.jpg": (picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        "restarts.jpg": (picture, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
        "grey.jpg": (grey, []),
        "colour.png": (picture, []),
        "alpha.png": (alpha, []),
        "grey16.png": (grey.astype(np.uint16) * 257, []),
        "bits.png": ((grey > 99).astype(np.uint8), [cv2.IMWRITE_PNG_BILEVEL, 1]),
        "colour.bmp": (picture, []),
        "grey.bmp": (grey, []),
        "lossy.webp": (picture, [cv2.IMWRITE_WEBP_QUALITY, 70]),
        "lossless.webp": (alpha, [cv2.IMWRITE_WEBP_QUALITY, 101]),
        "plain.tif": (picture, [cv2.IMWRITE_TIFF_COMPRESSION, 1]),
        "lzw.tif": (picture, [cv2.IMWRITE_TIFF_COMPRESSION, 5]),
        "deflate.tif": (picture.astype(np.uint16) * 257, [cv2.IMWRITE_TIFF_COMPRESSION, 8]),
        "packed.tif": (grey, [cv2.IMWRITE_TIFF_COMPRESSION, 32773]),
        "float.tif": (grey.astype(np.float32) / 255, []),
        "double.tif": (picture.astype(np.float64) / 255, []),
        "colour.ppm": (picture, []),
        "ascii.pgm": (grey, [cv2.IMWRITE_PXM_BINARY, 0]),
        "bits.pbm": ((grey > 99).astype(np.uint8), []),
        "deep.pgm": (grey.astype(np.uint16) * 257, []),
        "colour.pam": (picture, []),
        "float.pfm": (picture.astype(np.float32) / 255, []),
        "radiance.hdr": (picture.astype(np.float32) / 255, []),
        "colour.jp2": (picture, []),
        "sun.ras": (picture, []),
    }
    files = {}
    for name, (pixels, options) in made.items():
        written, encoded = cv2.imencode(os.path.splitext(name)[1], pixels, options)
        if written:
            files[name] = encoded.tobytes()
    jpeg = files["baseline.jpg"]
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    files["turned.jpg"] = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    window = b"dataWindow\0box2i\0\x10\0\0\0" + struct.pack("<4i", 0, 0, 55, 39)
    files["header.exr"] = b"\x76\x2f\x31\1\2\0\0\0" + window + b"compression\0compression\0\1\0\0\0\0\0"
    files["header.avif"] = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 56, 40)
    files["header.gif"] = b"GIF89a" + struct.pack("<HH", 56, 40) + b"\xf0\0\0\0\0\0\xff\xff\xff,\0\0\0\0;"
    return files


SEEDS = seeds()


def picture_case(seed: int, number: int) -> tuple[str, bytes, str]:
    """Case `number`: a file name, its bytes, and in words what was done."""
    rng = np.random.default_rng([seed, number])
    names = list(SEEDS)
    name = names[number % len(names)]
    kinds = list(MUTATIONS)
    kind = kinds[number // len(names) % len(kinds)]
    content = MUTATIONS[kind](rng, SEEDS[name])
    if name.endswith(".png") and rng.random() < 0.8:
        content = seal_png(content)
    return name, content, f"{name}: {kind}"


def seal_png(content: bytes) -> bytes:
    """The chunks' checksums made right, as far as the chunks can be followed."""
    sealed, at = bytearray(content), 8
    while at + 12 <= len(sealed):
        end = at + 8 + int.from_bytes(sealed[at : at + 4], "big")
        if end + 4 > len(sealed):
            break
        sealed[end : end + 4] = zlib.crc32(sealed[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(sealed)


def _bits(rng: Rng, content: bytes, within: int) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        changed[int(rng.integers(min(within, len(changed))))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _number(rng: Rng, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        kind = ("<H", ">H", "<I", ">I")[int(rng.integers(4))]
        value = NUMBERS[int(rng.integers(len(NUMBERS)))] & (0xFFFF if kind[1] == "H" else 0xFFFFFFFF)
        struct.pack_into(kind, changed, int(rng.integers(min(300, len(changed) - 4))), value)
    return bytes(changed)


def _claimed_size(rng: Rng, content: bytes) -> bytes:
    """Width or height, wherever the header keeps them, replaced by another number."""
    changed = content
    value = NUMBERS[int(rng.integers(1, len(NUMBERS)))]
    for side in (56, 40) if rng.random() < 0.5 else ((56, 40)[int(rng.integers(2))],):
        for kind in ("<I", ">I", "<H", ">H"):
            old = struct.pack(kind, side)
            at = changed.find(old, 4, 400)
            if at >= 0:
                mask = 0xFFFF if kind[1] == "H" else 0xFFFFFFFF
                changed = changed[:at] + struct.pack(kind, value & mask) + changed[at + len(old) :]
                break
        else:
            at = changed.find(str(side).encode(), 0, 400)
            if at >= 0:
                changed = changed[:at] + str(value).encode() + changed[at + 2 :]
    return changed


def _block(rng: Rng, content: bytes) -> bytes:
    size = int(rng.integers(1, max(len(content) // 2, 2)))
    a, b = (int(v) for v in rng.integers(0, len(content), 2))
    kind = int(rng.integers(4))
    if kind == 0:
        return content[:a] + content[a + size :]
    if kind == 1:
        return content[:a] + content[b : b + size] * int(rng.integers(1, 40)) + content[a:]
    if kind == 2:
        return content[:a] + rng.bytes(size) + content[a + size :]
    return content[:a] + bytes([int(rng.integers(256))]) * size + content[a + size :]


def _joined(rng: Rng, content: bytes) -> bytes:
    other = list(SEEDS.values())[int(rng.integers(len(SEEDS)))]
    cut = int(rng.integers(4, min(len(content), 64)))
    return content[:cut] + other[cut:] if rng.random() < 0.6 else content + other


MUTATIONS: dict[str, Callable[[Rng, bytes], bytes]] = {
    "bits anywhere": lambda rng, content: _bits(rng, content, len(content)),
    "bits in the header": lambda rng, content: _bits(rng, content, 80),
    "numbers in the header": _number,
    "claimed size": _claimed_size,
    "truncated": lambda rng, content: content[: int(rng.integers(len(content)))],
    "block lost, repeated or replaced": _block,
    "two files joined": _joined,
    "header and noise": lambda rng, content: content[: int(rng.integers(8, 64))] + rng.bytes(int(rng.integers(2000))),
}
