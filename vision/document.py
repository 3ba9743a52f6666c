"""From the network's answer to the document: which quad, and how sure.

Stands apart because device, benchmark and training read one answer in one way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unetlite.vision.borders import BorderNetwork
from unetlite.vision.candidates import (
    FOUR_SIDED,
    cost_of,
    iou,
    map_to_image,
    mask_of,
    merit,
    outlined,
    plausible,
    settled,
)
from unetlite.vision.confidence import Signs
from unetlite.vision.contract import OutputSpec
from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.image import RgbImage
from unetlite.vision.mask import largest_region
from unetlite.vision.preprocess import Placement
from unetlite.vision.quad import Quad, as_quad
from unetlite.vision.refine import Belief, refine_quad
from unetlite.vision.shape import PLAIN_COST
from unetlite.vision.trials import Trial, bordered_by, signs_of, trial_of

_LEVEL_SHIFTS = (0.0, 0.7, 0.4, -0.4, 0.86, -0.7)  # of the way from the threshold to 0 or 1
_LEVELS_IN_A_HURRY = 2  # the first ones
_SAME_SHARE = 0.03  # of the quad: nearer ones are refined to the same one
# How often the network for borders is asked about a quad; from which support on no other of an unclear map is tried.
_TIMES, _TIMES_IN_A_HURRY = 2, 1
_SUPPORTED, _SUPPORTED_IN_A_HURRY = 0.77, 0.65
_DOUBTED_SUPPORT = 0.66
MIN_AREA_SHARE = 0.005  # of the map: a smaller region has too few pixels for four sides


@dataclass(frozen=True)
class Finding:
    """What a picture holds.

    Attributes:
        quad: (4, 2) float32 pixels of the picture, clockwise from the top-left; None where there is no document.
        confidence: 0..1, also of what was not taken for a document.
        signs: what the confidence comes of; None where nothing was looked at.
        support: 0..1, how much of the sides the network for borders takes for the document's; None where it was not
            asked.
    """

    quad: Quad | None
    confidence: float
    signs: Signs | None = None
    support: float | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether the network for borders sees so little of the sides that a closer look may find better ones."""
        return self.support is not None and self.support < _DOUBTED_SUPPORT

    def if_sure(self, min_confidence: float) -> Finding:
        """Without its quad where that is less sure."""
        return self if self.confidence >= min_confidence else replace(self, quad=None)


def document_probability(output: np.ndarray, spec: OutputSpec) -> np.ndarray:
    """The probability that a pixel is part of a document.

    Args:
        output: (H, W, 1) float32 sigmoid, or (H, W, N) float32 softmax, background first.
        spec: the contract's output.

    Returns:
        (H, W) float32 in [0, 1].
    """
    return output[..., 0] if spec.kind == "sigmoid" else 1.0 - output[..., 0]


def outlined_document(probability: np.ndarray, placement: Placement, spec: OutputSpec) -> Finding | None:
    """The document that a probability map shows best, by the map alone, where that is clean; None where it is not.

    Confidence is `Signs.confidence` of how four-sided the answer is, how sure the network inside, and how plain the
    shape.

    Args:
        probability: (h, w) float32, from `document_probability`.
        placement: how the picture was fitted into the input.
        spec: the contract's output: threshold and least confidence.
    """
    region = largest_region(probability, spec.threshold)
    if not _is_large_enough(region):
        return Finding(None, 0.0)
    quad, inside, likeness = outlined(probability, region, spec.threshold)
    return None if likeness < FOUR_SIDED else _by_map(quad, inside, likeness, probability, placement, spec)


def find_document(probability: np.ndarray, placement: Placement, spec: OutputSpec) -> Finding:
    """`outlined_document`, and where the map is not clean the quad that holds the most of it."""
    found = outlined_document(probability, placement, spec)
    if found is not None:
        return found
    region = largest_region(probability, spec.threshold)
    quad = settled(probability, region, spec.threshold)
    inside = mask_of(quad, region)
    return _by_map(quad, inside, iou(inside, region), probability, placement, spec)


def _by_map(
    quad: np.ndarray,
    inside: np.ndarray,
    likeness: float,
    probability: np.ndarray,
    placement: Placement,
    spec: OutputSpec,
) -> Finding:
    in_image = map_to_image(quad, probability, placement)
    found = _finding(in_image, signs_of(inside, probability, likeness, cost_of(in_image, placement)))
    return found.if_sure(spec.min_confidence)


