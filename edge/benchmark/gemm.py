"""A one-layer `.tflite` model that is nothing but a matrix product, made byte by byte.

Stands apart because a device's peak must be measured through the runtime that also runs the real models, and a
device has no TensorFlow to convert such a model with.

Source: FlatBuffers internals, https://flatbuffers.dev/internals/ ; TensorFlow Lite's schema.fbs, version 3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

SIDE = 48  # of the picture: 2,304 rows of the product
CHANNELS = 256  # in and out: int8 weights fill 64 kB, float32 ones 256 kB, within any device's caches
GEMM_MACS = SIDE * SIDE * CHANNELS * CHANNELS
DTYPES = ("float32", "int8")

_CONV_2D = 3
_CONV_2D_OPTIONS = 1
_TENSOR_TYPES = {"float32": 0, "int32": 2, "int8": 9}
_OPERATOR_VERSION = {"float32": 1, "int8": 3}

_Fields = Mapping[int, Any]  # number of the field in schema.fbs to its value


def gemm_model(dtype: str) -> bytes:
    """A 1x1 convolution of `GEMM_MACS` multiplications, random weights.

    Args:
        dtype: "float32" or "int8", of input, weights and output.
    """
    rng = np.random.default_rng(1)
    if dtype == "int8":
        weights, bias = rng.integers(-127, 128, (CHANNELS, CHANNELS), np.int8), np.zeros(CHANNELS, np.int32)
        scales = (0.01, 0.01, 0.0001, 0.1)  # input, weights, bias (the two's product), output
    else:
        weights = rng.standard_normal((CHANNELS, CHANNELS)).astype(np.float32)
        bias, scales = np.zeros(CHANNELS, np.float32), (0.0, 0.0, 0.0, 0.0)
    picture, kernel = (1, SIDE, SIDE, CHANNELS), (CHANNELS, 1, 1, CHANNELS)
    tensors = [
        _tensor("input", picture, dtype, 0, scales[0]),
        _tensor("weights", kernel, dtype, 1, scales[1]),
        _tensor("bias", (CHANNELS,), bias.dtype.name, 2, scales[2]),
        _tensor("output", picture, dtype, 0, scales[3]),
    ]
    convolution = {
        1: np.array([0, 1, 2], np.int32),
        2: np.array([3], np.int32),
        3: struct.pack("<B", _CONV_2D_OPTIONS),
        4: {1: struct.pack("<i", 1), 2: struct.pack("<i", 1)},  # strides
    }
    graph = {0: tensors, 1: np.array([0], np.int32), 2: np.array([3], np.int32), 3: [convolution]}
    code = {0: struct.pack("<b", _CONV_2D), 2: struct.pack("<i", _OPERATOR_VERSION[dtype])}
    buffers: list[_Fields] = [{}, {0: weights.view(np.uint8).ravel()}, {0: bias.view(np.uint8)}]
    return _flatbuffer({0: struct.pack("<I", 3), 1: [code], 2: [graph], 4: buffers})


def _tensor(name: str, shape: tuple[int, ...], dtype: str, buffer: int, scale: float) -> _Fields:
    fields: dict[int, Any] = {
        0: np.array(shape, np.int32),
        1: struct.pack("<B", _TENSOR_TYPES[dtype]),
        2: struct.pack("<I", buffer),
        3: np.frombuffer(name.encode() + b"\0", np.uint8),
    }
    if scale:
        fields[4] = {2: np.array([scale], np.float32), 3: np.zeros(1, np.int64)}
    return fields


def _flatbuffer(root: _Fields) -> bytes:
    """A whole buffer with TFLite's file identifier."""
    out = bytearray(b"\0\0\0\0TFL3")
    position = _append_table(out, root)
    struct.pack_into("<I", out, 0, position)
    return bytes(out)


def _append_table(out: bytearray, fields: _Fields) -> int:
    """Write a table and, behind it, all that it points to; every field takes four bytes, bytes are numbers as such."""
    slots = sorted(fields)
    count = slots[-1] + 1 if slots else 0
    _pad(out, 4)
    vtable = len(out)
    out += struct.pack("<HH", 4 + 2 * count, 4 + 4 * len(slots))
    out += struct.pack(f"<{count}H", *(4 + 4 * slots.index(i) if i in fields else 0 for i in range(count)))
    _pad(out, 4)
    table = len(out)
    out += struct.pack("<i", table - vtable) + bytes(4 * len(slots))
    for place, slot in enumerate(slots):
        value, at = fields[slot], table + 4 + 4 * place
        if isinstance(value, bytes):
            out[at : at + len(value)] = value
        else:
            struct.pack_into("<I", out, at, _append(out, value) - at)
    return table


def _append(out: bytearray, value: Any) -> int:
    """Write a table, a vector of tables or a vector of numbers, and tell where it begins."""
    if isinstance(value, Mapping):
        return _append_table(out, value)
    if isinstance(value, list):
        _pad(out, 4)
        start = len(out)
        out += struct.pack("<I", len(value)) + bytes(4 * len(value))
        for i, item in enumerate(value):
            at = start + 4 + 4 * i
            struct.pack_into("<I", out, at, _append_table(out, item) - at)
        return start
    _pad(out, 16, ahead=4)  # weights must lie on 16 bytes, behind their length
    start = len(out)
    # A string's length leaves out the zero that ends it.
    text = value.dtype == np.uint8 and len(value) < 16
    out += struct.pack("<I", len(value) - text) + value.tobytes()
    return start


def _pad(out: bytearray, to: int, ahead: int = 0) -> None:
    out += bytes(-(len(out) + ahead) % to)
