"""The matrix product that a device's peak is measured with, and the counting of a model's multiplications."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from unetlite.edge.benchmark.gemm import CHANNELS, DTYPES, GEMM_MACS, SIDE, gemm_model
from unetlite.edge.benchmark.work import Work, count_work
from unetlite.edge.runtime import RUNTIMES, make_interpreter


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_hand_made_model_multiplies_in_every_runtime(runtime, dtype):
    interpreter, _ = make_interpreter(gemm_model(dtype), runtime=runtime)
    source = interpreter.get_input_details()[0]
    rng = np.random.default_rng(0)
    rows = rng.integers(-128, 128, source["shape"]).astype(dtype)
    interpreter.set_tensor(source["index"], rows)
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).reshape(-1, CHANNELS)
    weights_rng = np.random.default_rng(1)
    if dtype == "int8":
        weights = weights_rng.integers(-127, 128, (CHANNELS, CHANNELS), np.int8)
        exact = rows.reshape(-1, CHANNELS).astype(np.int64) @ weights.T.astype(np.int64)
        expected, slack = np.clip(np.round(exact * (0.01 * 0.01 / 0.1)), -128, 127), 1.0  # half a level's rounding
    else:
        weights = weights_rng.standard_normal((CHANNELS, CHANNELS)).astype(np.float32)
        expected, slack = rows.reshape(-1, CHANNELS).astype(np.float64) @ weights.T.astype(np.float64), 0.05
    assert np.abs(answer - expected).max() <= slack
    assert answer.std() > 10


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_products_own_work_is_known(dtype):
    assert GEMM_MACS == SIDE * SIDE * CHANNELS * CHANNELS
    assert count_work(gemm_model(dtype), "gemm") == Work(GEMM_MACS, dtype)


def test_each_kind_of_layer_is_counted():
    keras, tf = importlib.import_module("keras"), importlib.import_module("tensorflow")
    layers = keras.layers
    picture = keras.Input(batch_shape=(1, 8, 8, 4))
    x = layers.Conv2D(6, 3, padding="same", strides=2)(picture)  # 4 * 4 * 6 of 3 * 3 * 4
    x = layers.DepthwiseConv2D(5, padding="same")(x)  # 4 * 4 * 6 of 5 * 5
    x = layers.Conv2DTranspose(3, 2, strides=2)(x)  # 4 * 4 * 6 into 2 * 2 * 3
    x = layers.Dense(7)(layers.Flatten()(x))  # 192 * 7
    content = tf.lite.TFLiteConverter.from_keras_model(keras.Model(picture, x)).convert()
    assert count_work(content, "m").macs == 96 * 36 + 96 * 25 + 96 * 12 + 192 * 7


def test_int8_weights_meet_the_int8_peak(models):
    work = {level: count_work(getattr(models, f"bright__{level}").read_bytes(), level)
            for level in ("float32", "float16", "dynamic", "int8")}  # fmt: skip
    assert {w.macs for w in work.values()} == {64 * 64 * 4}
    assert (work["float32"].dtype, work["float16"].dtype, work["int8"].dtype) == ("float32", "float32", "int8")
