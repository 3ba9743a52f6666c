"""Trials that may end the process: each runs alone, `python -m unetlite.edge.doctor.probe TRIAL ...`, and prints JSON.

Stands apart from the doctor because a native library built for another NumPy or processor dies by a signal, and
because TensorFlow, where it is installed, is started here and nowhere else in this package.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def probe_runtime(name: str, model: str) -> dict[str, Any]:
    """Load a model with one runtime and run it once on a grey picture."""
    import numpy as np

    from unetlite.edge.segmenter import load_segmenter

    segmenter = load_segmenter(Path(model), runtime=name)
    segmentation = segmenter(np.full((48, 64, 3), 128, np.uint8))
    return {"version": segmenter.runtime.version, "invoke_ms": round(segmentation.latency_ms["invoke"], 3)}


def probe_import(module: str) -> dict[str, Any]:
    """Import a module."""
    return {"version": str(getattr(importlib.import_module(module), "__version__", "unknown"))}


def probe_tensorflow() -> dict[str, Any]:
    """Build, compile, train and convert a tiny network, and list the devices."""
    import numpy as np

    tf, keras = importlib.import_module("tensorflow"), importlib.import_module("keras")
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy")
    loss = float(model.train_on_batch(np.zeros((2, 8, 8, 3), np.float32), np.zeros((2, 8, 8, 1), np.float32)))
    converted = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    devices = [device.device_type for device in tf.config.list_physical_devices()]
    return {"version": tf.__version__, "keras": keras.__version__, "loss": loss, "tflite_bytes": len(converted),
            "devices": devices}  # fmt: skip


def probe_metadata() -> dict[str, Any]:
    """Import TFLite Support's metadata writers, with libusb from wherever it is installed."""
    try:
        ctypes.CDLL("libusb-1.0.so.0", ctypes.RTLD_GLOBAL)
    except OSError:
        libusb = importlib.import_module("libusb_package").get_library_path()
        ctypes.CDLL(str(libusb), ctypes.RTLD_GLOBAL)
    importlib.import_module("tensorflow_lite_support.metadata.python.metadata_writers.image_segmenter")
    return {}


def probe_gpu() -> dict[str, Any]:
    """Time one convolution network's pass on the CPU and on the first GPU: the median of several, after a warm-up."""
    tf = importlib.import_module("tensorflow")
    if not tf.config.list_physical_devices("GPU"):
        return {"gpu": None}
    times = {device: _convolution_ms(tf, device) for device in ("/CPU:0", "/GPU:0")}
    name = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0]).get("device_name")
    return {"gpu": name or "GPU", "cpu_ms": times["/CPU:0"], "gpu_ms": times["/GPU:0"]}


def _convolution_ms(tf: Any, device: str, repeats: int = 7) -> float:
    with tf.device(device):
        pictures = tf.random.uniform((8, 256, 256, 3))
        kernels = [tf.random.uniform((3, 3, *channels)) for channels in ((3, 32), (32, 32), (32, 1))]
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            layer = pictures
            for kernel in kernels:
                layer = tf.nn.relu(tf.nn.conv2d(layer, kernel, 1, "SAME"))
            float(tf.reduce_sum(layer))  # fetching a number waits for the device
            times.append((time.perf_counter() - begin) * 1000.0)
    return round(sorted(times[2:])[len(times[2:]) // 2], 2)


TRIALS: dict[str, Callable[..., dict[str, Any]]] = {
    "runtime": probe_runtime,
    "import": probe_import,
    "tensorflow": probe_tensorflow,
    "metadata": probe_metadata,
    "gpu": probe_gpu,
}


def main() -> None:
    """Run the trial that the arguments name; what it raises becomes {"error"}."""
    trial, *arguments = sys.argv[1:]
    try:
        answer = TRIALS[trial](*arguments)
    except Exception as error:  # whatever a broken installation raises is the finding
        answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
