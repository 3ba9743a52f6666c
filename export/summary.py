"""The contract that an export starts from: what training wrote beside the model, or flags, or defaults.

Stands apart from the network itself: the same weights may be exported under another contract.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from unetlite.edge.model_contract import Overrides, keras_contract
from unetlite.vision.contract import DOCUMENT_FORMATS, Contract, InputSpec
from unetlite.vision.errors import ContractError, ModelError

NOT_CARRIED = ("input", "output", "history")  # the contract has its own; a curve per epoch is no use to a device


def contract_for(network: Any, model: Path, given: Overrides) -> tuple[Contract, str]:
    """The contract of a loaded network, and where it is from ("defaults" where nothing was stated).

    Args:
        network: a keras.Model.
        model: its file; `NAME.training.json` is looked for beside it.
        given: flags.

    Raises:
        ModelError: the network does not map one picture to one map.
        ContractError: a training summary that cannot be used, or that states another range than the flags.
    """
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ModelError(
            f"{model}: expected one input and one output, got {len(network.inputs)} and {len(network.outputs)}"
        )
    shape, answer = tuple(network.inputs[0].shape), tuple(network.outputs[0].shape)
    if len(shape) != 4 or shape[3] != 3 or len(answer) != 4 or answer[3] is None:
        raise ModelError(
            f"{model}: expected a network from (batch, h, w, 3) to (batch, h, w, classes), got {shape} to {answer}"
        )
    default_w, default_h = InputSpec().size_wh
    size_wh = (shape[2] or default_w, shape[1] or default_h)
    contract, origin = keras_contract(model, given, size_wh, answer[3])
    if origin != "defaults" and given.input_range is not None:
        _check_range(model, given, keras_contract(model, Overrides(), size_wh, answer[3])[0].input.real_range, origin)
    training = _training(model) if origin != "defaults" else None
    return dataclasses.replace(contract, training=training, document_formats=DOCUMENT_FORMATS), origin


def _check_range(model: Path, given: Overrides, trained: tuple[float, float], origin: str) -> None:
    """A range other than the trained one makes every level useless alike, and no comparison of levels shows it."""
    if given.input_range is not None and tuple(given.input_range) != trained:
        raise ContractError(
            f"{model}: {origin} says that the network was trained with 0..255 standing for {trained[0]:g}.."
            f"{trained[1]:g}, got --input-range {given.input_range[0]:g} {given.input_range[1]:g}; leave the flag out, "
            f"or correct the summary if it is wrong"
        )


def _training(model: Path) -> dict[str, Any]:
    text = model.with_name(f"{model.stem}.training.json").read_text("utf-8")
    content = json.loads(text, parse_constant=lambda _: None)  # a loss of NaN is no JSON, and no use to a device
    return {key: value for key, value in content.items() if key not in NOT_CARRIED}
