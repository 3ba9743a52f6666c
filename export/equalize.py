"""Channels evened out between a depthwise convolution and the convolution after it, before anything is quantized.

Stands apart because it changes weights without changing the network: nothing but a sum lies between the two, so a
channel may leave the first divided by any number that the second multiplies it by. The tensor between them has one
scale for all channels at int8, and weak channels would drown in the steps of strong ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from unetlite.export.model_tables import is_stored, operations_of, read_model, schema, stored_values, write_model
from unetlite.vision.contract import InputSpec
from unetlite.vision.preprocess import to_real

LOOKED_AT = 64  # pictures, spread over the set: a channel's largest value hardly moves with more
_LEAST = 1e-3  # of the strongest channel: a dead one is not raised beyond


def equalize(calibrated: bytes, spec: InputSpec, pixels: Sequence[np.ndarray]) -> bytes:
    """The same network in float, its depthwise channels of more even size, their ranges set anew.

    Each channel is divided by the root of its range over the range of the weights that read it, so that neither the
    tensor nor those weights pay for the other's.

    Args:
        calibrated: from `mixed.calibrate`.
        spec: the contract's input.
        pixels: the representative pictures, (h, w, 3) uint8 RGB each.

    Returns:
        A network for `mixed.quantize`; `calibrated` itself where no depthwise convolution feeds another alone.

    Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (2019),
        arXiv:1906.04721, section 4.1; with measured ranges in place of the first weights', which have a scale a
        channel here.
    """
    model = read_model(calibrated)
    graph = model.subgraphs[0]
    pairs = _pairs(model)
    if not pairs:
        return calibrated
    ranges = _channel_ranges(calibrated, [int(first.outputs[0]) for first, _ in pairs], spec, pixels)
    for first, second in pairs:
        between = int(first.outputs[0])
        low, high = ranges[between]
        weights = stored_values(model, int(second.inputs[1]))  # (out, 1, 1, in)
        reach = np.maximum(np.maximum(-low, high), 1e-9)
        ratio = np.sqrt(reach / np.maximum(np.abs(weights).max(axis=(0, 1, 2)), 1e-9))
        ratio = np.maximum(ratio / ratio.max(), _LEAST)
        _set_input(model, first, 1, stored_values(model, int(first.inputs[1])) / ratio)
        _set_input(model, first, 2, stored_values(model, int(first.inputs[2])) / ratio)
        _set_input(model, second, 1, weights * ratio)
        limits = graph.tensors[between].quantization
        limits.min = np.array([(low / ratio).min()], np.float32)
        limits.max = np.array([(high / ratio).max()], np.float32)
    return write_model(model)


def _pairs(model: Any) -> list[tuple[Any, Any]]:
    """Depthwise convolutions without an activation, each with the convolution that alone reads it."""
    graph = model.subgraphs[0]
    readers = Counter(int(tensor) for node in graph.operators for tensor in node.inputs)
    readers.update(int(tensor) for tensor in graph.outputs)
    steps = list(zip(graph.operators, operations_of(model), strict=True))
    by_input = {int(node.inputs[0]): (node, operation) for node, operation in steps}
    found = []
    for node, operation in steps:
        if operation != "DEPTHWISE_CONV_2D" or node.builtinOptions.fusedActivationFunction:
            continue
        after, reader = by_input.get(int(node.outputs[0]), (None, None))
        if after is None or readers[int(node.outputs[0])] > 1 or reader != "CONV_2D":
            continue
        channels = graph.tensors[int(node.outputs[0])].shape[-1]
        constants = [*map(int, node.inputs[1:3]), int(after.inputs[1])]
        known = len(constants) == 3 and all(is_stored(model, tensor) for tensor in constants)
        if known and graph.tensors[constants[2]].shape[-1] == channels:  # fewer in a grouped convolution
            found.append((node, after))
    return found


def _channel_ranges(
    calibrated: bytes, tensors: Sequence[int], spec: InputSpec, pixels: Sequence[np.ndarray]
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Lowest and highest value of each channel, zero included, by tensor."""
    interpreter = open_with_all_tensors(calibrated)
    given = interpreter.get_input_details()[0]["index"]
    ranges: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for i in np.unique(np.linspace(0, len(pixels) - 1, LOOKED_AT).round().astype(int)):
        interpreter.set_tensor(given, to_real(pixels[i], spec)[np.newaxis])
        interpreter.invoke()
        for tensor in tensors:
            values = interpreter.get_tensor(tensor)
            low, high = ranges.get(tensor, (np.float32(0), np.float32(0)))
            ranges[tensor] = np.minimum(low, values.min(axis=(0, 1, 2))), np.maximum(high, values.max(axis=(0, 1, 2)))
    return ranges


def open_with_all_tensors(content: bytes) -> Any:
    """An interpreter that keeps every tensor: a delegate would keep what lies between its operations to itself."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return interpreter


def _set_input(model: Any, node: Any, place: int, values: np.ndarray) -> None:
    """Give one operation a constant of its own: the converter shares equal ones."""
    tables, graph = schema(), model.subgraphs[0]
    old, new, buffer = graph.tensors[int(node.inputs[place])], tables.TensorT(), tables.BufferT()
    buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
    model.buffers.append(buffer)
    new.shape, new.shapeSignature, new.type, new.hasRank = old.shape, old.shapeSignature, old.type, old.hasRank
    new.name, new.buffer = b"equalized%d" % len(graph.tensors), len(model.buffers) - 1
    new.quantization = tables.QuantizationParametersT()
    graph.tensors.append(new)
    node.inputs = np.array([*node.inputs[:place], len(graph.tensors) - 1, *node.inputs[place + 1 :]], np.int32)
