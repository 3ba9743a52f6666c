"""Pictures of predictions in TensorBoard, each epoch: what a loss curve does not show.

Stands apart because it draws; the run works without it.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unetlite.vision.contract import InputSpec

_SHOWN = 6  # pictures


class PredictionPictures(keras.callbacks.Callback):
    """Logs the first validation pictures: the picture, its truth, the answer, side by side.

    Args:
        board: the TensorBoard callback whose validation log they go to.
        validation: batches of (B, H, W, 3) float32 and (B, h, w, C) float32.
        spec: to bring the real range back to 0..1.
    """

    def __init__(self, board: Any, validation: Any, spec: InputSpec) -> None:
        super().__init__()
        self._folder = f"{board.log_dir}/validation"
        self._validation = validation
        self._spec = spec

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        x, y = next(iter(self._validation.take(1)))
        x, y = x[:_SHOWN], y[:_SHOWN]
        answer = self.model(x, training=False).numpy()  # Keras's predict does not know the multi-worker strategy
        low, high = self._spec.real_range
        size = x.shape[1:3]
        truth, predicted = (tf.image.resize(_document(m), size, "nearest") for m in (y.numpy(), answer))
        rows = tf.concat([(x - low) / (high - low), _grey(truth), _grey(predicted)], axis=2)
        with tf.summary.create_file_writer(self._folder).as_default():
            tf.summary.image("picture, truth, prediction", rows, step=epoch, max_outputs=_SHOWN)


def _document(output: np.ndarray) -> np.ndarray:
    return output if output.shape[-1] == 1 else 1.0 - output[..., :1]


def _grey(probability: Any) -> Any:
    return tf.repeat(probability, 3, axis=-1)
