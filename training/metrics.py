"""Keras metrics that training shows: the same figures as `unetlite.vision.metrics`, computed on the fly.

Stands apart from the losses: these are on decided classes, not on probabilities.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from unetlite.training.losses import dice_coef


@keras.saving.register_keras_serializable(package="unetlite")
class ClassIoU(keras.metrics.IoU):
    """Mean IoU over chosen classes of one confusion matrix over all pictures.

    Truth is (B, H, W, 1) coverage of the document or (B, H, W, N) of each class; a prediction is decided at
    `threshold` (one channel) or by the largest probability.
    """

    def __init__(self, num_classes: int, class_ids: list[int], threshold: float = 0.5, **kwargs: Any) -> None:
        super().__init__(num_classes, class_ids, **kwargs)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(self._decide(y_true), self._decide(y_pred), sample_weight)

    def _decide(self, y: Any) -> Any:
        return ops.argmax(y, axis=-1) if y.shape[-1] > 1 else ops.cast(y[..., 0] >= self.threshold, "int32")

    def get_config(self) -> dict[str, Any]:
        config = {k: v for k, v in super().get_config().items() if k in ("name", "dtype")}
        return {
            **config,
            "num_classes": self.num_classes,
            "class_ids": list(self.target_class_ids),
            "threshold": self.threshold,
        }


def make_metrics(num_classes: int) -> list[Any]:
    """MeanIoU over all classes (the original project's), the documents' IoU, and the Dice coefficient."""
    return [
        ClassIoU(num_classes, list(range(num_classes)), name="mean_iou"),
        ClassIoU(num_classes, list(range(1, num_classes)), name="document_iou"),
        keras.metrics.MeanMetricWrapper(dice_coef, name="dice_coef"),
    ]
