"""Flat document faces: invented designs in the real formats, each with an identity that never existed.

Stands apart because what is printed on a document has nothing to do with where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unetlite.training.synthesis.formats import FORMATS, DocumentFormat
from unetlite.training.synthesis.grounds import print_background
from unetlite.training.synthesis.layouts import LAYOUTS
from unetlite.training.synthesis.randomness import chance, pick_weighted

PIXELS_PER_MM = 6.5
_LAYOUT_WEIGHTS = {
    "ID-1": {"front": 0.62, "machine-back": 0.14, "stripe-back": 0.06, "bank": 0.18},
    "ID-2": {"front": 1.0},
    "ID-3": {"passport": 1.0},
}


@dataclass(frozen=True)
class Face:
    """One side of a document as it left the printer.

    `image` is uint8 (H, W, 3) and fills the format's rectangle; rounded corners are cut when it is laid down.
    """

    document: str
    image: np.ndarray
    format: DocumentFormat
    layout: str


def draw_face(rng: np.random.Generator, document: str) -> Face:
    """Invent a document: format, design and holder all come from `rng`."""
    name = pick_weighted(rng, {"ID-1": 0.58, "ID-2": 0.08, "ID-3": 0.34})
    document_format = FORMATS[name]
    layout = pick_weighted(rng, _LAYOUT_WEIGHTS[name])
    width = int(round(document_format.width_mm * PIXELS_PER_MM))
    height = int(round(document_format.height_mm * PIXELS_PER_MM))
    canvas, ink = print_background(rng, (height, width), dark=chance(rng, 0.55 if layout == "bank" else 0.07))
    LAYOUTS[layout](rng, canvas, ink, name)
    return Face(document, canvas, document_format, layout)
