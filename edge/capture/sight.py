"""What a frame shows: the network looks at every one, the picture itself is measured a few times a second.

Stands apart because it decides what a cycle costs: one inference. Where a frame's map is not clean, a closer look is
taken at the next frame, in the place of the whole. While the network's answer stays the same, so does the card's
outline; where its map is clean, that is the outline; light, print and sharpness need no second look within a moment,
nor does a map in which objects or print flow into the card.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.quality import Quality, QualitySettings, judge, judge_lie
from unetlite.edge.segmenter import Segmenter
from unetlite.vision.document import MIN_AREA_SHARE, Finding, document_probability, outlined_document
from unetlite.vision.image import RgbImage
from unetlite.vision.looks import Search
from unetlite.vision.preprocess import Placement, preprocess
from unetlite.vision.quad import Quad
from unetlite.vision.refine import Belief
from unetlite.vision.second_look import View

_LOOK_S = 0.2  # between two measurements of one card: four while it is held still
_KNOWN_LOOK_S = 0.4  # of a captured card that has not been removed: another one in its place must first lie still
_SPREAD_S = 0.1  # frames that come so fast share a search's looks; those of a slower camera get theirs at once
_HELD_S = 1.0  # for so long what was seen last is shown while a search goes on
_SAME_SHARE = 0.05  # of the answer may differ where nothing has moved: a shift of 1 % of a card's width


@dataclass(frozen=True)
class Sighting:
    """What one frame shows.

    Attributes:
        quad: (4, 2) float32 pixels of `frame.image`; None where there is no card.
        small_quad: the same in pixels of `frame.small`.
        confidence: 0..1, of the finding.
        quality: the gates' results; None where there is no card.
        measured: whether light, print and sharpness are this very frame's; otherwise they are a moment old.
        latency_ms: milliseconds by stage: preprocess, invoke, postprocess, gates.
    """

    quad: Quad | None
    small_quad: Quad | None
    confidence: float
    quality: Quality | None
    measured: bool
    latency_ms: Mapping[str, float]


@dataclass(frozen=True)
class _Whole:
    """A frame of which the network saw the whole, and what it answered."""

    time_s: float
    size_wh: tuple[int, int]
    probability: np.ndarray


@dataclass(frozen=True)
class _Look:
    """The last frame whose picture was looked at; `quality` is None where it showed no card."""

    whole: _Whole
    finding: Finding
    quality: Quality | None


@dataclass(frozen=True)
class _Begun:
    """A search that waits for a closer look; it was last taken up at `time_s`."""

    whole: _Whole
    search: Search
    view: View
    before: Belief
    time_s: float


class Sight:
    """Looks at one frame after another with one network."""

    def __init__(self, segmenter: Segmenter, settings: QualitySettings) -> None:
        self._segmenter, self._settings = segmenter, settings
        self._look: _Look | None = None
        self._begun: _Begun | None = None
        self._last_s = float("-inf")  # the frame before

    def __call__(self, frame: LiveFrame, *, known: Callable[[int], bool], every: bool) -> Sighting:
        """Look at a frame.

        Args:
            frame: the frame; what it was `fitted` to is taken where the camera's thread has made it.
            known: as for `judge`.
            every: measure all gates on this frame, whatever fails.

        Raises:
            ModelError: the network answers with something other than probabilities.
        """
        contract, network = self._segmenter.contract, self._segmenter.network
        begin = time.perf_counter()
        begun, self._begun = None if every else self._waiting(frame), None
        if begun is None:
            pixels, placement = frame.fitted or frame.fit(contract.input)
        else:
            pixels, placement = preprocess(begun.view.of(frame.small), contract.input)
        network.feed(pixels)
        fed = time.perf_counter()
        network.invoke()
        invoked = time.perf_counter()
        if begun is None:
            whole, finding, last = self._see(frame, placement, known, every=every)
        else:
            belief = self._segmenter.joined(begun.view, placement, begun.before)
            whole, finding, last = self._go_on(frame, begun.whole, begun.search, (frame.small, belief))
        self._last_s = frame.time_s
        found = time.perf_counter()
        quad = None if finding.quad is None else frame.in_image(finding.quad)
        quality = None
        if quad is not None:
            if last is not None and last.quality is not None:
                quality = last.quality if finding is last.finding else self._moved(frame, quad, finding, last.quality)
            else:
                quality = judge(
                    frame,
                    quad,
                    self._settings,
                    contract.document_formats,
                    confidence=finding.confidence,
                    model_least=contract.output.min_confidence,
                    known=known,
                    every=every,
                )
        if last is None:
            self._look = _Look(whole, finding, quality)
        judged = time.perf_counter()
        latency_ms = {
            "preprocess": (fed - begin) * 1000.0,
            "invoke": (invoked - fed) * 1000.0,
            "postprocess": (found - invoked) * 1000.0,
            "gates": (judged - found) * 1000.0,
        }
        return Sighting(quad, finding.quad, finding.confidence, quality, last is None, latency_ms)

    def _see(
        self, frame: LiveFrame, placement: Placement, known: Callable[[int], bool], *, every: bool
    ) -> tuple[_Whole, Finding, _Look | None]:
        """What a frame shows of which the network has seen the whole.

        Returns:
            The frame and the answer that the finding is from, the finding, and the last look where that still stands.
        """
        output = self._segmenter.contract.output
        probability = document_probability(self._segmenter.network.answer().upright(placement).real(), output)
        whole = _Whole(frame.time_s, frame.size_wh, probability)
        last = None if every else self._recent(frame, known)
        if last is not None:
            same = _is_same(probability, last.whole.probability)
            outlined = None if same else outlined_document(probability, placement, output)
            finding = last.finding if outlined is None else outlined
            if finding.quad is None or last.quality is not None:
                return whole, finding, last
            # A card has come: not to be kept waiting.
        if every or not 0.0 <= frame.time_s - self._last_s <= _SPREAD_S:
            return whole, self._segmenter.locate(frame.small, probability, placement, hurried=not every), None
        return self._go_on(frame, whole, self._segmenter.search(frame.small, probability, placement), None)

    def _go_on(
        self, frame: LiveFrame, whole: _Whole, search: Search, seen: tuple[RgbImage, Belief] | None
    ) -> tuple[_Whole, Finding, _Look | None]:
        """Take a search up, with what was seen closer. While it waits, the last look stands. Returns as `_see`."""
        try:
            view, before = next(search) if seen is None else search.send(seen)
        except StopIteration as end:
            return whole, end.value, None
        self._begun = _Begun(whole, search, view, before, frame.time_s)
        look = self._last_look(frame, _HELD_S) or _Look(whole, Finding(None, 0.0), None)
        return whole, look.finding, look

    def _waiting(self, frame: LiveFrame) -> _Begun | None:
        """The search that waits for a closer look, where this frame comes soon enough to be like the one before."""
        begun = self._begun
        if begun is None or begun.whole.size_wh != frame.size_wh:
            return None
        return begun if 0.0 <= frame.time_s - begun.time_s <= _SPREAD_S else None

    def _recent(self, frame: LiveFrame, known: Callable[[int], bool]) -> _Look | None:
        """The last look, while it still speaks for this frame."""
        quality = None if self._look is None else self._look.quality
        print_ = None if quality is None else quality.fingerprint
        return self._last_look(frame, _KNOWN_LOOK_S if print_ is not None and known(print_) else _LOOK_S)

    def _last_look(self, frame: LiveFrame, valid_s: float) -> _Look | None:
        """The last look, if it is less than that old, and of frames of this size: a camera may change its mind."""
        look = self._look
        if look is None or look.whole.size_wh != frame.size_wh:
            return None
        return look if 0.0 <= frame.time_s - look.whole.time_s < valid_s else None

    def _moved(self, frame: LiveFrame, quad: Quad, finding: Finding, before: Quality) -> Quality:
        """How the card lies now, and what was measured a moment ago."""
        contract = self._segmenter.contract
        gates, lie = judge_lie(
            quad,
            frame.size_wh,
            self._settings,
            contract.document_formats,
            confidence=finding.confidence,
            model_least=contract.output.min_confidence,
        )
        return replace(before, gates=gates + before.gates[len(gates) :], lie=lie)


def _is_same(one: np.ndarray, other: np.ndarray) -> bool:
    return float(np.abs(one - other).sum()) <= _SAME_SHARE * max(float(other.sum()), MIN_AREA_SHARE * other.size)
