"""tflite-support's own ImageSegmenter as a program: MODEL PIXELS.npy KIND ANSWER.npy.

A process of its own, with TensorFlow blocked: its native half does not load beside TensorFlow. Prints the labels.
"""

import ctypes
import sys

sys.modules["tensorflow"] = None  # type: ignore[assignment]

try:
    ctypes.CDLL("libusb-1.0.so.0", ctypes.RTLD_GLOBAL)
except OSError:
    import libusb_package

    ctypes.CDLL(str(libusb_package.get_library_path()), ctypes.RTLD_GLOBAL)

import numpy as np  # noqa: E402
from tensorflow_lite_support.python.task.processor.proto.segmentation_options_pb2 import OutputType  # noqa: E402
from tflite_support.task import core, processor, vision  # noqa: E402

model, pixels, kind, answer = sys.argv[1:]
options = vision.ImageSegmenterOptions(
    base_options=core.BaseOptions(file_name=model, num_threads=1),
    segmentation_options=processor.SegmentationOptions(output_type=OutputType[kind]),
)
segmenter = vision.ImageSegmenter.create_from_options(options)
picture = np.load(pixels)  # TensorImage keeps a bare pointer to it
result = segmenter.segment(vision.TensorImage.create_from_array(picture)).segmentations[0]
if kind == "CONFIDENCE_MASK":
    np.save(answer, np.stack([mask.value for mask in result.confidence_masks]))
else:
    np.save(answer, result.category_mask)
print(*(label.category_name for label in result.colored_labels), sep="\n")
