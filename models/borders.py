"""Teach the network of `vision/borders.py` where documents end, from drawn pictures alone.

    python models/borders.py DRAWN --to WORK/borders

DRAWN is what `unet-data synthesize` wrote. Of each picture the true quad is moved about, a little or far, and the
strips across its sides are kept with the places where the true sides cross them. Writes `borders.keras`,
`borders.tflite` and `borders.training.json`.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from unetlite.edge.device import device_record
from unetlite.vision.borders import PLACES, SAMPLES, as_input, crossings, strips_of
from unetlite.vision.cli import Command
from unetlite.vision.edges import CELLS
from unetlite.vision.errors import DatasetError
from unetlite.vision.files import atomic_path, read_json, write_bytes, write_json
from unetlite.vision.image import read_image
from unetlite.vision.quad import NEXT, as_quad
from unetlite.vision.sides import lengths, meetings, shifted

QUADS = 4  # per picture
FAR_SHARE, FAR, NEAR = 0.4, 0.18, 0.02  # of the sides how many lie far off, and how far, in shares of the card's width
WIDTH = 16  # channels
BATCH, RATE, RISE_STEPS = 128, 0.003, 100
HELD_BACK = 500  # pictures, for validation
_RECORDED = ("generator", "seed", "negatives", "backgrounds", "faces")


def moved(quad: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A quad whose sides are moved about as maps move them; None where they make no convex shape."""
    sides = np.stack([quad, quad[NEXT]], axis=1).astype(np.float64)
    far = rng.random(4) < FAR_SHARE
    middle = np.where(far, rng.uniform(-FAR, FAR, 4), rng.normal(0.0, NEAR, 4))
    slope = rng.normal(0.0, np.where(far, 0.03, 0.015))
    offsets = np.stack([middle - slope, middle + slope], axis=1) * lengths(sides).max()
    return meetings(shifted(sides, offsets))


def strips_of_picture(truth_path: Path, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Of one drawn picture (N, CELLS, SAMPLES, 3) uint8, and (N, CELLS) where the document ends, in bands; NaN where
    a piece is not to be learned from."""
    truth = read_json(truth_path)
    if truth["quad"] is None:
        return None
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    image = np.ascontiguousarray(read_image(truth_path.parents[1] / "images" / f"{truth_path.stem}.jpg"))
    quad = as_quad(truth["quad"])
    colours, places = [], []
    for _ in range(QUADS):
        near = moved(quad, rng)
        if near is None:
            continue
        strips = strips_of(image, near)
        colours.append(strips.colours)
        # Beyond the strips, or nowhere across them, the document ends in none of the places.
        off = np.nan_to_num(crossings(strips, quad) / strips.band, nan=9.0)
        places.append(np.where(strips.visible, off, np.nan))
    return (np.concatenate(colours), np.concatenate(places).astype(np.float32)) if colours else None


def read_strips(drawn: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each picture with a document its strips and places; a few pictures are read at a time."""
    truths = sorted((drawn / "ground_truth").glob("*.json"))
    if not truths:
        raise DatasetError(f"{drawn}: expected ground_truth/ as unet-data synthesize writes it, found none")
    spawned = multiprocessing.get_context("spawn")  # a fork of a process in which TensorFlow runs may wait for ever
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawned) as pool:
        found = pool.map(strips_of_picture, truths, range(len(truths)), chunksize=32)
        return [each for each in found if each is not None]


