"""From a first map to the document: when to look closer, where, and which answer counts.

Stands apart from `document`, which reads one map: here answers to several are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from unetlite.vision.borders import BorderNetwork
from unetlite.vision.confidence import mean_confidence
from unetlite.vision.contract import OutputSpec
from unetlite.vision.document import Finding, contested_document, locate_document, plain_document
from unetlite.vision.image import RgbImage
from unetlite.vision.mask import largest_region
from unetlite.vision.refine import Belief
from unetlite.vision.second_look import View, view_of_quad, view_of_region

_REGION_LOOKS_IN_A_HURRY = 2  # a look costs a fraction of the search for a quad that it may save
Look = Callable[[View, Belief], Belief]  # a closer view and what was believed before, to what is believed then


def locate_closely(
    image: RgbImage,
    first: Belief,
    spec: OutputSpec,
    look: Look,
    *,
    borders: BorderNetwork | None = None,
    hurried: bool = False,
) -> Finding:
    """Find the document in a picture that a network has answered, with up to two closer looks in doubt.

    A clean map is believed; where the picture shows little of the sides that it gives, one closer look is taken. Of a
    map that is not clean the region is looked at closer, and where that leaves doubt as well the quad that map,
    picture and shape then speak for. The surer of two answers counts, as sure as both are in the mean of their odds:
    the surer one alone would find documents in pictures that have none.

    Args:
        image: (H, W, 3) uint8, RGB.
        first: the network's answer to the whole picture.
        spec: the contract's output: threshold and least confidence.
        look: shows a view to the network and joins its answer to the one before.
        borders: asked where the document ends.
        hurried: whether another frame comes at once: then the region is looked at closer, twice where need be, one quad
            is searched for in the end, and no clear lines.

    Raises:
        ModelError: by `look`, where the network answers with something other than probabilities.
    """
    found = _answer(image, first, replace(spec, min_confidence=0.0), look, borders, hurried)
    return found if found.confidence >= spec.min_confidence else replace(found, quad=None)


def _answer(
    image: RgbImage, first: Belief, spec: OutputSpec, look: Look, borders: BorderNetwork | None, hurried: bool
) -> Finding:
    """The answer, however sure."""
    belief, view = first, None
    clean = _clean(image, belief, spec, borders)
    for _ in range(_REGION_LOOKS_IN_A_HURRY if hurried else 1):
        last, view = view, _closer(belief) if clean is None else None
        if view is None or view == last:
            break
        belief = look(view, belief)
        clean = _clean(image, belief, spec, borders)
    found = clean or contested_document(
        image, belief.probability, belief.placement, spec, hurried=hurried, borders=borders
    )
    if hurried or found.quad is None or not (clean is None or clean.is_faint):
        return found
    closer = view_of_quad(found.quad, belief.placement) if clean is None else _closer(belief)
    if closer is None or closer == view:
        return found
    belief = look(closer, belief)
    if clean is None:
        other: Finding | None = locate_document(image, belief.probability, belief.placement, spec, borders=borders)
    else:
        other = _clean(image, belief, spec, borders)
    if other is None:
        return found
    surer = max(found, other, key=lambda finding: finding.confidence)
    return replace(surer, confidence=mean_confidence(found.confidence, other.confidence))


def _clean(image: RgbImage, belief: Belief, spec: OutputSpec, borders: BorderNetwork | None) -> Finding | None:
    return plain_document(image, belief.probability, belief.placement, spec, borders=borders)


def _closer(belief: Belief) -> View | None:
    return view_of_region(largest_region(belief.probability, belief.threshold), belief.placement)
