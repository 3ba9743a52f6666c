"""From a first map to the document: when to look closer, where, and which answer counts.

Stands apart from `document`, which reads one map: here answers to several are compared. A search waits wherever it
wants a closer look: of a photograph that is taken at once, of a camera's frame when the next one has come.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from unetlite.vision.borders import BorderNetwork
from unetlite.vision.confidence import mean_confidence
from unetlite.vision.contract import OutputSpec
from unetlite.vision.cut_off import with_unseen_side
from unetlite.vision.document import Finding, contested_document, locate_document, plain_document
from unetlite.vision.image import RgbImage
from unetlite.vision.mask import largest_region
from unetlite.vision.refine import Belief
from unetlite.vision.second_look import View, view_of_quad, view_of_region

_REGION_LOOKS_IN_A_HURRY = 2  # a look costs a fraction of the search for a quad that it may save
Look = Callable[[View, Belief], Belief]  # a closer view and what was believed before, to what is believed then
# Asks for looks, each a closer view and what was believed before; is sent the picture as it is by then, and what is
# believed of it; ends with the finding.
Search = Generator[tuple[View, Belief], tuple[RgbImage, Belief], Finding]


def search_closely(
    image: RgbImage, first: Belief, spec: OutputSpec, borders: BorderNetwork, *, hurried: bool = False
) -> Search:
    """Find the document in a picture that a network has answered, with up to two closer looks in doubt.

    Where the map is not clean its region is looked at closer. Then the network for borders is asked; where it sees too
    little of the sides, one closer look is taken at the quad. Of the answers before and after that it speaks for one,
    and that is as sure as both are in the mean of their odds: the surer one alone would find documents in pictures
    that have none. A side that the picture's border cut off lies where documents' shapes want it.

    Args:
        image: (H, W, 3) uint8, RGB.
        first: the network's answer to the whole picture.
        spec: the contract's output: threshold and least confidence.
        borders: asked where the document ends.
        hurried: whether another frame comes at once: then a clean map is believed, another one's region looked at
            closer, twice where need be, and fewer quads of it are tried.

    Raises:
        ModelError: by `borders`, where the network does not answer.
    """
    found = (yield from _answer(image, first, borders, hurried)).if_sure(spec.min_confidence)
    if found.quad is None:
        return found
    return replace(found, quad=with_unseen_side(found.quad, first.placement.image_size_wh))


def locate_closely(
    image: RgbImage,
    first: Belief,
    spec: OutputSpec,
    look: Look,
    borders: BorderNetwork,
    *,
    hurried: bool = False,
) -> Finding:
    """`search_closely` in one picture, each look taken at once.

    Args:
        look: shows a view to the network and joins its answer to the one before.

    Raises:
        ModelError: by `look` and `borders`, where a network does not answer.
    """
    search = search_closely(image, first, spec, borders, hurried=hurried)
    try:
        view, before = next(search)
        while True:
            view, before = search.send((image, look(view, before)))
    except StopIteration as end:
        return end.value


def _answer(image: RgbImage, first: Belief, borders: BorderNetwork, hurried: bool) -> Search:
    """The answer, however sure."""
    belief, view = first, None
    asked = None if hurried else borders  # about a clean map
    found = plain_document(image, belief, asked)
    for _ in range(_REGION_LOOKS_IN_A_HURRY if hurried else 1):
        last, view = view, _closer(belief) if found is None else None
        if view is None or view == last:
            break
        image, belief = yield view, belief
        found = plain_document(image, belief, asked)
    if found is None:
        found = contested_document(image, belief, borders, hurried=hurried)
    if hurried or found.quad is None or not found.is_doubtful:
        return found
    closer = view_of_quad(found.quad, belief.placement)
    if closer is None or closer == view:
        return found
    image, belief = yield closer, belief
    other = locate_document(image, belief, borders)
    better = max(found, other, key=lambda finding: finding.support or 0.0)
    return replace(better, confidence=mean_confidence(found.confidence, other.confidence))


def _closer(belief: Belief) -> View | None:
    return view_of_region(largest_region(belief.probability, belief.threshold), belief.placement)
