"""Run the shipped model over a video and keep every stage's result: started on both processors, then compared.

outputs.py VIDEO RESULT.npz [INPUTS.npz]      INPUTS: another processor's result, whose network inputs are run, too
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.edge.sources import open_source
from unetlite.vision.preprocess import preprocess


def main(video: str, result: str, others: str | None = None) -> None:
    segmenter = load_segmenter(shipped_model())
    kept: dict[str, list] = {name: [] for name in ("frames", "inputs", "levels", "masks", "quads", "confidences")}
    for frame in open_source(Path(video)):
        seen = segmenter(frame.image)
        quad = seen.finding.quad
        kept["frames"].append(frame.image)
        kept["inputs"].append(preprocess(frame.image, segmenter.contract.input)[0])
        kept["levels"].append(seen.answer.values)
        kept["masks"].append(seen.mask)
        kept["quads"].append(np.full((4, 2), np.nan, np.float32) if quad is None else quad)
        kept["confidences"].append(seen.finding.confidence)
    # A picture of the input's own size passes the fitting unchanged.
    same = [] if others is None else [segmenter(picture).answer.values for picture in np.load(others)["inputs"]]
    packages = ("numpy", "opencv-python-headless", "ai-edge-litert")
    versions = [platform.machine(), platform.python_version(), *(version(name) for name in packages)]
    np.savez_compressed(result, **kept, levels_of_other_inputs=same, versions=versions)


if __name__ == "__main__":
    main(*sys.argv[1:])
