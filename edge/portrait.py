"""Which way up a document lies: as the portrait on it stands.

Stands apart because it has a network of its own: the face detector that MediaPipe publishes, as its file is. A face is
found and its place between eyes and mouth is read; nothing is told about whose it is, and nothing of it is kept.

Source: Bazarevsky et al., BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs, 2019 (arXiv:1907.05047).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from unetlite.edge.helper_network import HelperNetwork
from unetlite.vision.image import RgbImage

FACE_MODEL = Path(__file__).parent / "models" / "face_detection_short_range.tflite"

_SIDE = 128  # pixels of the detector's input
_BOX = 4  # numbers of an answer before its six points: right eye, left eye, nose, mouth, two ears
# Log-odds from which something is a face, and by which one turn's must be surer than any other turn's: the detector
# half knows turned faces, too. Of 1,425 drawn documents, whose faces are cartoons, one is turned wrong with these.
_LEAST, _LEAD = 1.25, 0.5


@dataclass(frozen=True)
class Turned:
    """A crop as it is read, where that could be told.

    Attributes:
        image: (h, w, 3) uint8 RGB, turned by quarters; as it was where nothing told how.
        told: whether a portrait told it.
    """

    image: RgbImage
    told: bool


class FaceDetector:
    """MediaPipe's short-range face detector, asked for the surest face that stands upright."""

    def __init__(self) -> None:
        """Load it; raises as `HelperNetwork`."""
        self._network = HelperNetwork(FACE_MODEL)

    def standing(self, pixels: np.ndarray) -> float:
        """How sure it is of a face that stands upright within an eighth of a turn.

        Args:
            pixels: (128, 128, 3) uint8 RGB.

        Returns:
            Log-odds; -inf where no face stands.
        """
        answers = self._network((pixels.astype(np.float32) / 127.5 - 1.0)[np.newaxis])
        points = answers[_BOX + 12][0, :, _BOX:].reshape(-1, 6, 2)
        across, down = (points[:, 3] - (points[:, 0] + points[:, 1]) / 2).T  # from between the eyes to the mouth
        odds = answers[1][0, :, 0]
        return float(np.max(odds, initial=-np.inf, where=down > np.abs(across)))


def turn_upright(crop: RgbImage, faces: FaceDetector) -> Turned:
    """Turn a crop as the portrait on it stands.

    Each of the four turns is asked for a face that stands. Both ends of the document are looked at, squares of its
    short side, as a portrait is a fifth of a card and too small in the whole. Cards without a portrait, or with one
    that is too faint, stay as they are.

    Args:
        crop: (h, w, 3) uint8 RGB, the flattened document.
        faces: the detector.

    Raises:
        ModelError: the detector cannot run.
    """
    height, width = crop.shape[:2]
    scale = _SIDE / min(height, width)
    size = max(_SIDE, round(width * scale)), max(_SIDE, round(height * scale))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    ends = small[:_SIDE, :_SIDE], small[-_SIDE:, -_SIDE:]
    sure = [max(faces.standing(np.rot90(end, turn)) for end in ends) for turn in range(4)]
    best = int(np.argmax(sure))
    others = max(value for turn, value in enumerate(sure) if turn != best)
    if sure[best] < _LEAST or sure[best] - others < _LEAD:
        return Turned(crop, told=False)
    return Turned(np.ascontiguousarray(np.rot90(crop, best)), told=True)
