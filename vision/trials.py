"""Quads on trial: what map, picture and shape say of one, and those near it that may do better.

Stands apart from `document`, which says where the first ones come from and which are tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unetlite.vision.border_quads import quad_of_borders
from unetlite.vision.borders import BorderNetwork, read_borders
from unetlite.vision.candidates import image_to_map, iou, mask_of, soft_iou
from unetlite.vision.confidence import Signs
from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import as_quad
from unetlite.vision.refine import Belief, Refinement, refine_quad

# What the network's support of a quad counts, and the shape's cost, against the IoU with the map; and by how much a
# quad of borders has to outdo the one before.
_WEIGHTS = (0.85, 0.15)
_GAIN = 0.02
_CERTAIN = 0.75  # of the support: beside a quad that has as much no better one is looked for
_SEARCH_SHARE = 0.04  # of the card's width: the network's places lie a hundredth of it apart


@dataclass(frozen=True)
class Trial:
    """A quad that was refined: its IoU with the map by probability, and where it lies in pixels of the map; 0..1 how
    much of its sides the network for borders takes for the document's, None where it was not asked."""

    likeness: float
    in_map: np.ndarray
    refinement: Refinement
    support: float | None = None

    def worth(self) -> float:
        """What map, network and shape together say; without the network, what the two do."""
        return self.likeness + _WEIGHTS[0] * (self.support or 0.0) - _WEIGHTS[1] * self.refinement.shape_cost

    def signs(self, probability: np.ndarray, regions: Sequence[np.ndarray]) -> Signs:
        """What speaks for it, beside the regions of all levels."""
        inside = mask_of(self.in_map, probability)
        likeness = max(iou(inside, region) for region in regions)
        return signs_of(inside, probability, likeness, self.refinement.shape_cost, self.refinement)


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


def bordered_by(image: RgbImage, trial: Trial, belief: Belief, network: BorderNetwork, times: int) -> Trial:
    """The quad with its sides where the network sees borders, or the one on trial, with the network's support.

    Args:
        image: (H, W, 3) uint8, RGB.
        trial: near which borders are looked for.
        belief: the map, of the whole picture.
        network: which is asked.
        times: how often, each time about the quad of the time before, while it has others to say.
    """
    for _ in range(times):
        borders = read_borders(image, trial.refinement.quad, network)
        if borders is None:
            return trial
        support = borders.support(trial.refinement.quad)
        trial = replace(trial, support=support)
        if support >= _CERTAIN:
            return trial
        quad = quad_of_borders(borders, belief, _WEIGHTS)
        if quad is None:
            return trial
        try:
            refinement = refine_quad(image, as_quad(quad), search_share=_SEARCH_SHARE, belief=belief)
        except InvalidQuadError:
            return trial
        other = replace(trial_of(refinement, belief), support=borders.support(refinement.quad))
        if other.worth() <= trial.worth() + _GAIN:
            return trial
        trial = other
    return trial
