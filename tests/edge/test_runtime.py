"""The choice among three runtimes, and models that none of them should be given."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from drawn import draw_card

from unetlite.edge.runtime import RUNTIME_VARIABLE, RUNTIMES, load_runtime, make_interpreter
from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.errors import MissingExtraError, ModelError
from unetlite.vision.metrics import mask_iou


@pytest.mark.parametrize("level", ["float32", "float16", "dynamic", "int8", "int16x8"])
def test_all_runtimes_give_one_mask_for_one_model(models, card_quad, level):
    image, mask = draw_card(card_quad)
    answers = [load_segmenter(getattr(models, f"bright__{level}"), runtime=name)(image) for name in RUNTIMES]
    for answer in answers:
        assert mask_iou(answer.mask, answers[0].mask) > 0.995
        assert np.abs(answer.probability - answers[0].probability).max() < 0.05
        assert mask_iou(answer.mask, mask) > 0.95


@pytest.mark.parametrize("name", RUNTIMES)
def test_the_environment_variable_names_the_runtime(models, monkeypatch, name):
    monkeypatch.setenv(RUNTIME_VARIABLE, name)
    _, info = make_interpreter(models.bright__int8)
    assert info.name == name
    assert info.version[0].isdigit()
    assert RUNTIME_VARIABLE in info.reason


def test_bytes_load_like_a_file(models):
    interpreter, info = make_interpreter(models.bright__int8.read_bytes(), threads=2)
    assert interpreter.get_input_details()[0]["dtype"] == np.uint8
    assert info.reason == ""


def test_a_missing_runtime_falls_back_and_says_why(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    _, info = make_interpreter(models.bright__int8)
    assert info.name == "tflite-runtime"
    assert "ai-edge-litert" in info.reason
    assert str(info).startswith("tflite-runtime 2")


def test_a_runtime_that_breaks_while_it_loads_is_passed_over(tmp_path, monkeypatch):
    package = tmp_path / "ai_edge_litert"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text("raise AttributeError('_ARRAY_API not found')")
    for module in [name for name in sys.modules if name.split(".")[0] == "ai_edge_litert"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    _, info = load_runtime()
    assert info.name == "tflite-runtime"
    assert "_ARRAY_API not found" in info.reason
    for module in [name for name in sys.modules if name.split(".")[0] == "ai_edge_litert"]:
        monkeypatch.delitem(sys.modules, module)


def test_tflite_runtime_is_passed_over_beside_numpy_2(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setattr(np, "__version__", "2.4.6")
    _, info = load_runtime()
    assert info.name == "tensorflow"
    assert "built for NumPy 1, NumPy 2.4.6 is installed" in info.reason


def test_without_any_runtime_the_install_command_is_named(monkeypatch):
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'unetlite\[edge\]'"):
        load_runtime()


def test_a_named_runtime_that_is_missing_is_an_error_not_another_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    monkeypatch.setenv(RUNTIME_VARIABLE, "tflite-runtime")
    with pytest.raises(MissingExtraError, match=r"UNETLITE_RUNTIME.*pip install 'unetlite\[tflite-runtime\]'"):
        load_runtime()


def test_an_unknown_runtime_is_an_error(monkeypatch):
    monkeypatch.setenv(RUNTIME_VARIABLE, "onnxruntime")
    with pytest.raises(ModelError, match="ai-edge-litert, tflite-runtime, tensorflow, got 'onnxruntime'"):
        load_runtime()


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_truncated_model_is_an_error_in_every_runtime(models, tmp_path, name):
    content = models.bare_int8.read_bytes()
    for length in range(8, len(content) - 64, 101):
        path = tmp_path / f"{length}.tflite"
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match=f"{length}.tflite"):
            make_interpreter(path, runtime=name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.tflite", b""), ("text.tflite", b"no model at all\n" * 9), ("head.tflite", b"\0\0\0\0TFL3")],
)
def test_a_file_that_is_no_model_is_an_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        make_interpreter(tmp_path / name)


def test_a_missing_model_is_an_error():
    with pytest.raises(ModelError, match="no such file"):
        make_interpreter(Path("nowhere.tflite"))
