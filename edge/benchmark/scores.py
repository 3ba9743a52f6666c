"""The scores of one model over a data set, picture by picture.

Stands apart from the benchmark's timing: accuracy is the same at any speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unetlite.edge.segmenter import Segmentation
from unetlite.vision.dataset import Truth
from unetlite.vision.mask import largest_region, level_points
from unetlite.vision.metrics import class_iou, confusion, corner_error, mask_iou, mean_iou, quad_iou
from unetlite.vision.quad import Quad, fit_quad

GOOD_QUAD_IOU = 0.9


def true_quad(truth: Truth) -> Quad | None:
    """The document's corners: as annotated, or fitted to the true mask where only that is known."""
    if truth.has_quad:
        return truth.quad
    region = largest_region(truth.classes.astype(np.float32), 0.5)
    return fit_quad(level_points(region.astype(np.float32), region, 0.5)) if region.any() else None


@dataclass
class Scores:
    """Grows by one picture at a time.

    Attributes:
        class_names: background first.
        names, ious, quad_ious: one a picture, in order.
        document_shares: how much of each picture is document: what answering "everything" would score.
        corner_errors: None of the pictures where no quad was found or there is none.
        two_class: (2, 2) pixel counts, background against all documents.
        by_class: (N, N) pixel counts.
    """

    class_names: tuple[str, ...]
    names: list[str] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    quad_ious: list[float] = field(default_factory=list)
    document_shares: list[float] = field(default_factory=list)
    corner_errors: list[float | None] = field(default_factory=list)
    two_class: np.ndarray = field(default_factory=lambda: np.zeros((2, 2), np.int64))
    by_class: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.by_class = np.zeros((len(self.class_names), len(self.class_names)), np.int64)

    def add(self, name: str, segmentation: Segmentation, truth: Truth, quad: Quad | None) -> None:
        """Score one picture; `quad` is `true_quad(truth)`."""
        document = truth.classes > 0
        self.names.append(name)
        self.ious.append(mask_iou(segmentation.mask, document))
        self.document_shares.append(float(document.mean()))
        found = segmentation.finding.quad
        self.quad_ious.append(quad_iou(found, quad))
        self.corner_errors.append(None if found is None or quad is None else corner_error(found, quad))
        self.two_class += confusion(segmentation.mask, document, 2)
        self.by_class += confusion(segmentation.classes, truth.classes, len(self.class_names))

    def below(self, threshold: float) -> list[dict[str, Any]]:
        """The pictures whose IoU is lower, worst first."""
        low = sorted((iou, name) for iou, name in zip(self.ious, self.names, strict=True) if iou < threshold)
        return [{"image": name, "iou": round(iou, 4)} for iou, name in low]

    def only(self, names: set[str]) -> Scores:
        """The scores of these pictures alone; the pixel counts stay behind, as they are of all pictures together."""
        kept = [i for i, name in enumerate(self.names) if name in names]
        return Scores(
            self.class_names,
            [self.names[i] for i in kept],
            [self.ious[i] for i in kept],
            [self.quad_ious[i] for i in kept],
            [self.document_shares[i] for i in kept],
            [self.corner_errors[i] for i in kept],
        )

    def quad_summary(self) -> dict[str, Any]:
        """What a condition's pictures are judged by, fit for JSON; corner errors are shares of the card's width."""
        errors = [error for error in self.corner_errors if error is not None]
        return {
            "images": len(self.ious),
            "iou_mean": round(float(np.mean(self.ious)), 4),
            "quad_iou_mean": round(float(np.mean(self.quad_ious)), 4),
            "quad_iou_ge_90": round(float(np.mean(np.array(self.quad_ious) >= GOOD_QUAD_IOU)), 4),
            "corner_error_mean": round(float(np.mean(errors)), 5) if errors else None,
            "corner_error_median": round(float(np.median(errors)), 5) if errors else None,
            "corner_error_images": len(errors),
        }

    def summary(self) -> dict[str, Any]:
        """The figures of a benchmark run, fit for JSON.

        `iou_mean` is over the document, per picture, then averaged; `constant_iou` is what the answers "nothing" and
        "everything" would score. `mean_iou_two_class` and `mean_iou` are of all
        pixels together: Keras's MeanIoU, background included.
        """
        by_class = class_iou(self.by_class)
        return {
            **self.quad_summary(),
            "constant_iou": {
                "nothing": round(float(np.mean(np.array(self.document_shares) == 0.0)), 4),
                "everything": round(float(np.mean(self.document_shares)), 4),
            },
            "mean_iou_two_class": round(mean_iou(self.two_class), 4),
            "mean_iou": round(mean_iou(self.by_class), 4),
            "class_iou": {
                name: None if np.isnan(iou) else round(float(iou), 4)
                for name, iou in zip(self.class_names, by_class, strict=True)
            },
        }


def score_record(
    scores: Scores, threshold: float, conditions: Mapping[tuple[str, str], list[str]]
) -> dict[str, Any]:
    """The part of a run that its scores make, fit for JSON.

    Args:
        scores: of all pictures.
        threshold: pictures of lower IoU are listed.
        conditions: from `read_conditions`.
    """
    return {
        **scores.summary(),
        "threshold": threshold,
        "below_threshold": scores.below(threshold),
        "conditions": [
            {"condition": column, "value": value, **scores.only(set(names)).quad_summary()}
            for (column, value), names in conditions.items()
        ],
    }
