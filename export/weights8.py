"""int8 weights under float arithmetic: a quarter of the file at float32's speed.

Stands apart because TensorFlow's converter does not offer it. Its own way to int8 weights quantizes activations while
running, which leaves depthwise convolutions to slow kernels and transposed ones to a reference kernel. Here each
weight becomes int8 with a DEQUANTIZE behind it; XNNPACK carries those out once, when the file is opened, as it does
with float16 files.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unetlite.export.model_tables import is_stored, operations_of, read_model, schema, stored_values, write_model

_OUTPUT_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0, "FULLY_CONNECTED": 0}


def store_weights_as_int8(content: bytes) -> bytes:
    """A float32 flatbuffer with the weights of its convolutions in int8, one symmetric scale for each output channel.

    Args:
        content: from `convert` at float32.
    """
    tables, model = schema(), read_model(content)
    graph = model.subgraphs[0]
    operations = operations_of(model)
    opening = tables.OperatorCodeT()
    opening.builtinCode = opening.deprecatedBuiltinCode = tables.BuiltinOperator.DEQUANTIZE
    opening.version = 5  # the first with a scale for each channel
    model.operatorCodes.append(opening)
    opened: dict[int, Any] = {}
    for node, operation in zip(graph.operators, operations, strict=True):
        axis, weights = _OUTPUT_AXIS.get(operation), int(node.inputs[1]) if len(node.inputs) > 1 else -1
        if axis is None or weights in opened or not _is_float_constant(model, weights):
            continue
        opened[weights] = tables.OperatorT()
        opened[weights].opcodeIndex = len(model.operatorCodes) - 1
        opened[weights].inputs, opened[weights].outputs = [_int8_twin(model, weights, axis)], [weights]
        graph.tensors[weights].buffer = 0  # the one without content
    graph.operators = [*opened.values(), *graph.operators]
    used = {tensor.buffer for tensor in graph.tensors} | {entry.buffer for entry in model.metadata or []}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None
    return write_model(model)


def _is_float_constant(model: Any, tensor: int) -> bool:
    return model.subgraphs[0].tensors[tensor].type == schema().TensorType.FLOAT32 and is_stored(model, tensor)


def _int8_twin(model: Any, tensor: int, axis: int) -> int:
    """The number of a new constant with the same values in int8."""
    tables, graph = schema(), model.subgraphs[0]
    old = graph.tensors[tensor]
    values = stored_values(model, tensor)
    others = tuple(other for other in range(values.ndim) if other != axis)
    scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127.0, 1e-12).astype(np.float32)
    buffer, twin = tables.BufferT(), tables.TensorT()
    buffer.data = np.rint(values / scale).astype(np.int8).view(np.uint8).ravel()
    model.buffers.append(buffer)
    twin.shape, twin.shapeSignature, twin.hasRank = old.shape, old.shapeSignature, True
    twin.name, twin.type, twin.buffer = old.name + b"_int8", tables.TensorType.INT8, len(model.buffers) - 1
    twin.quantization = tables.QuantizationParametersT()
    twin.quantization.scale, twin.quantization.zeroPoint = scale.ravel(), np.zeros(scale.size, np.int64)
    twin.quantization.quantizedDimension = axis
    graph.tensors.append(twin)
    return len(graph.tensors) - 1
