"""When to take the picture: searching, adjusting, hold still, captured, remove the card.

Pure logic over a stream of observations: no clock, no thread, no pixels; so sequences can test every turn of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import cv2
import numpy as np

from unetlite.edge.capture.fingerprint import distance
from unetlite.edge.capture.gate import Gate, first_failed
from unetlite.vision.quad import Quad, polygon_area


class State(Enum):
    """What the person before the camera is to do next."""

    SEARCHING = "searching"
    ADJUSTING = "adjusting"
    HOLD_STILL = "hold still"
    CAPTURED = "captured"
    REMOVE = "remove the card"


_SENTENCES = {
    State.SEARCHING: "Show a card.",
    State.HOLD_STILL: "Hold still.",
    State.CAPTURED: "Captured.",
    State.REMOVE: "Remove the card.",
}
_DUPLICATE = "This card was captured already. Remove it."
_NOTHING_TO_TRIGGER = "No card is seen. Show one, then trigger again."
_PRINTS_PER_CARD = 8  # of one card while it lies there under changing light and pose


@dataclass(frozen=True)
class StateSettings:
    """Times in seconds, of the observations' own clock.

    Attributes:
        hold_s: how long a card must lie still before the best of its frames is taken.
        hold_frames: and over how many good frames at least.
        still_iou: overlap of the quad with the first one of that time, from which on it counts as still.
        lost_s: a card may be lost, or a gate fail, for so long without starting over.
        gone_s: how long a card must be away before the next one is looked for.
        captured_s: how long "captured" is shown.
        hint_s: how long a hint stays at least, so that it can be read.
        leap_s: two observations further apart than this, or running backwards, are of different scenes.
        same_bits: fingerprints that differ in no more of 256 bits are of one card.
        other_bits: fingerprints that differ in at least so many are of two cards, though none was seen to leave.
        remember_s: for how long a captured card is known again.
        trigger_s: how long a manual trigger waits for a card.
    """

    hold_s: float = 0.8
    hold_frames: int = 4
    still_iou: float = 0.9
    lost_s: float = 0.3
    gone_s: float = 0.8
    captured_s: float = 1.0
    hint_s: float = 0.7
    leap_s: float = 2.0
    same_bits: int = 30
    other_bits: int = 50
    remember_s: float = 300.0
    trigger_s: float = 3.0


@dataclass(frozen=True)
class Observation:
    """What one frame showed.

    Attributes:
        number: the frame's number.
        time_s: its time, of a clock that does not go backwards.
        quad: where the card is, or None.
        confidence: 0..1, of the finding.
        gates: the quality gates' results; none where there is no quad.
        sharpness: higher is better; comparable between frames of one card.
        fingerprint: of the crop; None where there is no quad.
        payload: whatever the caller wants back with a capture; held for the best frame alone.
        measured: whether gates, sharpness and fingerprint are this frame's own. Those of a moment before may prolong a
            hold, but such a frame is never taken.
    """

    number: int
    time_s: float
    quad: Quad | None = None
    confidence: float = 0.0
    gates: tuple[Gate, ...] = ()
    sharpness: float = 0.0
    fingerprint: int | None = None
    payload: Any = None
    measured: bool = True

    @property
    def good(self) -> bool:
        """Whether there is a card that all gates let through."""
        return self.quad is not None and all(gate.passed for gate in self.gates)


@dataclass(frozen=True)
class Step:
    """The machine's answer to one observation.

    Attributes:
        state: the state after it.
        sentence: one sentence for the person.
        capture: the observation to save, in the one step that decides it.
        manual: whether that capture was triggered by hand.
        progress: 0..1, how much of the hold is over.
    """

    state: State
    sentence: str
    capture: Observation | None = None
    manual: bool = False
    progress: float = 0.0


@dataclass
class _Card:
    """A captured card: how it looked, and when it was last seen."""

    prints: list[int]
    seen_s: float

    def distance(self, fingerprint: int) -> int:
        return min(distance(fingerprint, own) for own in self.prints)


@dataclass
class _Hold:
    """The window in which a card lies still: its first quad, its best frame, its last good moment."""

    quad: Quad
    begin_s: float
    best: Observation
    good_s: float
    frames: int = 1


@dataclass
class _Shown:
    """The hint that is on view, and since when."""

    sentence: str = ""
    since_s: float = float("-inf")


@dataclass
class CaptureMachine:
    """Feed it observations in order; it says what to show, and once per card which frame to save.

    Attributes:
        settings: times and thresholds.
    """

    settings: StateSettings = field(default_factory=StateSettings)
    _state: State = State.SEARCHING
    _now_s: float = 0.0  # the observations' time without its leaps, so that no leap counts as waiting
    _last_time_s: float | None = None
    _seen_s: float = float("-inf")
    _since_s: float = 0.0
    _hold: _Hold | None = None
    _cards: list[_Card] = field(default_factory=list)
    _present: _Card | None = None  # the captured card that still lies there
    _duplicate: bool = False
    _trigger_until_s: float = float("-inf")
    _shown: _Shown = field(default_factory=_Shown)

    def trigger(self) -> None:
        """Capture the next card that is seen, whatever gates, stillness and memory say."""
        self._trigger_until_s = self._now_s + self.settings.trigger_s

    @property
    def triggered(self) -> bool:
        """Whether a trigger still waits for a card."""
        return self._now_s <= self._trigger_until_s

    def lies_there(self, fingerprint: int) -> bool:
        """Whether this is the captured card, which has not been removed yet."""
        return self._present is not None and self._present.distance(fingerprint) < self.settings.other_bits

    def forget_last(self) -> None:
        """Forget the card captured last: it could not be saved, so it may be shown again."""
        if self._present is not None:
            self._cards = [card for card in self._cards if card is not self._present]

    def step(self, seen: Observation) -> Step:
        """Take in one observation."""
        self._advance(seen.time_s)
        if seen.quad is not None:
            self._seen_s = self._now_s
        if seen.quad is not None and seen.measured and self.triggered:
            self._trigger_until_s = float("-inf")
            return self._capture(seen, manual=True)
        if self._state in (State.CAPTURED, State.REMOVE):
            step = self._wait_for_removal(seen)
            if step is not None:
                return step
        step = self._approach(seen)
        if seen.quad is None and self.triggered:
            step = replace(step, sentence=_NOTHING_TO_TRIGGER)
        return step

    def _advance(self, time_s: float) -> None:
        passed_s = 0.0 if self._last_time_s is None else time_s - self._last_time_s
        self._last_time_s = time_s
        if 0.0 <= passed_s <= self.settings.leap_s:
            self._now_s += passed_s
            return
        self._hold = None
        # Nobody knows what happened meanwhile: a card that was away before must be seen to be away anew.
        self._seen_s = self._now_s if self._seen_s > float("-inf") else self._seen_s

    def _away_s(self) -> float:
        return self._now_s - self._seen_s

    def _enter(self, state: State) -> None:
        if state is not self._state:
            self._state, self._since_s = state, self._now_s

    def _wait_for_removal(self, seen: Observation) -> Step | None:
        """The step while a captured card lies there; None once it has left or another lies in its place."""
        if self._away_s() >= self.settings.gone_s:
            self._re_arm()
            return None
        if self._hold is not None and self._now_s - self._hold.good_s > self.settings.lost_s:
            self._hold = None
        if seen.good and seen.fingerprint is not None and self._present is not None:
            away = self._present.distance(seen.fingerprint)
            if away >= self.settings.other_bits:
                return self._watch_other(seen)
            self._hold = None
            if away <= self.settings.same_bits:
                self._present.seen_s = self._now_s
                if away > self.settings.same_bits // 2 and len(self._present.prints) < _PRINTS_PER_CARD:
                    self._present.prints.append(seen.fingerprint)
        if self._state is State.CAPTURED and self._now_s - self._since_s >= self.settings.captured_s:
            self._enter(State.REMOVE)
        return self._removal_step()

    def _watch_other(self, seen: Observation) -> Step:
        """A card that looks different lies where the captured one did: once still, it is a new one."""
        capture = self._hold_on(seen)
        if capture is None:
            return self._removal_step()
        self._re_arm()
        return self._decide(capture)

    def _removal_step(self) -> Step:
        sentence = _DUPLICATE if self._duplicate else _SENTENCES[self._state]
        return Step(self._state, sentence)

    def _re_arm(self) -> None:
        self._hold, self._present, self._duplicate = None, None, False
        self._enter(State.SEARCHING)

    def _approach(self, seen: Observation) -> Step:
        """The step while no captured card lies there."""
        lost_s = self.settings.lost_s
        if seen.good:
            capture = self._hold_on(seen)
            if capture is not None:
                return self._decide(capture)
            self._enter(State.HOLD_STILL)
        elif self._hold is not None and self._now_s - self._hold.good_s <= lost_s:
            pass  # a flicker
        else:
            self._hold = None
            if seen.quad is not None:
                self._enter(State.ADJUSTING)
            elif self._away_s() > lost_s or self._state is State.SEARCHING:
                self._enter(State.SEARCHING)
        return Step(self._state, self._sentence(seen), progress=self._progress())

    def _hold_on(self, seen: Observation) -> Observation | None:
        """Count a good frame; the best frame, once the card has lain still for long enough."""
        assert seen.quad is not None  # a good frame has one
        hold = self._hold
        if hold is None or not self._continues(hold, seen):
            self._hold = _Hold(seen.quad, self._now_s, seen, self._now_s)
            return None
        hold.good_s, hold.frames = self._now_s, hold.frames + 1
        if seen.measured and (seen.sharpness > hold.best.sharpness or not hold.best.measured):
            hold.best = seen
        long_enough = self._now_s - hold.begin_s >= self.settings.hold_s and hold.frames >= self.settings.hold_frames
        return hold.best if long_enough and hold.best.measured else None

    def _continues(self, hold: _Hold, seen: Observation) -> bool:
        # With the first frame, too: in a slow drift each one fits the next, but the last not the first.
        for quad in (hold.best.quad, hold.quad):
            if quad is None or seen.quad is None or quad_iou(quad, seen.quad) < self.settings.still_iou:
                return False
        one, other = hold.best.fingerprint, seen.fingerprint
        return one is None or other is None or distance(one, other) < self.settings.other_bits

    def _progress(self) -> float:
        if self._hold is None:
            return 0.0
        return min(1.0, (self._now_s - self._hold.begin_s) / max(self.settings.hold_s, 1e-9))

    def _decide(self, best: Observation) -> Step:
        """Capture the best frame, unless its card was captured before."""
        known = self._known(best.fingerprint)
        if known is None:
            return self._capture(best, manual=False)
        known.seen_s = self._now_s
        self._hold, self._present, self._duplicate = None, known, True
        self._enter(State.REMOVE)
        return Step(self._state, _DUPLICATE)

    def _known(self, fingerprint: int | None) -> _Card | None:
        self._cards = [c for c in self._cards if self._now_s - c.seen_s <= self.settings.remember_s]
        if fingerprint is None or not self._cards:
            return None
        nearest = min(self._cards, key=lambda card: card.distance(fingerprint))
        return nearest if nearest.distance(fingerprint) <= self.settings.same_bits else None

    def _capture(self, best: Observation, *, manual: bool) -> Step:
        self._hold, self._duplicate = None, False
        self._present = None
        if best.fingerprint is not None:
            self._present = _Card([best.fingerprint], self._now_s)
            self._cards.append(self._present)
        self._state, self._since_s = State.CAPTURED, self._now_s
        return Step(self._state, _SENTENCES[State.CAPTURED], best, manual, 1.0)

    def _sentence(self, seen: Observation) -> str:
        if self._state is not State.ADJUSTING:
            self._shown = _Shown()
            return _SENTENCES[self._state]
        failed = first_failed(seen.gates)
        wanted = failed.sentence if failed else self._shown.sentence
        if wanted != self._shown.sentence and self._now_s - self._shown.since_s >= self.settings.hint_s:
            self._shown = _Shown(wanted, self._now_s)
        return self._shown.sentence


def quad_iou(a: Quad, b: Quad) -> float:
    """Intersection over union of two convex quads, 0..1."""
    common, _ = cv2.intersectConvexConvex(np.asarray(a, np.float32), np.asarray(b, np.float32))
    union = polygon_area(a) + polygon_area(b) - common
    return float(common / union) if union > 0 else 0.0
