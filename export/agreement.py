"""Each exported file against the Keras network on the same pictures, and all of them against the truth.

Stands apart because it is the proof of an export. It runs files as a device does, through `edge.segmenter`, so that
identical bytes are fed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.calibration.manifest import Manifest
from unetlite.edge.segmenter import Segmentation, Segmenter
from unetlite.vision.dataset import Sample, find_samples, read_truth, split_folder
from unetlite.vision.image import read_image
from unetlite.vision.metrics import class_iou, confusion, mask_iou, quad_iou

LOW_AGREEMENT = 0.95  # mean IoU with Keras; well-made int8 files reach 0.98 and more


@dataclass(frozen=True)
class CheckPicture:
    """A picture to compare on; `sample` is None where no truth is known."""

    path: Path
    sample: Sample | None


@dataclass(frozen=True)
class Agreement:
    """How alike a file and the Keras network answer, on the network's own map.

    Attributes:
        pictures: how many were compared.
        iou_mean: IoU of the two masks; of more than two classes, the mean over those that either sees, without
            background.
        iou_min: of the worst picture.
        worst: that picture's path.
        difference_max: of any two probabilities.
        difference_mean: likewise.
    """

    pictures: int
    iou_mean: float
    iou_min: float
    worst: str
    difference_max: float
    difference_mean: float


@dataclass(frozen=True)
class Score:
    """How right the answers are, in pixels of the pictures.

    Attributes:
        pictures: how many had a known truth.
        iou_mean: of the document's mask, per picture, then averaged.
        iou_min: of the worst picture.
        quad_iou_mean: of the document's corners, over pictures whose corners are known; None where there are none.
        quad_iou_ge_90: the share of those that reach 0.9.
        class_iou: per class over all pixels of all pictures; None for a class that is nowhere.
    """

    pictures: int
    iou_mean: float
    iou_min: float
    quad_iou_mean: float | None
    quad_iou_ge_90: float | None
    class_iou: Mapping[str, float | None]


def validation_pictures(folder: Path) -> list[CheckPicture]:
    """All pictures of a data set with their truth, of a prepared one its validation part.

    Raises:
        DatasetError, GroundTruthError: no data set, or a picture without its truth.
    """
    return [CheckPicture(sample.image, sample) for sample in find_samples(split_folder(Path(folder), "validation"))]


def calibration_pictures(manifest: Manifest) -> list[CheckPicture]:
    """The representative pictures themselves; the weaker check, as the file has learned its ranges from them."""
    return [CheckPicture(manifest.folder / picture.path, None) for picture in manifest.pictures]


def compare(
    keras: Segmenter, files: Mapping[str, Segmenter], pictures: Sequence[CheckPicture],
    watch: Callable[[Sequence[CheckPicture]], Iterable[CheckPicture]] = iter,
) -> tuple[dict[str, Agreement], dict[str, Score]]:  # fmt: skip
    """Run the Keras network and all files over the pictures, each picture read once.

    Args:
        keras: the network before export.
        files: the segmenter of each level.
        pictures: at least one.
        watch: wraps the pictures, for a progress bar.

    Returns:
        Agreement by level; and scores by level and "keras", empty where no truth is known.

    Raises:
        ImageError, GroundTruthError: a picture or its truth cannot be read.
        ModelError: a network answers with no probabilities.
    """
    names = keras.contract.output.class_names
    agreements = {level: _AgreementSum() for level in files}
    scores = {level: _ScoreSum(names) for level in ("keras", *files)}
    for picture in watch(pictures):
        image = read_image(picture.path)
        expected = keras(image)
        answers = {level: segmenter(image) for level, segmenter in files.items()}
        for level, answer in answers.items():
            agreements[level].add(picture.path, expected, answer)
        if picture.sample is None:
            continue
        truth = read_truth(picture.sample, (image.shape[0], image.shape[1]), len(names))
        for level, answer in {"keras": expected, **answers}.items():
            scores[level].add(answer, truth)
    judged = {level: total.result() for level, total in scores.items() if total.ious}
    return {level: total.result() for level, total in agreements.items()}, judged


def mask_agreement(expected: Segmentation, answer: Segmentation) -> float:
    """IoU of two answers on the network's own map; 1.0 where neither sees anything."""
    output = expected.output
    if output.kind == "sigmoid":
        return mask_iou(expected.probability >= output.threshold, answer.probability >= output.threshold)
    seen = [np.argmax(each.answer.real(), axis=-1) for each in (expected, answer)]
    per_class = class_iou(confusion(seen[1], seen[0], len(output.class_names)))[1:]
    return 1.0 if np.isnan(per_class).all() else float(np.nanmean(per_class))


class _AgreementSum:
    """Adds pictures up: masks and probabilities of a whole data set would not fit in memory."""

    def __init__(self) -> None:
        self.ious: list[float] = []
        self.paths: list[Path] = []
        self.largest, self.total = 0.0, 0.0

    def add(self, path: Path, expected: Segmentation, answer: Segmentation) -> None:
        difference = np.abs(expected.answer.real() - answer.answer.real())
        self.ious.append(mask_agreement(expected, answer))
        self.paths.append(path)
        self.largest = max(self.largest, float(difference.max()))
        self.total += float(difference.mean())

    def result(self) -> Agreement:
        worst = int(np.argmin(self.ious))
        count = len(self.ious)
        mean = float(np.mean(self.ious))
        return Agreement(count, mean, self.ious[worst], str(self.paths[worst]), self.largest, self.total / count)


class _ScoreSum:
    """Adds pictures up, as above."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.matrix = np.zeros((len(names), len(names)), np.int64)
        self.ious: list[float] = []
        self.quad_ious: list[float] = []

    def add(self, answer: Segmentation, truth: Any) -> None:
        self.ious.append(mask_iou(answer.mask, truth.classes > 0))
        self.matrix += confusion(answer.classes, truth.classes, len(self.names))
        if truth.has_quad:
            self.quad_ious.append(quad_iou(answer.finding.quad, truth.quad))

    def result(self) -> Score:
        per_class = class_iou(self.matrix)
        quads = np.array(self.quad_ious)
        return Score(
            pictures=len(self.ious),
            iou_mean=float(np.mean(self.ious)),
            iou_min=float(np.min(self.ious)),
            quad_iou_mean=float(quads.mean()) if len(quads) else None,
            quad_iou_ge_90=float((quads >= 0.9).mean()) if len(quads) else None,
            class_iou={
                name: None if np.isnan(value) else float(value)
                for name, value in zip(self.names, per_class, strict=True)
            },
        )
