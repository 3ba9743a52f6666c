"""A small FlatBuffers reader that never leaves the buffer.

Stands apart because a device has no FlatBuffers package for certain, and because tflite-runtime maps a model without
verifying it: a truncated or damaged file would end the process with a signal instead of an error.

Source: FlatBuffers internals, https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from unetlite.vision.errors import ModelError

_MAX_ITEMS = 1 << 17  # of one vector of tables; a large network has some thousand tensors


class Table:
    """One table of a FlatBuffer; every read is checked against the buffer's end.

    Every method that reads raises ModelError where an offset or a length points outside; `where` names the file.
    """

    __slots__ = ("_buffer", "_fields", "_position", "_where")

    def __init__(self, buffer: bytes, position: int, where: str) -> None:
        self._buffer, self._position, self._where = buffer, position, where
        names = position - self._number("<i", position)  # of the table that says where each field lies
        size, own_size = self._number("<H", names), self._number("<H", names + 2)
        if position % 4 or size < 4 or size % 2 or names + size > len(buffer) or position + own_size > len(buffer):
            raise self._damaged()
        self._fields = struct.unpack_from(f"<{size // 2 - 2}H", buffer, names + 4)
        if any(offset >= own_size for offset in self._fields):  # native readers take what lies there unasked
            raise self._damaged()

    @classmethod
    def root(cls, buffer: bytes, where: str) -> Table:
        """The table that the buffer's first offset names."""
        if len(buffer) < 8:
            raise ModelError(f"{where}: expected a flatbuffer, got {len(buffer)} bytes; copy the file again")
        return cls(buffer, struct.unpack_from("<I", buffer)[0], where)

    def scalar(self, field: int, kind: str, default: float = 0) -> Any:
        """A number of struct format `kind`, `default` where the field is absent."""
        at = self._at(field)
        return default if at is None else self._number("<" + kind, at)

    def table(self, field: int) -> Table | None:
        """The table that a field points to, or None."""
        at = self._at(field)
        return None if at is None else Table(self._buffer, at + self._number("<I", at), self._where)

    def tables(self, field: int) -> list[Table]:
        """The tables of a vector; empty where the field is absent."""
        start, count = self._vector(field, 4)
        if count > _MAX_ITEMS:
            raise self._damaged()
        ends = (start + 4 * i for i in range(count))
        return [Table(self._buffer, at + self._number("<I", at), self._where) for at in ends]

    def array(self, field: int, dtype: str) -> np.ndarray:
        """A vector of numbers as a read-only (N,) array; empty where the field is absent."""
        kind = np.dtype(dtype)
        start, count = self._vector(field, kind.itemsize)
        return np.frombuffer(self._buffer, kind, count, start) if count else np.zeros(0, kind)

    def text(self, field: int) -> str:
        """A string; empty where the field is absent."""
        start, count = self._vector(field, 1)
        return self._buffer[start : start + count].decode("utf-8", "replace")

    def _at(self, field: int) -> int | None:
        offset = self._fields[field] if field < len(self._fields) else 0
        return self._position + offset if offset else None

    def _vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        at = self._at(field)
        if at is None:
            return 0, 0
        start = at + self._number("<I", at)
        count = self._number("<I", start)
        if start % min(item_bytes, 4) or start + 4 + count * item_bytes > len(self._buffer):
            raise self._damaged()
        return start + 4, count

    def _number(self, kind: str, at: int) -> Any:
        if at < 0 or at + struct.calcsize(kind) > len(self._buffer):
            raise self._damaged()
        return struct.unpack_from(kind, self._buffer, at)[0]

    def _damaged(self) -> ModelError:
        return ModelError(
            f"{self._where}: expected a whole TFLite model, but its parts point outside its {len(self._buffer)} "
            f"bytes; the file is truncated or damaged, copy it again"
        )
