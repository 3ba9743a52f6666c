"""What is measured on which frame, and what is taken over from a moment before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from printed_card import printed_face, view_of_card

from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.latest import LatestFrames
from unetlite.edge.capture.quality import QualitySettings
from unetlite.edge.capture.sight import Sight, Sighting
from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.preprocess import preprocess

EMPTY = np.full((480, 640, 3), 40, np.uint8)
CARD, QUAD = view_of_card(printed_face(0))


@pytest.fixture
def sight(models: Any) -> Sight:
    return Sight(load_segmenter(models.bright__int8), QualitySettings())


def seen(sight: Sight, picture: np.ndarray, time_s: float, *, known: bool = False, every: bool = False) -> Sighting:
    frame = LiveFrame(0, time_s, picture, "RGB", (640, 480))
    return sight(frame, known=lambda _: known, every=every)


def test_a_still_card_is_measured_a_few_times_a_second(sight: Sight) -> None:
    shown = [seen(sight, CARD, n / 32) for n in range(32)]  # times without a rounding
    assert [n for n, one in enumerate(shown) if one.measured] == [0, 7, 14, 21, 28]
    assert all(np.array_equal(one.quad, shown[0].quad) for one in shown)
    assert all(all(gate.passed for gate in one.quality.gates) for one in shown)


def test_a_known_card_that_lies_there_is_measured_less_often(sight: Sight) -> None:
    shown = [seen(sight, CARD, n / 32, known=True) for n in range(32)]
    assert [n for n, one in enumerate(shown) if one.measured] == [0, 13, 26]


def test_a_card_that_has_come_is_measured_at_once_and_one_that_has_gone_is_gone_at_once(sight: Sight) -> None:
    shown = [seen(sight, picture, n / 30) for n, picture in enumerate([EMPTY, EMPTY, CARD, CARD, EMPTY])]
    assert [one.quad is None for one in shown] == [True, True, False, False, True]
    assert shown[2].measured
    assert not shown[3].measured


def test_a_card_that_moves_is_outlined_anew_on_each_frame(sight: Sight) -> None:
    seen(sight, CARD, 0.0)
    moved, quad = view_of_card(printed_face(0), shift_xy=(60.0, 20.0))
    one = seen(sight, moved, 0.03)
    assert not one.measured
    assert np.abs(one.quad - quad).max() < 6.0
    assert [gate.name for gate in one.quality.gates][-1] == "sharpness"
    outside, _ = view_of_card(printed_face(0), shift_xy=(-115.0, 0.0))
    failed = [gate.name for gate in seen(sight, outside, 0.06).quality.gates if not gate.passed]
    assert failed == ["margin"]


def test_a_card_that_something_reaches_over_stays_where_it_was_until_the_next_look(sight: Sight) -> None:
    first = seen(sight, CARD, 0.0)
    reached = CARD.copy()
    reached[:150, 300:340] = 255  # as bright as the card, and reaching over its upper side
    one = seen(sight, reached, 0.03)
    assert not one.measured
    assert np.array_equal(one.quad, first.quad) and one.confidence == first.confidence
    gone = EMPTY.copy()
    gone[300:340, 100:540] = gone[100:340, 300:340] = 255
    assert np.array_equal(seen(sight, gone, 0.06).quad, first.quad)
    last = seen(sight, gone, 0.3)
    assert last.measured
    assert last.quad is None or not np.array_equal(last.quad, first.quad)


PEN = CARD.copy()
PEN[:150, 300:340] = 255  # as bright as the card, and reaching over its upper side


@pytest.fixture
def inferences(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many inferences each frame took: appended to before it is seen. The network may doubt what it finds."""
    counts: list[int] = []
    segmenter = sight._segmenter
    segmenter.contract = replace(segmenter.contract, output=replace(segmenter.contract.output, min_confidence=0.01))
    invoke = segmenter.network.invoke

    def counted() -> None:
        counts[-1] += 1
        invoke()

    monkeypatch.setattr(segmenter.network, "invoke", counted)
    return counts


