"""How this process's memory is given back.

Stands apart because it is a word to the C library, and nothing where that is not glibc.

Source: mallopt(3).
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
_FRAME_BYTES = 1 << 20  # frames are larger, all else is smaller


def give_frames_back() -> None:
    """Return each frame's memory to the system as soon as it is free; for a program that runs for months.

    Left alone, glibc keeps freed frames for later, in a heap of its own for each thread that made some. To be called
    before the threads start.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _FRAME_BYTES)
        mallopt(_ARENA_MAX, 1)
