"""The pictures on which an export's files lost most, with every answer drawn on them.

Stands apart because the report knows these pictures by name and figure only; here they are read and run again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from unetlite.edge.overlay import draw_overlay
from unetlite.edge.segmenter import Segmentation, Segmenter
from unetlite.export.agreement import CheckPicture, mask_agreement
from unetlite.export.exporter import Export, Network, file_segmenter, keras_segmenter, open_file
from unetlite.vision.dataset import read_truth
from unetlite.vision.document import Finding
from unetlite.vision.image import RgbImage, read_image
from unetlite.vision.metrics import mask_iou
from unetlite.vision.quad import Quad

MOST_SHOWN = 6
LEAST_LOSS = 0.0005  # of IoU: what rounds to nothing needs no picture
SIDE = 360  # pixels of the longer side: enough to see an outline leave its edge, small enough for a page


@dataclass(frozen=True)
class Answer:
    """One network's answer: who, how right it is as `agreement.PictureScore` has it, and the picture with it drawn.

    Where no truth is known, `score` is the IoU with Keras's own mask.
    """

    name: str
    score: float
    drawn: RgbImage


@dataclass(frozen=True)
class ShownPicture:
    """A picture, what it lost at most, and everybody's answer, Keras first."""

    path: str
    loss: float
    answers: tuple[Answer, ...]


def show_worst(network: Network, exports: Sequence[Export], pictures: Sequence[CheckPicture]) -> list[ShownPicture]:
    """The pictures that lost most at any level, at most `MOST_SHOWN`, the worst first; empty where none lost.

    Raises:
        ImageError, GroundTruthError, ModelError: a picture has gone meanwhile, or a network fails on it.
    """
    losses: dict[str, float] = {}
    for export in exports:
        for worst in export.verdict.worst if export.verdict is not None else ():
            losses[worst.path] = max(losses.get(worst.path, LEAST_LOSS), worst.keras - worst.level)
    losses = {path: loss for path, loss in losses.items() if loss > LEAST_LOSS}
    chosen = sorted(losses, key=lambda path: -losses[path])[:MOST_SHOWN]
    if not chosen:
        return []
    judged = [export for export in exports if export.verdict is not None and export.content]
    segmenters: dict[str, Segmenter] = {"keras": keras_segmenter(network, network.contract.input)}
    for export in judged:
        opened = open_file(export.content, export.level)
        segmenters[export.level.name] = file_segmenter(*opened, network.contract, export.level)
    by_path = {str(picture.path): picture for picture in pictures}
    return [_show(by_path[path], losses[path], segmenters) for path in chosen]


def _show(picture: CheckPicture, loss: float, segmenters: Mapping[str, Segmenter]) -> ShownPicture:
    image = read_image(picture.path)
    given = {name: segmenter(image) for name, segmenter in segmenters.items()}
    if picture.sample is None:
        scores, quad = {name: mask_agreement(given["keras"], answer) for name, answer in given.items()}, None
    else:
        truth = read_truth(picture.sample, (image.shape[0], image.shape[1]), len(given["keras"].output.class_names))
        document, quad = truth.classes > 0, truth.quad if truth.has_quad else None
        scores = {
            name: mask_iou(answer.mask, document) if document.any() else 1.0 - answer.mask_fraction
            for name, answer in given.items()
        }
    answers = tuple(Answer(name, scores[name], _drawn(image, answer, quad)) for name, answer in given.items())
    return ShownPicture(str(picture.path), loss, answers)


def _drawn(image: RgbImage, answer: Segmentation, truth: Quad | None) -> RgbImage:
    height, width = image.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    size_wh = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(answer.mask.astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST).astype(bool)
    quads = [None if quad is None else (quad + 0.5) * factor - 0.5 for quad in (answer.finding.quad, truth)]
    return draw_overlay(small, Finding(quads[0], answer.finding.confidence), mask, quads[1])
