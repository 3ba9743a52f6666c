"""What a network for borders is shown, and what its answer says of quads."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from border_networks import certain_of, make_known, seeing_nothing, sure_of_what_it_is_shown

from unetlite.vision import trials
from unetlite.vision.borders import PLACES, SAMPLES, as_input, crossings, read_borders, strips_of
from unetlite.vision.contract import InputSpec
from unetlite.vision.document import locate_document, plain_document
from unetlite.vision.edges import CELLS
from unetlite.vision.metrics import quad_iou
from unetlite.vision.preprocess import place
from unetlite.vision.quad import quad_mask
from unetlite.vision.refine import Belief

CARD = np.array([[150, 110], [493, 120], [488, 336], [145, 326]], np.float32)  # ID-1, a little turned
LOST = CARD.copy()  # its lower side lies a sixth too high
LOST[[2, 3]] = 0.83 * CARD[[2, 3]] + 0.17 * CARD[[1, 0]]


@pytest.fixture
def blank() -> np.ndarray:
    return np.full((480, 640, 3), 128, np.uint8)


def test_strips_run_from_inside_to_outside_along_each_side(blank: np.ndarray) -> None:
    blank[quad_mask(CARD, (480, 640))] = (250, 20, 20)
    strips = strips_of(blank, CARD)
    assert strips.colours.shape == (4, CELLS, SAMPLES, 3) and strips.colours.dtype == np.uint8
    assert strips.visible.all() and strips.band == pytest.approx(0.25 * np.linalg.norm(CARD[1] - CARD[0]), rel=1e-3)
    assert (strips.colours[:, :, : SAMPLES // 2 - 2] == (250, 20, 20)).all()
    assert (strips.colours[:, :, SAMPLES // 2 + 2 :] == 128).all()


def test_crossings_are_how_far_out_a_side_lies(blank: np.ndarray) -> None:
    strips = strips_of(blank, LOST)
    assert np.abs(crossings(strips, LOST)).max() < 1e-3
    for first in range(4):  # whichever corner a quad begins with
        off = crossings(strips, np.roll(CARD, first, axis=0))
        assert np.abs(off[0]).max() < 1e-3
        assert off[2] == pytest.approx(np.full(CELLS, 0.17 * 216.0), abs=1.5)


def test_the_network_is_shown_neither_light_nor_contrast() -> None:
    rng = np.random.default_rng(1)
    colours = rng.integers(60, 120, (1, 4, CELLS, SAMPLES, 3)).astype(np.uint8)
    colours[:, 2] += np.uint8(40)  # one side is brighter than the others: that is shown
    shown = as_input(colours)
    assert shown.dtype == np.float32
    assert np.abs(shown.mean(axis=(1, 2, 3))).max() < 1e-4
    assert shown[0, 2].mean() > shown[0, 1].mean() + 1.0
    assert as_input(colours + np.uint8(90)) == pytest.approx(shown, abs=1e-3)
    assert as_input(colours // 2 * 2) == pytest.approx(as_input(colours // 2), abs=0.6)  # dark ones are not made large
    flat = np.full((1, 4, CELLS, SAMPLES, 3), 77, np.uint8)
    assert (as_input(flat) == 0).all()


def test_a_quad_where_the_network_sees_borders_has_its_support(blank: np.ndarray) -> None:
    borders = read_borders(blank, LOST, certain_of(CARD, LOST, blank))
    assert borders is not None
    assert borders.support(CARD) > 0.65
    assert borders.support(LOST) == pytest.approx(0.75 * borders.support(CARD), abs=0.08)  # three sides are the same
    assert borders.support(CARD + np.float32([900, 0])) < 0.05


def test_what_the_picture_does_not_show_has_no_vote(blank: np.ndarray) -> None:
    outside = CARD - [0.0, 200.0]
    borders = read_borders(blank, outside, lambda shown: np.full((4, CELLS, PLACES + 1), 1.0, np.float32))
    assert borders is not None
    assert not borders.strips.visible[0].any() and (borders.votes[0] == 0).all()
    assert borders.votes[2].min() > 0.9


def test_strips_of_a_few_pixels_are_not_read(blank: np.ndarray) -> None:
    assert read_borders(blank, CARD / 30, lambda shown: pytest.fail("asked")) is None


@pytest.mark.parametrize("known", [True, False])
def test_a_strip_that_map_and_picture_lost_comes_back_where_the_network_knows_it(
    blank: np.ndarray, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map ends at a line of print, and shows something beside the card; the card's own edge is hardly there."""
    image = blank
    image[quad_mask(CARD, (480, 640))] = (134, 133, 132)
    cv2.line(image, *(tuple(int(v) for v in LOST[k]) for k in (3, 2)), (40, 40, 40), 3)
    pen = np.zeros((480, 640), np.uint8)
    cv2.line(pen, (520, 60), (400, 220), 1, 24)
    probability = cv2.resize(
        (quad_mask(LOST, (480, 640)) | (pen > 0)).astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA
    )
    belief = Belief(probability, place((640, 480), InputSpec()), 0.5)
    if known:
        make_known(CARD, monkeypatch)
    found = locate_document(image, belief, seeing_nothing)
    assert quad_iou(found.quad, CARD if known else LOST) > 0.95
    assert found.support > 0.7 if known else found.support == 0.0


