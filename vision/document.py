"""From the network's answer to the document: which quad, and how sure.

Stands apart because device, benchmark and training read one answer in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unetlite.vision.borders import BorderNetwork, read_borders
from unetlite.vision.candidates import (
    FOUR_SIDED,
    SHAPE_WEIGHT,
    cost_of,
    image_to_map,
    iou,
    map_to_image,
    mask_of,
    outlined,
    plausible,
    settled,
    soft_iou,
)
from unetlite.vision.clear_lines import quads_of_borders, quads_of_clear_lines
from unetlite.vision.confidence import Signs
from unetlite.vision.contract import OutputSpec
from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.image import RgbImage
from unetlite.vision.mask import largest_region
from unetlite.vision.preprocess import Placement
from unetlite.vision.quad import Quad, as_quad
from unetlite.vision.refine import SEARCH_SHARE, Belief, Refinement, refine_quad
from unetlite.vision.shape import PLAIN_COST

_LEVEL_SHIFTS = (0.0, 0.7, 0.4, -0.4, 0.86, -0.7)  # of the way from the threshold to 0 or 1
_SAME_SHARE = 0.03  # of the quad: nearer ones are refined to the same one
# Of the card's width. The first for the quads of a map that is off; the others, one after the other, for the best of
# them where it is not plain: one side may be far off, and then the others are a little.
_WIDE_SEARCH_SHARE = 0.16
_MORE_SEARCH_SHARES = (0.25, 0.12, SEARCH_SHARE)
_FAINT_AGREEMENT = 0.8  # of all sides
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
_BORDER_GAIN = 0.02
# Of a clean map's quad: below which support others are looked for, and by how much they have to outdo it.
_DOUBTED_SUPPORT = 0.55
_DOUBTED_GAIN = 0.12
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
    return _finding(in_image, _signs(inside, probability, likeness, cost_of(in_image, placement)), spec)


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
    signs = _signs(inside, probability, likeness, cost, refinement)
    if borders is None:
        return _finding(refinement.quad, signs, spec)
    trial = _trial(refinement, belief)
    bordered = _bordered(image, trial, belief, borders, _DOUBTED_GAIN, _DOUBTED_SUPPORT)
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

    def refined(quad: np.ndarray, search_share: float) -> _Trial:
        return _trial(refine_quad(image, quad, search_share=search_share, belief=belief), belief)

    best: _Trial | None = None
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
        best = max(best, refined(best.refinement.quad, share), key=_Trial.worth)
    clearer = best if hurried or best.is_plain() else _clearer(image, best, belief)
    if borders is not None:
        clearer = _bordered(image, clearer, belief, borders, _BORDER_GAIN)
    signs = best.signs(probability, regions)
    if clearer is not best:  # sides that lie elsewhere make a document no less a document
        signs = max(signs, clearer.signs(probability, regions), key=Signs.confidence)
    return _finding(clearer.refinement.quad, signs, spec)


def _clearer(image: RgbImage, best: _Trial, belief: Belief) -> _Trial:
    """The quad of clear lines that outdoes the best one by far enough, or the best one."""
    quads = quads_of_clear_lines(image, best.refinement.quad, belief, _CLEAR_WEIGHTS, _CLEAR_QUADS)
    clearest = max([best, *_refined(image, quads, belief)], key=lambda trial: trial.worth(_CLEAR_WEIGHTS))
    return clearest if clearest.worth(_CLEAR_WEIGHTS) > best.worth(_CLEAR_WEIGHTS) + _CLEAR_GAIN else best


def _bordered(
    image: RgbImage,
    best: _Trial,
    belief: Belief,
    network: BorderNetwork,
    gain: float,
    doubted_support: float = 1.0,
) -> _Trial:
    """The quad with sides where the network sees borders that outdoes the best one by the gain, or the best one.

    Others are looked for where the network's support of the best one is below the one that is doubted.
    """
    borders = read_borders(image, best.refinement.quad, network)
    if borders is None or borders.support(best.refinement.quad) > doubted_support:
        return best

    def worth(trial: _Trial) -> float:
        return trial.worth(_BORDER_WEIGHTS, borders.support(trial.refinement.quad))

    quads = quads_of_borders(borders, belief, _BORDER_WEIGHTS, _CLEAR_QUADS)
    bordered = max([best, *_refined(image, quads, belief)], key=worth)
    return bordered if worth(bordered) > worth(best) + gain else best


def _refined(image: RgbImage, quads: Sequence[np.ndarray], belief: Belief) -> list[_Trial]:
    """The quads with their sides on the nearest edges; those that are no quads are left out."""
    trials = []
    for quad in quads:
        try:
            refinement = refine_quad(image, as_quad(quad), search_share=_CLEAR_SEARCH_SHARE, belief=belief)
        except InvalidQuadError:
            continue
        trials.append(_trial(refinement, belief))
    return trials


def _trial(refinement: Refinement, belief: Belief) -> _Trial:
    in_map = image_to_map(refinement.quad, belief.probability, belief.placement)
    return _Trial(soft_iou(belief.probability, in_map), in_map, refinement)


@dataclass(frozen=True)
class _Trial:
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
        return _signs(inside, probability, likeness, self.refinement.shape_cost, self.refinement)

    def is_plain(self) -> bool:
        """Whether the picture shows all four sides, and they make the shape of a flat card."""
        return min(self.refinement.agreement) >= _PLAIN_AGREEMENT and self.refinement.shape_cost <= PLAIN_COST


def _signs(
    inside: np.ndarray, probability: np.ndarray, likeness: float, cost: float, refinement: Refinement | None = None
) -> Signs:
    """What speaks for a quad that holds the pixels `inside`."""
    values = probability[inside]
    certainty = float(np.partition(values, len(values) // 2)[len(values) // 2]) if len(values) else 0.0
    return Signs(likeness, certainty, cost, None if refinement is None else sum(refinement.agreement) / 4)


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
