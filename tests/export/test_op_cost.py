"""A file taken to pieces: the pieces together are the file, and each has its time."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unetlite.calibration.manifest import read_manifest, representative_pixels
from unetlite.edge.delegation import delegated_ops, divide_ops
from unetlite.edge.runtime import make_interpreter
from unetlite.export.convert import convert
from unetlite.export.keras_model import fixed_batch, load_network
from unetlite.export.levels import LEVELS
from unetlite.export.op_cost import OperationCosts, cut_out, operation_costs
from unetlite.vision.contract import InputSpec

SPEC = InputSpec((64, 64))


@pytest.fixture(scope="module")
def files(trained) -> dict[str, bytes]:
    network = fixed_batch(load_network(trained.model), SPEC)
    pixels = list(representative_pixels(read_manifest(Path(trained.manifest))))
    return {level: convert(network, LEVELS[level], SPEC, pixels) for level in ("float32", "dynamic", "int8")}


def run(model: bytes, *given: np.ndarray) -> list[np.ndarray]:
    interpreter, _ = make_interpreter(model)
    for detail, values in zip(interpreter.get_input_details(), given, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def costs_of(content: bytes) -> OperationCosts:
    costs = operation_costs(content, make_interpreter(content)[0])
    assert costs is not None
    return costs


def test_the_two_halves_of_a_network_are_the_network(files) -> None:
    picture = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    count = delegated_ops(make_interpreter(files["float32"])[0]).total_ops
    (expected,) = run(files["float32"], picture)
    for cut in (1, 5, count - 1):  # 5: amid the skips, so that more than one tensor crosses
        between = run(cut_out(files["float32"], range(cut)), picture)
        first = make_interpreter(cut_out(files["float32"], range(cut)))[0]
        second = make_interpreter(cut_out(files["float32"], range(cut, count)))[0]
        by_name = {d["name"]: values for d, values in zip(first.get_output_details(), between, strict=True)}
        given = [by_name[detail["name"]] for detail in second.get_input_details()]
        (answer,) = run(cut_out(files["float32"], range(cut, count)), *given)
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_a_piece_carries_only_its_own_weights(files) -> None:
    pieces = [len(cut_out(files["float32"], [number])) for number in range(21)]
    assert sum(pieces) < 1.2 * len(files["float32"]) + 21 * 6000
    assert min(pieces) < 0.1 * len(files["float32"])


@pytest.mark.parametrize("level", ["float32", "dynamic", "int8"])
def test_every_partition_and_left_over_operation_has_its_time(files, level: str) -> None:
    division = delegated_ops(make_interpreter(files[level])[0])
    costs = costs_of(files[level])
    assert sum(partition.operations for partition in costs.partitions) == division.delegated_ops
    assert len(costs.partitions) == division.partitions
    assert tuple(left.operation for left in costs.left_over) == division.undelegated
    assert 0 <= costs.left_over_share < 1
    assert all(piece.ms > 0 for piece in (*costs.partitions, *costs.left_over))


def test_left_over_operations_tell_what_they_make(files) -> None:
    first, last = costs_of(files["int8"]).left_over
    assert (first.operation, first.shape) == ("QUANTIZE", (1, 64, 64, 3))
    assert (last.operation, last.shape) == ("QUANTIZE", (1, 16, 16, 1))


def test_a_file_that_nothing_takes_is_timed_operation_by_operation() -> None:
    keras = importlib.import_module("keras")
    picture = keras.Input(batch_shape=(1, 32, 32, 3))
    wide = keras.layers.Conv2D(24, 3, padding="same", activation="relu")(picture)
    network = keras.Model(picture, keras.layers.Conv2D(1, 1, activation="sigmoid")(wide))
    content = convert(network, LEVELS["int16x8"], InputSpec((32, 32)), [np.zeros((32, 32, 3), np.uint8)] * 2)
    costs = costs_of(content)
    assert costs.partitions == ()
    assert costs.left_over_share == 1
    convolutions = [left.shape for left in costs.left_over if left.operation == "CONV_2D"]
    assert convolutions == [(1, 32, 32, 24), (1, 32, 32, 1)]


def test_operations_are_divided_without_overlap(files) -> None:
    names, partitions = divide_ops(make_interpreter(files["dynamic"])[0])
    taken: list[Any] = [number for partition in partitions for number in partition]
    assert len(taken) == len(set(taken))
    assert {names[number] for number in taken} & {"CONV_2D"}
    assert set(taken) <= set(range(len(names)))
