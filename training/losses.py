"""Losses by name, for one sigmoid channel and for N softmax channels.

Stands apart so that the command line, saved models and tests share one table. Truth arrives as the share of each
output pixel that a class covers, which a hard mask is a special case of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from unetlite.vision.errors import SettingsError

_SMOOTH = 1.0  # pixel: an empty truth with an empty answer costs 0, and the gradient stays finite
_EPSILON = 1e-7


def _overlap(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Shared area, true area, predicted area: of each picture (B, 1), or of each class over the batch (C,).

    Over one picture, a class that does not occur in it would cost nearly all for a single pixel's worth of
    probability, and the network would learn to name no class but the background.
    """
    y_true = ops.cast(y_true, y_pred.dtype)
    axes = (1, 2) if y_pred.shape[-1] == 1 else (0, 1, 2)
    return ops.sum(y_true * y_pred, axes), ops.sum(y_true, axes), ops.sum(y_pred, axes)


@keras.saving.register_keras_serializable(package="unetlite")
def dice_coef(y_true: Any, y_pred: Any) -> Any:
    """Dice coefficient 2|A and B| / (|A| + |B|), mean over pictures, or over classes in a batch.

    Args:
        y_true: (B, H, W, C) in [0, 1], coverage of each class.
        y_pred: (B, H, W, C) float32 in [0, 1].
    """
    shared, true_area, predicted_area = _overlap(y_true, y_pred)
    return ops.mean((2.0 * shared + _SMOOTH) / (true_area + predicted_area + _SMOOTH))


@keras.saving.register_keras_serializable(package="unetlite")
def dice_loss(y_true: Any, y_pred: Any) -> Any:
    """1 - `dice_coef`. Source: Milletari et al., V-Net (2016), arXiv:1606.04797."""
    return 1.0 - dice_coef(y_true, y_pred)


@keras.saving.register_keras_serializable(package="unetlite")
def iou_loss(y_true: Any, y_pred: Any) -> Any:
    """1 - soft Jaccard index, mean over pictures, or over classes in a batch. Source: Rahman & Wang (2016)."""
    shared, true_area, predicted_area = _overlap(y_true, y_pred)
    return 1.0 - ops.mean((shared + _SMOOTH) / (true_area + predicted_area - shared + _SMOOTH))


@keras.saving.register_keras_serializable(package="unetlite")
def bce_loss(y_true: Any, y_pred: Any) -> Any:
    """Binary cross-entropy against coverage, mean over pixels."""
    return ops.mean(keras.losses.binary_crossentropy(ops.cast(y_true, y_pred.dtype), y_pred))


@keras.saving.register_keras_serializable(package="unetlite")
def sparse_categorical_loss(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy against the class that covers most of each pixel, mean over pixels."""
    indices = ops.argmax(y_true, axis=-1)
    return ops.mean(keras.losses.sparse_categorical_crossentropy(indices, y_pred))


_TERMS: dict[str, Callable[[Any, Any], Any]] = {
    "dice": dice_loss,
    "iou": iou_loss,
    "jaccard": iou_loss,
    "bce": bce_loss,
    "sparse_categorical": sparse_categorical_loss,
}
LOSS_NAMES = tuple(_TERMS)


@keras.saving.register_keras_serializable(package="unetlite")
class CombinedLoss(keras.losses.Loss):
    """The sum of named terms, as `dice+bce` asks for."""

    def __init__(self, terms: str, name: str = "loss", reduction: str = "sum", **kwargs: Any) -> None:
        super().__init__(name=name, reduction=reduction, **kwargs)  # each term is a mean already
        self.terms = terms

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return sum(_TERMS[term](y_true, y_pred) for term in self.terms.split("+"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "terms": self.terms}


def make_loss(name: str, num_classes: int) -> CombinedLoss:
    """A loss by name, or several joined by `+`.

    Raises:
        SettingsError: an unknown name, or one that does not fit the number of classes.
    """
    for term in name.split("+"):
        if term not in _TERMS:
            raise SettingsError(f"expected a loss of {', '.join(LOSS_NAMES)}, or several joined by '+', got {name!r}")
        if term == "sparse_categorical" and num_classes == 2:
            raise SettingsError("expected bce, dice or iou for two classes (one sigmoid), got sparse_categorical")
        if term == "bce" and num_classes > 2:
            raise SettingsError("expected sparse_categorical, dice or iou for three classes and more, got bce")
    return CombinedLoss(name)
