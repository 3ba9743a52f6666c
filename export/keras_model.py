"""The trained network: read from `.keras` or `.h5`, checked, and given a batch of one.

Stands apart because it is where foreign files enter; everything after it works on a network that fits the contract.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.export.quiet import hushed
from unetlite.vision.contract import Contract, InputSpec
from unetlite.vision.errors import ExportError, MissingExtraError, ModelError

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def load_network(path: Path) -> Any:
    """Load a Keras model for inference; losses, metrics and optimizer stay behind, so none need registering.

    Raises:
        ModelError: no such file, no Keras model, one that runs code on loading, or one of unknown layers.
        MissingExtraError: TensorFlow is not installed.
    """
    path = Path(path)
    _check_file(path)
    with hushed():
        keras = _import_keras()
        try:
            return keras.models.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # layers' constructors may raise anything
            # Keras quotes the whole configuration before it comes to the point.
            reason = " ".join(str(error).split()).rpartition("Exception encountered: ")[2]
    if "unsafe" in reason or "Lambda" in reason:
        raise ModelError(
            f"{path}: the model holds a Lambda layer or other Python code, which loading would run; "
            f"build it again from Keras's own layers, as unet-train does"
        )
    raise ModelError(
        f"{path}: Keras {keras.__version__} cannot load this model: {reason[:300]}; "
        f"save it again as .keras from Keras's own layers"
    )


def _import_keras() -> Any:
    try:
        import keras
    except ImportError as error:
        raise MissingExtraError(
            "exporting needs TensorFlow, which is not installed; pip install 'unetlite[train-cpu,export]'"
        ) from error
    return keras


def _check_file(path: Path) -> None:
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: expected a Keras model, but there is no such file; check the path") from error
    except OSError as error:
        raise ModelError(f"{path}: could not be read: {error.strerror}; expected a .keras or .h5 file") from error
    if not head:
        raise ModelError(f"{path}: expected a Keras model, got an empty file; train or copy it again")
    wanted = ".keras" if zipfile.is_zipfile(path) else ".h5" if head == HDF5_MAGIC else None
    if wanted is None or head[4:8] == b"TFL3":  # a .tflite with associated files is a zip, too
        raise ModelError(f"{path}: expected a Keras model (.keras or .h5), got another kind of file")
    if path.suffix.lower() not in ((".keras",) if wanted == ".keras" else (".h5", ".hdf5")):
        raise ModelError(f"{path}: holds a {wanted} model, but is named '{path.suffix}'; rename it to *{wanted}")


def check_network(network: Any, contract: Contract, where: Path) -> None:
    """Hold the network against its contract.

    Raises:
        ModelError: an input of another size, or another number of classes.
        ExportError: weights that are not numbers.
    """
    width, height = contract.input.size_wh
    given, answer = tuple(network.inputs[0].shape), tuple(network.outputs[0].shape)
    if given[1] not in (None, height) or given[2] not in (None, width):
        raise ModelError(
            f"{where}: expected an input of {width}x{height} pixels as its training summary says, "
            f"got (batch, h, w, channels) = {given}; train again or restore the summary"
        )
    names = contract.output.class_names
    if answer[3] != (1 if contract.output.kind == "sigmoid" else len(names)):
        raise ModelError(
            f"{where}: expected as many classes as labels ({', '.join(names)}; one channel for sigmoid), "
            f"got {answer[3]} channels; pass --labels with a name for each class, background first"
        )
    for weight in network.weights:
        if not np.isfinite(np.asarray(weight)).all():
            raise ExportError(f"{where}: the weight {weight.path} holds NaN or infinity; train the model again")


def fixed_batch(network: Any, spec: InputSpec) -> Any:
    """The same network for exactly one picture.

    With an open batch the converter computes shapes at run time (SHAPE, STRIDED_SLICE, PACK), which splits the
    delegate's share and drops dynamic-range models to reference kernels. The fixed names make exports repeat.
    """
    import keras

    width, height = spec.size_wh
    picture = keras.Input(batch_shape=(1, height, width, 3), dtype="float32", name="image")
    return keras.Model(picture, network(picture, training=False), name="unet")
