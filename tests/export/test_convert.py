"""The measured traps, each on a really converted file."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unetlite.edge.delegation import delegated_ops
from unetlite.edge.runtime import make_interpreter
from unetlite.export.convert import check_tensors, convert, reach_both_ends
from unetlite.export.delegation import slow_reason
from unetlite.export.keras_model import fixed_batch
from unetlite.export.levels import LEVELS
from unetlite.export.quiet import hushed
from unetlite.vision.contract import Contract, InputSpec, read_contract
from unetlite.vision.errors import ExportError

SHAPE_OPERATIONS = {"SHAPE", "STRIDED_SLICE", "PACK"}


def operations(interpreter: Any) -> Counter[str]:
    return Counter(node["op_name"] for node in interpreter._get_ops_details())


def buffer_bytes(content: bytes) -> Counter[int]:
    """Bytes of constant tensors by the schema's tensor type (0 float32, 1 float16, 9 int8, ...)."""
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    sizes: Counter[int] = Counter()
    for tensor in model.subgraphs[0].tensors:
        stored = model.buffers[tensor.buffer].data
        sizes[tensor.type] += 0 if stored is None else len(stored)
    return sizes


def convert_with_open_batch(network: Any) -> bytes:
    """As a script would that hands the network to the converter as it is: dynamic range."""
    tf = importlib.import_module("tensorflow")
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    with hushed():
        return converter.convert()


@pytest.fixture(scope="module")
def reference_style() -> Any:
    """The original project's kind of U-Net (transposed convolution), narrow and shallow."""
    from unetlite.training.unet import Preset, build_unet

    return build_unet(Preset((16, 32), transposed=True, encoder=(1, 1), decoder=(1,)), (32, 32))


def test_the_batch_is_fixed_on_every_file(exported) -> None:
    for level in LEVELS:
        if exported.file(level).exists():
            interpreter, _ = make_interpreter(exported.file(level))
            (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
            assert list(given["shape_signature"]) == [1, 64, 64, 3]
            assert answer["shape_signature"][0] == 1
            assert not SHAPE_OPERATIONS & set(operations(interpreter))


def test_an_open_batch_drops_transposed_convolutions_to_a_reference_kernel_and_is_refused(reference_style) -> None:
    interpreter, _ = make_interpreter(convert_with_open_batch(reference_style))
    assert set(operations(interpreter)) >= SHAPE_OPERATIONS
    reason = slow_reason("dynamic", delegated_ops(interpreter))
    assert reason is not None
    assert "TRANSPOSE_CONV" in reason
    assert "reference kernel" in reason


def test_with_the_batch_fixed_the_same_network_is_delegated(reference_style) -> None:
    spec = InputSpec((32, 32))
    interpreter, _ = make_interpreter(convert(fixed_batch(reference_style, spec), LEVELS["dynamic"], spec))
    assert operations(interpreter)["TRANSPOSE_CONV"] == 1
    assert not SHAPE_OPERATIONS & set(operations(interpreter))
    assert slow_reason("dynamic", delegated_ops(interpreter)) is None


def test_the_edge_preset_s_kind_passes_at_dynamic_range(exported) -> None:
    interpreter, _ = make_interpreter(exported.file("dynamic"))
    delegation = delegated_ops(interpreter)
    assert "DEPTHWISE_CONV_2D" in delegation.undelegated  # int8 weights: left over, but not on a reference kernel
    assert slow_reason("dynamic", delegation) is None
    assert buffer_bytes(exported.file("dynamic").read_bytes())[9] > 0


def test_float16_really_halves_the_file(exported) -> None:
    whole, half = (exported.file(level).read_bytes() for level in ("float32", "float16"))
    assert 0.45 < len(half) / len(whole) < 0.6
    before, after = buffer_bytes(whole), buffer_bytes(half)
    assert after[1] == pytest.approx(before[0] / 2, rel=0.05)
    assert before[1] == 0
    assert after[0] < 0.02 * before[0]


def test_the_int8_input_is_exactly_the_contract_s(exported) -> None:
    interpreter, _ = make_interpreter(exported.file("int8"))
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    contract = read_contract(exported.file("int8"))
    assert given["dtype"] == answer["dtype"] == np.uint8
    assert given["quantization"] == (np.float32(1 / 255), 0)
    assert given["quantization"][0] == np.float32(contract.input.scale)
    assert answer["quantization"] == (1 / 256, 0)


@pytest.mark.parametrize("real_range", [(-1.0, 1.0), (0.0, 255.0)])
def test_the_input_scale_is_exact_for_other_ranges(bright, real_range: tuple[float, float]) -> None:
    spec = InputSpec((32, 32), real_range)
    rng = np.random.default_rng(0)
    pixels = list(rng.integers(5, 240, (8, 32, 32, 3)).astype(np.uint8))  # neither end occurs
    content = convert(fixed_batch(bright(32, real_range), spec), LEVELS["int8"], spec, pixels)
    interpreter, _ = make_interpreter(content)
    source, _ = check_tensors(interpreter, LEVELS["int8"], Contract(spec))
    assert source["scale"] == np.float32(spec.scale)


def test_without_both_ends_the_scale_is_wrong_and_noticed(bright, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unetlite.export.convert.reach_both_ends", list)
    spec = InputSpec((32, 32))
    pixels = list(np.random.default_rng(0).integers(0, 240, (8, 32, 32, 3)).astype(np.uint8))
    content = convert(fixed_batch(bright(), spec), LEVELS["int8"], spec, pixels)
    with pytest.raises(ExportError, match=r"int8: expected input scale 0\.003921569 and zero point 0, got 0\.0036"):
        check_tensors(make_interpreter(content)[0], LEVELS["int8"], Contract(spec))


def test_reaching_both_ends_changes_at_most_two_bytes() -> None:
    pixels = list(np.random.default_rng(0).integers(3, 250, (4, 8, 8, 3)).astype(np.uint8))
    kept = [picture.copy() for picture in pixels]
    reached = reach_both_ends(pixels)
    np.testing.assert_array_equal(pixels, kept)  # the caller's pictures stay
    differences = np.abs(np.stack(reached).astype(int) - np.stack(pixels))
    assert sorted(differences[differences > 0]) == [3, 6]  # 3 to 0 and 249 to 255
    assert (np.min(reached), np.max(reached)) == (0, 255)


def test_pictures_that_have_both_ends_stay_as_they_are() -> None:
    pixels = [np.array([0, 7, 255], np.uint8).reshape(1, 1, 3), np.full((1, 1, 3), 9, np.uint8)]
    assert all(a is b for a, b in zip(reach_both_ends(pixels), pixels, strict=True))


def test_an_operation_that_tflite_lacks_is_an_error_that_names_it() -> None:
    keras = importlib.import_module("keras")

    class Odd(keras.layers.Layer):
        def call(self, x):
            return importlib.import_module("tensorflow").math.bessel_i0(x) * 0.0 + 0.5

    picture = keras.Input(batch_shape=(1, 8, 8, 3))
    spec = InputSpec((8, 8))
    with pytest.raises(ExportError, match=r"(?i)float32: .*converter refused.*bessel"):
        convert(keras.Model(picture, Odd()(picture)), LEVELS["float32"], spec)


def test_equal_exports_give_equal_bytes(exported, trained, export: Callable, tmp_path: Path) -> None:
    result = export(
        trained.model, "--int8", "--calibration", trained.manifest, "--validation", trained.data, "--to", tmp_path,
        "--author", "the tests", "--licence", "CC0-1.0", "--model-version", "7",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (tmp_path / "unet.int8.tflite").read_bytes() == exported.file("int8").read_bytes()
