"""A small FlatBuffers reader that never leaves the buffer.

Stands apart because a device has no FlatBuffers package for certain, and because tflite-runtime maps a model without
verifying it: a truncated or damaged file would end the process with a signal instead of an error.

Source: FlatBuffers internals, https://flatbuffers.dev/internals/ ; TensorFlow Lite's schema.fbs, version 3.
"""

from __future__ import annotations

import struct

import numpy as np

from unetlite.vision.errors import ModelError

_MAX_ITEMS = 1 << 17  # of one vector of tables; a large network has some thousand tensors

# Field numbers of schema.fbs.
_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_SUBGRAPH_TENSORS, _SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _SUBGRAPH_OPERATORS = 0, 1, 2, 3
_TENSOR_SHAPE, _TENSOR_BUFFER, _TENSOR_NAME = 0, 2, 3
_OPERATOR_CODE_INDEX, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2


class Table:
    """One table of a FlatBuffer; every read is checked against the buffer's end.

    Every method that reads raises ModelError where an offset or a length points outside; `where` names the file.
    """

    __slots__ = ("_buffer", "_fields", "_position", "_where")

    def __init__(self, buffer: bytes, position: int, where: str) -> None:
        self._buffer, self._position, self._where = buffer, position, where
        table_start = position - self._number("<i", position)
        size = self._number("<H", table_start)
        if size < 4 or size % 2 or table_start + size > len(buffer):
            raise self._damaged()
        self._fields = struct.unpack_from(f"<{size // 2 - 2}H", buffer, table_start + 4)

    @classmethod
    def root(cls, buffer: bytes, where: str) -> Table:
        """The table that the buffer's first offset names."""
        if len(buffer) < 8:
            raise ModelError(f"{where}: expected a flatbuffer, got {len(buffer)} bytes; copy the file again")
        return cls(buffer, struct.unpack_from("<I", buffer)[0], where)

    def scalar(self, field: int, kind: str, default: int = 0) -> int:
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
        if start + 4 + count * item_bytes > len(self._buffer):
            raise self._damaged()
        return start + 4, count

    def _number(self, kind: str, at: int) -> int:
        if at < 0 or at + struct.calcsize(kind) > len(self._buffer):
            raise self._damaged()
        return struct.unpack_from(kind, self._buffer, at)[0]

    def _damaged(self) -> ModelError:
        return ModelError(
            f"{self._where}: expected a whole TFLite model, but its parts point outside its {len(self._buffer)} "
            f"bytes; the file is truncated or damaged, copy it again"
        )


def check_model_structure(content: bytes, where: str) -> None:
    """Walk a model's tables: all tensors, operators and weights must lie inside the file and name each other.

    Args:
        content: the bytes of a `.tflite` file.
        where: what to call it in an error.

    Raises:
        ModelError: truncated or damaged.
    """
    model = Table.root(content, where)
    buffers = model.tables(_MODEL_BUFFERS)
    for buffer in buffers:
        buffer.array(_BUFFER_DATA, "u1")
        # Models over 2 GB keep weights behind the flatbuffer, by offset and size.
        if buffer.scalar(_BUFFER_OFFSET, "Q") + buffer.scalar(_BUFFER_SIZE, "Q") > len(content):
            raise ModelError(f"{where}: expected weights inside the file, got an offset beyond it; copy it again")
    codes = len(model.tables(_MODEL_OPERATOR_CODES))
    subgraphs = model.tables(_MODEL_SUBGRAPHS)
    if not subgraphs:
        raise ModelError(f"{where}: expected a TFLite model with a graph, got none; export it again")
    for subgraph in subgraphs:
        tensors = subgraph.tables(_SUBGRAPH_TENSORS)
        for tensor in tensors:
            tensor.array(_TENSOR_SHAPE, "<i4")
            tensor.text(_TENSOR_NAME)
            _check_indices(np.array([tensor.scalar(_TENSOR_BUFFER, "I")]), len(buffers), "buffer", where)
        for field in (_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS):
            _check_indices(subgraph.array(field, "<i4"), len(tensors), "tensor", where)
        for node in subgraph.tables(_SUBGRAPH_OPERATORS):
            _check_indices(np.array([node.scalar(_OPERATOR_CODE_INDEX, "I")]), codes, "operator code", where)
            for field in (_OPERATOR_INPUTS, _OPERATOR_OUTPUTS):
                _check_indices(node.array(field, "<i4"), len(tensors), "tensor", where)


def _check_indices(indices: np.ndarray, count: int, what: str, where: str) -> None:
    if len(indices) and (int(indices.max()) >= count or int(indices.min()) < -1):  # -1: an optional tensor left out
        raise ModelError(
            f"{where}: expected {what} numbers below {count}, got {int(indices.max())}; the file is damaged, "
            f"copy it again"
        )
