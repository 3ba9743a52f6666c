"""Quads on trial: what map, picture and shape say of one, and those near it that may do better.

Stands apart from `document`, which says where the first ones come from and which are tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unetlite.vision.borders import BorderNetwork, read_borders
from unetlite.vision.candidates import SHAPE_WEIGHT, image_to_map, iou, mask_of, soft_iou
from unetlite.vision.clear_lines import quads_of_borders, quads_of_clear_lines
from unetlite.vision.confidence import Signs
from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import as_quad
from unetlite.vision.refine import Belief, Refinement, refine_quad
from unetlite.vision.shape import PLAIN_COST

_PLAIN_AGREEMENT = 0.6  # of each side: more than half of it shows an edge
# Of the share of the sides that the picture shows, and of the shape's cost, against the IoU with the map.
_WEIGHTS = (0.6, SHAPE_WEIGHT)
# The same of quads of clear lines, out of thousands; and by how much they have to outdo what the map gave.
_CLEAR_WEIGHTS = (0.8, 0.05)
_CLEAR_GAIN = 0.03
_CLEAR_QUADS = 4  # that are refined
_CLEAR_SEARCH_SHARE = 0.04
# The same of what the network for borders sees.
_BORDER_WEIGHTS = (1.0, 0.1)


@dataclass(frozen=True)
class Trial:
    """A quad that was refined: its IoU with the map by probability, and where it lies in pixels of the map."""

    likeness: float
    in_map: np.ndarray
    refinement: Refinement

    def worth(self, weights: tuple[float, float] = _WEIGHTS, shown: float | None = None) -> float:
        """What map, picture and shape together say; the weights are of what is shown of the sides, the share that
        agrees unless given, and of the shape's cost."""
        shown = sum(self.refinement.agreement) / 4 if shown is None else shown
        return self.likeness + weights[0] * shown - weights[1] * self.refinement.shape_cost

    def signs(self, probability: np.ndarray, regions: Sequence[np.ndarray]) -> Signs:
        """What speaks for it, beside the regions of all levels."""
        inside = mask_of(self.in_map, probability)
        likeness = max(iou(inside, region) for region in regions)
        return signs_of(inside, probability, likeness, self.refinement.shape_cost, self.refinement)

    def is_plain(self) -> bool:
        """Whether the picture shows all four sides, and they make the shape of a flat card."""
        return min(self.refinement.agreement) >= _PLAIN_AGREEMENT and self.refinement.shape_cost <= PLAIN_COST


def trial_of(refinement: Refinement, belief: Belief) -> Trial:
    """A refined quad beside the map."""
    in_map = image_to_map(refinement.quad, belief.probability, belief.placement)
    return Trial(soft_iou(belief.probability, in_map), in_map, refinement)


def signs_of(
    inside: np.ndarray, probability: np.ndarray, likeness: float, cost: float, refinement: Refinement | None = None
) -> Signs:
    """What speaks for a quad that holds the pixels `inside`."""
    values = probability[inside]
    certainty = float(np.partition(values, len(values) // 2)[len(values) // 2]) if len(values) else 0.0
    return Signs(likeness, certainty, cost, None if refinement is None else sum(refinement.agreement) / 4)


def clearer_than(image: RgbImage, best: Trial, belief: Belief) -> Trial:
    """The quad of clear lines that outdoes the best one by far enough, or the best one."""
    quads = quads_of_clear_lines(image, best.refinement.quad, belief, _CLEAR_WEIGHTS, _CLEAR_QUADS)
    clearest = max([best, *_refined(image, quads, belief)], key=lambda trial: trial.worth(_CLEAR_WEIGHTS))
    return clearest if clearest.worth(_CLEAR_WEIGHTS) > best.worth(_CLEAR_WEIGHTS) + _CLEAR_GAIN else best


def bordered_by(
    image: RgbImage,
    best: Trial,
    belief: Belief,
    network: BorderNetwork,
    gain: float,
    doubted_support: float = 1.0,
) -> Trial:
    """The quad with sides where the network sees borders that outdoes the best one by the gain, or the best one.

    Others are looked for where the network's support of the best one is below the one that is doubted.
    """
    borders = read_borders(image, best.refinement.quad, network)
    if borders is None or borders.support(best.refinement.quad) > doubted_support:
        return best

    def worth(trial: Trial) -> float:
        return trial.worth(_BORDER_WEIGHTS, borders.support(trial.refinement.quad))

    quads = quads_of_borders(borders, belief, _BORDER_WEIGHTS, _CLEAR_QUADS)
    bordered = max([best, *_refined(image, quads, belief)], key=worth)
    return bordered if worth(bordered) > worth(best) + gain else best


def _refined(image: RgbImage, quads: Sequence[np.ndarray], belief: Belief) -> list[Trial]:
    """The quads with their sides on the nearest edges; those that are no quads are left out."""
    trials = []
    for quad in quads:
        try:
            refinement = refine_quad(image, as_quad(quad), search_share=_CLEAR_SEARCH_SHARE, belief=belief)
        except InvalidQuadError:
            continue
        trials.append(trial_of(refinement, belief))
    return trials
