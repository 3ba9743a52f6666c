"""Two halves of a calibration that disagree are noticed, by their ranges and by their answers."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.model_contract import Overrides
from unetlite.export.agreement import Agreement, Comparison, Judged, PictureScore
from unetlite.export.exporter import Network, open_network
from unetlite.export.levels import LEVELS
from unetlite.export.stability import DRAWS, Draws, Stability, convert_draws, settle


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """Answers with the mean of 5x5 pixels: one pixel alone moves no range."""
    keras = importlib.import_module("keras")
    picture = keras.Input((32, 32, 3))
    mean = keras.layers.Conv2D(1, 5, padding="same", activation="relu", name="mean")
    answer = keras.layers.Conv2D(1, 1, activation="sigmoid", name="answer")
    model = keras.Model(picture, answer(mean(picture)))
    mean.set_weights([np.full((5, 5, 3, 1), 1 / 75, np.float32), np.zeros(1, np.float32)])
    model.save(tmp_path / "m.keras")
    return open_network(tmp_path / "m.keras", Overrides())


def grey(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(90, 110, (32, 32, 3)).astype(np.uint8) for _ in range(count)]


def stability(network: Network, pixels: list[np.ndarray]) -> Stability:
    draws = convert_draws(network, LEVELS["int8"], pixels, seed=0)
    assert draws is not None
    return settle(draws, None)


def test_halves_of_like_pictures_give_like_ranges(network: Network) -> None:
    found = stability(network, grey(16))
    assert (found.pictures, found.apart, found.ious) == (8, 0, None)
    assert found.tensors >= 2
    assert found.flaws() == []


def test_a_lone_picture_of_another_kind_is_noticed(network: Network) -> None:
    found = stability(network, [*grey(15), np.full((32, 32, 3), 255, np.uint8)])
    assert found.apart >= 1
    assert found.gap_max == pytest.approx(1 - 110 / 255, abs=0.1)
    (sentence,) = found.flaws()
    assert "activation ranges differ by more than 20% between two halves of the calibration (8 " in sentence
    assert f"{found.tensor} by {found.gap_max:.0%}: the result depends" in sentence


def test_few_pictures_are_not_halved(network: Network) -> None:
    assert convert_draws(network, LEVELS["int8"], grey(15), seed=0) is None


def halves(*answers: PictureScore) -> Stability:
    """Two halves of equal ranges, each with one picture."""
    judged = [Judged(Agreement(1, 1.0, 1.0, "a", 0.0, 0.0), None, (answer,)) for answer in answers]
    draws = Draws("int8", 8, {"conv": 0.1}, {})
    return settle(draws, Comparison(None, dict(zip(DRAWS, judged, strict=True)), {}))


@pytest.mark.parametrize(("first", "second", "noticed"), [(0.9, 0.898, False), (0.9, 0.896, True)])
def test_answers_apart_are_noticed(first: float, second: float, noticed: bool) -> None:
    by_truth = halves(PictureScore("a", 1.0, 0.9, first), PictureScore("a", 1.0, 0.9, second))
    by_agreement = halves(PictureScore("a", first), PictureScore("a", second))
    assert by_truth.ious == by_agreement.ious == (first, second)
    assert bool(by_truth.flaws()) == bool(by_agreement.flaws()) == noticed
    if noticed:
        assert "int8 files of mean IoU 0.9000 and 0.8960, more than 0.003 apart" in by_truth.flaws()[0]


def test_the_command_measures_it(exported) -> None:
    told = exported.report["calibration"]["stability"]
    assert (told["level"], told["pictures"]) == ("int8", 12)
    assert told["tensors"] > 10
    assert len(told["ious"]) == 2


def test_a_level_that_needs_no_calibration_has_none(trained, export: Callable, tmp_path: Path) -> None:
    assert export(trained.model, "--float32", "--calibration", trained.manifest, "--to", tmp_path).exit_code == 0
    assert json.loads((tmp_path / "unet.export.json").read_text())["calibration"]["stability"] is None
