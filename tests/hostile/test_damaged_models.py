"""Models that would end the process of a runtime that believes them, and models that are spared the trial."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from unetlite.edge.capture.cli import main as capture
from unetlite.edge.cli import infer
from unetlite.edge.runtime import make_interpreter
from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.edge.tflite_doubt import doubt
from unetlite.edge.tflite_graph import read_graphs
from unetlite.edge.trial import try_model
from unetlite.vision.errors import ModelError
from unetlite.vision.image import write_image

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="no ai-edge-litert; pip install '.[edge]'")
flatbuffers = pytest.importorskip("flatbuffers", reason="no flatbuffers; pip install flatbuffers")
RUNTIMES = ("ai-edge-litert", "tflite-runtime")
PICTURE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)


def edited(edit: Callable[[Any], None]) -> bytes:
    """The shipped model with something in it changed, by its own schema."""
    model = schema.ModelT.InitFromPackedBuf(shipped_model().read_bytes(), 0)
    edit(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _first(model: Any, code: int) -> Any:
    """The first operator of a kind."""
    return next(n for n in model.subgraphs[0].operators if model.operatorCodes[n.opcodeIndex].builtinCode == code)


def _without_weights(model: Any) -> None:
    weights = model.subgraphs[0].tensors[_first(model, 3).inputs[1]]
    weights.buffer = 0


def _half_the_weights(model: Any) -> None:
    buffer = model.buffers[model.subgraphs[0].tensors[_first(model, 3).inputs[1]].buffer]
    buffer.data = buffer.data[: len(buffer.data) // 2]


def _stride_of_zero(model: Any) -> None:
    _first(model, 3).builtinOptions.strideH = 0


def _no_quantization(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        tensor.quantization = None


def _scale_of_zero(model: Any) -> None:
    model.subgraphs[0].tensors[_first(model, 3).outputs[0]].quantization.scale = np.zeros(1, np.float32)


def _enormous_map(model: Any) -> None:
    size = model.subgraphs[0].tensors[_first(model, 23).inputs[1]]
    model.buffers[size.buffer].data = np.frombuffer(np.array([30_000, 30_000], "<i4").tobytes(), np.uint8)


def _cycle(model: Any) -> None:
    model.subgraphs[0].operators.reverse()


def _no_inputs(model: Any) -> None:
    _first(model, 2).inputs = np.zeros(0, np.int32)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "edit",
    [_without_weights, _half_the_weights, _stride_of_zero, _no_quantization, _scale_of_zero, _enormous_map, _cycle,
     _no_inputs],
)  # fmt: skip
def test_a_graph_that_contradicts_itself_is_refused_or_runs_but_ends_nothing(tmp_path, runtime, edit):
    path = tmp_path / "m.tflite"
    path.write_bytes(edited(edit))
    assert doubt(read_graphs(path.read_bytes(), "m")) is not None
    try:
        load_segmenter(path, runtime=runtime)(PICTURE)
    except ModelError as error:
        assert str(error).startswith(f"{path}: ")


def test_what_the_project_exports_is_judged_without_a_trial():
    assert doubt(read_graphs(shipped_model().read_bytes(), "m")) is None


def test_an_operator_that_cannot_be_judged_is_tried_and_runs(tmp_path):
    def unusual(model: Any) -> None:
        code = model.operatorCodes[_first(model, 14).opcodeIndex]
        code.builtinCode = code.deprecatedBuiltinCode = 20  # RELU_N1_TO_1 where there was LOGISTIC
        code.version = 1

    path = tmp_path / "m.tflite"
    path.write_bytes(edited(unusual))
    assert doubt(read_graphs(path.read_bytes(), "m")) == "operator 20"
    interpreter, _ = make_interpreter(path)
    interpreter.invoke()


def test_a_model_that_ends_its_trial_is_an_error_that_names_the_reason():
    with pytest.raises(ModelError, match=r"m: .* cannot run this model \(because\), as a trial .*copy the file again"):
        try_model(edited(_without_weights), "m", "ai-edge-litert", "because")


def test_a_swapped_pair_of_weights_of_one_size_is_no_damage_that_shows():
    def swap(model: Any) -> None:
        tensors = model.subgraphs[0].tensors
        size = [len(model.buffers[t.buffer].data) if model.buffers[t.buffer].data is not None else 0 for t in tensors]
        a, b = next((i, j) for i in range(len(size)) for j in range(i) if size[i] == size[j] > 64
                    and tensors[i].type == tensors[j].type)  # fmt: skip
        tensors[a].buffer, tensors[b].buffer = tensors[b].buffer, tensors[a].buffer

    # That is what the hash in the export record is for.
    assert doubt(read_graphs(edited(swap), "m")) is None


def test_a_required_hash_lets_its_own_model_pass_and_no_other(tmp_path):
    write_image(tmp_path / "a.png", PICTURE)
    right = hashlib.sha256(shipped_model().read_bytes()).hexdigest()
    passed = CliRunner().invoke(infer, [str(tmp_path / "a.png"), "--json", "--require-sha256", right.upper()])
    assert passed.exit_code == 0, passed.output
    assert "document" in json.loads(passed.stdout)
    refused = CliRunner().invoke(infer, [str(tmp_path / "a.png"), "--require-sha256", "0" * 64])
    assert refused.exit_code == 1
    assert f"expected the model of SHA-256 {'0' * 64}, got {right}" in refused.stderr
    assert "Traceback" not in refused.output
    watching = ["--camera", "synthetic:1", "--to", str(tmp_path / "captures"), "--require-sha256", "0" * 64]
    refused = CliRunner().invoke(capture, watching)
    assert refused.exit_code == 1
    assert "expected the model of SHA-256" in refused.stderr


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_file_that_is_replaced_while_it_runs_changes_nothing(tmp_path, runtime):
    path = tmp_path / "m.tflite"
    path.write_bytes(shipped_model().read_bytes())
    segmenter = load_segmenter(path, runtime=runtime)
    before = segmenter(PICTURE).probability
    with open(path, "r+b") as file:  # in place, as `cp` does: a mapped file would be cut off under the interpreter
        file.truncate(4096)
        file.write(os.urandom(4096))
        file.flush()
        assert np.array_equal(segmenter(PICTURE).probability, before)
    path.unlink()
    assert np.array_equal(segmenter(PICTURE).probability, before)


def test_a_trial_does_not_outlive_its_parent_asking():
    """A process that answers nothing is ended: here one that waits for a model that never comes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "unetlite.edge.trial", "ai-edge-litert"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    said, _ = process.communicate(b"", timeout=60)
    assert process.returncode == 1 and said.strip()


def test_the_model_is_read_no_further_than_a_stated_limit():
    with pytest.raises(ModelError, match="expected a .tflite model"):
        load_segmenter(Path("/dev/zero"))
