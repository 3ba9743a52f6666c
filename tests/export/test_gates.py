"""The gates' arithmetic: what is a loss, and when it is too large."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from unetlite.export.agreement import Agreement, Judged, PictureScore, Score
from unetlite.export.gates import Budget, Verdict, allowed_points, chance_of, judge_level

CLASSES = {"background": 1.0, "document": 0.9}


def verdict(
    keras: Sequence[float], level: Sequence[float], budget: Budget | None = None, *,
    quads: tuple[Sequence[float], Sequence[float]] | None = None,
    classes: tuple[dict, dict] = (CLASSES, CLASSES),
) -> Verdict:  # fmt: skip
    """Of pictures 0, 1, ... with these IoUs and, if given, these of the quads."""
    pictures = tuple(
        PictureScore(str(i), 1.0, before, after, *((quads[0][i], quads[1][i]) if quads else ()))
        for i, (before, after) in enumerate(zip(keras, level, strict=True))
    )
    scores = [Score(len(keras), 0.0, 0.0, None, None, names) for names in classes]
    judged = Judged(Agreement(len(keras), 1.0, 1.0, "0", 0.0, 0.0), scores[1], pictures)
    return judge_level(judged, scores[0], budget or Budget())


def agreeing(*agreements: float) -> Verdict:
    pictures = tuple(PictureScore(str(i), agreement) for i, agreement in enumerate(agreements))
    return judge_level(Judged(Agreement(len(pictures), 0, 0, "0", 0, 0), None, pictures), None, Budget())


def test_a_file_that_loses_less_than_the_budget_ships() -> None:
    passed = verdict([0.9] * 10, [0.95] * 5 + [0.861] * 5)
    assert passed.over == ()
    assert passed.losses.iou == pytest.approx(-0.0055)
    assert passed.losses.image == pytest.approx(0.039)


def test_a_loss_of_exactly_the_budget_ships() -> None:
    assert verdict([1.0] * 10, [0.95] + [1.0] * 9).over == ()


def test_a_mean_loss_is_rejected_with_both_figures() -> None:
    (sentence,) = verdict([0.9] * 4, [0.89] * 4).over
    assert sentence == (
        "mean IoU falls from 0.9000 to 0.8900, a loss of 0.0100 (N=4) where 0.005 is allowed (--max-iou-loss)"
    )
    assert verdict([0.9] * 4, [0.89] * 4, Budget(iou=0.01)).over == ()


def test_one_bad_picture_among_many_is_rejected_and_named() -> None:
    rejected = verdict([0.9] * 100, [0.91] * 99 + [0.5])
    (sentence,) = rejected.over
    assert sentence.startswith("the worst picture falls from 0.900 to 0.500, a loss of 0.400 where 0.05 is allowed")
    assert [(worst.path, worst.level) for worst in rejected.worst] == [("99", 0.5)]


def test_the_worst_pictures_come_first_and_gains_are_left_out() -> None:
    rejected = verdict([0.9] * 4, [0.8, 0.95, 0.2, 0.7])
    assert [worst.path for worst in rejected.worst] == ["2", "3", "0"]


def quads_moved(lost: int, gained: int = 0, count: int = 75, budget: Budget | None = None) -> Verdict:
    """Of `count` pictures some quads fall from 0.901 to 0.899 and others rise; the masks stay."""
    still = count - lost - gained
    before, after = [0.901] * lost + [0.899] * gained, [0.899] * lost + [0.901] * gained
    return verdict([0.9] * count, [0.9] * count, budget, quads=(before + [0.95] * still, after + [0.95] * still))


def test_one_borderline_quad_of_a_small_set_does_not_fail_a_file_and_two_do() -> None:
    assert quads_moved(1).over == ()
    assert quads_moved(1).losses.share_points == pytest.approx(100 / 75)
    assert quads_moved(2).losses.chance == pytest.approx(1 / 4)
    assert quads_moved(2).over == (
        "quads of IoU 0.9 and more fall from 75 to 73 of 75, 2.7 points where 1.3 (one picture) are allowed "
        "(--max-share-loss); 2 lost and 0 gained are no chance",
    )
    assert quads_moved(2, budget=Budget(share_points=7)).over == ()


def test_quads_that_fall_and_rise_alike_are_chance_and_one_sided_losses_are_not() -> None:
    assert quads_moved(7, 4, count=300).over == ()
    assert (quads_moved(7, 4).losses.quads_lost, quads_moved(7, 4).losses.quads_gained) == (7, 4)
    assert len(quads_moved(9, 1, count=300).over) == 1


def test_a_budget_of_zero_allows_no_quad_to_be_lost() -> None:
    assert len(quads_moved(1, budget=Budget(share_points=0)).over) == 1


@pytest.mark.parametrize(("lost", "gained", "chance"), [(0, 0, 1.0), (5, 0, 1 / 32), (3, 1, 5 / 16), (1, 1, 0.75)])
def test_chance_is_that_of_a_coin(lost: int, gained: int, chance: float) -> None:
    assert chance_of(lost, gained) == chance


def test_a_quad_that_is_gained_makes_up_for_one_that_is_lost() -> None:
    moved = verdict([0.9] * 20, [0.9] * 20, quads=([0.95] * 10 + [0.8] * 10, [0.8] * 5 + [0.95] * 5 + [0.95] * 10))
    assert moved.losses.share_points == -25.0
    assert moved.over == ()


@pytest.mark.parametrize(("points", "count", "allowed"), [(0.5, 75, 100 / 75), (0.5, 1000, 0.5), (0.0, 75, 0.0)])
def test_what_is_allowed_of_the_share(points: float, count: int, allowed: float) -> None:
    assert allowed_points(Budget(share_points=points), count) == pytest.approx(allowed)


def test_classes_that_are_swapped_are_noticed() -> None:
    names = ({"background": 1.0, "card": 0.9, "passport": 0.8}, {"background": 1.0, "card": 0.2, "passport": None})
    (sentence,) = verdict([0.9] * 4, [0.9] * 4, classes=names).over
    assert "over the classes loses 0.7500" in sentence


def test_without_truth_agreement_is_gated_at_ten_times_the_budget() -> None:
    assert agreeing(0.96, 0.96).over == ()
    (sentence,) = agreeing(0.9, 0.9).over
    assert sentence == (
        "mean IoU with Keras's own masks is 0.900 (N=2) where 0.95 is expected "
        "(without truth: 10 times --max-iou-loss)"
    )
    assert "worst picture's IoU with Keras's own masks is 0.400" in agreeing(*[1.0] * 20, 0.4).over[0]
