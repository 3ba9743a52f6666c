"""From the network's answer to the document: which quad, and how sure.

Stands apart because device, benchmark and training read one answer in one way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unetlite.vision.borders import BorderNetwork
from unetlite.vision.candidates import (
    FOUR_SIDED,
    cost_of,
    iou,
    map_to_image,
    mask_of,
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
from unetlite.vision.refine import SEARCH_SHARE, Belief, refine_quad
from unetlite.vision.shape import PLAIN_COST
from unetlite.vision.trials import Trial, bordered_by, clearer_than, signs_of, trial_of

_LEVEL_SHIFTS = (0.0, 0.7, 0.4, -0.4, 0.86, -0.7)  # of the way from the threshold to 0 or 1
_SAME_SHARE = 0.03  # of the quad: nearer ones are refined to the same one
# Of the card's width. The first for the quads of a map that is off; the others, one after the other, for the best of
# them where it is not plain: one side may be far off, and then the others are a little.
_WIDE_SEARCH_SHARE = 0.16
_MORE_SEARCH_SHARES = (0.25, 0.12, SEARCH_SHARE)
_FAINT_AGREEMENT = 0.8  # of all sides
# By how much a quad of borders has to outdo the one before. Of a clean map's, too, and the support below which one is
# looked for at all.
_BORDER_GAIN = 0.02
_DOUBTED_GAIN, _DOUBTED_SUPPORT = 0.12, 0.55
MIN_AREA_SHARE = 0.005  # of the map: a smaller region has too few pixels for four sides


@dataclass(frozen=True)
class Finding:
    """What a picture holds.

    Attributes:
        quad: (4, 2) float32 pixels of the picture, clockwise from the top-left; None where there is no document.
        confidence: 0..1, also of what was not taken for a document.
        signs: what the confidence comes of; None where nothing was looked at.
    """

    quad: Quad | None
    confidence: float
    signs: Signs | None = None

    @property
    def is_faint(self) -> bool:
        """Whether the picture shows so little of the sides that a closer look may find better ones."""
        return self.signs is not None and self.signs.agreement is not None and self.signs.agreement < _FAINT_AGREEMENT


def document_probability(output: np.ndarray, spec: OutputSpec) -> np.ndarray:
    """The probability that a pixel is part of a document.

    Args:
        output: (H, W, 1) float32 sigmoid, or (H, W, N) float32 softmax, background first.
        spec: the contract's output.

    Returns:
        (H, W) float32 in [0, 1].
    """
    return output[..., 0] if spec.kind == "sigmoid" else 1.0 - output[..., 0]


def find_document(probability: np.ndarray, placement: Placement, spec: OutputSpec) -> Finding:
    """Find the one document that a probability map shows best, by the map alone.

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
    if likeness < FOUR_SIDED:
        quad = settled(probability, region, spec.threshold)
        inside = mask_of(quad, region)
        likeness = iou(inside, region)
    in_image = map_to_image(quad, probability, placement)
    return _finding(in_image, signs_of(inside, probability, likeness, cost_of(in_image, placement)), spec)


def locate_document(
    image: RgbImage,
    probability: np.ndarray,
    placement: Placement,
    spec: OutputSpec,
    *,
    borders: BorderNetwork | None = None,
) -> Finding:
    """Find the one document that a probability map shows best, with its sides on the edges of the picture.

    Args:
        image: (H, W, 3) uint8, RGB, the picture.
        probability: (h, w) float32, from `document_probability`.
        placement: how the picture was fitted into the input.
        spec: the contract's output: threshold and least confidence.
        borders: asked where the document ends.
    """
    plain = plain_document(image, probability, placement, spec, borders=borders)
    return contested_document(image, probability, placement, spec, borders=borders) if plain is None else plain