def targets(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, CELLS, PLACES + 1) float32, the share of each place and of none; and (N, CELLS), what a piece counts."""
    middles = (2 * np.arange(PLACES) + 0.5) * (2.0 / (SAMPLES - 1)) - 1.0
    off = (np.nan_to_num(places, nan=9.0)[..., None] - middles) * ((SAMPLES - 1) / 4)  # in places
    shares = np.exp(-0.5 * off * off) * (np.abs(off).min(axis=2, keepdims=True) < 1.0)
    total = shares.sum(axis=2, keepdims=True)
    shares = np.concatenate([shares / np.maximum(total, 1e-6), total == 0.0], axis=2)
    return shares.astype(np.float32), np.isfinite(places).astype(np.float32)


def build() -> Any:
    """The network: convolutions along and across a side's strips, twice as coarse across."""
    import keras
    from keras import layers

    strips = keras.Input((CELLS, SAMPLES, 3))
    x = layers.Conv2D(WIDTH, (1, 8), strides=(1, 2), padding="same", activation="relu")(strips)
    for kernel, apart in (((3, 5), 1), ((3, 5), 2), ((3, 5), 4), ((5, 3), 1)):
        y = layers.Conv2D(WIDTH, kernel, dilation_rate=(1, apart), padding="same", activation="relu")(x)
        x = layers.Add()([x, y])
    places = layers.Reshape((CELLS, PLACES))(layers.Conv2D(1, 1)(x))
    none = layers.Reshape((CELLS, 1))(layers.Conv2D(1, 1)(layers.AveragePooling2D((1, PLACES))(x)))
    return keras.Model(strips, layers.Softmax()(layers.Concatenate()([places, none])))


def batches(colours: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> Any:
    """Batches without end, of strips mirrored along their side, in other colours, of more and of less contrast."""
    while True:
        order = rng.permutation(len(colours))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            chosen = np.sort(order[at : at + BATCH])
            x, y = colours[chosen][..., rng.permutation(3)], places[chosen]
            if rng.random() < 0.5:
                x, y = x[:, ::-1], y[:, ::-1]
            yield as_input(x) * np.float32(np.exp(rng.normal(0.0, 0.15))), *targets(y)


@click.command(cls=Command)
@click.argument("drawn", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def main(drawn: Path, folder: Path, epochs: int, seed: int) -> None:
    """Learn from the pictures in DRAWN."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    pictures = read_strips(drawn)
    known, held_back = pictures[HELD_BACK:], pictures[:HELD_BACK]
    if not known:
        raise DatasetError(f"{drawn}: expected more than {HELD_BACK} pictures with a document, got {len(pictures)}")
    colours, places = (np.concatenate(each) for each in zip(*known, strict=True))
    steps = len(colours) // BATCH
    click.echo(f"{len(colours)} sides of {len(known)} pictures, {steps} steps an epoch")
    model = build()
    rise = min(RISE_STEPS, epochs * steps // 4)
    fall = keras.optimizers.schedules.CosineDecay(
        RATE / 100, epochs * steps - rise, warmup_target=RATE, warmup_steps=rise
    )
    model.compile(keras.optimizers.AdamW(fall), "categorical_crossentropy", weighted_metrics=[])
    x, y = (np.concatenate(each) for each in zip(*held_back, strict=True))
    began = time.perf_counter()
    fitted = model.fit(
        batches(colours, places, np.random.default_rng(seed)),
        epochs=epochs,
        steps_per_epoch=steps,
        shuffle=False,  # the batches are
        validation_data=(as_input(x), *targets(y)),
        verbose=2,
    )
    seconds = time.perf_counter() - began
    folder.mkdir(parents=True, exist_ok=True)
    learned = build()  # without the optimizer's state
    learned.set_weights(model.get_weights())
    with atomic_path(folder / "borders.keras") as temporary:
        learned.save(temporary)
    four = keras.Input(batch_shape=(4, CELLS, SAMPLES, 3))  # a quad's sides
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(four, learned(four)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]  # of the weights: half the file
    write_bytes(folder / "borders.tflite", converter.convert())
    record = read_json(drawn / "synthesis.json")
    write_json(
        folder / "borders.training.json",
        {
            "data": {key: record[key] for key in _RECORDED if key in record},
            "pictures": len(known),
            "sides": len(colours),
            "settings": {"epochs": epochs, "batch": BATCH, "rate": RATE, "seed": seed},
            "course": [
                {"epoch": 1 + number, "loss": loss, "validation_loss": other}
                for number, (loss, other) in enumerate(
                    zip(fitted.history["loss"], fitted.history["val_loss"], strict=True)
                )
            ],
            "seconds": seconds,
            "machine": str(device_record()["cpu"]),
            "date": datetime.now(timezone.utc).date().isoformat(),
            "parameters": model.count_params(),
        },
    )


if __name__ == "__main__":
    main()
