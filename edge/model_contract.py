"""The contract of a model file, from wherever it states one: inside, in TFLite metadata, beside it, or in flags.

Stands apart because anyone's model may be run, and what it leaves unsaid must be asked for, never guessed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unetlite.edge.tflite_metadata import TfliteMetadata, parse_tflite_metadata
from unetlite.vision.contract import (
    CONTRACT_VERSION,
    FITS,
    Contract,
    InputSpec,
    OutputSpec,
    associated_files,
    contract_of,
    parse_contract,
)
from unetlite.vision.errors import ContractError, ModelError
from unetlite.vision.files import read_json

_RANGE_TOLERANCE = 0.1  # of the range, at either end: what an honest calibration may miss of full black and white


@dataclass(frozen=True)
class TensorSpec:
    """A tensor as the interpreter states it; `scale` is 0.0 where it is not quantized."""

    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float = 0.0
    zero_point: int = 0

    def __str__(self) -> str:
        return f"{self.dtype.name} {self.shape}"

    @property
    def real_range(self) -> tuple[float, float]:
        """The real values of the lowest and the highest of the 256 levels."""
        lowest = np.iinfo(self.dtype).min
        return (lowest - self.zero_point) * self.scale, (lowest + 255 - self.zero_point) * self.scale


@dataclass(frozen=True)
class Overrides:
    """What the user says about a model; None leaves it to the model."""

    input_range: tuple[float, float] | None = None
    fit: str | None = None
    threshold: float | None = None
    labels: tuple[str, ...] | None = None

    def applied_to(self, contract: Contract, where: str) -> Contract:
        """The contract with what was given in place of what it says. Raises ContractError."""
        given_input, given_output = contract.input, contract.output
        if self.input_range is not None:
            low, high = self.input_range
            if not (np.isfinite([low, high]).all() and low < high):
                raise ContractError(f"{where}: expected --input-range LOW HIGH with LOW < HIGH, got {low} {high}")
            given_input = dataclasses.replace(given_input, real_range=(float(low), float(high)))
        if self.fit is not None:
            if self.fit not in FITS:
                raise ContractError(f"{where}: expected --fit {' or '.join(FITS)}, got {self.fit!r}")
            given_input = dataclasses.replace(given_input, fit=self.fit)
        if self.threshold is not None:
            if not 0.0 < self.threshold < 1.0:
                raise ContractError(f"{where}: expected a --threshold between 0 and 1, got {self.threshold}")
            given_output = dataclasses.replace(given_output, threshold=float(self.threshold))
        if self.labels is not None:
            given_output = dataclasses.replace(given_output, class_names=self.labels)
        return dataclasses.replace(contract, input=given_input, output=given_output)


def check_tensors(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], where: str) -> None:
    """Refuse what is no segmentation network for pictures.

    Raises:
        ModelError: not one input (1, h, w, 3) of uint8, int8 or float32, or not one output (1, h, w, classes).
    """
    _check_one(inputs, "input", "(1, height, width, 3)", where)
    _check_one(outputs, "output", "(1, height, width, classes)", where)
    if inputs[0].shape[3] != 3:
        raise ModelError(
            f"{where}: expected an input of 3 channels (RGB), got {inputs[0]}; this is no model for colour pictures"
        )


def _check_one(tensors: Sequence[TensorSpec], name: str, shape: str, where: str) -> None:
    if len(tensors) != 1:
        raise ModelError(
            f"{where}: expected one {name} {shape}, got {len(tensors)}: {', '.join(map(str, tensors))}; "
            f"give a segmentation model, for example one made with unet-export"
        )
    tensor = tensors[0]
    fits = len(tensor.shape) == 4 and tensor.shape[0] == 1 and min(tensor.shape) >= 1
    if not fits or tensor.dtype.name not in ("uint8", "int8", "float32"):
        raise ModelError(
            f"{where}: expected one {name} {shape} of uint8, int8 or float32, got {tensor}; "
            f"give a segmentation model, for example one made with unet-export"
        )
    if tensor.dtype != np.float32 and not tensor.scale > 0.0:
        raise ModelError(f"{where}: expected a quantized {name} with its scale, got {tensor} without; export it again")


def tflite_contract(
    content: bytes, where: str, source: TensorSpec, answer: TensorSpec, given: Overrides
) -> tuple[Contract, str]:
    """The contract of a `.tflite` file, checked against its tensors, and where it is from.

    Args:
        content: the file's bytes.
        where: its name, for errors.
        source: its input tensor.
        answer: its output tensor.
        given: what the user adds or overrides.

    Returns:
        The contract, and "contract.json", "TFLite metadata", "input quantization" or "flags".

    Raises:
        ContractError: nothing says which real values a float model wants, or the contract contradicts the tensors.
    """
    contract, origin = contract_of(content, where), "contract.json"
    if contract is None:
        contract, origin = _from_metadata(content, where, source, answer, given)
    contract = given.applied_to(contract, where)
    check_agreement(contract, source, answer, where)
    return contract, origin


def _from_metadata(
    content: bytes, where: str, source: TensorSpec, answer: TensorSpec, given: Overrides
) -> tuple[Contract, str]:
    metadata = parse_tflite_metadata(content, where) or TfliteMetadata()
    real_range = _normalised_range(metadata, where)
    origin = "TFLite metadata"
    if source.dtype != np.float32:
        # Readers of TFLite metadata feed raw bytes to a quantized input whatever the normalisation says.
        real_range, origin = source.real_range, "input quantization"
    if real_range is None:
        real_range, origin = given.input_range, "flags"
    if real_range is None:
        raise ContractError(
            f"{where}: expected to learn which real values stand for 0..255, but the model has neither a contract nor "
            f"TFLite metadata; pass --input-range LOW HIGH (0 1, -1 1 and 0 255 are usual), and --fit, --threshold "
            f"and --labels where the defaults do not suit"
        )
    classes = answer.shape[3]
    output = _default_output(classes)
    names = _label_names(content, where, metadata)
    if names:
        output = dataclasses.replace(output, class_names=names if classes > 1 else ("background", names[-1]))
    size_wh = (source.shape[2], source.shape[1])
    level = "float32" if source.dtype == np.float32 else "int8"
    return Contract(InputSpec(size_wh, real_range), output, level), origin


def _default_output(classes: int) -> OutputSpec:
    if classes == 1:
        return OutputSpec()
    return OutputSpec("softmax", ("background", *(f"class {index}" for index in range(1, classes))))


def _normalised_range(metadata: TfliteMetadata, where: str) -> tuple[float, float] | None:
    if not metadata.mean or not metadata.std:
        return None
    if len(set(metadata.mean)) > 1 or len(set(metadata.std)) > 1:
        raise ContractError(
            f"{where}: expected one normalisation for all channels, got mean {metadata.mean} and std {metadata.std}; "
            f"move it into the network's first layer and convert the model again"
        )
    mean, std = metadata.mean[0], metadata.std[0]
    if not (np.isfinite([mean, std]).all() and std > 0):
        raise ContractError(f"{where}: expected a normalisation with std > 0, got mean {mean} and std {std}")
    return (0.0 - mean) / std, (255.0 - mean) / std


def _label_names(content: bytes, where: str, metadata: TfliteMetadata) -> tuple[str, ...]:
    if metadata.label_file is None:
        return ()
    labels = associated_files(content, where).get(metadata.label_file)
    if labels is None:  # packed behind the flatbuffer: a file cut short loses them first, and would run all the same
        raise ModelError(
            f"{where}: expected the file {metadata.label_file!r} that its metadata names, found none packed with it; "
            f"the model is truncated, copy it again"
        )
    return parse_labels(labels)


def parse_labels(content: bytes) -> tuple[str, ...]:
    """Class names, one a line, background first."""
    return tuple(line.strip() for line in content.decode("utf-8", "replace").splitlines() if line.strip())


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names from a text file, one a line, background first.

    Raises:
        ContractError: the file cannot be read, or names fewer than two classes.
    """
    try:
        labels = parse_labels(path.read_bytes())
    except OSError as error:
        raise ContractError(f"{path}: expected class names, one a line; it cannot be read: {error.strerror}") from error
    if len(labels) < 2:
        raise ContractError(f"{path}: expected two or more class names, one a line, got {len(labels)}")
    return labels


