"""Weights of the confidence: logistic regression on drawn pictures with and without a document.

    python benchmarks/confidence.py DATA... --model MODEL.tflite

DATA are data sets with ground truth. A finding counts for the document where its quad has an IoU of 0.7 or more with
the truth, against it where the picture has none; what lies between is left out. Both kinds weigh the same. Prints
`_WEIGHTS` of vision/confidence.py. The present ones are of what `unet-data synthesize` drew: `validation` of
`models/recipe.sh`, seed 9001, seed 9100 at 1280x720 and at 1920x1080, and seed 9102 at 1920x1080.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from unetlite.edge.segmenter import chosen_model, load_segmenter
from unetlite.vision.dataset import find_samples, read_quad
from unetlite.vision.image import read_image
from unetlite.vision.metrics import quad_iou

LEAST_IOU = 0.7
PENALTY = 1e-2  # on the squared weights of normalised signs: hundreds of examples for five numbers need little


@click.command()
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--model", type=click.Path(path_type=Path), help="A .tflite; the shipped one by default.")
def main(data: tuple[Path, ...], model: Path | None) -> None:
    segmenter = load_segmenter(chosen_model(model))
    contract = segmenter.contract
    segmenter.contract = replace(contract, output=replace(contract.output, min_confidence=0.0))  # every quad counts
    features, is_document = [], []
    for sample in (sample for folder in data for sample in find_samples(folder)):
        truth = None if sample.polygon is None else read_quad(sample.polygon)
        finding = segmenter(read_image(sample.image), hurried=True).finding  # of one map: nothing is averaged
        if finding.quad is None or finding.signs is None:
            continue
        if truth is not None and quad_iou(finding.quad, truth) < LEAST_IOU:
            continue
        features.append(finding.signs.features())
        is_document.append(truth is not None)
    x, y = np.array(features), np.array(is_document)
    weights = fit(x, y)
    scores = 1 / (1 + np.exp(-(x @ weights[:-1] + weights[-1])))
    print("likeness, certainty, shape cost, agreement, constant:", ", ".join(f"{w:.2f}" for w in weights))
    higher = (scores[y][:, None] > scores[~y]).mean()
    print(f"a document above a picture without one: {100 * higher:.1f} % of pairs (N={y.sum()} and {(~y).sum()})")
    for least in (0.3, 0.4, 0.5, 0.6, 0.7):
        print(f"from {least}: {100 * (scores[y] >= least).mean():.1f} % and {100 * (scores[~y] >= least).mean():.1f} %")


def fit(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(F + 1,) weights of the features and the constant, by Newton's steps; both kinds of `y` weigh the same."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    z = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    weigh = np.where(y, 1 / y.sum(), 1 / (~y).sum()) * len(y) / 4
    penalty = PENALTY * np.eye(z.shape[1])
    penalty[-1, -1] = 0.0
    weights = np.zeros(z.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-z @ weights))
        slope = z.T @ (weigh * (p - y)) + penalty @ weights
        weights -= np.linalg.solve((z.T * (weigh * p * (1 - p))) @ z + penalty, slope)
    plain = weights[:-1] / spread
    return np.append(plain, weights[-1] - plain @ mean)


if __name__ == "__main__":
    main()
