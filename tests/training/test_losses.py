from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="training needs TensorFlow: pip install 'unetlite[train-cpu]'")

from unetlite.training.losses import (  # noqa: E402
    bce_loss,
    dice_coef,
    dice_loss,
    iou_loss,
    make_loss,
    sparse_categorical_loss,
)
from unetlite.training.metrics import ClassIoU  # noqa: E402
from unetlite.vision.errors import SettingsError  # noqa: E402
from unetlite.vision.metrics import confusion, mean_iou  # noqa: E402

RNG = np.random.default_rng(5)
TRUTH = (RNG.random((3, 16, 16, 1)) > 0.5).astype(np.float32)
ANSWER = RNG.random((3, 16, 16, 1)).astype(np.float32)


def by_hand(truth: np.ndarray, answer: np.ndarray) -> tuple[float, float]:
    dice, iou = [], []
    for t, a in zip(truth, answer, strict=True):
        shared = float((t * a).sum())
        dice.append((2 * shared + 1) / (t.sum() + a.sum() + 1))
        iou.append((shared + 1) / (t.sum() + a.sum() - shared + 1))
    return float(np.mean(dice)), float(np.mean(iou))


def test_dice_and_iou_are_what_numpy_says() -> None:
    dice, iou = by_hand(TRUTH, ANSWER)
    assert float(dice_coef(TRUTH, ANSWER)) == pytest.approx(dice, abs=1e-5)
    assert float(dice_loss(TRUTH, ANSWER)) == pytest.approx(1 - dice, abs=1e-5)
    assert float(iou_loss(TRUTH, ANSWER)) == pytest.approx(1 - iou, abs=1e-5)


def test_dice_of_several_classes_is_taken_over_the_batch() -> None:
    truth = np.zeros((2, 8, 8, 3), np.float32)
    truth[0, ..., 1], truth[1, ..., 0] = 1, 1  # class 1 fills one picture, the background the other, class 2 none
    answer = np.full((2, 8, 8, 3), 1 / 3, np.float32)
    each = [(2 * 64 / 3 + 1) / (64 + 128 / 3 + 1)] * 2 + [1 / (128 / 3 + 1)]
    assert float(dice_coef(truth, answer)) == pytest.approx(np.mean(each), abs=1e-5)


def test_cross_entropies_are_what_numpy_says() -> None:
    expected = -np.mean(TRUTH * np.log(ANSWER) + (1 - TRUTH) * np.log(1 - ANSWER))
    assert float(bce_loss(TRUTH, ANSWER)) == pytest.approx(float(expected), rel=1e-3)
    classes = RNG.integers(0, 3, (2, 8, 8))
    answer = RNG.dirichlet(np.ones(3), (2, 8, 8)).astype(np.float32)
    expected = float(-np.mean(np.log(np.take_along_axis(answer, classes[..., None], -1))))
    covered = np.eye(3, dtype=np.float32)[classes]
    assert float(sparse_categorical_loss(covered, answer)) == pytest.approx(expected, rel=1e-3)


def test_a_perfect_answer_costs_nothing_and_an_empty_one_on_empty_truth_neither() -> None:
    for name in ("dice", "iou"):
        loss = make_loss(name, 2)
        assert float(loss(TRUTH, TRUTH)) == pytest.approx(0.0, abs=1e-5)
        assert float(loss(TRUTH * 0, TRUTH * 0)) == pytest.approx(0.0, abs=1e-5)
        assert float(loss(TRUTH * 0, TRUTH * 0 + 1)) > 0.9


def test_a_combined_loss_is_the_sum_of_its_terms() -> None:
    together = float(make_loss("dice+bce", 2)(TRUTH, ANSWER))
    assert together == pytest.approx(float(dice_loss(TRUTH, ANSWER)) + float(bce_loss(TRUTH, ANSWER)), rel=1e-5)


@pytest.mark.parametrize(("name", "classes"), [("focal", 2), ("dice+", 2), ("bce", 3), ("sparse_categorical", 2)])
def test_a_loss_that_does_not_exist_or_fit_is_refused(name: str, classes: int) -> None:
    with pytest.raises(SettingsError, match="expected"):
        make_loss(name, classes)


@pytest.mark.parametrize("classes", [2, 3])
def test_mean_iou_of_training_is_the_devices(classes: int) -> None:
    truth, predicted = RNG.integers(0, classes, (2, 4, 16, 16))
    metric = ClassIoU(classes, list(range(classes)))
    one_hot = np.eye(classes, dtype=np.float32)
    if classes == 2:
        metric.update_state(truth[..., None].astype(np.float32), np.where(predicted[..., None], 0.7, 0.3))
    else:
        metric.update_state(one_hot[truth], one_hot[predicted])
    assert float(metric.result()) == pytest.approx(mean_iou(confusion(predicted, truth, classes)), abs=1e-6)
