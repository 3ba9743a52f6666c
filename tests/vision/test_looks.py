"""Closer looks: when they are taken, at what, and whose answer counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from border_networks import seeing_nothing, sure_of_what_it_is_shown

from unetlite.vision.confidence import mean_confidence
from unetlite.vision.contract import InputSpec, OutputSpec
from unetlite.vision.looks import locate_closely
from unetlite.vision.metrics import quad_iou
from unetlite.vision.preprocess import place
from unetlite.vision.quad import quad_mask
from unetlite.vision.refine import Belief
from unetlite.vision.second_look import View, place_view

SPEC = InputSpec((320, 192), fit="turn")
SIZE_WH = (640, 480)
CARD = np.array([[190, 150], [430, 150], [430, 301], [190, 301]], np.float32)  # ID-1
BESIDE = np.array([[430, 205], [520, 205], [520, 240], [430, 240]], np.float32)  # a pen that touches it


def belief_of(mask: np.ndarray, sure: float = 1.0) -> Belief:
    """What a network says that sees the mask, (480, 640), as surely as that."""
    placement = place(SIZE_WH, SPEC)
    probability = cv2.resize(mask.astype(np.float32), (80, 48), interpolation=cv2.INTER_AREA)
    return Belief(0.5 + (probability - 0.5) * np.float32(sure), placement, 0.5)


@dataclass
class Looks:
    """Answers to closer looks, each a mask of the whole picture and how sure; remembers the views."""

    answers: list[tuple[np.ndarray, float]]
    views: list[View] = field(default_factory=list)

    def __call__(self, view: View, before: Belief) -> Belief:
        mask, sure = self.answers[len(self.views)]
        self.views.append(view)
        fitted = place((view.right - view.left, view.bottom - view.top), SPEC)
        size = (48, 80) if fitted.turned else (80, 48)
        probability = cv2.resize(view.of(mask.astype(np.float32)), size, interpolation=cv2.INTER_AREA)
        return Belief(0.5 + (probability - 0.5) * np.float32(sure), place_view(view, fitted, before.placement), 0.5)


@pytest.fixture
def picture() -> np.ndarray:
    picture = np.full((480, 640, 3), (70, 60, 50), np.uint8)
    picture[quad_mask(BESIDE, (480, 640))] = (120, 190, 60)
    picture[quad_mask(CARD, (480, 640))] = (205, 200, 190)
    return picture


card, beside = quad_mask(CARD, (480, 640)), quad_mask(BESIDE, (480, 640))


def test_a_clean_map_whose_sides_the_network_sees_is_looked_at_once(picture: np.ndarray) -> None:
    looks = Looks([])
    found = locate_closely(picture, belief_of(card), OutputSpec(), looks, sure_of_what_it_is_shown)
    assert quad_iou(found.quad, CARD) > 0.98 and looks.views == [] and found.support > 0.9


def test_a_region_with_something_beside_the_card_is_looked_at_closer(picture: np.ndarray) -> None:
    looks = Looks([(card, 0.96)])
    found = locate_closely(picture, belief_of(card | beside), OutputSpec(), looks, sure_of_what_it_is_shown)
    assert quad_iou(found.quad, CARD) > 0.98
    (view,) = looks.views
    assert view.left < 190 and view.right > 520 and view.right - view.left < 500


def test_where_the_network_doubts_the_sides_the_quad_is_looked_at(picture: np.ndarray) -> None:
    looks = Looks([(card | beside, 0.9), (card, 0.96)])
    found = locate_closely(picture, belief_of(card | beside), OutputSpec(), looks, seeing_nothing)
    assert quad_iou(found.quad, CARD) > 0.98
    region, quad = looks.views
    assert region.right > 520 > quad.right > 430  # the pen is not looked at again


@pytest.mark.parametrize("whose", ["later", "earlier"])
def test_of_two_answers_the_one_that_the_network_supports_counts(picture: np.ndarray, whose: str) -> None:
    elsewhere = np.roll(card, (-60, -90), axis=(0, 1))  # the later look sees a card where none is
    looks = Looks([(card | beside, 0.8), (elsewhere, 0.9)])
    blank = np.full_like(picture, 70)
    asked = []

    def network(shown: np.ndarray) -> np.ndarray:
        asked.append(len(looks.views))
        later = looks.views and len(looks.views) == 2
        share = np.float32(0.12 if bool(later) == (whose == "later") else 0.08)
        return share * sure_of_what_it_is_shown(shown) + (1 - share) * seeing_nothing(shown)

    found = locate_closely(blank, belief_of(card | beside), OutputSpec(min_confidence=0.0), looks, network)
    assert len(looks.views) == 2 and {1, 2} == set(asked)
    moved = CARD - [90, 60]
    assert (quad_iou(found.quad, moved) > quad_iou(found.quad, CARD)) == (whose == "later")


def test_two_answers_are_as_sure_as_both_in_the_mean(picture: np.ndarray) -> None:
    def confidence(*answers: tuple[np.ndarray, float]) -> float:
        looks, spec = Looks(list(answers)), OutputSpec(min_confidence=0.0)
        found = locate_closely(picture, belief_of(card | beside), spec, looks, seeing_nothing)
        assert len(looks.views) == len(answers)
        return found.confidence

    sure, less = confidence((card | beside, 0.8), (card, 0.96)), confidence((card | beside, 0.8), (card, 0.4))
    assert 0.02 < less < sure - 0.02
    assert mean_confidence(0.9, 0.5) == pytest.approx(0.75)
    assert mean_confidence(0.3, 0.3) == pytest.approx(0.3)
    assert 0.0 < mean_confidence(0.0, 1.0) < 1.0


def test_in_a_hurry_clean_maps_are_believed_and_regions_alone_looked_at(picture: np.ndarray) -> None:
    asked = []

    def network(shown: np.ndarray) -> np.ndarray:
        asked.append(shown.shape)
        return seeing_nothing(shown)

    torn = (card | beside) & ~np.roll(card, 200, axis=1)
    torn[150:230, 190:260] = False
    counts = {}
    for hurried in (True, False):
        looks = Looks([(torn, 0.9), (torn, 0.9)])
        locate_closely(picture, belief_of(torn), OutputSpec(), looks, network, hurried=hurried)
        assert len(looks.views) == 2
        counts[hurried] = len(asked)
        asked.clear()
    assert 0 < counts[True] < counts[False]
    locate_closely(picture, belief_of(card), OutputSpec(), Looks([]), network, hurried=True)
    assert asked == []


def test_in_a_hurry_a_second_look_at_the_region_may_part_the_card(picture: np.ndarray) -> None:
    looks = Looks([(card | beside, 0.9), (card, 0.96)])
    found = locate_closely(
        picture, belief_of(card | beside, 0.8), OutputSpec(), looks, seeing_nothing, hurried=True
    )
    assert quad_iou(found.quad, CARD) > 0.98
    assert len(looks.views) == 2


@pytest.mark.parametrize("hurried", [False, True])
def test_a_card_that_the_border_cuts_off_goes_on_beyond_it(hurried: bool) -> None:
    off = CARD + np.float32([260, 0])  # 50 of its 240 pixels are missing
    mask = quad_mask(off, (480, 640))
    picture = np.full((480, 640, 3), (70, 60, 50), np.uint8)
    picture[mask] = (205, 200, 190)
    found = locate_closely(
        picture, belief_of(mask), OutputSpec(), Looks([(mask, 0.96)] * 2), sure_of_what_it_is_shown, hurried=hurried
    )
    assert quad_iou(found.quad, off) > 0.88 and found.quad[1:3, 0].min() > 655


def test_what_is_less_sure_than_it_must_be_has_no_quad_and_keeps_its_confidence(picture: np.ndarray) -> None:
    sure, asked_too_much = (
        locate_closely(picture, belief_of(card), OutputSpec(min_confidence=least), Looks([]), sure_of_what_it_is_shown)
        for least in (0.5, 0.9999)
    )
    assert sure.quad is not None and asked_too_much.quad is None
    assert asked_too_much.confidence == sure.confidence > 0.9
