"""Real frames with another document in the place of theirs: real tables, papers, hands and light about a new face.

Stands apart because nothing around the document is drawn here: the frame is as a camera took it, and what is laid over
its document must take on the paper, the light and the sharpness that were there.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from unetlite.training.synthesis.copies import photocopy, wear
from unetlite.training.synthesis.faces import Face
from unetlite.training.synthesis.layers import flat_homography, lay_over, rounded_alpha, warp_flat
from unetlite.training.synthesis.objects import draw_objects
from unetlite.training.synthesis.randomness import chance
from unetlite.training.synthesis.scene import Scene
from unetlite.vision.dataset import Sample, read_truth
from unetlite.vision.errors import DatasetError
from unetlite.vision.image import read_image

_PAPER_SHARE = 0.13  # of the card's width: print has bare paper within this distance
_GREY_CHROMA = 0.09  # between the lightest and the darkest channel, of paper white: less is a grey copy
_BLURS = (0.0, 0.5, 0.8, 1.2, 1.8, 2.7, 4.0)  # pixels
_SHARPER = 1.15  # than the frame's own document: no two faces are alike
_RIM_PX = 2  # of the frame's own document that stay, where its paper ends


def usable_frames(samples: list[Sample], where: Path) -> list[Sample]:
    """The frames whose four corners are known. Raises DatasetError where there are none."""
    found = [sample for sample in samples if sample.polygon is not None]
    if not found:
        raise DatasetError(f"{where}: expected frames with the corners of their documents, found masks alone")
    return found


@lru_cache(maxsize=64)
def _read(sample: Sample) -> tuple[np.ndarray, np.ndarray | None]:
    image = read_image(sample.image)
    return image, read_truth(sample, (image.shape[0], image.shape[1]), 2).quad


def reprint_frame(rng: np.random.Generator, sample: Sample, face: Face) -> Scene:
    """The frame with a face over its document, which nothing should lie on.

    Args:
        sample: a frame with its corners.
        face: stretched over the document, whatever its own format.
    """
    image, quad = _read(sample)
    canvas = image.copy()
    if quad is None:
        return Scene(canvas, np.zeros(image.shape[:2], bool), None, None, "negative", False)
    corners = np.asarray(quad, np.float64)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    if sides[0] + sides[2] < sides[1] + sides[3]:
        corners, sides = np.roll(corners, -1, axis=0), np.roll(sides, -1)
    width_px = float(max(sides[0], sides[2]))
    outline = face.format.corners_mm.astype(np.float32)
    plane = cv2.getPerspectiveTransform(outline, corners.astype(np.float32))

    flat_wh = (max(int(width_px), 32), max(int(width_px * face.format.height_mm / face.format.width_mm), 20))
    homography = flat_homography(plane, outline, flat_wh)
    own = cv2.warpPerspective(image, np.linalg.inv(homography), flat_wh, flags=cv2.INTER_LINEAR)
    picture, grey = _printed_alike(rng, face, own)
    radius_px = 0.0 if grey else face.format.corner_mm * flat_wh[0] / face.format.width_mm
    seen = warp_flat(picture, rounded_alpha(flat_wh, radius_px), homography, (image.shape[1], image.shape[0]))
    mask = np.zeros(image.shape[:2], np.float32)
    if seen is not None:
        colours, coverage, (x, y) = seen
        height, width = coverage.shape
        mask[y : y + height, x : x + width] = coverage
        below = image[y : y + height, x : x + width]
        within = cv2.GaussianBlur(_shrunk(coverage), (0, 0), 0.7)
        lay_over(canvas, _as_sharp(colours, below, coverage >= 0.5), within, (x, y))
    occluded = chance(rng, 0.2)
    if occluded:
        pixels_per_mm = width_px / face.format.width_mm
        draw_objects(rng, canvas, corners, pixels_per_mm, over=True, count=int(rng.integers(1, 3)))
    return Scene(canvas, mask >= 0.5, corners, face.format.name, "reprint", occluded)


def _printed_alike(rng: np.random.Generator, face: Face, own: np.ndarray) -> tuple[np.ndarray, bool]:
    """The face on the paper and in the light of a flat document, (H, W, 3) uint8; and whether that is a grey copy."""
    paper = _paper(own)
    shares = own / np.maximum(paper, 1.0)
    grey = float(np.mean(shares.max(axis=2) - shares.min(axis=2))) < _GREY_CHROMA
    printed = photocopy(rng, face.image) if grey else wear(rng, face.image)
    printed = cv2.resize(printed, own.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    darkest = float(np.percentile(shares, 1))
    picture = paper * (darkest + (1.0 - darkest) * printed / max(float(np.percentile(printed, 97)), 0.3))
    noise = rng.normal(0, rng.uniform(0.5, 3), picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8), grey


def _paper(flat: np.ndarray) -> np.ndarray:
    """What bare paper would look like at each place of a flat document, float32: the lightest nearby, smoothed."""
    reach = max(int(_PAPER_SHARE * flat.shape[1]), 2)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    lightest = cv2.dilate(cv2.GaussianBlur(flat, (0, 0), 1.0), kernel)
    return cv2.GaussianBlur(lightest, (0, 0), reach / 2).astype(np.float32)


def _shrunk(coverage: np.ndarray) -> np.ndarray:
    rim = _RIM_PX
    padded = cv2.copyMakeBorder(coverage, rim, rim, rim, rim, cv2.BORDER_REPLICATE)
    return cv2.erode(padded, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))[rim:-rim, rim:-rim]


def _as_sharp(colours: np.ndarray, frame: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The colours, blurred until they are hardly sharper than the frame in the same place."""
    own = _sharpness(frame, inside)
    for blur in _BLURS:
        blurred = cv2.GaussianBlur(colours, (0, 0), blur) if blur else colours
        if _sharpness(blurred, inside) <= _SHARPER * own:
            break
    return blurred


def _sharpness(picture: np.ndarray, inside: np.ndarray) -> float:
    """Of the grey values' second derivative, the mean amount for a deviation of 1."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[inside].mean() / max(float(grey[inside].std()), 1.0))
