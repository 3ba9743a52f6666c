"""One level's file, as it ships.

Stands apart because two levels take more than TensorFlow's converter: full integer is quantized in steps, with
channels evened out in between, and int8 weights under float arithmetic are put into a float32 file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unetlite.export.convert import convert
from unetlite.export.equalize import equalize
from unetlite.export.levels import LEVELS, Level
from unetlite.export.mixed import calibrate, quantize
from unetlite.export.weights8 import store_weights_as_int8
from unetlite.vision.contract import InputSpec


def build(network: Any, level: Level, spec: InputSpec, pixels: Sequence[np.ndarray] = ()) -> bytes:
    """A TFLite flatbuffer without metadata; equal arguments give equal bytes. Arguments and errors as `convert`."""
    if level is LEVELS["int8"]:
        return quantize(build_calibrated(network, spec, pixels))
    if level is LEVELS["weights8"]:
        return store_weights_as_int8(convert(network, level, spec))
    return convert(network, level, spec, pixels)


def build_calibrated(network: Any, spec: InputSpec, pixels: Sequence[np.ndarray]) -> bytes:
    """The network in float, ready for `mixed.quantize`: ranges learned and channels evened out.

    Raises:
        ExportError: TensorFlow's converter refused.
    """
    return equalize(calibrate(network, spec, pixels), spec, pixels)
