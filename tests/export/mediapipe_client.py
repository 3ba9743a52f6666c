"""MediaPipe Tasks' own ImageSegmenter as a program: MODEL PIXELS.npy ANSWER.npz.

Runs in an environment of its own: MediaPipe wants NumPy 2 and another OpenCV. Writes confidence masks and category
mask, prints the labels.
"""

import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

model, pixels, answer = sys.argv[1:]
options = vision.ImageSegmenterOptions(
    base_options=BaseOptions(model_asset_path=model), output_category_mask=True, output_confidence_masks=True
)
with vision.ImageSegmenter.create_from_options(options) as segmenter:
    picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.load(pixels))
    result = segmenter.segment(picture)
    confidence = np.stack([mask.numpy_view().squeeze() for mask in result.confidence_masks])
    np.savez(answer, confidence=confidence, category=result.category_mask.numpy_view().squeeze())
    print(*segmenter.labels, sep="\n")
