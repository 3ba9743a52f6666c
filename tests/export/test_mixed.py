"""Layer by layer: the same int8 as the converter's, and float where float was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unetlite.calibration.manifest import read_manifest, representative_pixels
from unetlite.edge.runtime import make_interpreter
from unetlite.export.convert import check_tensors, convert
from unetlite.export.keras_model import fixed_batch, load_network
from unetlite.export.levels import LEVELS
from unetlite.export.mixed import calibrate, layers_named, layers_of, quantize
from unetlite.vision.contract import Contract, InputSpec
from unetlite.vision.errors import SettingsError

SPEC = InputSpec((64, 64))


@pytest.fixture(scope="module")
def network(trained) -> Any:
    return fixed_batch(load_network(trained.model), SPEC)


@pytest.fixture(scope="module")
def pixels(trained) -> list[np.ndarray]:
    return list(representative_pixels(read_manifest(Path(trained.manifest))))


@pytest.fixture(scope="module")
def calibrated(network, pixels) -> bytes:
    return calibrate(network, SPEC, pixels)


def answers(model: bytes, pixels: list[np.ndarray]) -> np.ndarray:
    interpreter, _ = make_interpreter(model)
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["dtype"] == np.uint8
    result = []
    for picture in pixels:
        interpreter.set_tensor(given["index"], picture[np.newaxis])
        interpreter.invoke()
        result.append(interpreter.get_tensor(answer["index"]))
    return np.concatenate(result)


def kinds(model: bytes) -> set[tuple[str, str]]:
    """Each operation with the type that it computes."""
    interpreter, _ = make_interpreter(model)
    types = {detail["index"]: np.dtype(detail["dtype"]).name for detail in interpreter.get_tensor_details()}
    nodes = [node for node in interpreter._get_ops_details() if node["op_name"] != "DELEGATE"]
    return {(node["op_name"], types[int(node["outputs"][0])]) for node in nodes}


def test_with_no_layer_in_float_it_is_the_converter_s_int8(network, calibrated: bytes, pixels) -> None:
    mine, theirs = quantize(calibrated), convert(network, LEVELS["int8"], SPEC, pixels)
    np.testing.assert_array_equal(answers(mine, pixels[:4]), answers(theirs, pixels[:4]))
    source, answer = check_tensors(make_interpreter(mine)[0], LEVELS["int8"], Contract(SPEC))
    assert (source, answer) == check_tensors(make_interpreter(theirs)[0], LEVELS["int8"], Contract(SPEC))


def test_layers_are_named_by_kind_and_order(calibrated: bytes) -> None:
    names = [layer.name for layer in layers_of(calibrated)]
    assert names[:4] == ["conv1", "depthwise1", "conv2", "pool1"]
    assert names[-1] == "sigmoid1"
    assert len(set(names)) == len(names)
    assert layers_of(calibrated)[-1].shape == (1, 16, 16, 1)


@pytest.mark.parametrize("name", ["conv1", "depthwise2", "sigmoid1"])
def test_a_layer_that_is_kept_computes_in_float(calibrated: bytes, pixels, name: str) -> None:
    (layer,) = layers_named(layers_of(calibrated), [name])
    model = quantize(calibrated, [layer])
    assert (layer.operation, "float32") in kinds(model)
    assert {operation for operation, kind in kinds(model) if kind == "float32"} <= {layer.operation, "DEQUANTIZE"}
    assert (layer.operation, "float32") not in kinds(quantize(calibrated))
    check_tensors(make_interpreter(model)[0], LEVELS["int8"], Contract(SPEC))
    difference = answers(model, pixels[:2]).astype(int) - answers(quantize(calibrated), pixels[:2])
    assert np.abs(difference).mean() < 8  # of 256 levels: still the same network


def test_all_layers_in_float_are_the_float_network(network, calibrated: bytes, pixels) -> None:
    model = quantize(calibrated, layers_of(calibrated))
    whole, _ = make_interpreter(convert(network, LEVELS["float32"], SPEC))
    whole.set_tensor(whole.get_input_details()[0]["index"], pixels[0][np.newaxis].astype(np.float32) / 255)
    whole.invoke()
    expected = whole.get_tensor(whole.get_output_details()[0]["index"])
    np.testing.assert_allclose(answers(model, pixels[:1]) / 256, expected, atol=1 / 256)


def test_a_layer_that_is_not_there_is_an_error_that_names_those_that_are(calibrated: bytes) -> None:
    with pytest.raises(SettingsError, match="--keep-float conv99: expected layers of this network, which are conv1, "):
        layers_named(layers_of(calibrated), ["conv99"])
