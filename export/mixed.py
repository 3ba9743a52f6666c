"""Full-integer quantization layer by layer: one calibration, then files in which some layers stay in float.

Stands apart from `convert` because it takes TensorFlow's quantizer by itself: the ranges are learned once, and each
further file costs some hundredths of a second, so that a network's layers can be tried one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unetlite.export.convert import make_converter, run_converter
from unetlite.export.levels import LEVELS
from unetlite.export.model_tables import operations_of, read_model, schema, write_model
from unetlite.export.quiet import hushed
from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import ExportError, SettingsError

KINDS = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "TRANSPOSE_CONV": "transposed",
    "FULLY_CONNECTED": "dense",
    "MAX_POOL_2D": "pool",
    "AVERAGE_POOL_2D": "pool",
    "RESIZE_BILINEAR": "resize",
    "RESIZE_NEAREST_NEIGHBOR": "resize",
    "CONCATENATION": "concat",
    "LOGISTIC": "sigmoid",
}


@dataclass(frozen=True)
class Layer:
    """One operation of the network as TFLite runs it.

    Attributes:
        name: kind and number in order of execution, as `conv3`: the same for each conversion of one network, which
            TensorFlow's own names are not.
        operation: TFLite's.
        tensor: TensorFlow's name of its output.
        shape: of its output, (1, h, w, channels).
    """

    name: str
    operation: str
    tensor: str
    shape: tuple[int, ...]


def calibrate(network: Any, spec: InputSpec, pixels: Sequence[np.ndarray]) -> bytes:
    """The network in float with the range of each tensor, for `quantize`.

    Args:
        network: from `keras_model.fixed_batch`.
        spec: the contract's input.
        pixels: the representative pictures, (h, w, 3) uint8 RGB each.

    Raises:
        ExportError: the converter refused.
    """
    converter = make_converter(network, LEVELS["int8"], spec, pixels)
    converter._experimental_calibrate_only = True  # as tf.lite.experimental.QuantizationDebugger does
    return run_converter(converter, "int8")


def layers_of(calibrated: bytes) -> tuple[Layer, ...]:
    """The layers of a calibrated network in order of execution."""
    model = read_model(calibrated)
    graph = model.subgraphs[0]
    seen: Counter[str] = Counter()
    layers = []
    for node, operation in zip(graph.operators, operations_of(model), strict=True):
        kind = KINDS.get(operation, operation.lower().replace("_", "-"))
        seen[kind] += 1
        tensor = graph.tensors[node.outputs[0]]
        layers.append(Layer(f"{kind}{seen[kind]}", operation, tensor.name.decode(), tuple(map(int, tensor.shape))))
    return tuple(layers)


def layers_named(layers: Iterable[Layer], names: Iterable[str]) -> tuple[Layer, ...]:
    """The layers of these names, in order of execution. Raises SettingsError for a name that is not among them."""
    layers, wanted = tuple(layers), set(names)
    unknown = sorted(wanted - {layer.name for layer in layers})
    if unknown:
        raise SettingsError(
            f"--keep-float {' '.join(unknown)}: expected layers of this network, which are "
            f"{', '.join(layer.name for layer in layers)}"
        )
    return tuple(layer for layer in layers if layer.name in wanted)


def quantize(calibrated: bytes, in_float: Collection[Layer] = ()) -> bytes:
    """A full-integer file with uint8 ends, some of its layers left in float.

    Args:
        calibrated: from `calibrate`.
        in_float: layers that keep float weights and arithmetic; their neighbours' ends are converted between.

    Returns:
        A TFLite flatbuffer. Without float layers it answers bit for bit as `convert` at int8.

    Raises:
        ExportError: the quantizer refused.
    """
    return _with_uint8_ends(_quantized(calibrated, in_float))


def quantize_to_verify(calibrated: bytes, *, along: bool) -> bytes:
    """An int8 file that also holds each layer in float, with a NumericVerify operation that subtracts the two.

    Args:
        calibrated: from `calibrate`.
        along: whether the float layers are fed by float layers, so that errors add up along the network; otherwise by
            what the int8 layer before gives, so that each layer's own error shows.
    """
    return _quantized(calibrated, (), enable_numeric_verify=True, enable_whole_model_verify=along)


def _quantized(calibrated: bytes, in_float: Collection[Layer], **options: bool) -> bytes:
    # What tf.lite.experimental.QuantizationDebugger calls; by itself it would build a second, verifying file each
    # time, and refuse one that has no quantized layer.
    from tensorflow.lite.python import convert

    with hushed():
        try:
            return bytes(
                convert.mlir_quantize(
                    calibrated, fully_quantize=True, denylisted_nodes=[layer.tensor for layer in in_float], **options
                )
            )
        except Exception as error:  # ConverterError, RuntimeError, ValueError
            failure = " ".join(str(error).split())[:300]
    raise ExportError(
        f"int8: TensorFlow's quantizer refused this network with {', '.join(layer.name for layer in in_float) or 'no'} "
        f"layers in float: {failure}; keep others in float"
    )


def _with_uint8_ends(content: bytes) -> bytes:
    """The same model with a QUANTIZE from uint8 to int8 at its input and back at its output."""
    tables, model = schema(), read_model(content)
    graph = model.subgraphs[0]
    code = tables.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = tables.BuiltinOperator.QUANTIZE
    code.version = 2  # the first that takes uint8
    model.operatorCodes.append(code)

    def shifted(tensor: Any, name: bytes) -> int:
        twin = tables.TensorT()
        twin.shape, twin.shapeSignature, twin.name = tensor.shape, tensor.shapeSignature, name
        twin.type, twin.buffer, twin.hasRank = tables.TensorType.UINT8, 0, True
        twin.quantization = tables.QuantizationParametersT()
        twin.quantization.scale = tensor.quantization.scale
        twin.quantization.zeroPoint = [int(point) + 128 for point in tensor.quantization.zeroPoint]
        graph.tensors.append(twin)
        return len(graph.tensors) - 1

    def requantize(source: int, target: int) -> Any:
        node = tables.OperatorT()
        node.opcodeIndex = len(model.operatorCodes) - 1
        node.inputs, node.outputs = [source], [target]
        node.builtinOptionsType, node.builtinOptions = tables.BuiltinOptions.QuantizeOptions, tables.QuantizeOptionsT()
        return node

    given, answer = int(graph.inputs[0]), int(graph.outputs[0])
    first, last = (shifted(graph.tensors[i], name) for i, name in ((given, b"image"), (answer, b"probability")))
    graph.operators = [requantize(first, given), *graph.operators, requantize(answer, last)]
    graph.inputs, graph.outputs = [first], [last]
    for signature in model.signatureDefs or []:
        signature.inputs[0].tensorIndex, signature.outputs[0].tensorIndex = first, last
    return write_model(model)
