"""Channels evened out: the same network in float, and a better one at int8."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from unetlite.edge.runtime import make_interpreter
from unetlite.export.build import build
from unetlite.export.convert import convert
from unetlite.export.equalize import equalize
from unetlite.export.keras_model import fixed_batch
from unetlite.export.levels import LEVELS
from unetlite.export.mixed import calibrate, layers_of, quantize
from unetlite.export.model_tables import read_model
from unetlite.vision.contract import InputSpec
from unetlite.vision.preprocess import to_real

SPEC = InputSpec((32, 32))


@pytest.fixture(scope="module")
def pixels() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(8)]


def uneven_network(activation: str | None = None) -> Any:
    """A depthwise convolution whose channels differ a thousandfold, and a convolution that needs the weakest most."""
    keras = importlib.import_module("keras")
    depthwise = keras.layers.DepthwiseConv2D(3, padding="same", activation=activation)
    network = keras.Sequential([keras.Input((32, 32, 3)), depthwise, keras.layers.Conv2D(1, 1, activation="sigmoid")])
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 1)) * np.array([100, 1, 0.1]).reshape(1, 1, 3, 1)
    depthwise.set_weights([kernel, np.array([1.0, -0.1, 0.02])])
    network.layers[-1].set_weights([np.array([0.001, 0.1, 2.0]).reshape(1, 1, 3, 1), np.zeros(1)])
    return fixed_batch(network, SPEC)


def answers(model: bytes, pixels: list[np.ndarray]) -> np.ndarray:
    """Probabilities of a file of either kind of input."""
    interpreter, _ = make_interpreter(model)
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    result = []
    for picture in pixels:
        fed = picture if given["dtype"] == np.uint8 else to_real(picture, SPEC)
        interpreter.set_tensor(given["index"], fed[np.newaxis])
        interpreter.invoke()
        result.append(interpreter.get_tensor(answer["index"]).astype(np.float32))
    return np.concatenate(result) * (answer["quantization"][0] or 1.0)


def test_the_network_in_float_stays_what_it_was(pixels) -> None:
    calibrated = calibrate(uneven_network(), SPEC, pixels)
    evened = equalize(calibrated, SPEC, pixels)
    assert evened != calibrated
    np.testing.assert_allclose(answers(evened, pixels), answers(calibrated, pixels), atol=1e-5)
    assert [layer.name for layer in layers_of(evened)] == [layer.name for layer in layers_of(calibrated)]


def test_weak_channels_survive_at_int8(pixels) -> None:
    network = uneven_network()
    exact = answers(convert(network, LEVELS["float32"], SPEC), pixels)
    plain, evened = (
        float(np.abs(answers(content, pixels) - exact).mean())
        for content in (convert(network, LEVELS["int8"], SPEC, pixels), build(network, LEVELS["int8"], SPEC, pixels))
    )
    assert evened < plain / 4


def test_the_range_of_the_tensor_between_is_what_it_then_holds(pixels) -> None:
    evened = equalize(calibrate(uneven_network(), SPEC, pixels), SPEC, pixels)
    graph = read_model(evened).subgraphs[0]
    middle = int(graph.operators[0].outputs[0])
    (scale,) = (
        detail["quantization"][0]
        for detail in make_interpreter(quantize(evened))[0].get_tensor_details()
        if detail["name"] == graph.tensors[middle].name.decode()
    )
    limits = graph.tensors[middle].quantization
    assert scale == pytest.approx(float(limits.max[0] - limits.min[0]) / 255, rel=0.02)


def test_nothing_changes_where_an_activation_lies_between(pixels) -> None:
    calibrated = calibrate(uneven_network("relu"), SPEC, pixels)
    assert equalize(calibrated, SPEC, pixels) == calibrated


def test_the_same_pictures_give_the_same_bytes(pixels) -> None:
    network = uneven_network()
    assert build(network, LEVELS["int8"], SPEC, pixels) == build(network, LEVELS["int8"], SPEC, pixels)
