"""The pictures that the models of a benchmark do worst on, model beside model.

Stands apart because it compares models picture by picture, where a run's figures are of one model over all pictures.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from unetlite.edge.benchmark.pictures import read_picture
from unetlite.edge.benchmark.scores import Scores
from unetlite.edge.overlay import draw_overlay
from unetlite.edge.segmenter import Segmenter
from unetlite.vision.dataset import Sample
from unetlite.vision.image import RgbImage

COUNT = 8
_LONGEST_SIDE = 360
_JPEG_QUALITY = 80


def worst_pictures(
    models: Sequence[tuple[str, Segmenter, Scores]], samples: Sequence[Sample], root: Path, *, draw: bool
) -> list[dict[str, Any]]:
    """The pictures on which any model's IoU is lowest, worst first, with what every model scores there.

    Args:
        models: name, loaded model, and its scores over `samples` in their order.
        samples: of the benchmark.
        root: of the data set.
        draw: add a small overlay of each model's answer, as base64 of a JPEG; else it is None.
    """
    lowest = [min(scores.ious[i] for _, _, scores in models) for i in range(len(samples))]
    found = []
    for place in sorted(range(len(samples)), key=lambda i: (lowest[i], i))[:COUNT]:
        entry = {
            "image": models[0][2].names[place],
            "models": [
                {
                    "model": name,
                    "iou": round(scores.ious[place], 4),
                    "quad_iou": round(scores.quad_ious[place], 4),
                    "jpeg": _overlay(segmenter, samples[place], root) if draw else None,
                }
                for name, segmenter, scores in models
            ],
        }
        found.append(entry)
    return found


def _overlay(segmenter: Segmenter, sample: Sample, root: Path) -> str:
    picture = read_picture(sample, root, {len(segmenter.contract.output.class_names)})
    seen = segmenter(picture.image)
    drawn = _shrunk(draw_overlay(picture.image, seen.finding, seen.mask, picture.quad))
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def _shrunk(image: RgbImage) -> RgbImage:
    scale = min(1.0, _LONGEST_SIDE / max(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
