"""One level's file, as it ships.

Stands apart because full integer is made in steps of its own: between learning the ranges and quantizing, channels
are evened out, which TensorFlow's converter leaves undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unetlite.export.convert import convert
from unetlite.export.equalize import equalize
from unetlite.export.levels import LEVELS, Level
from unetlite.export.mixed import calibrate, quantize
from unetlite.vision.contract import InputSpec


def build(network: Any, level: Level, spec: InputSpec, pixels: Sequence[np.ndarray] = ()) -> bytes:
    """A TFLite flatbuffer without metadata; equal arguments give equal bytes. Arguments and errors as `convert`."""
    if level is LEVELS["int8"]:
        return quantize(build_calibrated(network, spec, pixels))
    return convert(network, level, spec, pixels)


def build_calibrated(network: Any, spec: InputSpec, pixels: Sequence[np.ndarray]) -> bytes:
    """The network in float, ready for `mixed.quantize`: ranges learned and channels evened out.

    Raises:
        ExportError: TensorFlow's converter refused.
    """
    return equalize(calibrate(network, spec, pixels), spec, pixels)
