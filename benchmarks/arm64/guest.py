"""The part of `emulate.py` that runs on the emulated processor: scores a model, and marks the stages of each frame.

    python guest.py MODEL DATA LIMIT RUNTIME [hurried]       prints one JSON line

Stands apart because it runs in the device's root file system, with what a device has: NumPy, OpenCV, a runtime.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2

from unetlite.edge.benchmark.conditions import read_conditions
from unetlite.edge.benchmark.pictures import benchmark_samples, read_picture, relative_name
from unetlite.edge.benchmark.run import model_record
from unetlite.edge.benchmark.scores import Scores
from unetlite.edge.device import device_record
from unetlite.edge.segmenter import load_segmenter

MARK = 0x554E0000  # count.c knows it
BEGIN, FED, INVOKED, DONE = range(4)
WARM_UP = 2
THRESHOLD = 0.9


def mark(point: int) -> None:
    """Let the plugin print its counts: no such process exists, and the question costs a few dozen instructions."""
    with suppress(ProcessLookupError):
        os.getpgid(MARK + point)


class Marked:
    """A network that marks where the inference of a whole frame begins and ends; closer looks come after it."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._last = DONE
        self.feed, self.answer, self.interpreter = network.feed, network.answer, network.interpreter

    def begin(self) -> None:
        self._mark(BEGIN)

    def invoke(self) -> None:
        if self._last != BEGIN:
            self._network.invoke()
            return
        self._mark(FED)
        self._network.invoke()
        self._mark(INVOKED)

    def done(self) -> None:
        """Mark the frame's end, once."""
        if self._last != DONE:
            self._mark(DONE)

    def _mark(self, point: int) -> None:
        self._last = point
        mark(point)


def main() -> None:
    """Run the model over the pictures, one mark before and after every stage."""
    model, data, limit, runtime, *way = sys.argv[1:]
    cv2.setNumThreads(1)  # the plugin's counters are not locked
    root, samples = benchmark_samples(Path(data), int(limit))
    segmenter = load_segmenter(Path(model), runtime=runtime)
    names = segmenter.contract.output.class_names
    scores = Scores(names)
    pictures = [read_picture(sample, root, {len(names)}) for sample in samples]
    for _ in range(WARM_UP):
        segmenter(pictures[0].image, hurried=bool(way))
    segmenter.network = network = Marked(segmenter.network)
    for picture in pictures:
        network.begin()
        seen = segmenter(picture.image, hurried=bool(way))
        network.done()
        scores.add(picture.name, seen, picture.truth[len(names)], picture.quad)
    conditions = read_conditions(root, [relative_name(sample.image, root) for sample in samples])
    record = model_record(Path(model), segmenter, scores, THRESHOLD, conditions)
    print(json.dumps({"run": record, "device": device_record(), "scores": [scores.ious, scores.quad_ious]}))


if __name__ == "__main__":
    main()
