"""Each exported file against the Keras network on the same pictures, and all of them against the truth.

Stands apart because it is the proof of an export. It runs files as a device does, through `edge.segmenter`, so that
identical bytes are fed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unetlite.calibration.manifest import Manifest
from unetlite.edge.benchmark.scores import GOOD_QUAD_IOU
from unetlite.edge.segmenter import Segmentation, Segmenter
from unetlite.vision.dataset import Sample, Truth, find_samples, read_truth, split_folder
from unetlite.vision.errors import ModelError
from unetlite.vision.image import read_image
from unetlite.vision.metrics import class_iou, confusion, mask_iou, quad_iou

SPECK_SHARE = 0.01  # of the network's map: of a smaller mask a few pixels would decide an IoU


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


@dataclass(frozen=True)
class PictureScore:
    """One picture's answer from Keras and from a file.

    Attributes:
        path: the picture.
        agreement: IoU of both masks on the network's map; where Keras sees less than `SPECK_SHARE` of it, the share
            of the map on which they agree.
        keras, level: how right each is. With a document in the picture, the mask's IoU; without one, the share of
            the picture that is rightly left out, as an IoU would fall from 1 to 0 by a single pixel. None where no
            truth is known.
        keras_quad, level_quad: IoU of the quads; None where the true corners are not known.
    """

    path: str
    agreement: float
    keras: float | None = None
    level: float | None = None
    keras_quad: float | None = None
    level_quad: float | None = None


@dataclass(frozen=True)
class Judged:
    """A file over all pictures; `score` is None where no truth is known."""

    agreement: Agreement
    score: Score | None
    pictures: tuple[PictureScore, ...]


@dataclass(frozen=True)
class Comparison:
    """All files over all pictures.

    Attributes:
        keras: the network's own score; None where no truth is known.
        levels: by name, of those that answered.
        failed: by name, the sentence of those that did not answer with probabilities (NaN).
    """

    keras: Score | None
    levels: Mapping[str, Judged]
    failed: Mapping[str, str]


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
) -> Comparison:  # fmt: skip
    """Run the Keras network and all files over the pictures, each picture read once.

    Args:
        keras: the network before export.
        files: the segmenter of each level.
        pictures: at least one.
        watch: wraps the pictures, for a progress bar.

    Raises:
        ImageError, GroundTruthError: a picture or its truth cannot be read.
        ModelError: the Keras network answers with no probabilities.
    """
    names = keras.contract.output.class_names
    agreements = {level: _AgreementSum() for level in files}
    scores = {level: _ScoreSum(names) for level in ("keras", *files)}
    each: dict[str, list[PictureScore]] = {level: [] for level in files}
    failed: dict[str, str] = {}
    for picture in watch(pictures):
        image = read_image(picture.path)
        expected = keras(image, hurried=True)  # the longer search for doubtful quads would magnify every rounding
        truth = None
        if picture.sample is not None:
            truth = read_truth(picture.sample, (image.shape[0], image.shape[1]), len(names))
            scores["keras"].add(expected, truth)
        for level, segmenter in files.items():
            if level in failed:
                continue
            try:
                answer = segmenter(image, hurried=True)
            except ModelError as error:
                failed[level] = f"on {picture.path}: {error}"
                continue
            agreements[level].add(picture.path, expected, answer)
            each[level].append(_picture_score(picture.path, expected, answer, truth))
            if truth is not None:
                scores[level].add(answer, truth)
    results = {level: total.result() for level, total in scores.items() if total.ious}
    judged = {
        level: Judged(agreements[level].result(), results.get(level), tuple(each[level]))
        for level in files
        if level not in failed
    }
    return Comparison(results.get("keras"), judged, failed)


def _picture_score(path: Path, expected: Segmentation, answer: Segmentation, truth: Truth | None) -> PictureScore:
    agreement = mask_agreement(expected, answer)
    seen = expected.probability >= expected.output.threshold
    if seen.mean() < SPECK_SHARE:
        agreement = 1.0 - float(np.mean(seen != (answer.probability >= answer.output.threshold)))
    if truth is None:
        return PictureScore(str(path), agreement)
    document = truth.classes > 0
    keras, level = (
        mask_iou(each.mask, document) if document.any() else 1.0 - each.mask_fraction for each in (expected, answer)
    )
    if not truth.has_quad:
        return PictureScore(str(path), agreement, keras, level)
    quads = [quad_iou(each.finding.quad, truth.quad) for each in (expected, answer)]
    return PictureScore(str(path), agreement, keras, level, quads[0], quads[1])


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

    def add(self, answer: Segmentation, truth: Truth) -> None:
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
            quad_iou_ge_90=float((quads >= GOOD_QUAD_IOU).mean()) if len(quads) else None,
            class_iou={
                name: None if np.isnan(value) else float(value)
                for name, value in zip(self.names, per_class, strict=True)
            },
        )
