"""Decode a picture in a process of its own, which it may end.

Stands apart because OpenCV's decoders of some rare formats follow a damaged file out of their memory; starting a
process is worth it there, and nowhere else.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys

import cv2
import numpy as np

from unetlite.vision.errors import ImageError

MAX_SECONDS = 8  # of processor time
_WALL_SECONDS = 60.0  # a busy machine lets it wait
MAX_BYTES = 1 << 30  # of memory beyond Python's, NumPy's and OpenCV's own


def decode_apart(content: bytes, flags: int, where: str) -> np.ndarray | None:
    """As `cv2.imdecode`.

    Raises:
        ImageError: the decoder ended its process, or did not end.
    """
    command = [sys.executable, "-m", "unetlite.vision.decode_apart", str(flags)]
    try:
        result = subprocess.run(
            command,
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_WALL_SECONDS,
            check=False,
            cwd="/",  # -m looks for modules where it runs: not in a folder of a stranger's files
        )
    except subprocess.TimeoutExpired as error:
        raise ImageError(
            f"{where}: expected a picture, got one that was not decoded within {_WALL_SECONDS:g} s; save it as PNG"
        ) from error
    head, _, pixels = result.stdout.partition(b"\n")
    if result.returncode != 0 or not head:
        raise ImageError(
            f"{where}: expected a picture, got one that its decoder cannot cope with; it is damaged, or save it as PNG"
        )
    shape, dtype = json.loads(head)
    if shape is None:
        return None
    whole = np.frombuffer(pixels, np.dtype(dtype), math.prod(shape))
    return whole.reshape(shape).copy()  # writable, as a decoder gives it


def main() -> None:
    """Decode what is on stdin; on stdout shape and type in one line, then the pixels."""
    import os

    from unetlite.vision.limits import limit_process

    limit_process(more_bytes=MAX_BYTES, more_seconds=MAX_SECONDS)
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # decoders print
    try:
        pixels = cv2.imdecode(np.frombuffer(sys.stdin.buffer.read(), np.uint8), int(sys.argv[1]))
    except (cv2.error, MemoryError):
        pixels = None
    told = (None, "") if pixels is None else (pixels.shape, pixels.dtype.str)
    answer.write(json.dumps(told).encode() + b"\n")
    if pixels is not None:
        answer.write(np.ascontiguousarray(pixels).data)
    answer.flush()
    os._exit(0)  # what the decoder left behind may not bear an orderly end


if __name__ == "__main__":
    main()