def plain_document(
    image: RgbImage,
    probability: np.ndarray,
    placement: Placement,
    spec: OutputSpec,
    *,
    borders: BorderNetwork | None = None,
) -> Finding | None:
    """`locate_document` where the map is clean: no region, or a four-sided one of a shape that cards show.

    Arguments as there; where the network for borders hardly sees the quad's sides, another that it sees is taken.
    Returns None where the region is something else.
    """
    region = largest_region(probability, spec.threshold)
    if not _is_large_enough(region):
        return Finding(None, 0.0)
    quad, inside, likeness = outlined(probability, region, spec.threshold)
    if likeness < FOUR_SIDED:
        return None
    belief = Belief(probability, placement, spec.threshold)
    refinement = refine_quad(image, map_to_image(quad, probability, placement), belief=belief)
    cost = refinement.shape_cost
    if cost > PLAIN_COST:
        return None
    signs = signs_of(inside, probability, likeness, cost, refinement)
    if borders is None:
        return _finding(refinement.quad, signs, spec)
    trial = trial_of(refinement, belief)
    bordered = bordered_by(image, trial, belief, borders, _DOUBTED_GAIN, _DOUBTED_SUPPORT)
    if bordered is not trial:
        signs = max(signs, bordered.signs(probability, [region]), key=Signs.confidence)
    return _finding(bordered.refinement.quad, signs, spec)


def contested_document(
    image: RgbImage,
    probability: np.ndarray,
    placement: Placement,
    spec: OutputSpec,
    *,
    hurried: bool = False,
    borders: BorderNetwork | None = None,
) -> Finding:
    """`locate_document` where the region is not four-sided, or has a shape that flat cards seldom show to a camera.

    The regions of several levels, in which an object or print beside the card may be parted from it, give quads of
    their own; each is refined, until the picture shows all four sides of a plain one. Where it does for none, the best
    is refined again, from further away and then from near. That one is taken that map, picture and shape together
    speak for; unless four clear lines of the picture, further off, outdo it by far; `hurried` leaves those
    out. Last, a network that knows documents' borders may know better. Other arguments as there.
    """
    belief = Belief(probability, placement, spec.threshold)

    def refined(quad: np.ndarray, search_share: float) -> Trial:
        return trial_of(refine_quad(image, quad, search_share=search_share, belief=belief), belief)

    best: Trial | None = None
    regions: list[np.ndarray] = []
    tried: list[np.ndarray] = []
    for level in _levels(spec.threshold):
        region = largest_region(probability, level)
        if not _is_large_enough(region):
            continue
        regions.append(region)
        candidate = plausible(probability, region, level, placement)
        if candidate is None or any(_is_same(candidate, other) for other in tried):
            continue
        tried.append(candidate)
        trial = refined(map_to_image(candidate, probability, placement), _WIDE_SEARCH_SHARE)
        if best is None or trial.worth() > best.worth():
            best = trial
        if trial.is_plain():
            break  # other levels would only cost time
    if best is None:
        return Finding(None, 0.0)
    for share in () if best.is_plain() else _MORE_SEARCH_SHARES:
        best = max(best, refined(best.refinement.quad, share), key=Trial.worth)
    clearer = best if hurried or best.is_plain() else clearer_than(image, best, belief)
    if borders is not None:
        clearer = bordered_by(image, clearer, belief, borders, _BORDER_GAIN)
    signs = best.signs(probability, regions)
    if clearer is not best:  # sides that lie elsewhere make a document no less a document
        signs = max(signs, clearer.signs(probability, regions), key=Signs.confidence)
    return _finding(clearer.refinement.quad, signs, spec)


def _finding(quad: np.ndarray, signs: Signs, spec: OutputSpec) -> Finding:
    try:
        found = as_quad(quad)
    except InvalidQuadError:
        return Finding(None, 0.0)
    confidence = signs.confidence()
    return Finding(found if confidence >= spec.min_confidence else None, confidence, signs)


def _levels(threshold: float) -> list[float]:
    """Probabilities below, at and above the threshold whose regions are looked at."""
    return [threshold * (1.0 + s) if s < 0 else threshold + s * (1.0 - threshold) for s in _LEVEL_SHIFTS]


def _is_large_enough(region: np.ndarray) -> bool:
    return np.count_nonzero(region) >= MIN_AREA_SHARE * region.size


def _is_same(quad: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(quad - other).max() < _SAME_SHARE * np.ptp(quad, axis=0).max())
