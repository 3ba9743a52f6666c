"""A `.keras` or `.h5` model behind the same three calls as a `.tflite` one, to compare before and after export.

Stands apart, and imports Keras by name when called, because a device has no TensorFlow and must not need any.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.edge.model_contract import Overrides, TensorSpec, check_agreement, check_tensors, keras_contract
from unetlite.edge.network import Answer, check_probabilities
from unetlite.edge.runtime import RuntimeInfo
from unetlite.vision.contract import Contract, InputSpec
from unetlite.vision.errors import MissingExtraError, ModelError
from unetlite.vision.preprocess import to_real


class KerasNetwork:
    """A Keras model, called with a batch of one."""

    def __init__(self, model: Any, spec: InputSpec, where: str) -> None:
        self.model = model
        self._spec, self._where = spec, where
        self._batch = np.zeros((1, spec.size_wh[1], spec.size_wh[0], 3), np.float32)
        self._values = np.zeros((0, 0, 0), np.float32)

    def feed(self, pixels: np.ndarray) -> None:
        """Set the input from (h, w, 3) uint8 RGB."""
        self._batch[0] = to_real(pixels, self._spec)

    def invoke(self) -> None:
        """Run the network."""
        self._values = np.asarray(self.model.predict_on_batch(self._batch), np.float32)[0]

    def answer(self) -> Answer:
        """The output of the last `invoke`. Raises ModelError where it is no probability."""
        check_probabilities(self._values, self._where)
        return Answer(self._values, None)


def load_keras(path: Path, given: Overrides) -> tuple[KerasNetwork, Contract, str, RuntimeInfo]:
    """Load a Keras model for inference: network, contract, the contract's origin, runtime.

    Only what Keras calls safe is loaded: a file may not bring Python code of its own. Losses and metrics are not
    needed and not looked for.

    Raises:
        ModelError: no such file, no Keras model, or no segmentation model.
        ContractError: a training summary that cannot be used.
        MissingExtraError: Keras or its TensorFlow is not installed.
    """
    if not path.is_file():
        raise ModelError(f"{path}: expected a Keras model, but there is no such file; check the path")
    try:
        keras = importlib.import_module("keras")
    except ImportError as error:
        raise MissingExtraError(
            f"{path}: a Keras model needs TensorFlow ({error}); pip install 'unetlite[train-cpu]', or export the model "
            f"to .tflite with unet-export"
        ) from error
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its zip, HDF5 and JSON readers do
        whole = " ".join(str(error).split())
        reason = whole[:200]
        if "unsafe" in whole or "Lambda" in whole:
            reason = "it holds a Lambda layer or other Python code, which loading would run"
        raise ModelError(
            f"{path}: expected a Keras model, but it does not load: {reason}; save it again from Keras's own layers"
        ) from error
    given_size = _fixed_size(model, path)
    inputs = [_tensor_spec(tensor.shape, given_size) for tensor in model.inputs]
    outputs = [_tensor_spec(tensor.shape, given_size) for tensor in model.outputs]
    check_tensors(inputs, outputs, str(path))
    size_wh = (inputs[0].shape[2], inputs[0].shape[1])
    contract, origin = keras_contract(path, given, size_wh, outputs[0].shape[3])
    check_agreement(contract, inputs[0], outputs[0], str(path))
    return KerasNetwork(model, contract.input, str(path)), contract, origin, RuntimeInfo("keras", keras.__version__)


def _fixed_size(model: Any, path: Path) -> tuple[int, int]:
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or None in shape[1:]:
        raise ModelError(f"{path}: expected an input of fixed size (height, width, 3), got {shape}; save it with one")
    return shape[1], shape[2]


def _tensor_spec(shape: tuple[int | None, ...], given_size: tuple[int, int]) -> TensorSpec:
    """A tensor's shape with the batch of one, and the input's size where a layer left its own open."""
    fixed = [1, *shape[1:]]
    for axis, size in zip((1, 2), given_size, strict=True):
        if len(fixed) == 4 and fixed[axis] is None:
            fixed[axis] = size
    return TensorSpec(tuple(int(v or 0) for v in fixed), np.dtype(np.float32))
