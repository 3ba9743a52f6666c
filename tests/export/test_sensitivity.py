"""The layer that int8 cannot hold is found, by what it costs in IoU."""

from __future__ import annotations

from pathlib import Path

import pytest
from spoiled import calibrated_network, fitted, open_int8, spoiled_network, write_cards

from unetlite.export.agreement import CheckPicture, validation_pictures
from unetlite.export.sensitivity import Sensitivity, measure_sensitivity, sensitivity_table, spread, tensor_errors


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cards(tmp_path_factory.mktemp("cards"))


@pytest.fixture(scope="module")
def calibrated(cards: Path) -> bytes:
    return calibrated_network(spoiled_network(), cards)


@pytest.fixture(scope="module")
def sensitivity(calibrated: bytes, cards: Path) -> Sensitivity:
    return measure_sensitivity(calibrated, open_int8, validation_pictures(cards), fitted(cards))


def test_the_layers_on_both_sides_of_the_wide_tensor_cost_most(sensitivity: Sensitivity) -> None:
    assert [layer.name for layer in sensitivity.layers] == ["conv1", "conv2", "conv3", "sigmoid1"]
    assert {layer.name for layer in sensitivity.ranked()[:2]} == {"conv2", "conv3"}
    assert [layer.rank for layer in sensitivity.ranked()] == [1, 2, 3, 4]
    for layer in sensitivity.ranked()[:2]:
        assert layer.iou_loss > 0.5
        assert layer.image_loss >= layer.iou_loss
    for layer in sensitivity.ranked()[2:]:
        assert abs(layer.iou_loss) < 0.02
        assert layer.disagreement < 0.05


def test_the_error_in_the_tensor_alone_would_have_named_another_layer(sensitivity: Sensitivity) -> None:
    # Fed with an empty answer, the sigmoid rounds 0.00005 to 0: all of a signal that matters to nobody.
    worst = max(sensitivity.layers, key=lambda layer: layer.own_error or 0.0)
    assert worst.name == "sigmoid1"
    assert worst.rank > 2
    assert all(layer.own_error < worst.own_error / 2 for layer in sensitivity.ranked()[:2])


def test_errors_add_up_along_the_network(calibrated: bytes, cards: Path) -> None:
    errors = tensor_errors(calibrated, fitted(cards)[:4])
    assert errors["conv1"].own == pytest.approx(errors["conv1"].along, rel=0.01)  # nothing comes before it
    assert 0 < errors["conv1"].own < 0.02
    assert errors["conv2"].along < 0.02  # of the wide channel's size; the other is gone
    assert errors["conv3"].own < 0.02
    assert errors["conv3"].along > 0.5


def test_without_truth_the_float_network_s_masks_stand_in(calibrated: bytes, cards: Path) -> None:
    unlabelled = [CheckPicture(picture.path, None) for picture in validation_pictures(cards)][:4]
    measured = measure_sensitivity(calibrated, open_int8, unlabelled, fitted(cards))
    assert (measured.against, measured.pictures) == ("float", 4)
    for layer in measured.layers:
        assert layer.iou_loss == layer.disagreement >= 0.0
    assert {layer.name for layer in measured.ranked()[:2]} == {"conv2", "conv3"}


def test_the_table_begins_with_the_costliest_layer(sensitivity: Sensitivity) -> None:
    told, headings, *rows = sensitivity_table(sensitivity).splitlines()
    assert "IoU lost against the truth (N=10)" in told
    assert headings.split()[:2] == ["layer", "operation"]
    assert [row.split()[1] for row in rows] == [layer.name for layer in sensitivity.ranked()]
    assert len({len(row) for row in [headings, *rows]}) == 1
    assert len(sensitivity_table(sensitivity, most=2).splitlines()) == 4


def test_pictures_are_taken_evenly() -> None:
    assert spread(range(5), 9) == [0, 1, 2, 3, 4]
    assert spread(range(101), 5) == [0, 25, 50, 75, 100]
