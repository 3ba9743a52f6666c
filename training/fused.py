"""Batch normalization in one kernel of TensorFlow while a network trains.

Stands apart because it reaches into Keras: its layer takes mean, variance and result in operations of their own, each a
pass over the activations forth and back. Of a network of separable convolutions on a processor that is a quarter of a
step. The layer, its weights and what is saved are Keras's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


@contextmanager
def fused_normalization() -> Iterator[None]:
    """Within, `keras.layers.BatchNormalization` trains through TensorFlow's fused kernel; statistics are Keras's.

    Layers of another axis than the last, without scale or centre, in half precision, masked or synchronized go Keras's
    own way.
    """
    layer = keras.layers.BatchNormalization
    own_call = layer.call

    def call(self: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        usual = self.scale and self.center and self.trainable and not self.synchronized and mask is None
        fits = len(inputs.shape) == 4 and self.axis in (-1, 3) and inputs.dtype == tf.float32
        if not (training and usual and fits):
            return own_call(self, inputs, training=training, mask=mask)
        output, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        # The kernel's variance is the sample's, of n - 1; Keras keeps the batch's, of n.
        count = tf.cast(tf.size(inputs) / tf.size(mean), variance.dtype)
        new = 1.0 - self.momentum
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * new)
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * ((count - 1.0) / count) * new)
        return output

    layer.call = call
    try:
        yield
    finally:
        layer.call = own_call
