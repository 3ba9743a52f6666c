"""Which operations a delegate took, on real models."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from unetlite.edge.delegation import Delegation, delegated_ops
from unetlite.edge.runtime import RUNTIMES, make_interpreter


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_float_model_is_wholly_delegated(models, runtime):
    interpreter, _ = make_interpreter(models.bright__float32, runtime=runtime)
    assert delegated_ops(interpreter) == Delegation(3, 3, 1, ())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_operation_between_two_partitions_is_named(models, runtime):
    interpreter, _ = make_interpreter(models.partly, runtime=runtime)
    found = delegated_ops(interpreter)
    assert found.partitions == 2
    assert found.undelegated == ("FLOOR_MOD",)
    assert found.delegated_ops == found.total_ops - 1


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_nothing_of_a_16_bit_model_is_delegated(models, runtime):
    interpreter, _ = make_interpreter(models.bright__int16x8, runtime=runtime)
    found = delegated_ops(interpreter)
    assert (found.delegated_ops, found.partitions) == (0, 0)
    assert "CONV_2D" in found.undelegated
    assert len(found.undelegated) == found.total_ops


def test_float16_weights_are_counted_with_the_partition_that_unpacks_them(models):
    found = delegated_ops(make_interpreter(models.bright__float16)[0])
    assert found.undelegated == ()
    assert found.delegated_ops == found.total_ops > 3


def test_a_runtime_that_does_not_tell_is_unknown_not_zero():
    assert delegated_ops(SimpleNamespace()) == Delegation(None, None, None, None)
