"""The capture state machine, turn by turn, on written sequences."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from unetlite.edge.capture.fingerprint import BITS, distance, fingerprint
from unetlite.edge.capture.gate import Gate
from unetlite.edge.capture.states import CaptureMachine, Observation, State, StateSettings, Step, quad_iou

QUAD = np.array([[60, 50], [250, 64], [244, 180], [52, 170]], np.float32)
RATE = 10.0
TILTED = Gate("tilt", 40.0, 30.0, False, "Hold the camera flat over the card.")
BLURRED = Gate("sharpness", 0.6, 0.3, False, "Hold still.")


def card(number: int) -> int:
    """The fingerprint of one of several unrelated cards."""
    return int.from_bytes(np.random.default_rng(number).bytes(BITS // 8), "big")


def changed(print_: int, bits: int) -> int:
    for bit in range(bits):
        print_ ^= 1 << (7 * bit) % BITS
    return print_


@dataclass
class Stage:
    """Plays sequences to a machine at ten frames a second and keeps what it answers."""

    machine: CaptureMachine = field(default_factory=CaptureMachine)
    time_s: float = 100.0
    number: int = 0
    steps: list[Step] = field(default_factory=list)

    def play(self, seconds: float, quad: np.ndarray | None = QUAD, **seen: object) -> list[Step]:
        played = []
        for _ in range(round(seconds * RATE)):
            if quad is not None:
                seen.setdefault("fingerprint", card(1))
            played.append(self.machine.step(Observation(self.number, self.time_s, quad, 0.9, **seen)))
            self.number += 1
            self.time_s += 1.0 / RATE
        self.steps += played
        return played

    def empty(self, seconds: float) -> list[Step]:
        return self.play(seconds, None)

    @property
    def captures(self) -> list[Observation]:
        return [step.capture for step in self.steps if step.capture is not None]


def states_of(steps: list[Step]) -> list[State]:
    """The states in order, each once."""
    return [step.state for i, step in enumerate(steps) if i == 0 or step.state is not steps[i - 1].state]


def test_a_card_that_lies_still_is_captured_once() -> None:
    stage = Stage()
    stage.empty(0.5)
    stage.play(10.0)
    stage.empty(2.0)
    assert states_of(stage.steps) == [
        State.SEARCHING,
        State.HOLD_STILL,
        State.CAPTURED,
        State.REMOVE,
        State.SEARCHING,
    ]
    assert len(stage.captures) == 1


def test_the_sharpest_frame_of_the_hold_is_captured_with_its_payload() -> None:
    stage = Stage()
    stage.play(0.3, sharpness=1.0, payload="first")
    stage.play(0.1, sharpness=5.0, payload="sharpest")
    stage.play(1.0, sharpness=2.0, payload="last")
    assert [c.payload for c in stage.captures] == ["sharpest"]


def test_a_flicker_of_the_finding_does_not_start_the_hold_again() -> None:
    steady, flickering = Stage(), Stage()
    steady.play(1.2)
    for _ in range(6):
        flickering.play(0.1)
        flickering.empty(0.1)
    assert len(steady.captures) == len(flickering.captures) == 1
    assert State.SEARCHING not in states_of(flickering.steps)


def test_a_card_seen_too_rarely_is_not_captured() -> None:
    stage = Stage()
    for _ in range(10):
        stage.play(0.1)
        stage.empty(0.5)
    assert stage.captures == []


def test_a_card_that_drifts_slowly_is_not_captured_before_it_stops() -> None:
    stage = Stage()
    for step in range(60):
        stage.play(0.1, QUAD + step * 2.5)
    assert stage.captures == []
    stage.play(1.0, QUAD + 150)
    assert len(stage.captures) == 1


def test_a_moving_card_is_asked_to_be_held_still() -> None:
    stage = Stage()
    for step in range(20):
        stage.play(0.1, QUAD + step * 15)
    assert stage.captures == []
    assert stage.steps[-1].state is State.HOLD_STILL


def test_two_cards_in_turn_are_two_captures() -> None:
    stage = Stage()
    stage.play(3.0, fingerprint=card(1))
    stage.empty(1.5)
    stage.play(3.0, fingerprint=card(2))
    assert [c.fingerprint for c in stage.captures] == [card(1), card(2)]


def test_the_same_card_shown_again_is_told_and_not_captured() -> None:
    stage = Stage()
    stage.play(2.0)
    stage.empty(1.5)
    again = stage.play(3.0, fingerprint=changed(card(1), 12))
    assert len(stage.captures) == 1
    assert again[-1].state is State.REMOVE
    assert "already" in again[-1].sentence


def test_the_same_card_turned_upside_down_is_not_captured() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (12, 19, 3)).repeat(20, 0).repeat(20, 1).astype(np.uint8)
    stage = Stage()
    stage.play(2.0, fingerprint=fingerprint(picture))
    stage.empty(1.5)
    stage.play(2.0, fingerprint=fingerprint(picture[::-1, ::-1]))
    assert len(stage.captures) == 1


def test_a_card_is_captured_again_once_it_is_forgotten() -> None:
    stage = Stage(CaptureMachine(StateSettings(remember_s=5.0)))
    stage.play(2.0)
    stage.empty(6.0)
    stage.play(2.0)
    assert len(stage.captures) == 2


def test_a_card_swapped_without_a_gap_is_captured() -> None:
    stage = Stage()
    stage.play(3.0, fingerprint=card(1))
    stage.play(3.0, QUAD + 4, fingerprint=card(2))
    assert [c.fingerprint for c in stage.captures] == [card(1), card(2)]


def test_a_card_swapped_back_is_a_duplicate() -> None:
    stage = Stage()
    for shown in (1, 2, 1, 2):
        stage.play(3.0, fingerprint=card(shown))
    assert [c.fingerprint for c in stage.captures] == [card(1), card(2)]


def test_a_card_swapped_during_the_hold_starts_it_again() -> None:
    stage = Stage()
    stage.play(0.6, fingerprint=card(1), sharpness=9.0)
    stage.play(1.2, fingerprint=card(2), sharpness=1.0)
    assert [c.fingerprint for c in stage.captures] == [card(2)]


def test_a_hand_that_passes_over_a_captured_card_is_no_new_card() -> None:
    stage = Stage()
    stage.play(2.0)
    stage.play(0.5, fingerprint=card(9))
    stage.play(2.0)
    assert len(stage.captures) == 1


def test_a_captured_card_is_known_until_it_is_removed() -> None:
    stage = Stage()
    assert not stage.machine.lies_there(card(1))
    stage.play(2.0)
    assert stage.machine.lies_there(changed(card(1), 12))
    assert not stage.machine.lies_there(card(2))
    stage.empty(1.5)
    assert not stage.machine.lies_there(card(1))


def test_a_short_absence_does_not_arm_again() -> None:
    stage = Stage(CaptureMachine(StateSettings(remember_s=0.0)))
    stage.play(2.0)
    stage.empty(0.5)
    stage.play(3.0)
    assert len(stage.captures) == 1
    stage.empty(1.5)
    stage.play(2.0)
    assert len(stage.captures) == 2


def test_closed_gates_give_their_hint_and_no_capture() -> None:
    stage = Stage()
    steps = stage.play(3.0, gates=(TILTED, BLURRED))
    assert stage.captures == []
    assert (steps[-1].state, steps[-1].sentence) == (State.ADJUSTING, TILTED.sentence)


def test_hints_stay_long_enough_to_be_read() -> None:
    stage = Stage()
    for _ in range(10):
        stage.play(0.1, gates=(TILTED,))
        stage.play(0.1, gates=(BLURRED,))
    said = [step.sentence for step in stage.steps]
    changes = [i for i in range(1, len(said)) if said[i] != said[i - 1]]
    assert len(changes) <= 2.0 / StateSettings().hint_s
    assert set(said) == {TILTED.sentence, BLURRED.sentence}


def test_one_bad_frame_in_the_hold_is_forgiven_but_never_captured() -> None:
    stage = Stage()
    stage.play(0.4, sharpness=1.0)
    stage.play(0.1, gates=(TILTED,), sharpness=50.0)
    stage.play(0.6, sharpness=1.0)
    assert [c.sharpness for c in stage.captures] == [1.0]


@pytest.mark.parametrize("leap_s", [-3600.0, -0.5, 3600.0])
def test_a_leap_of_the_clock_neither_captures_nor_arms(leap_s: float) -> None:
    stage = Stage()
    stage.play(0.5)
    stage.time_s += leap_s
    stage.play(0.5)
    assert stage.captures == []  # two halves of a hold, with anything in between
    stage.play(1.0)
    assert len(stage.captures) == 1
    stage.time_s += leap_s
    stage.play(3.0)
    assert len(stage.captures) == 1


def test_a_leap_while_the_table_is_empty_is_no_absence() -> None:
    stage = Stage()
    stage.play(2.0)
    stage.empty(0.3)
    stage.time_s += 3600.0
    stage.empty(0.3)
    stage.play(0.2)
    assert stage.steps[-1].state is State.REMOVE


def test_a_frame_whose_gates_are_a_moment_old_prolongs_a_hold_but_is_never_captured() -> None:
    machine = CaptureMachine(StateSettings())
    steps = [
        machine.step(Observation(n, n * 0.1, QUAD, 0.9, fingerprint=card(1), sharpness=2.0, measured=n % 4 == 1))
        for n in range(12)
    ]
    assert [step.capture.number for step in steps if step.capture is not None] == [1]
    machine = CaptureMachine(StateSettings())
    machine.trigger()
    steps = [machine.step(Observation(n, n * 0.1, QUAD, 0.9, fingerprint=card(1), measured=n == 2)) for n in range(4)]
    assert [step.capture.number for step in steps if step.capture is not None] == [2]


def test_a_manual_trigger_captures_whatever_the_gates_say() -> None:
    stage = Stage()
    stage.play(1.0, gates=(TILTED,))
    stage.machine.trigger()
    stage.play(1.0, gates=(TILTED,))
    assert [step.manual for step in stage.steps if step.capture] == [True]


def test_a_manual_trigger_captures_a_duplicate() -> None:
    stage = Stage()
    stage.play(3.0)
    stage.machine.trigger()
    stage.play(3.0)
    assert len(stage.captures) == 2


def test_a_manual_trigger_waits_a_while_for_a_card_and_then_lapses() -> None:
    stage = Stage()
    stage.empty(0.5)
    stage.machine.trigger()
    assert "No card" in stage.empty(1.0)[-1].sentence
    assert len([s for s in stage.play(0.2, gates=(TILTED,)) if s.capture]) == 1
    stage.empty(2.0)
    stage.machine.trigger()
    stage.empty(5.0)
    stage.play(0.5, gates=(TILTED,), fingerprint=card(2))
    assert len(stage.captures) == 1


def test_a_capture_that_could_not_be_saved_may_be_shown_again() -> None:
    stage = Stage()
    stage.play(1.0)
    stage.machine.forget_last()
    stage.play(2.0)
    assert len(stage.captures) == 1
    stage.empty(1.5)
    stage.play(2.0)
    assert len(stage.captures) == 2


def test_a_slow_camera_still_captures() -> None:
    machine = CaptureMachine()
    steps = [machine.step(Observation(i, i * 0.7, QUAD, 0.9, fingerprint=card(1))) for i in range(10)]
    assert len([s for s in steps if s.capture]) == 1


def test_the_progress_of_a_hold_grows_to_its_end() -> None:
    stage = Stage()
    steps = stage.play(1.5)
    end = next(i for i, step in enumerate(steps) if step.capture)
    progress = [step.progress for step in steps[: end + 1]]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)


def test_quad_iou_of_shifted_squares_is_known() -> None:
    square = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float32)
    assert quad_iou(square, square + [5, 0]) == pytest.approx(1 / 3)
    assert quad_iou(square, square + 20) == 0.0


def test_fingerprints_tell_cards_apart_and_forgive_light_and_jitter() -> None:
    rng = np.random.default_rng(5)
    one, other = (
        np.clip(rng.integers(0, 200, (10, 16, 1)).repeat(30, 0).repeat(30, 1).repeat(3, 2), 0, 255).astype(np.uint8)
        for _ in range(2)
    )
    shaded = (one * np.linspace(0.6, 1.0, one.shape[1])[None, :, None]).astype(np.uint8)
    shifted = one[2:-3, 4:-1]
    settings = StateSettings()
    assert distance(fingerprint(one), fingerprint(shaded)) <= settings.same_bits
    assert distance(fingerprint(one), fingerprint(shifted)) <= settings.same_bits
    assert distance(fingerprint(one), fingerprint(np.rot90(one))) <= settings.same_bits
    assert distance(fingerprint(one), fingerprint(other)) >= settings.other_bits
