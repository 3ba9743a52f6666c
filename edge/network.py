"""A `.tflite` model behind three calls: feed, invoke, answer.

Stands apart because the bytes' way in and out (quantized or not, uint8 or int8) concerns nobody else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.edge.model_contract import Overrides, TensorSpec, check_tensors, tflite_contract
from unetlite.edge.runtime import RuntimeInfo, invoke, judge_model, make_interpreter
from unetlite.vision.contract import Contract, InputSpec, read_model
from unetlite.vision.errors import ModelError
from unetlite.vision.preprocess import Placement, to_real

_SLACK = 0.01  # float kernels may leave [0, 1] by a rounding error, a network without its last activation by far


@dataclass(frozen=True)
class Answer:
    """A network's output.

    Attributes:
        values: (h, w, C) uint8 levels of a quantized output (int8 shifted by 128), or float32.
        real_of_level: (256,) float32, ascending: the real value of each level; None where `values` are real.
    """

    values: np.ndarray
    real_of_level: np.ndarray | None

    def upright(self, placement: Placement) -> Answer:
        """The answer as the picture stands that was asked about."""
        return Answer(placement.upright(self.values), self.real_of_level)

    def real(self) -> np.ndarray:
        """(h, w, C) float32."""
        return self.values if self.real_of_level is None else self.real_of_level.take(self.values)


class TfliteNetwork:
    """An interpreter and the two tensors that matter."""

    def __init__(self, interpreter: Any, source: TensorSpec, answer: TensorSpec, spec: InputSpec, where: str) -> None:
        self.interpreter = interpreter
        self._source, self._answer, self._spec, self._where = source, answer, spec, where
        self._source_index = interpreter.get_input_details()[0]["index"]
        self._answer_index = interpreter.get_output_details()[0]["index"]
        self._real_of_level: np.ndarray | None = None
        if answer.dtype != np.float32:
            lowest, highest = answer.real_range
            self._real_of_level = np.clip(np.linspace(lowest, highest, 256), 0.0, 1.0).astype(np.float32)

    def feed(self, pixels: np.ndarray) -> None:
        """Set the input from (h, w, 3) uint8 RGB: a quantized model gets the bytes as they are."""
        if self._source.dtype == np.uint8:
            tensor = pixels
        elif self._source.dtype == np.int8:
            tensor = (pixels ^ 0x80).view(np.int8)  # 0..255 to -128..127
        else:
            tensor = to_real(pixels, self._spec)
        self.interpreter.set_tensor(self._source_index, tensor[np.newaxis])

    def invoke(self) -> None:
        """Run the network. Raises ModelError where a kernel refuses."""
        invoke(self.interpreter, self._where)

    def answer(self) -> Answer:
        """The output of the last `invoke`. Raises ModelError where it is no probability."""
        values = self.interpreter.get_tensor(self._answer_index)[0]
        if values.dtype == np.int8:
            values = values.view(np.uint8) ^ 0x80
        if self._real_of_level is None:
            check_probabilities(values, self._where)
        return Answer(values, self._real_of_level)


def check_probabilities(values: np.ndarray, where: str) -> None:
    """Raise ModelError unless all values lie in [0, 1]; NaN does not."""
    low, high = float(values.min()), float(values.max())
    if not (low >= -_SLACK and high <= 1.0 + _SLACK):
        raise ModelError(
            f"{where}: expected probabilities 0..1, got {low:.3g}..{high:.3g}; end the network with a sigmoid or "
            f"softmax, and check --input-range"
        )


def load_tflite(
    model: Path, given: Overrides, *, threads: int, runtime: str | None, require_sha256: str | None = None
) -> tuple[TfliteNetwork, Contract, str, RuntimeInfo]:
    """Load a `.tflite` file: network, contract, the contract's origin, runtime. Raises as `load_segmenter`.

    The file is read once: hash, judgement, interpreter and contract are of the same bytes.
    """
    content = read_model(model)
    if require_sha256 is not None:
        check_sha256(content, require_sha256, str(model))
    judge_model(content, str(model), runtime)
    interpreter, info = make_interpreter(content, threads=threads, runtime=runtime, where=str(model))
    inputs = [_tensor_spec(details) for details in interpreter.get_input_details()]
    outputs = [_tensor_spec(details) for details in interpreter.get_output_details()]
    check_tensors(inputs, outputs, str(model))
    contract, origin = tflite_contract(content, str(model), inputs[0], outputs[0], given)
    return TfliteNetwork(interpreter, inputs[0], outputs[0], contract.input, str(model)), contract, origin, info


def check_sha256(content: bytes, required: str, where: str) -> None:
    """Pass bytes whose SHA-256 is the hex digest that is required. Raises ModelError."""
    found = hashlib.sha256(content).hexdigest()
    if found != required.strip().lower():
        raise ModelError(
            f"{where}: expected the model of SHA-256 {required}, got {found}; the file was changed or is another one: "
            f"copy it again, and compare with the sha256 in its NAME.export.json"
        )


def _tensor_spec(details: dict[str, Any]) -> TensorSpec:
    scale, zero_point = details["quantization"]
    return TensorSpec(tuple(map(int, details["shape"])), np.dtype(details["dtype"]), float(scale), int(zero_point))
