"""Which TFLite interpreter runs a model: the first of three that this machine has.

Stands apart because devices differ in what can be installed: ai-edge-litert is maintained and verifies a model
before it runs it; tflite-runtime is small, but built for NumPy 1 and Python below 3.12; a workstation has
TensorFlow's own. Each is imported on first use only, so a device needs one of them and never TensorFlow.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import operator
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.edge.tflite_doubt import doubt
from unetlite.edge.tflite_graph import read_graphs
from unetlite.edge.trial import try_model
from unetlite.vision.contract import check_is_tflite, read_model
from unetlite.vision.errors import MissingExtraError, ModelError

RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert.interpreter:Interpreter",
    "tflite-runtime": "tflite_runtime.interpreter:Interpreter",
    "tensorflow": "tensorflow:lite.Interpreter",  # tensorflow.lite is an attribute, its module has no Interpreter
}
INSTALL = {
    "ai-edge-litert": "pip install 'unetlite[edge]'",
    "tflite-runtime": "pip install 'unetlite[tflite-runtime]'",
    "tensorflow": "pip install 'unetlite[train-cpu]'",
}
RUNTIME_VARIABLE = "UNETLITE_RUNTIME"


@dataclass(frozen=True)
class RuntimeInfo:
    """The interpreter that was chosen.

    Attributes:
        name: a key of `RUNTIMES`, or "keras".
        version: as the package states it.
        reason: why this one; empty for the first choice.
    """

    name: str
    version: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}" + (f" ({self.reason})" if self.reason else "")


def load_runtime(runtime: str | None = None) -> tuple[type, RuntimeInfo]:
    """The interpreter class to use and why.

    Args:
        runtime: a key of `RUNTIMES`; None takes the environment's `UNETLITE_RUNTIME`, else the first that imports.

    Raises:
        ModelError: a name that is not in `RUNTIMES`.
        MissingExtraError: the named runtime, or without a name every runtime, cannot be imported.
    """
    wanted, asked_by = (runtime, "asked for") if runtime else (os.environ.get(RUNTIME_VARIABLE), RUNTIME_VARIABLE)
    if wanted:
        if wanted not in RUNTIMES:
            raise ModelError(f"{asked_by}: expected one of {', '.join(RUNTIMES)}, got {wanted!r}; choose one of them")
        try:
            return _import(wanted), RuntimeInfo(wanted, _version(wanted), asked_by)
        except _NotUsable as error:
            raise MissingExtraError(
                f"runtime {wanted} ({asked_by}) cannot be imported: {error}; {INSTALL[wanted]}"
            ) from error
    failures: list[str] = []
    for name in RUNTIMES:
        try:
            return _import(name), RuntimeInfo(name, _version(name), "; ".join(failures))
        except _NotUsable as error:
            failures.append(f"{name}: {error}")
    raise MissingExtraError(f"no TFLite runtime can be imported ({'; '.join(failures)}); {INSTALL['ai-edge-litert']}")


class _NotUsable(Exception):
    pass


def _import(name: str) -> type:
    module, _, attribute = RUNTIMES[name].partition(":")
    if name == "tflite-runtime" and int(np.__version__.split(".")[0]) >= 2:
        # It imports all the same, and fails with a SystemError when the first model is loaded.
        raise _NotUsable(f"built for NumPy 1, NumPy {np.__version__} is installed")
    try:
        return operator.attrgetter(attribute)(importlib.import_module(module))
    except ModuleNotFoundError as error:
        reason = "not installed" if error.name == module.split(".")[0] else str(error)
        raise _NotUsable(reason) from error
    except Exception as error:  # a native module of another NumPy or C library fails in many ways, none worth a crash
        raise _NotUsable(f"{type(error).__name__}: {error}".splitlines()[0]) from error


def _version(name: str) -> str:
    package = RUNTIMES[name].split(":")[0].split(".")[0]
    version = getattr(sys.modules.get(package), "__version__", None)
    return str(version) if version else installed_version(name) or "unknown"


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution without importing it, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def make_interpreter(
    model: Path | bytes, *, threads: int = 1, runtime: str | None = None, where: str = "model"
) -> tuple[Any, RuntimeInfo]:
    """An interpreter for a model, its tensors allocated, and which runtime it is of.

    Nothing is given to native code before all of it was seen to lie inside the file. A file's graph is followed, too,
    and where it holds anything that cannot be judged here, a process of its own loads and runs it first: it may end
    that one. The interpreter gets the bytes that were checked, so that a file replaced meanwhile changes nothing.

    Args:
        model: a `.tflite` file, or its bytes, which are taken to be good: this process made or judged them.
        threads: 1 or more.
        runtime: as `load_runtime`.
        where: what to call bytes in an error.

    Raises:
        ModelError: no TFLite model, a damaged one, or one with operations that this runtime lacks.
        MissingExtraError: as `load_runtime`.
    """
    if isinstance(model, bytes):
        check_is_tflite(model, where)
        read_graphs(model, where)
        interpreter_class, info = load_runtime(runtime)
        content = model
    else:
        content, where = read_model(model), str(model)
        interpreter_class, info = judge_model(content, where, runtime)
    try:
        interpreter = _construct(interpreter_class, content, threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:  # UnicodeDecodeError, too, is a ValueError
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{where}: {info.name} {info.version} cannot run this model: {reason}; copy the file again, or export "
            f"it again with unet-export"
        ) from error
    return interpreter, info


def judge_model(content: bytes, where: str, runtime: str | None = None) -> tuple[type, RuntimeInfo]:
    """Pass a model's bytes that are fit for native code, and tell which runtime is to run them.

    Raises:
        ModelError: no TFLite model, a damaged one, or one that ended the process that tried it.
        MissingExtraError: as `load_runtime`.
    """
    check_is_tflite(content, where)
    reason = doubt(read_graphs(content, where))
    interpreter_class, info = load_runtime(runtime)
    if reason is not None:
        try_model(content, where, info.name, reason)
    return interpreter_class, info


def invoke(interpreter: Any, where: str) -> None:
    """Run an interpreter whose input is set. Raises ModelError where a kernel refuses."""
    try:
        interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{where}: failed while running: {' '.join(str(error).split())[:200]}") from error


def _construct(interpreter_class: Any, content: bytes, threads: int) -> Any:
    with warnings.catch_warnings():
        # tf.lite.Interpreter advises to move to ai-edge-litert, which is why it is the last choice here.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        return interpreter_class(model_content=content, num_threads=threads)