def locate_document(image: RgbImage, belief: Belief, borders: BorderNetwork) -> Finding:
    """Find the one document that a probability map shows best, with its sides where the picture shows them.

    Args:
        image: (H, W, 3) uint8, RGB, the picture.
        belief: the map, of the whole picture.
        borders: asked where the document ends.

    Returns:
        The answer, however sure.
    """
    plain = plain_document(image, belief, borders)
    return contested_document(image, belief, borders) if plain is None else plain


def plain_document(image: RgbImage, belief: Belief, borders: BorderNetwork | None) -> Finding | None:
    """`locate_document` where the map is clean: no region, or a four-sided one of a shape that cards show.

    Arguments as there; without a network for borders the sides lie on the edges nearest to the map's.
    Returns None where the region is something else.
    """
    probability = belief.probability
    region = largest_region(probability, belief.threshold)
    if not _is_large_enough(region):
        return Finding(None, 0.0)
    quad, inside, likeness = outlined(probability, region, belief.threshold)
    if likeness < FOUR_SIDED:
        return None
    refinement = refine_quad(image, map_to_image(quad, probability, belief.placement), belief=belief)
    cost = refinement.shape_cost
    if cost > PLAIN_COST:
        return None
    signs = signs_of(inside, probability, likeness, cost, refinement)
    if borders is None:
        return _finding(refinement.quad, signs)
    trial = bordered_by(image, trial_of(refinement, belief), belief, borders, _TIMES)
    signs = max(signs, trial.signs(probability, [region]), key=Signs.confidence)
    return _finding(trial.refinement.quad, signs, trial.support)


def contested_document(image: RgbImage, belief: Belief, borders: BorderNetwork, *, hurried: bool = False) -> Finding:
    """`locate_document` where the region is not four-sided, or has a shape that flat cards seldom show to a camera.

    The regions of several levels, in which an object or print beside the card may be parted from it, give quads of
    their own. The network for borders is asked about each, those that map and shape speak for first, until it sees
    enough of the sides of one; `hurried` tries fewer. That one is taken that map, network and shape together speak for.
    Other arguments as there.
    """
    probability, placement = belief.probability, belief.placement
    regions: list[np.ndarray] = []
    starts: list[np.ndarray] = []
    for level in _levels(belief.threshold)[: _LEVELS_IN_A_HURRY if hurried else None]:
        region = largest_region(probability, level)
        if not _is_large_enough(region):
            continue
        regions.append(region)
        candidate = plausible(probability, region, level, placement)
        if candidate is not None and not any(_is_same(candidate, other) for other in starts):
            starts.append(candidate)
    if not starts:
        return Finding(None, 0.0)
    times, enough = (_TIMES_IN_A_HURRY, _SUPPORTED_IN_A_HURRY) if hurried else (_TIMES, _SUPPORTED)
    ways: list[tuple[Trial, Trial]] = []  # before the network was asked, and after
    for start in sorted(starts, key=lambda quad: merit(quad, probability, placement), reverse=True):
        before = trial_of(refine_quad(image, map_to_image(start, probability, placement), belief=belief), belief)
        after = bordered_by(image, before, belief, borders, times)
        ways.append((before, after))
        if after.support is not None and after.support >= enough:
            break
    before, best = max(ways, key=lambda way: way[1].worth())
    # Sides that lie elsewhere make a document no less a document.
    signs = max((trial.signs(probability, regions) for trial in (before, best)), key=Signs.confidence)
    return _finding(best.refinement.quad, signs, best.support)


def _finding(quad: np.ndarray, signs: Signs, support: float | None = None) -> Finding:
    try:
        return Finding(as_quad(quad), signs.confidence(), signs, support)
    except InvalidQuadError:
        return Finding(None, 0.0)


def _levels(threshold: float) -> list[float]:
    """Probabilities below, at and above the threshold whose regions are looked at."""
    return [threshold * (1.0 + s) if s < 0 else threshold + s * (1.0 - threshold) for s in _LEVEL_SHIFTS]


def _is_large_enough(region: np.ndarray) -> bool:
    return np.count_nonzero(region) >= MIN_AREA_SHARE * region.size


def _is_same(quad: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(quad - other).max() < _SAME_SHARE * np.ptp(quad, axis=0).max())
