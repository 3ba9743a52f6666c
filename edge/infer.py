"""From inputs to records and output files: what `unet-infer` does with each frame.

Stands apart from the command so that a program can do the same and choose its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from unetlite.edge.outputs import OutputPlan
from unetlite.edge.overlay import draw_overlay
from unetlite.edge.portrait import FaceDetector, turn_upright
from unetlite.edge.segmenter import Segmentation, Segmenter
from unetlite.edge.sources import BrokenFrame, Frame, open_source
from unetlite.vision.errors import ImageError
from unetlite.vision.image import write_image
from unetlite.vision.quad import crop_quad


def infer_sources(
    segmenter: Segmenter, inputs: Sequence[Path], plan: OutputPlan, *, warn: Callable[[str], object]
) -> Iterator[dict[str, Any]]:
    """Segment every frame of every input and write what the plan asks for.

    Args:
        segmenter: the loaded model.
        inputs: pictures, folders, videos, as the plan knows them.
        plan: where outputs go.
        warn: told in one sentence of what is odd but no error.

    Yields:
        One record a frame, as `frame_record`, and, with a crop, "upright": whether a portrait told which way up it is;
        {"image", "error"} for what cannot be read.

    Raises:
        OutputError: an output could not be written.
        ModelError: the network gives no probabilities.
    """
    faces = FaceDetector() if "crop" in plan.targets else None
    for place, path in enumerate(inputs):
        first_of: dict[Path, int] = {}
        try:
            for frame in open_source(path, warn=warn):
                if isinstance(frame, BrokenFrame):
                    yield {"image": frame.name, "error": str(frame.error)}
                    continue
                segmentation = segmenter(frame.image)
                number = frame.index - first_of.setdefault(frame.path, frame.index)
                upright = _write_outputs(segmentation, frame, plan, place, number, faces)
                yield {**frame_record(frame.name, segmentation), **upright}
        except ImageError as error:
            yield {"image": str(path), "error": str(error)}


def frame_record(name: str, segmentation: Segmentation) -> dict[str, Any]:
    """One line of `unet-infer --json`; the quad in pixels of the picture, to a hundredth."""
    quad = segmentation.finding.quad
    return {
        "image": name,
        "document": quad is not None,
        "confidence": round(segmentation.finding.confidence, 4),
        "quad": None if quad is None else [[round(float(x), 2), round(float(y), 2)] for x, y in quad],
        "mask_fraction": round(segmentation.mask_fraction, 4),
        "latency_ms": {stage: round(value, 3) for stage, value in segmentation.latency_ms.items()},
    }


def readable_line(record: dict[str, Any]) -> str:
    """A record as a sentence."""
    total_ms = sum(record["latency_ms"].values())
    mask = f"mask {100 * record['mask_fraction']:.1f} %, {total_ms:.1f} ms"
    if not record["document"]:
        return f"{record['image']}: no document (confidence {record['confidence']:.2f}), {mask}"
    corners = " ".join(f"({x:.0f}, {y:.0f})" for x, y in record["quad"])
    return f"{record['image']}: document, confidence {record['confidence']:.2f}, corners {corners}, {mask}"


def _write_outputs(
    segmentation: Segmentation, frame: Frame, plan: OutputPlan, place: int, number: int, faces: FaceDetector | None
) -> dict[str, bool]:
    """Write what the plan asks for; of a crop, whether it is known to stand upright."""
    finding = segmentation.finding
    known = {}
    mask_path = plan.path_for("mask", place, frame, number)
    if mask_path is not None:
        # As a data set has it: dark and light for two classes, the class's number for more.
        several = len(segmentation.output.class_names) > 2
        write_image(mask_path, segmentation.classes if several else segmentation.mask)
    crop_path = plan.path_for("crop", place, frame, number)
    if crop_path is not None and faces is not None and finding.quad is not None:
        crop = turn_upright(crop_quad(frame.image, finding.quad), faces)
        write_image(crop_path, crop.image)
        known["upright"] = crop.told
    overlay_path = plan.path_for("overlay", place, frame, number)
    if overlay_path is not None:
        write_image(overlay_path, draw_overlay(frame.image, finding, segmentation.mask))
    return known
