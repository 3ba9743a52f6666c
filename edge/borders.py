"""The network for documents' borders behind one call.

What it is asked stands in `vision/borders.py`, how it learned in `models/borders.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unetlite.edge.helper_network import HelperNetwork
from unetlite.vision.borders import PLACES, SAMPLES
from unetlite.vision.edges import CELLS

BORDER_MODEL = Path(__file__).parent / "models" / "borders.tflite"


class TfliteBorders:
    """The shipped network; a `vision.borders.BorderNetwork`."""

    def __init__(self) -> None:
        """Load it; raises as `HelperNetwork`."""
        self._network = HelperNetwork(BORDER_MODEL)

    def __call__(self, strips: np.ndarray) -> np.ndarray:
        """Answer (4, CELLS, SAMPLES, 3) float32 with (4, CELLS, PLACES + 1) float32. Raises ModelError."""
        logits = self._network(strips.reshape(1, 4 * CELLS, SAMPLES, 3))[PLACES + 1].reshape(4, CELLS, PLACES + 1)
        shares = np.exp(logits - logits.max(axis=2, keepdims=True))
        return shares / shares.sum(axis=2, keepdims=True)
