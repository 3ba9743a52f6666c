"""int8 weights under float arithmetic: the file shrinks, nothing is left to slow kernels, the answers stay."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from unetlite.edge.delegation import delegated_ops
from unetlite.edge.runtime import RUNTIMES, make_interpreter
from unetlite.export.build import build
from unetlite.export.delegation import slow_reason
from unetlite.export.keras_model import fixed_batch
from unetlite.export.levels import LEVELS
from unetlite.vision.contract import InputSpec
from unetlite.vision.errors import MissingExtraError

SPEC = InputSpec((32, 32))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A separable and a transposed convolution of random weights, in float32 and with int8 weights."""
    keras = importlib.import_module("keras")
    keras.utils.set_random_seed(3)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.SeparableConv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2DTranspose(16, 2, strides=2, padding="same"),
            layers.Conv2D(1, 1, activation="sigmoid"),
        ]
    )
    network = fixed_batch(network, SPEC)
    return {name: build(network, LEVELS[name], SPEC) for name in ("float32", "weights8")}


def answer(interpreter: Any) -> np.ndarray:
    given, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.set_tensor(given["index"], np.random.default_rng(0).random((1, 32, 32, 3), np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])


def test_the_answers_are_those_of_float32_but_for_the_weights_rounding(files) -> None:
    exact, rounded = (answer(make_interpreter(files[name])[0]) for name in ("float32", "weights8"))
    assert 0.0 < np.abs(exact - rounded).max() < 0.02


def test_the_weights_take_a_quarter(files) -> None:
    saved = len(files["float32"]) - len(files["weights8"])
    weights = 3 * 3 * 3 * 16 + 3 * 3 * 16 + 16 * 32 + 2 * 2 * 32 * 16 + 16
    # Each new tensor takes some 300 bytes of the file for its name, shape and scales.
    assert saved == pytest.approx(3 * weights, abs=5 * 500)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_operation_is_delegated_transposed_and_depthwise_ones_too(files, runtime: str) -> None:
    try:
        interpreter, _ = make_interpreter(files["weights8"], runtime=runtime)
    except MissingExtraError as error:
        pytest.skip(str(error))
    found = delegated_ops(interpreter)
    assert found.undelegated == ()
    assert found.partitions == 1
    assert slow_reason("weights8", found) is None
