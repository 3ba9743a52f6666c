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
import warnings
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

QUADS = 6  # per picture
FAR_SHARE, FAR, NEAR = 0.4, 0.22, 0.02  # of the sides how many lie far off, and how far, in shares of the card's width
WIDTHS = (16, 32, 64)  # channels, from the finest level to the coarsest
BATCH, RATE, RISE_STEPS = 32, 0.002, 200  # quads
HELD_BACK = 500  # pictures, for validation
CALIBRATION = 400  # quads that show int8 its ranges
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
    """Of one drawn picture (N, 4, CELLS, SAMPLES, 3) uint8, and (N, 4, CELLS) where the document ends, in bands; NaN
    where a piece is not to be learned from."""
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
    return (np.stack(colours), np.stack(places).astype(np.float32)) if colours else None


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
    """Of places (N, P) the share of each and of none, (N, P, PLACES + 1) float32; and (N, P), what a piece counts."""
    middles = (2 * np.arange(PLACES) + 0.5) * (2.0 / (SAMPLES - 1)) - 1.0
    off = (np.nan_to_num(places, nan=9.0)[..., None] - middles) * ((SAMPLES - 1) / 4)  # in places
    shares = np.exp(-0.5 * off * off) * (np.abs(off).min(axis=2, keepdims=True) < 1.0)
    total = shares.sum(axis=2, keepdims=True)
    shares = np.concatenate([shares / np.maximum(total, 1e-6), total == 0.0], axis=2)
    return shares.astype(np.float32), np.isfinite(places).astype(np.float32)


def build(precision: str = "float32") -> Any:
    """The network: a U-Net on the rim of a quad, its four sides' strips one below the other as one runs around it, to
    the logits of each piece's places and of none. Print, paper and table of one side are known from the others.

    Args:
        precision: Keras's name of the arithmetic of its layers; the weights are float32.
    """
    import keras
    from keras import layers

    def convolved(x: Any, width: int, kernel: tuple[int, int], strides: int | tuple[int, int] = 1) -> Any:
        layer = layers.Conv2D(width, kernel, strides, padding="same", activation="relu", dtype=precision)
        return layer(x)

    def mixed(x: Any, width: int) -> Any:
        return layers.Conv2D(width, 1, dtype=precision)(x)

    def refined(x: Any, width: int, times: int = 1) -> Any:
        for _ in range(times):
            x = layers.Add(dtype=precision)([x, convolved(x, width, (3, 5))])
        return x

    def joined(x: Any, coarser: Any, width: int) -> Any:
        wide = layers.UpSampling2D(2, interpolation="bilinear", dtype=precision)(mixed(coarser, width))
        return layers.Add(dtype=precision)([x, wide])

    fine, middle, coarse = WIDTHS
    rim = keras.Input((4 * CELLS, SAMPLES, 3))
    x = refined(convolved(rim, fine, (3, 8), (1, 2)), fine)
    y = refined(convolved(x, middle, (2, 4), 2), middle, 2)
    z = refined(convolved(y, coarse, (2, 4), 2), coarse, 2)
    whole = layers.GlobalAveragePooling2D(keepdims=True, dtype=precision)(z)
    z = layers.Add(dtype=precision)([z, mixed(convolved(whole, coarse, (1, 1)), coarse)])
    y = refined(joined(y, refined(z, coarse), middle), middle)
    x = refined(joined(x, y, fine), fine, 2)
    places = layers.Reshape((4 * CELLS, PLACES), dtype=precision)(mixed(x, 1))
    mean = layers.AveragePooling2D((1, PLACES), dtype=precision)(x)
    none = layers.Reshape((4 * CELLS, 1), dtype=precision)(mixed(mean, 1))
    return keras.Model(rim, layers.Concatenate(dtype="float32")([places, none]))


def as_rims(colours: np.ndarray) -> np.ndarray:
    """Strips (N, 4, CELLS, SAMPLES, 3) uint8 as the network's input: (N, 4 * CELLS, SAMPLES, 3) float32."""
    return as_input(colours).reshape(-1, 4 * CELLS, SAMPLES, 3)


def batches(colours: np.ndarray, places: np.ndarray, rng: np.random.Generator) -> Any:
    """Batches without end, of rims that begin with any side and run either way, in other colours and contrasts."""
    while True:
        order = rng.permutation(len(colours))
        for at in range(0, len(order) - BATCH + 1, BATCH):
            chosen = np.sort(order[at : at + BATCH])
            first = int(rng.integers(4))
            x = np.roll(colours[chosen], first, axis=1)[..., rng.permutation(3)]
            y = np.roll(places[chosen], first, axis=1)
            if rng.random() < 0.5:
                x, y = x[:, ::-1, ::-1], y[:, ::-1, ::-1]
            contrast = np.float32(np.exp(rng.normal(0.0, 0.15)))
            yield as_rims(x) * contrast, *targets(y.reshape(len(y), -1))


def converted(network: Any, rims: np.ndarray) -> bytes:
    """The `.tflite` for one quad: int8, its input and output float32; calibrated with rims (N, ...) as it is fed."""
    import keras
    import tensorflow as tf

    one = keras.Input(batch_shape=(1, 4 * CELLS, SAMPLES, 3))
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(one, network(one)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([rim[None]] for rim in rims)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")  # they stay float32
        return bytes(converter.convert())


@click.command(cls=Command)
@click.argument("drawn", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--epochs", type=click.IntRange(1), default=11, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def main(drawn: Path, folder: Path, epochs: int, seed: int) -> None:
    """Learn from the pictures in DRAWN."""
    import keras

    keras.utils.set_random_seed(seed)
    pictures = read_strips(drawn)
    known, held_back = pictures[HELD_BACK:], pictures[:HELD_BACK]
    if not known:
        raise DatasetError(f"{drawn}: expected more than {HELD_BACK} pictures with a document, got {len(pictures)}")
    colours, places = (np.concatenate(each) for each in zip(*known, strict=True))
    steps = len(colours) // BATCH
    click.echo(f"{len(colours)} quads of {len(known)} pictures, {steps} steps an epoch")
    model = build("mixed_bfloat16")
    rise = min(RISE_STEPS, epochs * steps // 4)
    fall = keras.optimizers.schedules.CosineDecay(
        RATE / 100, epochs * steps - rise, warmup_target=RATE, warmup_steps=rise
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(fall, clipnorm=1.0), loss, weighted_metrics=[])
    x, y = (np.concatenate(each) for each in zip(*held_back, strict=True))
    began = time.perf_counter()
    fitted = model.fit(
        batches(colours, places, np.random.default_rng(seed)),
        epochs=epochs,
        steps_per_epoch=steps,
        shuffle=False,  # the batches are
        validation_data=(as_rims(x), *targets(y.reshape(len(y), -1))),
        verbose=2,
    )
    seconds = time.perf_counter() - began
    folder.mkdir(parents=True, exist_ok=True)
    learned = build()  # without the optimizer's state
    learned.set_weights(model.get_weights())
    with atomic_path(folder / "borders.keras") as temporary:
        learned.save(temporary)
    calibration = np.random.default_rng(seed).choice(len(colours), min(CALIBRATION, len(colours)), replace=False)
    write_bytes(folder / "borders.tflite", converted(learned, as_rims(colours[np.sort(calibration)])))
    record = read_json(drawn / "synthesis.json")
    write_json(
        folder / "borders.training.json",
        {
            "data": {key: record[key] for key in _RECORDED if key in record},
            "pictures": len(known),
            "quads": len(colours),
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
