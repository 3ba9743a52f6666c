"""Overlays of the pictures that a benchmark lists as bad, to be looked at.

Stands apart from the benchmark, which measures and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unetlite.edge.benchmark.pictures import benchmark_samples, read_picture, relative_name
from unetlite.edge.overlay import draw_overlay
from unetlite.edge.segmenter import Segmenter
from unetlite.vision.errors import OutputError
from unetlite.vision.files import sha256_of
from unetlite.vision.image import write_image


def check_low_iou_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise OutputError where overlays of an earlier run would be mixed with new ones."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: expected a folder for overlays, but it is a file; name another")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise OutputError(
            f"{folder}: expected a new or empty folder, but it holds files; name another or pass --overwrite"
        )


def write_low_iou_overlays(
    report: dict[str, Any], models: Sequence[tuple[Path, Segmenter]], data: Path, folder: Path
) -> int:
    """Draw the pictures that each run lists below its threshold, with the true quad in blue.

    Args:
        report: from `run_benchmark` with the same models and data.
        models: as there.
        data: as there.
        folder: gets one folder a model; names begin with the IoU, so the worst comes first.

    Returns:
        How many were written.

    Raises:
        OutputError: one could not be written.
    """
    root, samples = benchmark_samples(data, None)
    by_name = {relative_name(sample.image, root): sample for sample in samples}
    count = 0
    run_of = {run["sha256"]: run for run in report["runs"]}  # a model's runs differ in threads, not in answers
    for path, segmenter in models:
        run = run_of[sha256_of(path)]
        classes = len(segmenter.contract.output.class_names)
        for entry in run["below_threshold"]:
            picture = read_picture(by_name[entry["image"]], root, {classes})
            segmentation = segmenter(picture.image, hurried=True)
            note = f"IoU {entry['iou']:.3f}"
            overlay = draw_overlay(picture.image, segmentation.finding, segmentation.mask, picture.quad, note)
            stem = Path(entry["image"]).with_suffix("").as_posix().replace("/", "-")
            write_image(folder / path.name / f"{entry['iou']:.3f}-{stem}.jpg", overlay)
            count += 1
    return count
