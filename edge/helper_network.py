"""A network that helps the models and ships beside them: float32 in, float32 out, no contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unetlite.edge.runtime import invoke, make_interpreter
from unetlite.vision.contract import read_model


class HelperNetwork:
    """An interpreter with one input, whose outputs are told apart by their last dimension."""

    def __init__(self, path: Path) -> None:
        """Load it.

        Raises:
            ModelError: the file is missing or damaged.
            MissingExtraError: no TFLite runtime can be imported.
        """
        self._path = path
        self._interpreter, _ = make_interpreter(read_model(path), where=str(path))
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = {int(each["shape"][-1]): each["index"] for each in self._interpreter.get_output_details()}

    def __call__(self, tensor: np.ndarray) -> dict[int, np.ndarray]:
        """The outputs for an input, by their last dimension. Raises ModelError where a kernel refuses."""
        self._interpreter.set_tensor(self._input, tensor)
        invoke(self._interpreter, str(self._path))
        return {width: self._interpreter.get_tensor(index) for width, index in self._outputs.items()}
