"""The part of `frame_stages.py` that looks at streams of frames as live capture does, on the emulated processor.

    python guest_live.py MODEL STREAMS FRAMES_PER_S RUNTIME       prints one JSON line

STREAMS holds arrays (frames, H, W, 3) uint8 RGB. Stands apart from `guest.py`, which scores pictures: here nothing is
scored, and a frame's cost depends on those before it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from guest import Marked

from unetlite.edge.capture import sight as sight_module
from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.quality import QualitySettings
from unetlite.edge.segmenter import load_segmenter


def main() -> None:
    """Show each stream to eyes that have seen nothing before; the quality gates are not counted."""
    model, streams, rate, runtime = sys.argv[1:]
    cv2.setNumThreads(1)  # the plugin's counters are not locked
    segmenter = load_segmenter(Path(model), runtime=runtime)
    paths = sorted(Path(streams).glob("*.npy"))
    segmenter(np.load(paths[0], mmap_mode="r")[0], hurried=True)  # what is loaded and kept at the first use
    segmenter.network = network = Marked(segmenter.network)
    judge = sight_module.judge

    def judged(*given: Any, **options: Any) -> Any:
        network.done()
        return judge(*given, **options)

    sight_module.judge = judged
    frames = 0
    for path in paths:
        sight = sight_module.Sight(segmenter, QualitySettings())
        for number, picture in enumerate(np.load(path)):
            frame = LiveFrame(number, number / float(rate), picture, "RGB", (picture.shape[1], picture.shape[0]))
            network.begin()
            sight(frame, known=lambda _: False, every=False)
            network.done()
            frames += 1
    print(json.dumps({"frames": frames}))


if __name__ == "__main__":
    main()
