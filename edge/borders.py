"""The network for documents' borders behind one call.

What it is asked stands in `vision/borders.py`, how it learned in `models/borders.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unetlite.edge.runtime import make_interpreter
from unetlite.vision.contract import read_model
from unetlite.vision.errors import ModelError

BORDER_MODEL = Path(__file__).parent / "models" / "borders.tflite"


class TfliteBorders:
    """An interpreter with the network; a `vision.borders.BorderNetwork`."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            ModelError: the file is missing or damaged.
            MissingExtraError: no TFLite runtime can be imported.
        """
        self._interpreter, _ = make_interpreter(read_model(BORDER_MODEL), where=str(BORDER_MODEL))
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def __call__(self, strips: np.ndarray) -> np.ndarray:
        """Answer (4, CELLS, SAMPLES, 3) float32 with (4, CELLS, PLACES + 1) float32. Raises ModelError."""
        self._interpreter.set_tensor(self._input, strips)
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{BORDER_MODEL}: failed while running: {' '.join(str(error).split())[:200]}") from error
        return self._interpreter.get_tensor(self._output)
