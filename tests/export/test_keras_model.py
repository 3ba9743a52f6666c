"""What is no usable Keras model is refused with one sentence, by the command as by the library."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.model_contract import Overrides
from unetlite.export.exporter import open_network
from unetlite.export.keras_model import load_network
from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.errors import ContractError, ExportError, ModelError

NOTHING = Overrides()


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "no model")


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("absent.keras", lambda path: None, "there is no such file"),
        ("folder.keras", lambda path: path.mkdir(), "could not be read"),
        ("empty.keras", lambda path: path.touch(), "got an empty file"),
        ("text.keras", lambda path: path.write_text("weights"), "another kind of file"),
        ("other.keras", zipped, "cannot load this model"),
        ("torn.h5", lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "cannot load this model"),
        ("model.zip", zipped, r"rename it to \*\.keras"),
        ("model.tflite", lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64)), "another kind of file"),
    ],
)
def test_a_file_that_is_no_keras_model_is_refused(tmp_path: Path, name: str, make: Callable, expected: str) -> None:
    make(tmp_path / name)
    with pytest.raises(ModelError, match=f"{name}: .*{expected}"):
        load_network(tmp_path / name)


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_model_that_brings_code_is_refused(tmp_path: Path, suffix: str) -> None:
    keras = importlib.import_module("keras")
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x * 2)])
    network.save(tmp_path / f"m.{suffix}")
    with pytest.raises(ModelError, match=f"m.{suffix}: the model holds a Lambda layer"):
        load_network(tmp_path / f"m.{suffix}")


def test_a_layer_that_nobody_knows_is_named(tmp_path: Path) -> None:
    keras = importlib.import_module("keras")

    class Mystery(keras.layers.Layer):
        def call(self, x):
            return x

    keras.Sequential([keras.Input((8, 8, 3)), Mystery()]).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match="cannot load this model: .*Mystery"):
        load_network(tmp_path / "m.keras")


def test_losses_and_metrics_of_training_need_not_be_known(tmp_path: Path, bright: Callable) -> None:
    def own_loss(truth, answer):
        return truth - answer

    network = bright()
    network.compile("adam", loss=own_loss)
    network.save(tmp_path / "m.keras")
    assert load_network(tmp_path / "m.keras").count_params() == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, bright: Callable, value: float) -> None:
    network = bright()
    network.layers[-1].bias.assign([value])
    network.save(tmp_path / "m.keras")
    with pytest.raises(ExportError, match="m.keras: the weight .*bias holds NaN or infinity"):
        open_network(tmp_path / "m.keras", NOTHING)


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    pictures = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    keras.Model(pictures, keras.layers.Add()(pictures)).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match="one input and one output, got 2 and 1"):
        open_network(tmp_path / "m.keras", NOTHING)


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    network.save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match="expected a network from"):
        open_network(tmp_path / "m.keras", NOTHING)


def test_labels_must_be_as_many_as_classes(tmp_path: Path, colours: Callable) -> None:
    colours().save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match="got 3 channels; pass --labels"):
        open_network(tmp_path / "m.keras", Overrides(labels=("background", "card")))


def test_an_open_input_takes_the_summary_s_size(tmp_path: Path, bright: Callable) -> None:
    bright(None).save(tmp_path / "m.keras")
    summary = {"input": {"size_wh": [40, 24], "real_range": [0, 1], "fit": "letterbox"}, "epochs": 3, "loss": "NaN"}
    summary["output"] = {"kind": "sigmoid", "class_names": ["no", "yes"], "threshold": 0.4, "min_confidence": 0.2}
    (tmp_path / "m.training.json").write_text(json.dumps(summary).replace('"NaN"', "NaN"))
    network = open_network(tmp_path / "m.keras", NOTHING)
    assert network.contract.input == InputSpec((40, 24), (0.0, 1.0), "letterbox")
    assert network.contract.output == OutputSpec("sigmoid", ("no", "yes"), 0.4, 0.2)
    assert network.contract.training == {"epochs": 3, "loss": None}
    assert network.keras.input_shape == (1, 24, 40, 3)


def test_a_summary_of_another_size_is_refused(tmp_path: Path, bright: Callable) -> None:
    bright(32).save(tmp_path / "m.keras")
    summary = {"input": {"size_wh": [64, 64], "real_range": [0, 1], "fit": "stretch"}}
    summary["output"] = {"kind": "sigmoid", "class_names": ["no", "yes"], "threshold": 0.5, "min_confidence": 0.5}
    (tmp_path / "m.training.json").write_text(json.dumps(summary))
    with pytest.raises(ModelError, match="expected an input of 64x64"):
        open_network(tmp_path / "m.keras", NOTHING)


def test_a_damaged_summary_is_refused(tmp_path: Path, bright: Callable) -> None:
    bright().save(tmp_path / "m.keras")
    (tmp_path / "m.training.json").write_text('{"input": ')
    with pytest.raises(ContractError, match="expected a training summary"):
        open_network(tmp_path / "m.keras", NOTHING)
