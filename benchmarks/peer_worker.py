"""One network in one runtime, for `peers.py`: reads how many calls to time, answers with their milliseconds.

    python peer_worker.py ai-edge-litert|onnxruntime|openvino MODEL

Stands apart because it runs in another environment, which has that runtime, NumPy and nothing of this project.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable

import numpy as np

WARM_UP = 3
# Noise: all-equal pixels would make denormals and zeros that some kernels run through faster.
PIXELS = np.random.default_rng(0)


def litert(model: str) -> Callable[[], object]:
    """A `.tflite` file in Google's runtime."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    pixels = PIXELS.integers(0, 256, source["shape"]).astype(source["dtype"])
    interpreter.set_tensor(source["index"], pixels / np.float32(255) if source["dtype"] == np.float32 else pixels)
    return interpreter.invoke


def onnxruntime(model: str) -> Callable[[], object]:
    """An `.onnx` file in ONNX Runtime's CPU provider."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    feed = {source.name: PIXELS.random(source.shape, np.float32)}
    return lambda: session.run(None, feed)


def openvino(model: str) -> Callable[[], object]:
    """An `.onnx` file in OpenVINO's CPU plugin, in float32."""
    import openvino as ov

    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    feed = {0: PIXELS.random(tuple(compiled.inputs[0].shape), np.float32)}
    return lambda: request.infer(feed)


ENGINES = {"ai-edge-litert": litert, "onnxruntime": onnxruntime, "openvino": openvino}


def main() -> None:
    """Load, warm up, say so, and then time whenever a number comes in."""
    engine, model = sys.argv[1:]
    invoke = ENGINES[engine](model)
    for _ in range(WARM_UP):
        invoke()
    print(json.dumps({"version": importlib.metadata.version(engine)}), flush=True)
    for line in sys.stdin:
        invoke()
        times = []
        for _ in range(int(line)):
            begin = time.perf_counter()
            invoke()
            times.append((time.perf_counter() - begin) * 1000.0)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
