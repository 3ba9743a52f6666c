"""Quality gates: whether a frame is worth keeping, and what the person should do where it is not.

Stands apart because each gate is a measurement with a threshold, known by its rates on pictures of known faults
(`benchmarks/quality_gates.py`), while the state machine only asks whether all are open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.fingerprint import fingerprint
from unetlite.edge.capture.gate import Gate, first_failed
from unetlite.edge.capture.geometry import Lie, lie_of
from unetlite.edge.capture.measures import (
    FlatView,
    blur_mm,
    flat_view,
    glare_share,
    hidden_mm,
    levels_at,
    luminance,
    sharp_view,
)
from unetlite.vision.contract import DOCUMENT_FORMATS, DocumentFormat
from unetlite.vision.quad import Quad

_SURER_SHARE = 1 / 6


@dataclass(frozen=True)
class QualitySettings:
    """Where each gate closes.

    Attributes:
        least_confidence: how sure and how four-sided the network's answer is, 0..1. None: `outline_threshold` of the
            least that the model's own contract takes for a document, as models differ in what they are sure of.
        least_margin: between the card and the frame's border, as a share of the frame's shorter side.
        least_ppi: pixels per inch of the card. Reading machines want 200 and more.
        most_tilt_deg: angle between the card and the sensor.
        least_brightness: luminance of the card's lightest twentieth, 0..255: a dark card has light print.
        most_brightness: median luminance of the card.
        least_contrast: between the card's 5th and 95th percentile of luminance.
        most_glare: share of the card that is washed out.
        most_blur_mm: width of the blur on the card, as the sigma of a Gaussian.
        most_hidden_mm: longest stretch of the card's border that something seems to lie over.
        focal_share: the camera's focal length over the frame's longer side; 0.77 for Camera Module 3.
    """

    least_confidence: float | None = None
    least_margin: float = 0.01
    least_ppi: float = 60.0
    most_tilt_deg: float = 35.0
    least_brightness: float = 70.0
    most_brightness: float = 240.0
    least_contrast: float = 40.0
    most_glare: float = 0.03
    most_blur_mm: float = 0.45
    most_hidden_mm: float = 8.0
    focal_share: float = 0.9


@dataclass(frozen=True)
class Quality:
    """What the gates say of one frame.

    Attributes:
        gates: in the order in which their hints matter; those that were not measured are missing.
        sharpness: one over the blur in mm: higher is better; 0 where nothing could be measured.
        fingerprint: perceptual hash of the flattened card; None where an earlier gate closed.
        lie: how the card lies.
    """

    gates: tuple[Gate, ...]
    sharpness: float
    fingerprint: int | None
    lie: Lie


def judge(
    frame: LiveFrame,
    quad: Quad,
    settings: QualitySettings,
    formats: Sequence[DocumentFormat] = DOCUMENT_FORMATS,
    *,
    confidence: float = 1.0,
    model_least: float = 0.0,
    known: Callable[[int], bool] = lambda print_: False,
    every: bool = False,
) -> Quality:
    """Judge the card inside `quad`: how it lies, then the light on it, then its sharpness, up to what fails.

    Light and cover are measured on the frame's small picture, sharpness on the full one, as that is what is cropped.

    Args:
        frame: the frame.
        quad: (4, 2) float32 pixels of `frame.image`.
        settings: where the gates close.
        formats: document formats that may occur.
        confidence: the finding's.
        model_least: the least confidence of a document, as the model's contract says.
        known: whether a card of this fingerprint needs no look at its sharpness, as it is not taken again anyway.
        every: measure all, whatever fails.
    """
    gates, lie = judge_lie(
        quad, frame.size_wh, settings, formats, confidence=confidence, model_least=model_least
    )
    if first_failed(gates) and not every:
        return Quality(gates, 0.0, None, lie)
    view = flat_view(frame.small, frame.in_small(quad), lie.format)
    grey = luminance(view.card)
    gates += _light_gates(view, grey, settings)
    print_ = fingerprint(grey)
    if (first_failed(gates) or known(print_)) and not every:
        return Quality(gates, 0.0, print_, lie)
    blur = blur_mm(*sharp_view(frame, quad, lie.format))
    # Without any edge in sight the card is blurred beyond measure, or blank.
    sharp = blur is not None and blur <= settings.most_blur_mm
    gates += (Gate("sharpness", blur, settings.most_blur_mm, sharp, "Hold still: it is blurred."),)
    return Quality(gates, 0.0 if blur is None else 1.0 / max(blur, 1e-3), print_, lie)


def outline_threshold(model_least: float) -> float:
    """Where the outline gate closes for a model: a sixth of the way from its least confidence of a document to 1."""
    return model_least + (1.0 - model_least) * _SURER_SHARE


def judge_lie(
    quad: Quad,
    size_wh: tuple[int, int],
    settings: QualitySettings,
    formats: Sequence[DocumentFormat] = DOCUMENT_FORMATS,
    *,
    confidence: float = 1.0,
    model_least: float = 0.0,
) -> tuple[tuple[Gate, ...], Lie]:
    """The gates that need no pixels, the first of all, and how the card lies; arguments as for `judge`."""
    lie = lie_of(quad, size_wh, formats, settings.focal_share)
    least = outline_threshold(model_least) if settings.least_confidence is None else settings.least_confidence
    sure = Gate("outline", confidence, least, confidence >= least, "Show the whole card on a plain ground.")
    return (sure, *_lie_gates(quad, size_wh, lie, settings)), lie


def _lie_gates(quad: Quad, size_wh: tuple[int, int], lie: Lie, s: QualitySettings) -> tuple[Gate, ...]:
    margin = _margin_share(quad, size_wh)
    return (
        Gate("margin", margin, s.least_margin, margin >= s.least_margin, "Move the whole card into the picture."),
        Gate("size", lie.ppi, s.least_ppi, lie.ppi >= s.least_ppi, "Bring the card closer."),
        Gate("tilt", lie.tilt_deg, s.most_tilt_deg, lie.tilt_deg <= s.most_tilt_deg, "Hold the card flat, not tilted."),
    )


def _light_gates(view: FlatView, grey: np.ndarray, s: QualitySettings) -> tuple[Gate, ...]:
    low, middle, high = levels_at(grey, (0.05, 0.5, 0.95))
    glare = glare_share(view.card, view.px_per_mm)
    hidden = hidden_mm(view)
    return (
        _brightness(middle, high, s),
        Gate("glare", glare, s.most_glare, glare <= s.most_glare, "Turn the card a little: light is reflected."),
        Gate("contrast", high - low, s.least_contrast, high - low >= s.least_contrast, "Give it even, clear light."),
        Gate("occlusion", hidden, s.most_hidden_mm, hidden <= s.most_hidden_mm, "Take your fingers off it."),
    )


def _brightness(middle: float, high: float, settings: QualitySettings) -> Gate:
    if middle > settings.most_brightness:
        return Gate("brightness", middle, settings.most_brightness, False, "Too bright: give it less light.")
    dark = high < settings.least_brightness
    return Gate("brightness", high, settings.least_brightness, not dark, "Too dark: give it more light.")


def _margin_share(quad: Quad, size_wh: tuple[int, int]) -> float:
    """The least distance of a corner to the frame's border over the frame's shorter side; negative outside."""
    far = np.subtract(size_wh, 1) - quad
    return float(min(quad.min(), far.min()) / min(size_wh))
