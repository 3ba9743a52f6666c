"""The device's package imports and runs where there is no TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys

BLOCKED = """
import importlib, pkgutil, sys
for name in ("tensorflow", "keras", "tflite_support", "tensorflow_lite_support"):
    sys.modules[name] = None
import unetlite.edge
for module in pkgutil.iter_modules(unetlite.edge.__path__):
    importlib.import_module(f"unetlite.edge.{module.name}")
from unetlite.edge.cli import infer
infer(sys.argv[1:], prog_name="unet-infer")
"""


def test_every_module_imports_and_inference_runs_with_tensorflow_blocked(models, card_file):
    command = [sys.executable, "-W", "error", "-c", BLOCKED, str(card_file("a.png")), "--json"]
    ended = subprocess.run([*command, "--model", str(models.bright__int8)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["document"] is True


def test_a_keras_model_without_keras_names_the_install(models, card_file):
    command = [sys.executable, "-c", BLOCKED, str(card_file("a.png")), "--model", str(models.folder / "bright.keras")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "pip install 'unetlite[train-cpu]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_commands_import_nothing_heavy_for_their_help():
    program = (
        "import sys, unetlite.edge.cli; "
        "print([m for m in ('numpy', 'cv2', 'tensorflow', 'keras', 'ai_edge_litert') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