@pytest.mark.parametrize("whose", ["the card's", "the frame's"])
def test_a_clean_map_yields_to_the_borders_that_the_network_sees(
    blank: np.ndarray, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame is printed on the card, and the map takes it for the card's border."""
    frame = CARD.mean(axis=0) + 0.86 * (CARD - CARD.mean(axis=0))
    blank[quad_mask(CARD, (480, 640))] = (214, 213, 212)
    cv2.polylines(blank, [np.rint(frame).astype(np.int32)], True, (40, 40, 40), 3)
    probability = cv2.resize(quad_mask(frame, (480, 640)).astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA)
    belief = Belief(probability, place((640, 480), InputSpec()), 0.5)
    plain = plain_document(blank, belief, None)
    assert quad_iou(plain.quad, frame) > 0.95 and plain.support is None
    truth = CARD if whose == "the card's" else frame
    make_known(truth, monkeypatch)
    found = locate_document(blank, belief, seeing_nothing)
    assert quad_iou(found.quad, truth) > 0.95
    assert found.confidence >= plain.confidence


def test_beside_a_quad_that_the_network_is_certain_of_none_is_looked_for(
    blank: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(trials, "quad_of_borders", lambda *given: asked.append(given))
    blank[quad_mask(CARD, (480, 640))] = (214, 213, 212)
    probability = cv2.resize(quad_mask(CARD, (480, 640)).astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA)
    belief = Belief(probability, place((640, 480), InputSpec()), 0.5)
    sure = locate_document(blank, belief, sure_of_what_it_is_shown)
    assert quad_iou(sure.quad, CARD) > 0.98 and sure.support > 0.8 and asked == []
    unsure = locate_document(blank, belief, seeing_nothing)
    assert quad_iou(unsure.quad, CARD) > 0.98 and len(asked) == 1


@pytest.mark.parametrize("whose", ["the card's", "the sheet's"])
def test_of_several_quads_of_a_map_the_one_that_the_network_supports_is_taken(
    blank: np.ndarray, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sheet far larger than the card lies below it; the map is less sure of it, so another level has the card."""
    sheet = np.array([[90, 60], [560, 60], [560, 391], [90, 391]], np.float32)  # ID-3's shape
    sure, unsure = (
        cv2.resize(quad_mask(quad, (480, 640)).astype(np.float32), (80, 60), interpolation=cv2.INTER_AREA)
        for quad in (CARD, sheet)
    )
    probability = np.maximum(sure, 0.8 * unsure)
    probability[20:24, 60:75] = 0.8  # and a pen beside both: no clean region
    belief = Belief(probability, place((640, 480), InputSpec()), 0.5)
    truth = CARD if whose == "the card's" else sheet
    make_known(truth, monkeypatch)
    assert quad_iou(locate_document(blank, belief, seeing_nothing).quad, truth) > 0.95
