"""A network with one layer that int8 cannot hold, and pictures to see it on."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from drawn import draw_card

from unetlite.edge.segmenter import Segmenter
from unetlite.export import exporter
from unetlite.export.keras_model import fixed_batch
from unetlite.export.levels import LEVELS
from unetlite.export.mixed import calibrate
from unetlite.vision.contract import Contract, InputSpec
from unetlite.vision.files import write_json
from unetlite.vision.image import read_image, write_image
from unetlite.vision.preprocess import preprocess

SPEC = InputSpec((32, 32))


def spoiled_network() -> Any:
    """Bright is document, of the mean over a neighbourhood; channel 1 of the second convolution is a thousand times
    wider than channel 0, which alone is used, so that int8 leaves channel 0 a few steps."""
    keras = importlib.import_module("keras")
    picture = keras.Input((32, 32, 3))
    blur = keras.layers.Conv2D(3, 3, padding="same", activation="relu")
    wide = keras.layers.Conv2D(4, 1, activation="relu")
    answer = keras.layers.Conv2D(1, 1, activation="sigmoid")
    network = keras.Model(picture, answer(wide(blur(picture))))
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    for channel in range(3):
        kernel[:, :, channel, channel] = 1 / 9
    blur.set_weights([kernel, np.zeros(3, np.float32)])
    kernel = np.zeros((1, 1, 3, 4), np.float32)
    kernel[..., 0], kernel[..., 1] = 1 / 3, 333.0
    wide.set_weights([kernel, np.zeros(4, np.float32)])
    answer.set_weights([np.array([20, 0, 0, 0], np.float32).reshape(1, 1, 4, 1), np.array([-10], np.float32)])
    return network


def write_cards(root: Path, part: str = "validation") -> Path:
    """Ten pictures of a prepared data set: bright cards on a dark desk, corners known; returns `root`."""
    rng = np.random.default_rng(len(part))
    for i in range(10):
        x, y = rng.integers(4, 20), rng.integers(4, 14)
        quad = np.array([[x, y], [x + 32, y + 1], [x + 31, y + 25], [x, y + 25]], np.float32)
        picture, mask = draw_card(quad, (64, 48), int(rng.integers(0, 60)), int(rng.integers(215, 256)))
        write_image(root / part / "images" / f"{i:02}.png", picture)
        write_image(root / part / "masks" / f"{i:02}.png", mask)
        write_json(root / part / "ground_truth" / f"{i:02}.json", {"quad": quad.tolist()})
    return root


def fitted(root: Path) -> list[np.ndarray]:
    """The set's pictures as the network is fed."""
    paths = sorted((root / "validation" / "images").iterdir())
    return [preprocess(read_image(path), SPEC)[0] for path in paths]


def calibrated_network(network: Any, root: Path) -> bytes:
    """The network with the ranges that the set gives it."""
    return calibrate(fixed_batch(network, SPEC), SPEC, fitted(root))


def open_int8(content: bytes) -> Segmenter:
    """A file's bytes as a segmenter."""
    return exporter.file_segmenter(*exporter.open_file(content, LEVELS["int8"]), Contract(SPEC), LEVELS["int8"])
