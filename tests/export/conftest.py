"""What the export tests convert: a small U-Net trained on drawn cards, and tiny networks whose answers are known."""

from __future__ import annotations

import importlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from drawn import draw_card

from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.dataset import find_samples, read_truth
from unetlite.vision.files import write_json
from unetlite.vision.image import read_image, write_image
from unetlite.vision.preprocess import preprocess, preprocess_mask, to_real

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before any test imports TensorFlow

SIZE = 64
LEVELS = ("float32", "float16", "dynamic", "int8")


@dataclass(frozen=True)
class Trained:
    """A Keras file with its training summary, the data that it was trained on, and a calibration manifest."""

    model: Path
    data: Path
    manifest: Path


@dataclass(frozen=True)
class Exported:
    """What `unet-export` made of a trained model, and what it said."""

    folder: Path
    result: Result
    report: dict[str, Any]

    def file(self, level: str) -> Path:
        return self.folder / f"unet.{level}.tflite"


def run_export(*arguments: object) -> Result:
    from unetlite.export.cli import main

    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def export() -> Callable[..., Result]:
    """`unet-export` with arguments of any type."""
    return run_export


def write_data(root: Path, counts: dict[str, int]) -> None:
    rng = np.random.default_rng(7)
    for split, count in counts.items():
        for i in range(count):
            middle, size = rng.uniform((60, 45), (100, 75)), rng.uniform((60, 40), (90, 55))
            corners = cv2.boxPoints((tuple(middle), tuple(size), rng.uniform(-25, 25)))
            picture, mask = draw_card(corners, (160, 120), int(rng.integers(0, 90)), int(rng.integers(200, 256)))
            write_image(root / split / "images" / f"{i:03}.png", picture)
            write_image(root / split / "masks" / f"{i:03}.png", mask)
            write_json(root / split / "ground_truth" / f"{i:03}.json", {"quad": corners.tolist()})


def train(data: Path, model: Path) -> None:
    """Fit the edge preset, two levels shallower, for some seconds; write it with its summary."""
    keras = importlib.import_module("keras")
    from unetlite.training.unet import Preset, build_unet

    spec = InputSpec((SIZE, SIZE))
    keras.utils.set_random_seed(1)
    network = build_unet(Preset((24, 96, 160), stem_stride=4, encoder=(1, 1, 1), decoder=(1, 1)), spec.size_wh)
    map_spec = InputSpec((network.output_shape[2], network.output_shape[1]))  # may be coarser than the input
    pixels, masks = [], []
    for sample in find_samples(data / "train"):
        image = read_image(sample.image)
        pixels.append(to_real(preprocess(image, spec)[0], spec))
        masks.append(preprocess_mask(read_truth(sample, image.shape[:2]).classes, map_spec))
    network.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", jit_compile=False)  # XLA would take longer
    network.fit(np.stack(pixels), np.stack(masks)[..., np.newaxis], batch_size=8, epochs=12, verbose=0)
    network.save(model)
    write_summary(model, spec, OutputSpec())


def write_summary(model: Path, spec: InputSpec, output: OutputSpec) -> None:
    data = [{"name": "drawn cards", "licence": "none needed", "pictures": 48, "sha256": "0" * 64}]
    content = {"input": asdict(spec), "output": asdict(output), "data": data, "epochs": 12}
    model.with_name(f"{model.stem}.training.json").write_text(json.dumps({**content, "git_revision": None}))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    from unetlite.calibration.manifest import make_manifest, write_manifest

    root = tmp_path_factory.mktemp("trained")
    write_data(root / "data", {"train": 48, "validation": 10})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras and TensorFlow warn of each other's deprecations
        train(root / "data", root / "unet.keras")
    write_manifest(root / "m.json", make_manifest(root / "data", InputSpec((SIZE, SIZE)), count=24))
    return Trained(root / "unet.keras", root / "data", root / "m.json")


@pytest.fixture(scope="session")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """All default levels by one run of the command."""
    folder = tmp_path_factory.mktemp("exported")
    result = run_export(
        trained.model, "--calibration", trained.manifest, "--validation", trained.data, "--to", folder,
        "--author", "the tests", "--licence", "CC0-1.0", "--model-version", "7",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return Exported(folder, result, json.loads((folder / "unet.export.json").read_text()))


@pytest.fixture(scope="session")
def bright() -> Callable[..., Any]:
    """Makes a network that calls bright pixels document; `size` may be None, for an open one."""

    def make(size: int | None = 32, real_range: tuple[float, float] = (0.0, 1.0)) -> Any:
        keras = importlib.import_module("keras")
        network = keras.Sequential(
            [keras.Input((size, size, 3)), keras.layers.Conv2D(1, 1, activation="sigmoid", name="answer")]
        )
        middle, half = sum(real_range) / 2, (real_range[1] - real_range[0]) / 2
        network.layers[-1].set_weights([np.full((1, 1, 3, 1), 8 / half / 3), np.array([-8 * middle / half])])
        return network

    return make


@pytest.fixture(scope="session")
def colours() -> Callable[[], Any]:
    """Makes a network of three classes: dark is background, white is a card, red is a passport."""

    def make() -> Any:
        keras = importlib.import_module("keras")
        network = keras.Sequential(
            [keras.Input((32, 32, 3)), keras.layers.Conv2D(3, 1, activation="softmax", name="answer")]
        )
        kernel = np.array([[0, 10, 20], [0, 10, -10], [0, 10, -10]], np.float32).reshape(1, 1, 3, 3)
        network.layers[-1].set_weights([kernel, np.array([8, -6, 0], np.float32)])
        return network

    return make


@pytest.fixture(scope="session")
def noise_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of noise, enough to calibrate a tiny network with."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(3)
    for i in range(10):
        write_image(folder / f"{i}.png", cv2.resize(rng.integers(0, 256, (6, 6, 3)).astype(np.uint8), (40, 30)))
    return folder
