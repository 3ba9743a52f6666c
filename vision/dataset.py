"""Data sets on disk: which picture belongs to which truth.

Two layouts are read: MIDV (`NN_type/images/CLIP/*`, `NN_type/ground_truth/CLIP/*.json` with a `quad`), and
`images/` beside `masks/` (and `ground_truth/*.json` where exact corners are known), as `unet-data prepare` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unetlite.vision.errors import DatasetError, GroundTruthError, InvalidQuadError
from unetlite.vision.files import read_json
from unetlite.vision.image import is_image_path, read_levels
from unetlite.vision.quad import Quad, as_quad, quad_mask

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Sample:
    """One picture and where its truth lies; at least one of `mask` and `polygon` is given.

    Attributes:
        image: the picture.
        mask: class indices as a picture, or None.
        polygon: JSON with `quad`, or None.
        document: what a split by document keeps together.
        clip: what a split by clip keeps together.
    """

    image: Path
    mask: Path | None
    polygon: Path | None
    document: str
    clip: str


@dataclass(frozen=True)
class Truth:
    """The right answer for a picture.

    Attributes:
        classes: (H, W) uint8 class indices, background 0.
        quad: the document's corners, None where they are unknown or there is no document.
        has_quad: whether `quad` is known (a known None says that there is no document).
    """

    classes: np.ndarray
    quad: Quad | None
    has_quad: bool


def split_folder(root: Path, split: str) -> Path:
    """`root/split` where `root` is a prepared data set, else `root` itself."""
    return root / split if (root / split).is_dir() else root


def find_samples(root: Path) -> list[Sample]:
    """All pairs below a folder, sorted by path.

    Raises:
        DatasetError: no such folder, or no pairs in it.
        GroundTruthError: a picture without its truth.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: expected a folder with pictures and their truth, but there is none")
    if (root / "masks").is_dir() and (root / "images").is_dir():
        samples = _mask_layout(root)
    else:
        samples = [sample for folder in _midv_folders(root) for sample in _midv_layout(folder)]
    if not samples:
        raise DatasetError(
            f"{root}: expected images/ beside masks/, or NN_type/images/CLIP/ beside NN_type/ground_truth/CLIP/ "
            f"(MIDV), found no pair of either; see unet-data prepare --help"
        )
    return samples


def _mask_layout(root: Path) -> list[Sample]:
    masks = {path.stem: path for path in sorted((root / "masks").iterdir()) if is_image_path(path)}
    samples = []
    for image in sorted(path for path in (root / "images").iterdir() if is_image_path(path)):
        mask = masks.get(image.stem)
        if mask is None:
            raise GroundTruthError(f"{image}: expected its mask as {root}/masks/{image.stem}.png, found none; add it")
        polygon = root / "ground_truth" / f"{image.stem}.json"
        content = _read_polygon_file(polygon) if polygon.is_file() else {}
        document = str(content.get("document", image.stem))
        known = polygon if "quad" in content else None
        samples.append(Sample(image, mask, known, document, str(content.get("clip", document))))
    return samples


def _midv_folders(root: Path) -> list[Path]:
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    return [folder for folder in folders if (folder / "images").is_dir() and (folder / "ground_truth").is_dir()]


def _midv_layout(folder: Path) -> list[Sample]:
    samples = []
    # Pictures directly under images/ are MIDV's flat templates, not photographs; `NN.zip.tif` are strays.
    for image in sorted((folder / "images").glob("*/*")):
        if not is_image_path(image) or ".zip" in image.name:
            continue
        clip = image.parent.name
        polygon = folder / "ground_truth" / clip / f"{image.stem}.json"
        if not polygon.is_file():
            raise GroundTruthError(f"{image}: expected its ground truth as {polygon}, found none; add it")
        samples.append(Sample(image, None, polygon, folder.name, f"{folder.name}/{clip}"))
    return samples


def _read_polygon_file(path: Path) -> dict[str, object]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise GroundTruthError(f"{path}: expected JSON with a 'quad', got {error}; restore the file") from error
    if not isinstance(content, dict):
        raise GroundTruthError(f"{path}: expected a JSON object with a 'quad', got {type(content).__name__}")
    return content


def read_quad(path: Path) -> Quad | None:
    """The document's corners from a MIDV-style JSON file; None where it says that there is no document.

    Returns:
        (4, 2) float32, clockwise as seen from the top-left; corners may lie outside the picture.

    Raises:
        GroundTruthError: no JSON, no `quad`, not four finite points, no convex area.
    """
    content = _read_polygon_file(path)
    if "quad" not in content:
        raise GroundTruthError(f"{path}: expected the field 'quad' with four corners, found {sorted(content)}")
    if not content["quad"]:  # null, or MIDV's empty list for a frame without a document
        return None
    try:
        return as_quad(content["quad"])
    except InvalidQuadError as error:
        raise GroundTruthError(f"{path}: {error}") from error


def read_truth(sample: Sample, shape_hw: tuple[int, int], num_classes: int = 2) -> Truth:
    """The truth of a sample whose picture has this shape.

    Raises:
        GroundTruthError: a mask of another size or with unknown classes, a polygon without area.
        ImageError: a mask that cannot be read.
    """
    quad = read_quad(sample.polygon) if sample.polygon is not None else None
    if sample.mask is not None:
        classes = read_classes(sample.mask, num_classes)
        if classes.shape != shape_hw:
            raise GroundTruthError(
                f"{sample.mask}: expected a mask of {shape_hw[1]}x{shape_hw[0]} pixels like its picture, "
                f"got {classes.shape[1]}x{classes.shape[0]}; make it again"
            )
    elif quad is not None:
        classes = quad_mask(quad, shape_hw).astype(np.uint8)
    else:
        classes = np.zeros(shape_hw, np.uint8)
    return Truth(classes, quad, sample.polygon is not None)


def read_classes(path: Path, num_classes: int) -> np.ndarray:
    """A mask picture as class indices.

    Two classes: 0 and 1, or dark and light (128 and more is the document; JPEG masks work). More: the values are
    the indices.

    Returns:
        (H, W) uint8.

    Raises:
        ImageError: as `read_levels`.
        GroundTruthError: a value of `num_classes` or more; for two classes, neither 0 and 1 nor dark and light.
    """
    return as_classes(read_levels(path), num_classes, path)


def as_classes(levels: np.ndarray, num_classes: int, path: Path) -> np.ndarray:
    """`read_classes` of a mask's values; `path` is what an error calls it. Raises GroundTruthError."""
    highest = int(levels.max())
    if num_classes == 2:
        if 1 < highest < 128:
            raise GroundTruthError(
                f"{path}: expected a mask of 0 and 1, or of dark and light, got values up to {highest}; "
                f"pass --num-classes {highest + 1} if they are class indices, or make the mask again"
            )
        return (levels > 0 if highest <= 1 else levels >= 128).astype(np.uint8)
    if highest >= num_classes:
        raise GroundTruthError(
            f"{path}: expected class indices 0..{num_classes - 1}, got a value of {highest}; "
            f"pass the right --num-classes or make the mask again"
        )
    return levels.astype(np.uint8)
