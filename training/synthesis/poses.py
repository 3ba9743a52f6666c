"""Where the document's plane stands before the camera: drawn from real frames or from a camera model.

Stands apart because a pose is geometry alone and the ground truth comes straight from it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from unetlite.training.synthesis.formats import FORMATS, DocumentFormat
from unetlite.training.synthesis.randomness import chance, log_uniform, pick_weighted
from unetlite.vision.errors import DatasetError

_COLUMNS = ("frame", "width", "height", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")
_UNIT = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


@dataclass(frozen=True)
class PosePriors:
    """Document corners of real frames.

    `quads` is float64 (N, 4, 2) in pixels, `sizes_wh` (N, 2) the frames' sizes, `aspects` (N,) the
    width/height of the documents that lay there.
    """

    quads: np.ndarray
    sizes_wh: np.ndarray
    aspects: np.ndarray


@dataclass(frozen=True)
class Pose:
    """The plane that the document lies on.

    `plane` is the float64 (3, 3) homography from millimetres (document's centre at the origin, y down) to
    pixels; `quad` float64 (4, 2) the document's corners in pixels, in its reading order from its top-left.
    """

    plane: np.ndarray
    quad: np.ndarray

    @property
    def pixels_per_mm(self) -> float:
        """The scale at the document's centre."""
        step = project(self.plane, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        across, down = step[1] - step[0], step[2] - step[0]
        return float(np.sqrt(abs(across[0] * down[1] - across[1] * down[0])))


def project(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map (N, 2) points through a (3, 3) homography; float64 (N, 2)."""
    lifted = np.concatenate([points, np.ones((len(points), 1))], 1) @ homography.T
    return lifted[:, :2] / lifted[:, 2:]


def area(quad: np.ndarray) -> float:
    """The signed area of a (N, 2) polygon, positive when clockwise on the screen."""
    x, y = quad[:, 0], quad[:, 1]
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def read_priors(path: Path) -> PosePriors:
    """Read corners of real frames from a CSV with the columns frame, width, height, x1, y1 .. x4, y4.

    Raises:
        DatasetError: a column is missing, a value is no number, or no row has a convex quad.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: expected a CSV file of poses, but it cannot be read: {error}") from error
    missing = [name for name in _COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise DatasetError(
            f"{path}: expected the columns {', '.join(_COLUMNS)}, got none named "
            f"{', '.join(missing)}; see --poses in the documentation"
        )
    try:
        numbers = np.array([[float(row[name]) for name in _COLUMNS[1:]] for row in rows])
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{path}: expected numbers in every row, got: {error}") from error
    if not (np.isfinite(numbers).all() and np.abs(numbers).max() < 1e6 and numbers[:, :2].min() >= 1):
        raise DatasetError(f"{path}: expected pixels in every row, got numbers that no frame has")
    quads = numbers[:, 2:].reshape(-1, 4, 2)
    sides = np.roll(quads, -1, 1) - quads
    following = np.roll(sides, -1, 1)
    convex = (sides[..., 0] * following[..., 1] - sides[..., 1] * following[..., 0] > 0).all(1)
    if not convex.any():
        raise DatasetError(f"{path}: expected clockwise convex quads, got none in {len(rows)} rows")
    lengths = np.linalg.norm(sides, axis=2)
    measured = (lengths[:, 0] + lengths[:, 2]) / np.maximum(lengths[:, 1] + lengths[:, 3], 1e-6)
    passport, card = FORMATS["ID-3"], FORMATS["ID-1"]
    long = np.array(["passport" not in row["frame"] for row in rows]) & (measured > 1.2)
    aspects = np.where(long, card.width_mm / card.height_mm, passport.width_mm / passport.height_mm)
    return PosePriors(quads[convex], numbers[convex, :2], aspects[convex])


def draw_pose(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    document_format: DocumentFormat,
    priors: PosePriors | None,
) -> Pose:
    """A plausible view of a document of this format in a picture of this size.

    One in ten documents reaches out of the picture; the others lie inside.
    """
    if priors is not None and chance(rng, 0.6):
        plane = _plane_of_a_real_frame(rng, size_wh, document_format, priors)
    else:
        plane = _plane_of_a_camera(rng, size_wh, document_format)
    return _place(rng, plane, size_wh, document_format)


def _plane_of_a_real_frame(
    rng: np.random.Generator, size_wh: tuple[int, int], document_format: DocumentFormat, priors: PosePriors
) -> np.ndarray:
    index = int(rng.integers(len(priors.quads)))
    quad, frame_wh = priors.quads[index].copy(), priors.sizes_wh[index]
    if chance(rng, 0.5):
        quad[:, 0] = frame_wh[0] - quad[:, 0]
        quad = quad[[1, 0, 3, 2]]
    side = np.sqrt(abs(area(quad)))
    quad += rng.normal(0, 0.012, (4, 2)) * side
    zoom = np.sqrt(np.prod(size_wh) / np.prod(frame_wh)) * log_uniform(rng, 0.75, 1.6)
    quarters = pick_weighted(rng, {"0": 8, "90": 1, "180": 1, "270": 1})
    spin = np.radians(rng.normal(0, 6) + float(quarters))
    turn = np.array([[np.cos(spin), -np.sin(spin)], [np.sin(spin), np.cos(spin)]])
    centre = quad.mean(0)
    target = centre / frame_wh * size_wh + rng.normal(0, 0.08, 2) * size_wh
    quad = (quad - centre) @ turn.T * zoom + target
    height_mm = document_format.height_mm
    rectangle = (_UNIT - 0.5) * [height_mm * priors.aspects[index], height_mm]
    return cv2.getPerspectiveTransform(rectangle.astype(np.float32), quad.astype(np.float32))


def _plane_of_a_camera(
    rng: np.random.Generator, size_wh: tuple[int, int], document_format: DocumentFormat
) -> np.ndarray:
    width, height = size_wh
    focal = max(width, height) * rng.uniform(0.75, 1.4)
    kind = pick_weighted(rng, {"upright": 0.62, "quarter": 0.18, "any": 0.2})
    roll = {
        "upright": rng.normal(0, 9),
        "quarter": rng.choice([90, 180, 270]) + rng.normal(0, 8),
        "any": rng.uniform(0, 360),
    }[kind]
    tilt = abs(rng.normal(0, 20)) if chance(rng, 0.85) else rng.uniform(20, 52)
    around = rng.uniform(0, 360)
    rotation = _axis_turn(2, around) @ _axis_turn(0, min(tilt, 55.0)) @ _axis_turn(2, roll - around)
    fraction = log_uniform(rng, 0.06, 0.85) if chance(rng, 0.7) else rng.uniform(0.1, 0.6)
    distance = focal * np.sqrt(
        document_format.width_mm * document_format.height_mm / (fraction * width * height)
    )
    # The document is 100 mm wide: nearer than this the perspective is not a phone's any more.
    distance = max(distance, 70.0)
    columns = np.stack([rotation[:, 0], rotation[:, 1], [0.0, 0.0, distance]], 1)
    camera = np.array([[focal, 0.0, 0.0], [0.0, focal, 0.0], [0.0, 0.0, 1.0]])
    plane = camera @ columns
    middle = np.array([width - 1, height - 1]) / 2 + rng.normal(0, 0.14, 2) * size_wh
    shift = np.array([[1.0, 0.0, middle[0]], [0.0, 1.0, middle[1]], [0.0, 0.0, 1.0]])
    return shift @ plane


def _axis_turn(axis: int, degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    first, second = [index for index in range(3) if index != axis]
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = cosine
    turn[first, second], turn[second, first] = -sine, sine
    return turn


def _place(
    rng: np.random.Generator, plane: np.ndarray, size_wh: tuple[int, int], document_format: DocumentFormat
) -> Pose:
    """Scale and shift the view so that the document lies inside, or for one in ten partly outside."""
    size = np.array(size_wh, np.float64)
    quad = project(plane, document_format.corners_mm)
    extent = quad.max(0) - quad.min(0)
    outside = chance(rng, 0.1)
    limit = rng.uniform(0.85, 0.985) if not outside else rng.uniform(0.8, 1.3)
    scale = min(1.0, float(np.min(limit * size / extent)))
    smallest = 0.05 * np.prod(size)
    scale = max(scale, min(1.0, float(np.sqrt(smallest / max(abs(area(quad)), 1.0)))))
    centre = (quad.max(0) + quad.min(0)) / 2
    extent = extent * scale
    slack = (size - extent) / 2
    if outside:
        beyond = extent * rng.uniform(0.05, 0.45)
        axis = int(rng.integers(2))
        target = (size - 1) / 2 + rng.uniform(-1, 1, 2) * np.abs(slack)
        target[axis] = (size[axis] - 1) / 2 + rng.choice([-1, 1]) * (slack[axis] + beyond[axis])
    else:
        room = np.maximum(slack - 1.0, 0.0)
        target = np.clip(centre, (size - 1) / 2 - room, (size - 1) / 2 + room)
    move = np.array(
        [
            [scale, 0.0, target[0] - scale * centre[0]],
            [0.0, scale, target[1] - scale * centre[1]],
            [0.0, 0.0, 1.0],
        ]
    )
    plane = move @ plane
    return Pose(plane / plane[2, 2], project(plane, document_format.corners_mm))
