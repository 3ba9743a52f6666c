"""Whether 0..255 stands for the values that the network was trained on: the most expensive mistake, and a silent one.

Stands apart because no converted file shows it. Network and file agree on the same nonsense, and int8 looks perfect.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import CheckPicture
from unetlite.vision.contract import InputSpec
from unetlite.vision.dataset import read_truth
from unetlite.vision.errors import CalibrationError, ModelError
from unetlite.vision.image import read_image
from unetlite.vision.metrics import mask_iou

USUAL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
PROBES = 12  # pictures; each costs up to three runs of the Keras network
# A network that is merely bad is no better at another range. Trained on 0..1 and fed 0..255, one fell from 0.9 to 0.19,
# which is what answering "everything" scores, and its int8 file agreed with it to 0.998.
MUCH_BETTER = 0.2
USEFUL = 0.6  # an untrained network may gain by accident, but not get this far
BETTER = 0.05  # fed -1..1, one fell by 0.1: nearer than chance allows, but no proof


def check_input_range(
    make: Callable[[InputSpec], Segmenter], spec: InputSpec, pictures: Sequence[CheckPicture]
) -> str | None:
    """Pass a network that scores as well at its input's range as at the usual other ones.

    Args:
        make: the Keras network at an input.
        spec: the contract's input.
        pictures: `PROBES` of those with truth are looked at; without any, nothing can be said.

    Returns:
        A doubt for people where another range is better by `BETTER`, or None.

    Raises:
        CalibrationError: another range is better by `MUCH_BETTER`.
        ImageError, GroundTruthError: a picture or its truth cannot be read.
        ModelError: the network answers with no probabilities.
    """
    known = [picture for picture in pictures if picture.sample is not None]
    if not known:
        return None
    chosen = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, PROBES).astype(int))]
    own = _mean_iou(make(spec), chosen)
    ious = {spec.real_range: own}
    for real_range in USUAL_RANGES:
        if real_range not in ious:
            with suppress(ModelError):
                ious[real_range] = _mean_iou(make(dataclasses.replace(spec, real_range=real_range)), chosen)
    low, high = best = max(ious, key=lambda real_range: ious[real_range])
    if ious[best] <= own + BETTER:
        return None
    sentence = (
        f"with 0..255 standing for {spec.real_range[0]:g}..{spec.real_range[1]:g} the Keras network's IoU is "
        f"{own:.2f}, and with {low:g}..{high:g} it is {ious[best]:.2f} (N={len(chosen)})"
    )
    advice = f"pass --input-range {low:g} {high:g} here and to unet-calibrate"
    if ious[best] < max(own + MUCH_BETTER, USEFUL):
        return f"{sentence}: if it was trained on those values, {advice}"
    raise CalibrationError(f"{sentence}: it was trained on other values; {advice}")


def _mean_iou(segmenter: Segmenter, pictures: Sequence[CheckPicture]) -> float:
    """Over the pictures that hold a document; 1.0 where none does."""
    classes = len(segmenter.contract.output.class_names)
    ious = []
    for picture in pictures:
        image = read_image(picture.path)
        assert picture.sample is not None  # chosen so
        document = read_truth(picture.sample, (image.shape[0], image.shape[1]), classes).classes > 0
        if document.any():
            ious.append(mask_iou(segmenter(image).mask, document))
    return float(np.mean(ious)) if ious else 1.0
