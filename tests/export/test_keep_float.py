"""Layers kept in float: the fewest that keep the budget, a number of them, or those that were named."""

from __future__ import annotations

from pathlib import Path

import pytest
from spoiled import SPEC, fitted, open_int8, spoiled_network, write_cards

from unetlite.edge.keras_network import KerasNetwork
from unetlite.edge.runtime import RuntimeInfo
from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import CheckPicture, validation_pictures
from unetlite.export.gates import Budget
from unetlite.export.keep_float import Trade, Wish, choose_layers, parse_wish, trade_table
from unetlite.export.keras_model import fixed_batch
from unetlite.export.mixed import calibrate
from unetlite.export.sensitivity import Sensitivity, measure_sensitivity
from unetlite.vision.contract import Contract
from unetlite.vision.errors import SettingsError


class Spoiled:
    """The network, its calibration, its pictures and its ranking, made once."""

    def __init__(self, root: Path) -> None:
        network = fixed_batch(spoiled_network(), SPEC)
        self.cards = validation_pictures(write_cards(root))
        self.keras = Segmenter(KerasNetwork(network, SPEC, "test"), Contract(SPEC), "test", RuntimeInfo("keras", ""))
        self.calibrated = calibrate(network, SPEC, fitted(root))
        self.sensitivity: Sensitivity = measure_sensitivity(self.calibrated, open_int8, self.cards, fitted(root))

    def choose(self, wish: Wish, budget: Budget | None = None, pictures: list[CheckPicture] | None = None) -> Trade:
        chosen, allowed = pictures or self.cards, budget or Budget()
        return choose_layers(self.calibrated, wish, self.sensitivity, open_int8, self.keras, chosen, allowed)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Spoiled:
    return Spoiled(tmp_path_factory.mktemp("spoiled"))


def test_auto_keeps_the_fewest_layers_that_keep_the_budget(spoiled: Spoiled) -> None:
    trade = spoiled.choose(Wish(auto=True))
    assert [len(trial.layers) for trial in trade.trials] == [0, 1, 2, 3, 4]
    plain, one, two = trade.trials[:3]
    assert plain.iou_loss > 0.5
    assert plain.over
    assert one.over  # the wide tensor is still rounded on its other side
    assert set(trade.layers) == {"conv2", "conv3"}
    assert abs(two.iou_loss) < 0.005
    assert not two.over
    assert two.model_bytes > plain.model_bytes
    assert all(trial.invoke_ms > 0 for trial in trade.trials)


def test_auto_leaves_a_file_alone_that_keeps_its_budget_anyway(spoiled: Spoiled) -> None:
    assert spoiled.choose(Wish(auto=True), Budget(1.0, 100.0, 1.0)).layers == ()


def test_where_nothing_keeps_the_budget_the_least_loss_is_taken(spoiled: Spoiled) -> None:
    trade = spoiled.choose(Wish(auto=True), Budget(-1.0, 100.0, 1.0))  # nothing can gain a whole IoU
    assert all(trial.over for trial in trade.trials)
    assert trade.trials[trade.taken].iou_loss == min(trial.iou_loss for trial in trade.trials)


def test_a_number_takes_the_costliest_and_shows_the_way_there(spoiled: Spoiled) -> None:
    trade = spoiled.choose(Wish(count=2))
    assert [len(trial.layers) for trial in trade.trials] == [0, 1, 2]
    assert trade.layers == tuple(cost.name for cost in spoiled.sensitivity.ranked()[:2])
    assert len(spoiled.choose(Wish(count=99)).layers) == 4  # all there are


def test_named_layers_need_no_ranking(spoiled: Spoiled) -> None:
    unlabelled = [CheckPicture(picture.path, None) for picture in spoiled.cards][:3]
    wish = Wish(names=("conv3", "conv2"))
    trade = choose_layers(spoiled.calibrated, wish, None, open_int8, spoiled.keras, unlabelled, Budget())
    assert [trial.layers for trial in trade.trials] == [(), ("conv3", "conv2")]
    assert trade.trials[1].iou_loss < 0.02 < 0.5 < trade.trials[0].iou_loss
    with pytest.raises(SettingsError, match="--keep-float bad: expected layers of this network, which are conv1, "):
        spoiled.choose(Wish(names=("conv1", "bad")))


def test_the_table_marks_what_was_taken(spoiled: Spoiled) -> None:
    trade = spoiled.choose(Wish(auto=True))
    headings, *rows = trade_table(trade).splitlines()
    assert headings.split()[:4] == ["in", "float", "IoU", "lost"]
    assert [row.startswith("->") for row in rows] == [False, False, True, False, False]
    assert rows[0].split()[:1] == ["0"]
    assert rows[0].endswith("passed")
    assert " kept " in rows[2]
    assert "conv2" in rows[2]


@pytest.mark.parametrize(
    ("given", "wish"),
    [
        (["auto"], Wish(auto=True)),
        (["3"], Wish(count=3)),
        (["conv1", "depthwise2,conv3"], Wish(names=("conv1", "depthwise2", "conv3"))),
    ],
)
def test_wishes(given: list[str], wish: Wish) -> None:
    assert parse_wish(given) == wish


@pytest.mark.parametrize("given", [["0"], ["-1"], ["auto", "conv1"], ["2", "conv1"], [""]])
def test_wishes_that_mean_nothing(given: list[str]) -> None:
    with pytest.raises(SettingsError, match="--keep-float"):
        parse_wish(given)
