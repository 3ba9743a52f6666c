"""A picture's size from its first bytes, before any decoder allocates memory for it.

Stands apart because a file of a hundred bytes can claim a gigapixel, and decoders believe it. Formats that are not
recognized here are not given to a decoder at all.

Sources: the formats' specifications: PNG (ISO/IEC 15948), JPEG (ITU-T T.81), BMP, RFC 9649 (WebP), TIFF 6.0 and
BigTIFF, Netpbm's manual pages, JPEG 2000 (ISO/IEC 15444-1), AVIF (ISO/IEC 23008-12), OpenEXR and Radiance file layouts.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

_FRAGILE = ("JPEG 2000", "OpenEXR", "AVIF", "GIF")
_MAX_SEGMENTS = 10_000  # of a JPEG before its frame; a long colour profile takes 255


@dataclass(frozen=True)
class PictureHeader:
    """What a file claims to hold.

    Attributes:
        name: of the format.
        size_wh: pixels.
        deep: whether its decoder may need more than a byte for each value.
        fragile: whether its decoder is known to end the process over a damaged file.
    """

    name: str
    size_wh: tuple[int, int]
    deep: bool
    fragile: bool


class HeaderError(ValueError):
    """A header that ends early or contradicts itself; the message says what is wrong in a few words."""


def read_header(content: bytes) -> PictureHeader | None:
    """The header of a picture file, or None where the format is none of those that are read.

    Raises:
        HeaderError: a known format whose header cannot be read.
    """
    for name, begins, reader in _FORMATS:
        if begins(content):
            try:
                width, height, deep = reader(content)
            except (struct.error, LookupError, ValueError, OverflowError) as error:
                raise HeaderError(f"a {name} header that cannot be read") from error
            if width < 1 or height < 1:
                raise HeaderError(f"a {name} header that says {width}x{height} pixels")
            return PictureHeader(name, (width, height), deep, name in _FRAGILE)
    return None


def _png(content: bytes) -> tuple[int, int, bool]:
    length, kind, width, height, depth = struct.unpack_from(">I4sIIB", content, 8)
    if kind != b"IHDR" or length != 13:
        raise ValueError("no IHDR")
    at = 8
    while kind != b"IEND":  # OpenCV 4.11 waits forever for what a chunk promises and the file does not hold
        length, kind = struct.unpack_from(">I4s", content, at)
        at += 12 + length
        if at > len(content):
            raise ValueError("a chunk reaches past the end")
    return width, height, depth > 8


def _jpeg(content: bytes) -> tuple[int, int, bool]:
    at = 2
    for _ in range(_MAX_SEGMENTS):
        at = content.index(b"\xff", at)  # decoders skip garbage between segments, too
        while content[at] == 0xFF:
            at += 1
        marker = content[at]
        at += 1
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            _, precision, height, width = struct.unpack_from(">HBHH", content, at)
            return width, height, precision > 8
        if marker not in (0x01, *range(0xD0, 0xD9)):  # those carry no length
            at += max(struct.unpack_from(">H", content, at)[0], 2)
    raise ValueError("no frame")


def _bmp(content: bytes) -> tuple[int, int, bool]:
    if struct.unpack_from("<I", content, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", content, 18)
        return width, height, False
    width, height = struct.unpack_from("<ii", content, 18)
    return width, abs(height), False


def _webp(content: bytes) -> tuple[int, int, bool]:
    kind = content[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little"), False
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", content, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), False
    if kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF, False
    raise ValueError("no frame")


def _tiff(content: bytes) -> tuple[int, int, bool]:
    order = "<" if content[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", content, 2)[0] == 43
    (first,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), content, first)
    entry, start = (20, first + 8) if big else (12, first + 2)
    if count > 4096:
        raise ValueError("too many tags")
    found = {}
    for i in range(count):
        tag, kind, items = struct.unpack_from(order + ("HHQ" if big else "HHI"), content, start + i * entry)
        at = start + i * entry + (12 if big else 8)
        if tag not in found:  # decoders take the first
            if tag == 258 and items * 2 > (8 if big else 4):  # bits of each sample, kept elsewhere
                (at,) = struct.unpack_from(order + ("Q" if big else "I"), content, at)
            found[tag] = struct.unpack_from(order + {3: "H", 4: "I", 16: "Q"}.get(kind, "I"), content, at)[0]
    if 322 in found and 323 in found and found[322] * found[323] > 256 * found[256] * found[257] + (1 << 24):
        raise ValueError("tiles larger than the picture")
    return found[256], found[257], found.get(258, 1) > 8


def _netpbm(content: bytes) -> tuple[int, int, bool]:
    head = re.sub(rb"#[^\n\r]*", b"", content[2:4096])
    if content[1:2] == b"7":
        fields = dict(re.findall(rb"(WIDTH|HEIGHT|MAXVAL)\s+(\d{1,10})\b", head))
        return int(fields[b"WIDTH"]), int(fields[b"HEIGHT"]), int(fields.get(b"MAXVAL", b"255")) > 255
    numbers = re.match(rb"\s*(\d{1,10})\s+(\d{1,10})(?:\s+(\d{1,10}))?", head)
    if numbers is None:
        raise ValueError("no size")
    real = content[1:2] in b"Ff"
    return int(numbers[1]), int(numbers[2]), real or (content[1:2] not in b"14" and int(numbers[3] or 0) > 255)


def _radiance(content: bytes) -> tuple[int, int, bool]:
    size = re.search(rb"[-+]([XY]) (\d{1,10}) [-+]([XY]) (\d{1,10})", content[:65536])
    if size is None:
        raise ValueError("no size")
    sides = {size[1]: int(size[2]), size[3]: int(size[4])}
    return sides[b"X"], sides[b"Y"], True


def _exr(content: bytes) -> tuple[int, int, bool]:
    at = content.index(b"dataWindow\0box2i\0") + 17
    _, left, top, right, bottom = struct.unpack_from("<iiiii", content, at)
    return right - left + 1, bottom - top + 1, True


def _jpeg2000(content: bytes) -> tuple[int, int, bool]:
    at = content.index(b"\xff\x4f\xff\x51")
    _, _, right, bottom, left, top, tile_w, tile_h = struct.unpack_from(">HHIIIIII", content, at + 4)
    if tile_w < 1 or tile_h < 1 or -(-right // tile_w) * -(-bottom // tile_h) > 65535:
        raise ValueError("tiles")
    return right - left, bottom - top, True  # its decoder works on four bytes a value


def _avif(content: bytes) -> tuple[int, int, bool]:
    sizes = [struct.unpack_from(">II", content, at.end() + 4) for at in re.finditer(rb"ispe", content[: 1 << 20])]
    return max(width for width, _ in sizes), max(height for _, height in sizes), True


def _sun_raster(content: bytes) -> tuple[int, int, bool]:
    width, height = struct.unpack_from(">II", content, 4)
    return width, height, False


def _gif(content: bytes) -> tuple[int, int, bool]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height, False


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(marks)


_FORMATS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], tuple[int, int, bool]]], ...] = (
    ("PNG", _starts(b"\x89PNG\r\n\x1a\n"), _png),
    ("JPEG", _starts(b"\xff\xd8\xff"), _jpeg),
    ("BMP", _starts(b"BM"), _bmp),
    ("WebP", lambda content: content[:4] == b"RIFF" and content[8:12] == b"WEBP", _webp),
    ("TIFF", _starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
    ("Netpbm", lambda content: re.match(rb"P([1-7][\s#]|[fF]\s)", content) is not None, _netpbm),
    ("Radiance", _starts(b"#?RADIANCE", b"#?RGBE"), _radiance),
    ("OpenEXR", _starts(b"\x76\x2f\x31\x01"), _exr),
    ("JPEG 2000", _starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), _jpeg2000),
    ("AVIF", lambda content: content[4:8] == b"ftyp" and content[8:12] in (b"avif", b"avis", b"mif1"), _avif),
    ("Sun raster", _starts(b"\x59\xa6\x6a\x95"), _sun_raster),
    ("GIF", _starts(b"GIF87a", b"GIF89a"), _gif),
)