def check_agreement(contract: Contract, source: TensorSpec, answer: TensorSpec, where: str) -> None:
    """Raise ContractError where contract and tensors contradict each other."""
    size_wh, output = contract.input.size_wh, contract.output
    if (source.shape[2], source.shape[1]) != tuple(size_wh):
        raise ContractError(
            f"{where}: expected input (1, {size_wh[1]}, {size_wh[0]}, 3) as its contract says, got {source}; "
            f"export it again"
        )
    expected = 1 if output.kind == "sigmoid" else len(output.class_names)
    if answer.shape[3] != expected or len(output.class_names) < 2:
        raise ContractError(
            f"{where}: expected {expected} output channels for {output.kind} with {len(output.class_names)} classes "
            f"({', '.join(output.class_names)}), got {answer}; give as many labels as classes or export it again"
        )
    if source.dtype == np.float32:
        return
    (low, high), (source_low, source_high) = contract.input.real_range, source.real_range
    if max(abs(low - source_low), abs(high - source_high)) > _RANGE_TOLERANCE * (high - low):
        raise ContractError(
            f"{where}: expected a quantized input that spans {low:g}..{high:g}, got {source_low:g}..{source_high:g} "
            f"(scale {source.scale:g}); it was calibrated with other pictures than it was trained on: calibrate again "
            f"with unet-calibrate and export it again"
        )


def keras_contract(model: Path, given: Overrides, size_wh: tuple[int, int], classes: int) -> tuple[Contract, str]:
    """The contract of a Keras model, from the training summary beside it.

    Args:
        model: `NAME.keras` or `NAME.h5`; the summary is `NAME.training.json`.
        given: what the user adds or overrides.
        size_wh: the network's input.
        classes: its output channels.

    Returns:
        The contract, and the summary's name or "defaults".

    Raises:
        ContractError: a summary that cannot be used.
    """
    summary = model.with_name(model.stem + ".training.json")
    if summary.is_file():
        contract, origin = _read_summary(summary), summary.name
    else:
        contract, origin = Contract(InputSpec(size_wh), _default_output(classes)), "defaults"
    return given.applied_to(contract, str(model)), origin


def _read_summary(summary: Path) -> Contract:
    try:
        content = read_json(summary)
        given_input, given_output = dict(content["input"]), dict(content["output"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ContractError(
            f"{summary}: expected a training summary with 'input' and 'output', got {error!r:.200}; "
            f"train again or remove it"
        ) from error
    document = {
        "format": "unetlite-contract",
        "version": CONTRACT_VERSION,
        "input": {"color": "RGB", **given_input},
        "output": given_output,
        "level": "float32",
        "calibration": None,
        "training": None,
        "scores": None,
        "document_formats": [],
    }
    return parse_contract(json.dumps(document), str(summary))
