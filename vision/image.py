"""Pictures in and out of files: always uint8 RGB, upright, whole.

Stands apart because every decoder quirk (channel order, EXIF, bit depth, truncated files) is mended here once.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from unetlite.vision.decode_apart import decode_apart
from unetlite.vision.errors import ImageError, OutputError
from unetlite.vision.files import write_bytes
from unetlite.vision.picture_header import HeaderError, PictureHeader, read_header

RgbImage = np.ndarray  # (H, W, 3) uint8, RGB

IMAGE_SUFFIXES = frozenset(
    [".bmp", ".dib", ".jpeg", ".jpg", ".jpe", ".jp2", ".png", ".webp", ".avif"]
    + [".pbm", ".pgm", ".ppm", ".pnm", ".tif", ".tiff", ".exr", ".hdr", ".pic"]
)
# What a picture may claim before a decoder is given it; with these, reading one takes less than 1 GB.
MAX_PIXELS = 50_000_000  # the largest usual phone cameras give 48 million
MAX_DEEP_PIXELS = 12_000_000  # where values take two bytes and more, and decoders four to sixteen
MAX_SIDE = 65_500
MAX_FILE_BYTES = 256 << 20
_ROWS = 256


def is_image_path(path: Path) -> bool:
    """Whether the suffix is one of a picture that OpenCV may read; hidden files are what a killed writer left."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: Path) -> RgbImage:
    """Read a picture as it is meant to be seen.

    Any format and bit depth that OpenCV decodes; grey becomes RGB, alpha is dropped, deeper than 8 bits is
    scaled down from the full range of its type (float pictures from 0..1), EXIF orientation is applied.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ImageError: no such file, or empty, truncated, or no picture.
    """
    return decode_image(_read_file(Path(path)), path)


def decode_image(content: bytes, path: Path) -> RgbImage:
    """`read_image` of a file's bytes; `path` is what an error calls them. Raises ImageError."""
    pixels = _decode(path, content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if pixels is None:  # OpenCV 4.11 gives up on one-channel float TIFFs unless asked for what is there
        pixels = _decode(path, content, cv2.IMREAD_UNCHANGED)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels is not None and pixels.ndim == 2 else None
    if pixels is None:
        raise ImageError(f"{path}: expected a picture, got {len(content)} bytes that no decoder takes; check the file")
    return cv2.cvtColor(_to_uint8(pixels), cv2.COLOR_BGR2RGB)


def read_levels(path: Path) -> np.ndarray:
    """Read a picture whose values mean something by themselves (a mask): one channel, nothing scaled.

    Returns:
        (H, W) uint8 or uint16: the first channel where there are several, upright as `read_image` has it.

    Raises:
        ImageError: as `read_image`.
    """
    return decode_levels(_read_file(Path(path)), path)


def decode_levels(content: bytes, path: Path) -> np.ndarray:
    """`read_levels` of a file's bytes; `path` is what an error calls them. Raises ImageError."""
    pixels = _decode(path, content, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageError(f"{path}: expected a mask picture, got {len(content)} bytes that no decoder takes")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: expected a mask of whole numbers (8 or 16 bits), got {pixels.dtype}; save it as PNG")
    return pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., 0])


def _read_file(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise ImageError(f"{path}: expected a picture, but there is no such file; check the path") from error
    except OSError as error:
        raise ImageError(f"{path}: could not be read: {error.strerror}; check the path and its permissions") from error
    except ValueError as error:  # a path with a NUL in it
        raise ImageError(f"{str(path)!r}: expected the path of a picture, got {error}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ImageError(f"{path}: expected a picture of up to {MAX_FILE_BYTES >> 20} MiB, got a larger file")
    return content


def _check_whole(path: Path, content: bytes) -> PictureHeader:
    """Refuse what is no picture, claims to be a larger one than is read, or ends early. Raises ImageError."""
    if not content:
        raise ImageError(f"{path}: expected a picture, got an empty file; copy it again")
    try:
        header = read_header(content)
    except HeaderError as error:
        raise ImageError(f"{path}: expected a whole picture, got {error}; it is truncated or damaged") from error
    if header is None:
        raise ImageError(f"{path}: expected a picture, got {len(content)} bytes that no decoder takes; check the file")
    width, height = header.size_wh
    most = MAX_DEEP_PIXELS if header.deep else MAX_PIXELS
    if width * height > most or max(width, height) > MAX_SIDE:
        raise ImageError(
            f"{path}: expected a picture of up to {most // 10**6} million pixels"
            f"{' (16 bits and more a value)' if header.deep else ''} and sides up to {MAX_SIDE}, got a {header.name} "
            f"of {width}x{height}; make it smaller"
        )
    # Decoders fill what is missing with grey and say nothing, so the end marks are looked for here.
    truncated = (content.startswith(b"\x89PNG") and b"IEND" not in content[-64:]) or (
        content.startswith(b"\xff\xd8\xff") and b"\xff\xd9" not in content
    )
    if truncated:
        raise ImageError(f"{path}: expected a whole picture, got a truncated one ({len(content)} bytes); copy it again")
    return header


def _decode(path: Path, content: bytes, flags: int) -> np.ndarray | None:
    header = _check_whole(path, content)
    if header.fragile:
        return decode_apart(content, flags, str(path))
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        reason = getattr(error, "err", None) or "out of memory"
        raise ImageError(f"{path}: expected a picture, got one that cannot be decoded ({reason})") from error


def _to_uint8(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    result = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), _ROWS):  # a whole copy in float64 would take more memory than the decoder
        rows = slice(start, start + _ROWS)
        result[rows] = _rows_to_uint8(pixels[rows])
    return result


def _rows_to_uint8(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint16:
        return (pixels >> 8).astype(np.uint8)
    if np.issubdtype(pixels.dtype, np.floating):
        return (np.clip(np.nan_to_num(pixels), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    span = np.iinfo(pixels.dtype)
    return ((pixels.astype(np.float64) - span.min) * (255.0 / (span.max - span.min))).astype(np.uint8)


def encode_png(image: np.ndarray) -> bytes:
    """The bytes that `write_image` gives a .png file: (H, W, 3) uint8 RGB or (H, W) uint8."""
    return _encode(Path("picture.png"), image, 0)


def write_image(path: Path, image: np.ndarray, *, jpeg_quality: int = 95, overwrite: bool = True) -> None:
    """Write a picture atomically, in the format of the suffix.

    Args:
        path: the file; its folder is made.
        image: (H, W, 3) uint8 RGB, or (H, W) uint8 or bool (bool becomes 0 and 255).
        jpeg_quality: 1..100, for JPEG alone.
        overwrite: replace a file that exists.

    Raises:
        OutputError: a suffix that OpenCV cannot write, a file that exists, a full disk.
    """
    write_bytes(Path(path), _encode(Path(path), image, jpeg_quality), overwrite=overwrite)


def _encode(path: Path, image: np.ndarray, jpeg_quality: int) -> bytes:
    if image.dtype == np.bool_:
        image = image.astype(np.uint8) * 255
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        written, encoded = cv2.imencode(path.suffix, pixels, options)
    except cv2.error as error:
        raise OutputError(f"{path}: no writer for pictures named '*{path.suffix}'; use .png or .jpg") from error
    if not written:
        raise OutputError(f"{path}: the picture could not be encoded as '{path.suffix}'; use .png or .jpg")
    return encoded.tobytes()
