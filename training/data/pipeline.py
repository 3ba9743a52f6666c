"""From samples on disk to batches, with tf.data.

Stands apart from `fit`: the bytes it feeds come from `unetlite.vision.preprocess`, and a test compares them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from unetlite.training.data.augment import augment
from unetlite.training.data.records import RecordSample, read_record
from unetlite.vision.contract import InputSpec
from unetlite.vision.dataset import Sample, as_classes, read_truth
from unetlite.vision.errors import UnetliteError
from unetlite.vision.image import decode_image, decode_levels, read_image
from unetlite.vision.preprocess import preprocess, preprocess_mask, real_steps

CACHE_BYTES = 6 << 30  # of fitted pictures, 256 kB each at 256x256, that are kept in memory; the rest is read again


@dataclass(frozen=True)
class Target:
    """What the network answers with: output map size in pixels and number of classes."""

    size_wh: tuple[int, int]
    num_classes: int


def load_pair(sample: Sample | RecordSample, spec: InputSpec, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its truth, fitted into the input.

    Returns:
        (h, w, 3) uint8 RGB and (h, w) uint8 class indices.

    Raises:
        ImageError, GroundTruthError: as the readers in `unetlite.vision` do.
        DatasetError: a damaged record.
    """
    if isinstance(sample, RecordSample):
        content, called = read_record(sample), sample.file / sample.name
        image = decode_image(content["image"], called)
        classes = as_classes(decode_levels(content["mask"], called), num_classes, called)
        return preprocess(image, spec)[0], preprocess_mask(classes, spec)
    image = read_image(sample.image)
    truth = read_truth(sample, (image.shape[0], image.shape[1]), num_classes)
    return preprocess(image, spec)[0], preprocess_mask(truth.classes, spec)


def coverage(mask: np.ndarray, target: Target) -> np.ndarray:
    """The share of each output pixel that each class covers.

    Args:
        mask: (H, W) uint8 class indices; H and W are multiples of the target's size.

    Returns:
        (h, w, 1) float32 of the document for two classes, (h, w, N) float32 for N.
    """
    classes = [1] if target.num_classes == 2 else range(target.num_classes)
    shares = [
        cv2.resize((mask == value).astype(np.float32), target.size_wh, interpolation=cv2.INTER_AREA)
        for value in classes
    ]
    return np.stack(shares, axis=-1)


def make_dataset(
    samples: Sequence[Sample | RecordSample],
    spec: InputSpec,
    target: Target,
    batch_size: int,
    errors: list[UnetliteError],
    *,
    augment_seed: int | None = None,
) -> Any:
    """A tf.data.Dataset of batches.

    Args:
        errors: receives the error of a sample that cannot be read; TensorFlow itself passes on its text alone.
        augment_seed: shuffle and augment with this seed; None feeds each picture once, in order, as it is.

    Returns:
        Dataset of (B, H, W, 3) float32 in the spec's real range and (B, h, w, 1 or N) float32 coverage.
    """
    return make_datasets(samples, spec, target, batch_size, errors, augment_seed=augment_seed)[0]


def make_datasets(
    samples: Sequence[Sample | RecordSample],
    spec: InputSpec,
    target: Target,
    batch_size: int,
    errors: list[UnetliteError],
    *,
    augment_seed: int | None = None,
    replicas: int = 1,
    own: Sequence[int] = (0,),
    even: bool = False,
) -> list[Any]:
    """What `make_dataset` makes, dealt out to the replicas of a distributed training.

    Batch k of all replicas together holds the pictures, each changed by the same chance, that batch k of one process
    with `replicas` times the batch size holds; no picture's file is read by two of them.

    Args:
        batch_size: of each replica.
        replicas: in how many parts.
        own: the numbers of the parts wanted, from 0; they share a cache.
        even: as many pictures for each part: leave out the epoch's last ones that do not go round.

    Returns:
        One dataset for each of `own`.
    """
    store: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    storing = threading.Lock()  # batches are made in several threads, and none may take the last room twice
    width, height = spec.size_wh
    step, low = real_steps(spec)
    most = CACHE_BYTES // (width * height * 4)
    seen: dict[Sample | RecordSample, int] = {}
    picture_shape = (height, width, 3)
    truth_shape = (target.size_wh[1], target.size_wh[0], 1 if target.num_classes == 2 else target.num_classes)
    first = [seen.setdefault(sample, i) for i, sample in enumerate(samples)]  # one given several times is kept once

    def fetch(index: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        i = first[index]
        try:
            pair = store.get(i) or load_pair(samples[i], spec, target.num_classes)
        except UnetliteError as error:
            errors.append(error)
            raise
        with storing:
            if len(store) < most:
                store[i] = pair
        if augment_seed is not None:
            pair = augment(*pair, np.random.default_rng(seed & (2**63 - 1)))
        return pair[0], coverage(pair[1], target)

    def fetch_batch(indices: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.empty((len(indices), *picture_shape), np.uint8)
        y = np.empty((len(indices), *truth_shape), np.float32)
        for place, (index, seed) in enumerate(zip(indices.tolist(), seeds.tolist(), strict=True)):
            x[place], y[place] = fetch(index, seed)
        return x, y

    def shaped(indices: Any, seeds: Any) -> tuple[Any, Any]:
        # A whole batch at a time: a call into Python and a copy for each picture cost a fifth of its making.
        x, y = tf.numpy_function(fetch_batch, [indices, seeds], [tf.uint8, tf.float32])
        return tf.ensure_shape(x, (None, *picture_shape)), tf.ensure_shape(y, (None, *truth_shape))

    def as_real(x: Any, y: Any) -> tuple[Any, Any]:
        return tf.cast(x, tf.float32) * step + low, y  # `to_real`, after a quarter of the bytes came through Python

    used = len(samples) - (len(samples) % replicas if even else 0)

    def part(number: int) -> Any:
        order = tf.data.Dataset.range(len(samples))  # an order for each: they would take turns at drawing a common one
        if augment_seed is not None:
            order = order.shuffle(len(samples), seed=augment_seed, reshuffle_each_iteration=True)
            seeds = tf.data.Dataset.random(seed=augment_seed, rerandomize_each_iteration=True)
        else:
            seeds = tf.data.Dataset.range(len(samples))
        own_pairs = tf.data.Dataset.zip((order, seeds)).take(used).shard(replicas, number)
        batches = own_pairs.batch(batch_size).map(shaped, num_parallel_calls=tf.data.AUTOTUNE)
        return batches.map(as_real).prefetch(tf.data.AUTOTUNE)

    return [part(number) for number in own]
