"""The pictures that the models of a benchmark do worst on, model beside model.

Stands apart because it compares models picture by picture, where a run's figures are of one model over all pictures.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from unetlite.edge.benchmark.pictures import read_picture
from unetlite.edge.overlay import draw_overlay
from unetlite.edge.segmenter import Segmenter
from unetlite.vision.dataset import Sample
from unetlite.vision.image import RgbImage

COUNT = 8
_LONGEST_SIDE = 360
_JPEG_QUALITY = 80


Answers = tuple[str, Sequence[float], Sequence[float]]  # a model's name, and by picture its IoU and its quad IoU


def worst_pictures(
    names: Sequence[str], models: Sequence[Answers], draw: Callable[[int, int], str] | None = None
) -> list[dict[str, Any]]:
    """The pictures on which any model's IoU is lowest, worst first, with what every model scores there.

    Args:
        names: of the pictures.
        models: their scores over these pictures, in this order.
        draw: of the numbers of a model and a picture, the answer as base64 of a JPEG; without it there is none.
    """
    lowest = [min(ious[i] for _, ious, _ in models) for i in range(len(names))]
    return [
        {
            "image": names[place],
            "models": [
                {
                    "model": name,
                    "iou": round(ious[place], 4),
                    "quad_iou": round(quad_ious[place], 4),
                    "jpeg": None if draw is None else draw(number, place),
                }
                for number, (name, ious, quad_ious) in enumerate(models)
            ],
        }
        for place in sorted(range(len(names)), key=lambda i: (lowest[i], i))[:COUNT]
    ]


def draw_answers(
    segmenters: Sequence[Segmenter], samples: Sequence[Sample], root: Path
) -> Callable[[int, int], str]:
    """What `worst_pictures` draws with: a small overlay of that model's answer to that picture.

    Args:
        segmenters: the loaded models.
        samples: of the benchmark, in the order of its names.
        root: of the data set.
    """

    def draw(number: int, place: int) -> str:
        segmenter = segmenters[number]
        picture = read_picture(samples[place], root, {len(segmenter.contract.output.class_names)})
        seen = segmenter(picture.image, hurried=True)
        drawn = _shrunk(draw_overlay(picture.image, seen.finding, seen.mask, picture.quad))
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, encoded = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), quality)
        return base64.b64encode(encoded.tobytes()).decode("ascii")

    return draw


def _shrunk(image: RgbImage) -> RgbImage:
    scale = min(1.0, _LONGEST_SIDE / max(image.shape[:2]))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
