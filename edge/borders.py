"""The network for documents' borders behind one call.

What it is asked stands in `vision/borders.py`, how it learned in `models/borders.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unetlite.edge.helper_network import HelperNetwork
from unetlite.vision.borders import PLACES

BORDER_MODEL = Path(__file__).parent / "models" / "borders.tflite"


class TfliteBorders:
    """The shipped network; a `vision.borders.BorderNetwork`."""

    def __init__(self) -> None:
        """Load it; raises as `HelperNetwork`."""
        self._network = HelperNetwork(BORDER_MODEL)

    def __call__(self, strips: np.ndarray) -> np.ndarray:
        """Answer (4, CELLS, SAMPLES, 3) float32 with (4, CELLS, PLACES + 1) float32. Raises ModelError."""
        return self._network(strips)[PLACES + 1]
