"""Closer looks: when they are taken, at what, and whose answer counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from unetlite.vision import trials
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


def test_a_clean_map_of_sides_that_show_is_looked_at_once(picture: np.ndarray) -> None:
    looks = Looks([])
    found = locate_closely(picture, belief_of(card), OutputSpec(), looks)
    assert quad_iou(found.quad, CARD) > 0.98 and looks.views == []


def test_a_region_with_something_beside_the_card_is_looked_at_closer(picture: np.ndarray) -> None:
    looks = Looks([(card, 0.96)])
    found = locate_closely(picture, belief_of(card | beside), OutputSpec(), looks)
    assert quad_iou(found.quad, CARD) > 0.98
    (view,) = looks.views
    assert view.left < 190 and view.right > 520 and view.right - view.left < 500


def test_where_doubt_is_left_the_quad_is_looked_at(picture: np.ndarray) -> None:
    looks = Looks([(card | beside, 0.9), (card, 0.96)])
    found = locate_closely(picture, belief_of(card | beside), OutputSpec(), looks)
    assert quad_iou(found.quad, CARD) > 0.98
    region, quad = looks.views
    assert region.right > 520 > quad.right > 430  # the pen is not looked at again


@pytest.mark.parametrize(("sure", "whose"), [(0.96, "later"), (0.3, "earlier")])
def test_the_surer_of_two_answers_counts(picture: np.ndarray, sure: float, whose: str) -> None:
    elsewhere = np.roll(card, (-60, -90), axis=(0, 1))  # the later look sees a card where none is
    looks = Looks([(card | beside, 0.8), (elsewhere, sure)])
    blank = np.full_like(picture, 70)
    found = locate_closely(blank, belief_of(card | beside), OutputSpec(min_confidence=0.0), looks)
    assert len(looks.views) == 2
    moved = CARD - [90, 60]
    assert (quad_iou(found.quad, moved) > quad_iou(found.quad, CARD)) == (whose == "later")


def test_two_answers_are_as_sure_as_both_in_the_mean(picture: np.ndarray) -> None:
    def confidence(*answers: tuple[np.ndarray, float]) -> float:
        looks = Looks(list(answers))
        found = locate_closely(picture, belief_of(card | beside), OutputSpec(min_confidence=0.0), looks)
        assert len(looks.views) == len(answers)
        return found.confidence

    sure, less = confidence((card | beside, 0.8), (card, 0.96)), confidence((card | beside, 0.8), (card, 0.4))
    assert 0.02 < less < sure - 0.02
    assert mean_confidence(0.9, 0.5) == pytest.approx(0.75)
    assert mean_confidence(0.3, 0.3) == pytest.approx(0.3)
    assert 0.0 < mean_confidence(0.0, 1.0) < 1.0


def test_in_a_hurry_regions_alone_are_looked_at_and_no_lines_looked_for(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(trials, "quads_of_clear_lines", lambda *given: asked.append(given) or [])
    torn = (card | beside) & ~np.roll(card, 200, axis=1)
    torn[150:230, 190:260] = False
    for hurried in (True, False):
        looks = Looks([(torn, 0.9), (torn, 0.9)])
        asked.clear()
        locate_closely(picture, belief_of(torn), OutputSpec(), looks, hurried=hurried)
        assert len(looks.views) == 2
        assert bool(asked) != hurried


def test_in_a_hurry_a_second_look_at_the_region_may_part_the_card(picture: np.ndarray) -> None:
    looks = Looks([(card | beside, 0.9), (card, 0.96)])
    found = locate_closely(picture, belief_of(card | beside, 0.8), OutputSpec(), looks, hurried=True)
    assert quad_iou(found.quad, CARD) > 0.98
    assert len(looks.views) == 2


def test_what_is_less_sure_than_it_must_be_has_no_quad_and_keeps_its_confidence(picture: np.ndarray) -> None:
    sure = locate_closely(picture, belief_of(card), OutputSpec(), Looks([]))
    asked_too_much = locate_closely(picture, belief_of(card), OutputSpec(min_confidence=0.9999), Looks([]))
    assert sure.quad is not None and asked_too_much.quad is None
    assert asked_too_much.confidence == sure.confidence > 0.9
