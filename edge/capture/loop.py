"""From frames to captures: segmenter, gates, states and store, one frame after another.

Stands apart from command and page: both only look on, and neither can slow it down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.config import CaptureConfig
from unetlite.edge.capture.figures import FigureKeeper, Figures
from unetlite.edge.capture.latest import LatestFrames
from unetlite.edge.capture.quality import Quality
from unetlite.edge.capture.sight import Sight
from unetlite.edge.capture.states import CaptureMachine, Observation, Step
from unetlite.edge.capture.store import CaptureStore, Saved
from unetlite.edge.portrait import FaceDetector, turn_upright
from unetlite.edge.segmenter import Segmenter
from unetlite.vision.errors import OutputError
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import Quad, crop_quad
from unetlite.vision.refine import SEARCH_SHARE, refine_quad

_PATIENCE_S = 0.2  # until a stop is noticed while no frame comes
_RETAIN_EVERY_S = 600.0  # old captures go, though no new ones come


@dataclass(frozen=True)
class View:
    """What there is to see after a frame.

    Attributes:
        image: (h, w, 3) uint8 RGB, the frame at its smallest; None where nobody had it made.
        quad: in pixels of `image`; None where there is no card.
        step: the state machine's answer.
        trouble: one sentence about camera or disk while something is wrong there, else None.
        figures: how the capture fares.
        latency_ms: of this frame, by stage, and of the whole cycle as "cycle"; empty where there was none.
    """

    image: RgbImage | None
    quad: Quad | None
    step: Step
    trouble: str | None
    figures: Figures
    latency_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Found:
    """A card in a frame: held by the state machine for the best frame alone."""

    frame: LiveFrame
    quad: Quad  # in pixels of `frame.image`, as exact as `frame.small` shows it
    quality: Quality


class CaptureLoop:
    """Looks at the newest frame, again and again, until it is stopped or the frames end."""

    def __init__(
        self,
        frames: LatestFrames,
        segmenter: Segmenter,
        store: CaptureStore,
        config: CaptureConfig,
        origin: Mapping[str, Any],
        *,
        publish: Callable[[View], object] = lambda view: None,
        captured: Callable[[Saved, Mapping[str, Any]], object] = lambda saved, record: None,
        alive: Callable[[], object] = lambda: None,
        tell: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        """Bring the parts together.

        Args:
            origin: added to each capture's record: model, device.
            publish: given what there is to see after each frame; must return at once.
            captured: given each saved capture and its record.
            alive: called several times a second while the loop runs, also without pictures.
            tell: told in one sentence when the state changes, or a capture could not be saved.
        """
        self._frames, self._store, self._config = frames, store, config
        self._sight = Sight(segmenter, config.quality)
        self._faces = FaceDetector()
        self._origin = origin
        self._publish, self._captured, self._alive, self._tell = publish, captured, alive, tell
        self._machine = CaptureMachine(config.states)
        self._keeper = FigureKeeper()
        self._stopping = threading.Event()
        self._triggered = threading.Event()
        self._saved = 0
        self._disk_trouble: str | None = None
        self._last_view: View | None = None
        self._told = ""
        self._retained_s = float("-inf")

    def stop(self) -> None:
        """End `run` after the frame it is at. Safe from any thread and from a signal handler."""
        self._stopping.set()

    def trigger(self) -> None:
        """Capture the next card that is seen, as it is. Safe from any thread."""
        self._triggered.set()

    @property
    def captures(self) -> int:
        """Saved so far."""
        return self._saved

    def run(self) -> None:
        """Look at frames until stopped, or until they end.

        Raises:
            CameraError: a file that ends in damage.
            ModelError: the network gives no probabilities.
        """
        while not self._stopping.is_set() and not self._frames.ended:
            self._alive()
            self._retain()
            frame = self._frames.next(_PATIENCE_S)
            if frame is not None:
                self._look_at(frame)
                del frame  # not kept while the next one is waited for
            elif self._frames.trouble is not None and self._last_view is not None:
                # The page must not go on showing the last picture as if it were live.
                last = self._last_view
                dark = None if last.image is None else last.image // 3
                self._publish(View(dark, None, last.step, self._frames.trouble, self._figures()))

    def _look_at(self, frame: LiveFrame) -> None:
        begin = time.perf_counter()
        if self._triggered.is_set():
            self._triggered.clear()
            self._machine.trigger()
        seen = self._sight(frame, known=self._machine.lies_there, every=self._machine.triggered)
        observation = Observation(frame.number, frame.time_s, confidence=seen.confidence)
        if seen.quad is not None and seen.quality is not None:
            observation = Observation(
                frame.number,
                frame.time_s,
                seen.quad,
                seen.confidence,
                seen.quality.gates,
                seen.quality.sharpness,
                seen.quality.fingerprint,
                _Found(frame, seen.quad, seen.quality) if seen.measured else None,
                seen.measured,
            )
        step = self._machine.step(observation)
        latency_ms = {**seen.latency_ms, "cycle": (time.perf_counter() - begin) * 1000.0}
        self._keeper.add(latency_ms)
        if step.capture is not None:
            self._save(step.capture, manual=step.manual)
        self._say(step)
        trouble = self._disk_trouble or self._frames.trouble or self._frames.blank
        # Without its capture: whoever looks on must not keep a frame of full size.
        shown = Step(step.state, step.sentence, progress=step.progress)
        self._last_view = View(frame.low, seen.small_quad, shown, trouble, self._figures(), latency_ms)
        self._publish(self._last_view)

    def _figures(self) -> Figures:
        return self._keeper.sum_up(
            dropped=self._frames.dropped, reopened=self._frames.reopened, captures=self._saved
        )

    def _retain(self) -> None:
        now_s = time.monotonic()
        if now_s - self._retained_s > _RETAIN_EVERY_S:
            self._retained_s = now_s
            self._store.retain()

    def _save(self, best: Observation, *, manual: bool) -> None:
        found: _Found = best.payload
        near, quad, corner = exact_quad(found.frame, found.quad)
        image = found.frame.image if self._config.store.keep_frame else None
        record = {**capture_record(best, quad + corner, found.quality, found.frame, manual=manual), **self._origin}
        record["camera"] = self._frames.name
        crop = turn_upright(crop_quad(near, quad), self._faces)
        record["upright"] = crop.told
        try:
            saved = self._store.save(crop.image, image, record)
        except OutputError as error:
            if self._disk_trouble is None:
                self._tell(f"Error: {error}; capturing goes on")
            self._disk_trouble = f"Not saved: {error}"
            self._machine.forget_last()
            return
        self._disk_trouble = None
        self._saved += 1
        self._captured(saved, record)

    def _say(self, step: Step) -> None:
        line = f"{step.state.value}: {step.sentence}"
        if line != self._told:
            self._told = line
            self._tell(line)


def exact_quad(frame: LiveFrame, quad: Quad) -> tuple[RgbImage, Quad, np.ndarray]:
    """A quad found on `frame.small`, refined on `frame.image` where that shows more.

    Returns:
        The picture around it in full resolution, the quad in that, and the picture's first pixel (x, y) in the frame.
    """
    # More than a side can move; the whole frame in another colour order would be as large as all else together.
    margin = 2.0 * SEARCH_SHARE * np.ptp(quad, axis=0).max()
    corner = np.clip(np.floor(quad.min(0) - margin), 0, np.subtract(frame.size_wh, 1)).astype(int)
    size = np.clip(np.ceil(quad.max(0) + margin), corner + 1, frame.size_wh).astype(int) - corner
    near = frame.part((int(corner[0]), int(corner[1])), (int(size[0]), int(size[1])))
    within = (quad - corner).astype(np.float32)
    if frame.small_wh == frame.size_wh:
        return near, within, corner
    return near, refine_quad(near, within).quad, corner


def capture_record(
    best: Observation, quad: Quad, quality: Quality, frame: LiveFrame, *, manual: bool
) -> dict[str, Any]:
    """What is known of a capture, fit for JSON; the quad in pixels of the frame, to a hundredth."""
    return {
        "frame": frame.number,
        "frame_time_s": round(frame.time_s, 3),
        "frame_size_wh": list(frame.size_wh),
        "manual": manual,
        "quad": [[round(float(x), 2), round(float(y), 2)] for x, y in quad],
        "confidence": round(best.confidence, 4),
        "sharpness": round(best.sharpness, 3),
        "document_format": quality.lie.format.name,
        "gates": [
            {
                "name": gate.name,
                "value": None if gate.value is None else round(gate.value, 4),
                "threshold": gate.threshold,
                "passed": gate.passed,
            }
            for gate in best.gates
        ],
        "fingerprint": None if best.fingerprint is None else f"{best.fingerprint:064x}",
    }