def watched(sight: Sight, inferences: list[int], times_s: list[float], *, trigger_at: int = -1) -> list[Sighting]:
    shown = []
    for number, time_s in enumerate(times_s):
        inferences.append(0)
        shown.append(seen(sight, PEN, time_s, every=number == trigger_at))
    return shown


def test_each_frame_costs_one_inference_and_a_torn_map_is_looked_at_closer_on_the_next(
    sight: Sight, inferences: list[int]
) -> None:
    shown = at_once = watched(sight, inferences, [n / 32 for n in range(7)])
    assert inferences == [3, 1, 1, 1, 1, 1, 1]  # nothing says how soon the second frame comes: the first is not left
    assert [one.measured for one in shown] == [True] + [False] * 6
    shown = watched(sight, inferences, [n / 32 for n in range(7, 13)])
    assert inferences[7:] == [1] * 6
    assert [one.measured for one in shown] == [False, False, True, False, False, False]
    assert shown[2].quad is not None and np.array_equal(shown[2].quad, at_once[0].quad)
    assert shown[2].confidence == at_once[0].confidence
    shown = watched(sight, inferences, [n / 4 for n in range(2, 5)])
    assert inferences[13:] == [3, 3, 3]  # a slow camera's frames are not kept waiting
    assert all(one.measured for one in shown)


def test_while_a_search_goes_on_the_card_stays_where_it_was_seen(sight: Sight, inferences: list[int]) -> None:
    inferences.append(0)
    first = seen(sight, CARD, 0.0)
    shown = watched(sight, inferences, [0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    assert [one.measured for one in shown] == [False, False, False, False, False, True]
    assert all(np.array_equal(one.quad, first.quad) for one in shown[:5])
    assert all(one.quality == first.quality for one in shown[:5])


def test_a_search_whose_next_frame_comes_late_begins_anew_and_a_trigger_ends_it(
    sight: Sight, inferences: list[int]
) -> None:
    watched(sight, inferences, [0.0, 0.05])
    waits, late = watched(sight, inferences, [0.1 + 0.1, 0.2 + 0.2])
    assert (waits.measured, late.measured) == (True, True)
    begun, triggered = watched(sight, inferences, [0.45, 0.5, 0.55, 0.61, 0.65], trigger_at=4)[-2:]
    assert (begun.measured, triggered.measured) == (False, True)
    assert inferences[-2] == 1 and inferences[-1] > 1


def test_a_trigger_measures_the_frame_at_hand(sight: Sight) -> None:
    seen(sight, CARD, 0.0)
    assert seen(sight, CARD, 0.03, every=True).measured


def test_a_clock_that_runs_backwards_is_a_reason_to_look_again(sight: Sight) -> None:
    seen(sight, CARD, 100.0)
    assert seen(sight, CARD, 5.0).measured


def test_the_camera_thread_fits_each_frame_for_the_network(models: Any, sight: Sight) -> None:
    spec = load_segmenter(models.bright__int8).contract.input

    class Once:
        name, live, left = "once", False, 1

        def read(self) -> LiveFrame | None:
            self.left -= 1
            return LiveFrame(0, 0.0, CARD, "RGB", (640, 480)) if self.left == 0 else None

        def close(self) -> None:
            return None

    frames = LatestFrames(Once, every_frame=True, fit=spec)
    frame = frames.next(5.0)
    frames.close()
    pixels, placement = preprocess(CARD, spec)
    assert np.array_equal(frame.fitted[0], pixels)
    assert frame.fitted[1] == placement
    assert np.abs(sight(frame, known=lambda _: False, every=False).quad - QUAD).max() < 3.0


def test_only_a_triggered_frame_is_looked_at_without_hurry(sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    hurries = []
    locate = sight._segmenter.locate
    monkeypatch.setattr(
        sight._segmenter, "locate", lambda *given, hurried: hurries.append(hurried) or locate(*given, hurried=hurried)
    )
    seen(sight, CARD, 0.0)
    seen(sight, CARD, 0.01, every=True)
    assert hurries == [True, False]
