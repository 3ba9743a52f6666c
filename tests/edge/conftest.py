"""Real small models whose answers are known: a pixel is document when it is bright, or by its colour."""

from __future__ import annotations

import importlib
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import draw_card

from unetlite.vision.contract import CONTRACT_FILE, Contract, InputSpec, OutputSpec
from unetlite.vision.image import write_image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before any test imports TensorFlow

SIZE = 64
STEEPNESS = 40.0


@dataclass(frozen=True)
class Models:
    """Paths: contract files say what is inside, `bare` ones carry no contract."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return self.folder / (name.replace("__", ".") + ".tflite")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """All models of these tests, made once."""
    keras, tf = importlib.import_module("keras"), importlib.import_module("tensorflow")
    folder = tmp_path_factory.mktemp("models")
    bright = bright_network(keras)
    levels = {level: _convert(tf, bright, level) for level in ("float32", "float16", "dynamic", "int8", "int16x8")}
    for level, content in levels.items():
        write_model(folder / f"bright.{level}.tflite", content, Contract(InputSpec((SIZE, SIZE)), level=level))
    for level in ("float32", "int8"):
        (folder / f"bare_{level}.tflite").write_bytes(levels[level])
    (folder / "bare_signed.tflite").write_bytes(_convert(tf, bright, "int8", signed=True))
    bright.save(folder / "bright.keras")
    (folder / "bright.training.json").write_text(
        '{"input": {"size_wh": [64, 64], "real_range": [0.0, 1.0], "fit": "letterbox"}, "output": {"kind": "sigmoid", '
        '"class_names": ["background", "document"], "threshold": 0.4, "min_confidence": 0.3}}'
    )

    colours = _colour_network(keras)
    names = ("background", "card", "passport")
    for level in ("float32", "int8"):
        contract = Contract(InputSpec((SIZE, SIZE)), OutputSpec("softmax", names), level)
        write_model(folder / f"colours.{level}.tflite", _convert(tf, colours, level), contract)

    inputs = [keras.Input(batch_shape=(1, SIZE, SIZE, 3)) for _ in range(3)]
    three = keras.Model(inputs, keras.layers.Conv2D(1, 1, activation="sigmoid")(keras.layers.Add()(inputs)))
    grey_input = keras.Input(batch_shape=(1, SIZE, SIZE, 1))
    grey = keras.Model(grey_input, keras.layers.Conv2D(1, 1, activation="sigmoid")(grey_input))
    picture = keras.Input(batch_shape=(1, SIZE, SIZE, 3))
    classifier = keras.Model(picture, keras.layers.GlobalAveragePooling2D()(picture))
    logits = keras.Model(picture, keras.layers.Conv2D(1, 1, kernel_initializer="ones")(picture))
    wrapped = keras.layers.Conv2D(1, 3, padding="same")(picture)
    wrapped = keras.layers.Lambda(lambda x: tf.math.floormod(x, 1.0))(wrapped)
    partly = keras.Model(picture, keras.layers.Conv2D(1, 1, activation="sigmoid")(wrapped))
    unusual = {"three_inputs": three, "grey": grey, "classifier": classifier, "logits": logits, "partly": partly}
    for name, network in unusual.items():
        (folder / f"{name}.tflite").write_bytes(_convert(tf, network, "float32"))
    return Models(folder)


def bright_network(keras: Any) -> Any:
    """sigmoid(40 * (mean of the channels - 0.5)), in two layers so that there is something to delegate."""
    picture = keras.Input(batch_shape=(1, SIZE, SIZE, 3))
    grey = keras.layers.Conv2D(1, 1, use_bias=False)
    answer = keras.layers.Conv2D(1, 1, activation="sigmoid")
    network = keras.Model(picture, answer(grey(picture)))
    grey.set_weights([np.full((1, 1, 3, 1), 1 / 3, np.float32)])
    answer.set_weights([np.full((1, 1, 1, 1), STEEPNESS, np.float32), np.float32([-STEEPNESS / 2])])
    return network


def _colour_network(keras: Any) -> Any:
    """Softmax: dark is background, red is a card, blue is a passport."""
    picture = keras.Input(batch_shape=(1, SIZE, SIZE, 3))
    answer = keras.layers.Conv2D(3, 1, activation="softmax")
    network = keras.Model(picture, answer(picture))
    weights = np.zeros((1, 1, 3, 3), np.float32)
    weights[0, 0, 0, 1] = weights[0, 0, 2, 2] = STEEPNESS / 2
    answer.set_weights([weights, np.float32([STEEPNESS / 4, 0, 0])])
    return network


def _convert(tf: Any, network: Any, level: str, *, signed: bool = False) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if level != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if level == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if level in ("int8", "int16x8"):
        rng = np.random.default_rng(5)
        pictures = [rng.integers(0, 2, (1, SIZE, SIZE, 3)).astype(np.float32) for _ in range(4)]
        converter.representative_dataset = lambda: ([picture] for picture in pictures)
    if level == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8 if signed else tf.uint8
    if level == "int16x8":
        ops = tf.lite.OpsSet
        converter.target_spec.supported_ops = [ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")  # of models that need none
        return converter.convert()


def write_model(path: Path, content: bytes, contract: Contract) -> None:
    """A model with its contract packed behind it."""
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CONTRACT_FILE, contract.to_json())


@pytest.fixture
def pack() -> Callable[[Path, bytes, Contract], None]:
    """`write_model`, for tests that need a model with another contract."""
    return write_model


@pytest.fixture
def card_file(tmp_path: Path, card_quad: np.ndarray) -> Callable[..., Path]:
    """Writes a drawn card to a file of the test's folder."""

    def write(name: str, **kwargs: Any) -> Path:
        path = tmp_path / name
        write_image(path, draw_card(card_quad, **kwargs)[0])
        return path

    return write
