"""Whether a file may ship: what its quantization may cost against the Keras network, and whether it stays below.

Stands apart because it decides on numbers alone; measuring is `agreement`'s work, looking for reasons `causes`'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unetlite.edge.benchmark.scores import GOOD_QUAD_IOU
from unetlite.export.agreement import Judged, PictureScore, Score

# Two masks that lie equally close to the truth still differ along their rims, so disagreement is the harsher figure:
# of a network after six epochs int8 disagreed by 0.041 and lost no IoU; of trained ones it disagrees by 0.003 to 0.02.
AGREEMENT_FACTOR = 10.0
WORST_PICTURES = 5
# Whether a quad is found turns on the last digits of the map where sides are faint. A loss past the budget is forgiven
# only where a coin would give it in more than one of four tries: five lost and three gained, but not two and none.
CHANCE = 0.25


@dataclass(frozen=True)
class Budget:
    """What a level may lose against the Keras network.

    Attributes:
        iou: mean loss of IoU.
        share_points: loss of the share of quads that reach `GOOD_QUAD_IOU`, in points (1 point is 1 %).
        image: loss of IoU on the worst picture.
    """

    iou: float = 0.005
    share_points: float = 0.5
    image: float = 0.05


@dataclass(frozen=True)
class Losses:
    """What a level lost; negative where it gained.

    Attributes:
        against: "truth", or "keras" where no truth is known: then a loss is what is missing to full agreement.
        pictures: how many were looked at.
        iou: mean over the pictures. Against the truth it counts a picture without a document by the share of it that
            is rightly left out, so it may differ from the difference of two mean IoUs.
        class_iou: mean over the classes without background; None where there are only two.
        quad_iou: mean, told and not gated: a quad that is found or not moves it by a whole picture.
        share_points: of the quads that reach `GOOD_QUAD_IOU`.
        allowed_points: the budget, or what one picture weighs where that is more.
        quads_lost, quads_gained: how many fell below `GOOD_QUAD_IOU`, and how many rose to it.
        chance: how often a coin, thrown for each of these, would lose as many or more.
        image: of the worst picture.
    """

    against: str
    pictures: int
    iou: float
    class_iou: float | None
    quad_iou: float | None
    share_points: float | None
    allowed_points: float | None
    image: float
    quads_lost: int | None = None
    quads_gained: int | None = None
    chance: float | None = None


@dataclass(frozen=True)
class WorstPicture:
    """A picture on which a file lost, with both scores; against "keras" the first is 1."""

    path: str
    keras: float
    level: float


@dataclass(frozen=True)
class Verdict:
    """The outcome: `over` holds a sentence for each budget that was passed, and is empty for a file that may ship."""

    losses: Losses
    over: tuple[str, ...]
    worst: tuple[WorstPicture, ...]


def judge_level(judged: Judged, keras: Score | None, budget: Budget) -> Verdict:
    """Hold one file's losses against the budget.

    Args:
        judged: the file over all pictures.
        keras: the network's own score; None where no truth is known.
        budget: what may be lost. Without truth, `AGREEMENT_FACTOR` times its IoU figures may be missing to full
            agreement, and quads are not gated.
    """
    if keras is None or judged.score is None:
        return _against_keras(judged, budget)
    pairs = [(p.keras, p.level, p) for p in judged.pictures if p.keras is not None and p.level is not None]
    before, after = (np.array([pair[i] for pair in pairs], np.float64) for i in (0, 1))
    iou, image = float((before - after).mean()), float((before - after).max())
    class_iou = _class_loss(keras, judged.score)
    worst = _worst([(k, v, p) for k, v, p in pairs])
    over = []
    if _above(iou, budget.iou):
        over.append(
            f"mean IoU falls from {before.mean():.4f} to {after.mean():.4f}, a loss of {iou:.4f} (N={len(pairs)}) "
            f"where {budget.iou:g} is allowed (--max-iou-loss)"
        )
    if class_iou is not None and _above(class_iou, budget.iou):
        over.append(
            f"mean IoU over the classes loses {class_iou:.4f} (N={len(pairs)}) where {budget.iou:g} is allowed "
            f"(--max-iou-loss)"
        )
    quads = [(p.keras_quad, p.level_quad) for p in judged.pictures if p.keras_quad is not None]
    quad_iou = points = allowed = lost = gained = chance = None
    if quads:
        of_keras, of_level = np.array(quads, np.float64).T
        quad_iou = float((of_keras - of_level).mean())
        good = of_keras >= GOOD_QUAD_IOU, of_level >= GOOD_QUAD_IOU
        lost, gained = int((good[0] & ~good[1]).sum()), int((good[1] & ~good[0]).sum())
        points, chance = 100.0 * (lost - gained) / len(quads), chance_of(lost, gained)
        allowed = allowed_points(budget, len(quads))
        if _above(points, allowed) and (chance <= CHANCE or budget.share_points == 0):
            one = " (one picture)" if allowed > budget.share_points else ""
            over.append(
                f"quads of IoU {GOOD_QUAD_IOU:g} and more fall from {good[0].sum()} to {good[1].sum()} of "
                f"{len(quads)}, {points:.1f} points where {allowed:.1f}{one} are allowed (--max-share-loss); "
                f"{lost} lost and {gained} gained are no chance"
            )
    if _above(image, budget.image):
        over.append(
            f"the worst picture falls from {worst[0].keras:.3f} to {worst[0].level:.3f}, a loss of {image:.3f} where "
            f"{budget.image:g} is allowed (--max-image-loss)"
        )
    losses = Losses("truth", len(pairs), iou, class_iou, quad_iou, points, allowed, image, lost, gained, chance)
    return Verdict(losses, tuple(over), worst)


def allowed_points(budget: Budget, count: int) -> float:
    """How many points of the share may be lost over `count` quads.

    Below 200 pictures the default of 0.5 points is less than one picture, and one quad that falls from 0.901 to 0.899
    would fail a good file: one picture is always allowed, unless the budget is zero.
    """
    return max(budget.share_points, 100.0 / count) if budget.share_points > 0 else 0.0


def chance_of(lost: int, gained: int) -> float:
    """How often `lost + gained` throws of a coin show at least `lost` losses: the sign test, one-sided.

    Source: Dixon & Mood, The Statistical Sign Test (1946).
    """
    throws = lost + gained
    return sum(math.comb(throws, k) for k in range(lost, throws + 1)) / 2**throws


def _against_keras(judged: Judged, budget: Budget) -> Verdict:
    missing = np.array([1.0 - picture.agreement for picture in judged.pictures])
    iou, image = float(missing.mean()), float(missing.max())
    worst = _worst([(1.0, picture.agreement, picture) for picture in judged.pictures])
    over = []
    for what, loss, allowed, flag in (
        ("mean IoU", iou, budget.iou, "--max-iou-loss"),
        ("the worst picture's IoU", image, budget.image, "--max-image-loss"),
    ):
        if _above(loss, allowed * AGREEMENT_FACTOR):
            over.append(
                f"{what} with Keras's own masks is {1.0 - loss:.3f} (N={len(missing)}) where "
                f"{1.0 - allowed * AGREEMENT_FACTOR:g} is expected (without truth: {AGREEMENT_FACTOR:g} times {flag})"
            )
    return Verdict(Losses("keras", len(missing), iou, None, None, None, None, image), tuple(over), worst)


def _above(loss: float, allowed: float) -> bool:
    return loss > allowed + 1e-9  # 1.0 - 0.95 is more than 0.05


def _worst(pairs: Sequence[tuple[float, float, PictureScore]]) -> tuple[WorstPicture, ...]:
    losing = sorted((level - keras, picture.path, keras, level) for keras, level, picture in pairs if level < keras)
    return tuple(WorstPicture(path, keras, level) for _, path, keras, level in losing[:WORST_PICTURES])


def _class_loss(keras: Score, level: Score) -> float | None:
    if len(keras.class_iou) <= 2:
        return None
    pairs = [(keras.class_iou[name], level.class_iou[name]) for name in list(keras.class_iou)[1:]]
    known = [before - (after or 0.0) for before, after in pairs if before is not None]
    return float(np.mean(known)) if known else 0.0
