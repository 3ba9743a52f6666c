"""The quantization levels: what each asks of the converter and of the calibration.

Stands apart so that a level is a row of data; the converter's code does not know their names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """One way to store and run the network.

    Attributes:
        name: as in `NAME.LEVEL.tflite` and the contract.
        meaning: one sentence for people.
        optimize: whether the converter may change the weights' type at all. Without it, `weight_type` is ignored
            silently and the file stays float32.
        weight_type: dtype asked for by name; None leaves the choice to `operators`.
        operators: name in tf.lite.OpsSet.
        calibrated: whether ranges are learned from pictures.
        io_dtype: of input and output.
        default: whether it is exported when no level is asked for.
    """

    name: str
    meaning: str
    optimize: bool = True
    weight_type: str | None = None
    operators: str = "TFLITE_BUILTINS"
    calibrated: bool = False
    io_dtype: str = "float32"
    default: bool = True


LEVELS = {
    level.name: level
    for level in (
        Level("float32", "weights and arithmetic as trained", optimize=False),
        Level("float16", "weights halved, arithmetic in float", weight_type="float16"),
        Level("weights8", "int8 weights, arithmetic in float", optimize=False, default=False),
        Level("dynamic", "int8 weights, activations quantized while running"),
        Level(
            "int8",
            "full integer, camera bytes in and out",
            operators="TFLITE_BUILTINS_INT8",
            calibrated=True,
            io_dtype="uint8",
        ),
        Level(
            "int16x8",
            "int8 weights, int16 activations",
            operators="EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8",
            calibrated=True,
            default=False,
        ),
    )
}
