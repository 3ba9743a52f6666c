"""From a Keras network to the bytes of a `.tflite` file at one level, and proof that the bytes keep the contract.

Stands apart because it is the one place that calls TensorFlow's converter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unetlite.export.levels import Level
from unetlite.export.quiet import hushed
from unetlite.vision.contract import Contract, InputSpec
from unetlite.vision.errors import ExportError
from unetlite.vision.preprocess import to_real


def convert(network: Any, level: Level, spec: InputSpec, pixels: Sequence[np.ndarray] = ()) -> bytes:
    """Convert a network at one level.

    Args:
        network: from `keras_model.fixed_batch`.
        level: a row of `levels.LEVELS`.
        spec: the contract's input.
        pixels: the representative pictures, (h, w, 3) uint8 RGB each, for a calibrated level.

    Returns:
        A TFLite flatbuffer without metadata. Equal arguments give equal bytes.

    Raises:
        ExportError: the converter refused.
    """
    return run_converter(make_converter(network, level, spec, pixels), level.name)


def make_converter(network: Any, level: Level, spec: InputSpec, pixels: Sequence[np.ndarray] = ()) -> Any:
    """TensorFlow's converter with all that a level asks of it; arguments as `convert`."""
    import tensorflow as tf

    # from_keras_model alone: from_concrete_functions writes variable handles without weights for Keras 3 models.
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, level.operators)]
    converter.inference_input_type = converter.inference_output_type = tf.as_dtype(level.io_dtype)
    if level.optimize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if level.weight_type:
        converter.target_spec.supported_types = [tf.as_dtype(level.weight_type)]
    if level.calibrated:
        tensors = [to_real(picture, spec)[np.newaxis] for picture in reach_both_ends(pixels)]

        def feed() -> Iterator[list[np.ndarray]]:
            return ([tensor] for tensor in tensors)

        converter.representative_dataset = feed
    return converter


def run_converter(converter: Any, level_name: str) -> bytes:
    """The converter's bytes. Raises ExportError where it refuses."""
    with hushed() as said:
        try:
            return bytes(converter.convert())
        except Exception as error:  # the converter raises its own errors, TensorFlow's, and plain ones
            failure = " ".join(str(error).split())
    complaint = (said.complaints() or [failure])[0]
    raise ExportError(
        f"{level_name}: TensorFlow's converter refused this network: {complaint[:300]}; "
        f"build it from layers that TFLite has, as unet-train does"
    )


def reach_both_ends(pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The same pictures, with 0 and 255 certainly among their values.

    The input's scale follows from the lowest and the highest value seen, and it must be the contract's exactly: camera
    bytes and TFLite's Task library enter without rescaling. Where no picture reaches an end, the set's lowest (or
    highest) single value moves there: one byte by the least distance that does it. Measured on a trained U-Net and
    photographs cut to 3..250: of 118 tensors only the input's scale moved, all others by less than 0.01 %.

    Args:
        pixels: (h, w, 3) uint8 each.
    """
    reached = list(pixels)
    for end, extreme in ((0, np.argmin), (255, np.argmax)):
        values = [picture.flat[extreme(picture)] for picture in reached]
        number = int(extreme(values))
        if values[number] != end:
            moved = reached[number].copy()
            moved.flat[extreme(moved)] = end
            reached[number] = moved
    return reached


def check_tensors(interpreter: Any, level: Level, contract: Contract) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hold a converted file's input and output against level and contract.

    Args:
        interpreter: of the file, allocated.
        level: its level.
        contract: what its input must mean.

    Returns:
        Input and output as the report tells them: dtype, shape, scale, zero point.

    Raises:
        ExportError: another shape or type; or a full-integer input whose steps are not the contract's.
    """
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    width, height = contract.input.size_wh
    expected = (1, height, width, 3)
    got = tuple(int(v) for v in given["shape"])
    types = (np.dtype(given["dtype"]).name, np.dtype(answer["dtype"]).name)
    if got != expected or types != (level.io_dtype, level.io_dtype):
        raise ExportError(
            f"{level.name}: expected input {level.io_dtype} {expected} and {level.io_dtype} output, "
            f"got {types[0]} {got} and {types[1]}; the converter changed the network's ends"
        )
    scale, zero_point = given["quantization"]
    step = contract.input.scale
    zero = (0.0 - contract.input.real_range[0]) / step  # -1..1 has its zero between two steps: either serves
    exact = np.float32(scale) == np.float32(step) and abs(zero_point - zero) <= 0.5 + 1e-6
    if level.io_dtype == "uint8" and not exact:
        raise ExportError(
            f"{level.name}: expected input scale {step:.9f} and zero point {zero:g}, got {scale:.9f} and "
            f"{zero_point}: bytes 0..255 would not mean {contract.input.real_range}; calibrate with other pictures"
        )
    return _tell_tensor(given), _tell_tensor(answer)


def _tell_tensor(detail: dict[str, Any]) -> dict[str, Any]:
    scale, zero_point = detail["quantization"]
    quantized = scale > 0
    return {
        "dtype": np.dtype(detail["dtype"]).name,
        "shape": [int(v) for v in detail["shape"]],
        "scale": float(scale) if quantized else None,
        "zero_point": int(zero_point) if quantized else None,
    }
