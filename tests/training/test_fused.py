from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="training needs TensorFlow: pip install 'unetlite[train-cpu]'")

from unetlite.training.fused import fused_normalization  # noqa: E402


def trained(*, fused: bool) -> list[np.ndarray]:
    """The weights after three steps of a small network with two normalizations."""
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(0)
    x, y = rng.random((4, 6, 10, 3), np.float32), rng.random((4, 6, 10, 1), np.float32)
    layers = keras.layers
    inputs = keras.Input((6, 10, 3))
    hidden = layers.BatchNormalization(momentum=0.9)(layers.Conv2D(6, 3, padding="same")(inputs))
    hidden = layers.BatchNormalization(momentum=0.7)(layers.DepthwiseConv2D(3, padding="same")(keras.ops.tanh(hidden)))
    model = keras.Model(inputs, layers.Conv2D(1, 1)(hidden))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    with fused_normalization() if fused else nullcontext():
        for _ in range(3):
            model.train_on_batch(x, y)
    return model.get_weights()


def test_a_network_learns_the_same_through_the_fused_kernel() -> None:
    for ours, own in zip(trained(fused=True), trained(fused=False), strict=True):
        assert np.allclose(ours, own, rtol=1e-4, atol=1e-5)


def test_the_layer_is_keras_own_again_afterwards() -> None:
    before = keras.layers.BatchNormalization.call
    with pytest.raises(ZeroDivisionError), fused_normalization():
        assert keras.layers.BatchNormalization.call is not before
        raise ZeroDivisionError
    assert keras.layers.BatchNormalization.call is before


def test_what_the_kernel_cannot_do_goes_keras_own_way() -> None:
    x = np.random.default_rng(1).random((8, 5), np.float32)
    plain = keras.layers.BatchNormalization(scale=False)
    expected = np.asarray(plain(x, training=True))
    with fused_normalization():
        assert np.array_equal(np.asarray(keras.layers.BatchNormalization(scale=False)(x, training=True)), expected)
