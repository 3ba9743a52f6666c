"""Printed cards on a table, seen by a pinhole camera, with known faults."""

from __future__ import annotations

import cv2
import numpy as np

SIZE_WH = (640, 480)
ID1_MM = (85.60, 53.98)


def printed_face(number: int = 0, px_per_mm: float = 8.0) -> np.ndarray:
    """A bright card with a portrait's place and lines of print, different for every number."""
    rng = np.random.default_rng(number)
    width, height = (round(mm * px_per_mm) for mm in ID1_MM)
    face = np.full((height, width, 3), 225, np.uint8)
    left = int(rng.integers(5, 55) * px_per_mm)
    colour = tuple(int(v) for v in rng.integers(130, 190, 3))
    cv2.rectangle(face, (left, height // 4), (left + width // 4, height * 3 // 4), colour, -1)
    for line in range(7):
        top = int(height * (0.12 + 0.12 * line))
        for column in np.flatnonzero(rng.random(24) < 0.6):
            x = int(width * (0.03 + column * 0.04))
            cv2.rectangle(face, (x, top), (x + int(1.6 * px_per_mm), top + int(1.2 * px_per_mm)), (30, 30, 40), -1)
    return face


def view_of_card(
    face: np.ndarray,
    *,
    tilt_deg: float = 0.0,
    width_px: float = 400.0,
    shift_xy: tuple[float, float] = (0.0, 0.0),
    focal_share: float = 0.9,
    background: int = 40,
    size_wh: tuple[int, int] = SIZE_WH,
) -> tuple[np.ndarray, np.ndarray]:
    """The picture (H, W, 3) and the quad of an ID-1 card tilted about its vertical axis."""
    focal = focal_share * max(size_wh)
    angle = np.radians(tilt_deg)
    along = np.array([np.cos(angle), 0.0, np.sin(angle)])
    camera = np.array([[focal, 0, size_wh[0] / 2 - 0.5], [0, focal, size_wh[1] / 2 - 0.5], [0, 0, 1]])
    plane = camera @ np.column_stack([along, [0.0, 1.0, 0.0], [0.0, 0.0, focal * ID1_MM[0] / width_px]])
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.divide(ID1_MM, 2)
    seen = np.column_stack([half, np.ones(4)]) @ plane.T
    quad = (seen[:, :2] / seen[:, 2:] + shift_xy).astype(np.float32)
    height, width = face.shape[:2]
    outline = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    matrix = cv2.getPerspectiveTransform(outline.astype(np.float32), quad)
    picture = np.full((size_wh[1], size_wh[0], 3), background, np.uint8)
    shrunk = cv2.GaussianBlur(face, (0, 0), 0.35 * width / width_px)
    cv2.warpPerspective(shrunk, matrix, size_wh, dst=picture, borderMode=cv2.BORDER_TRANSPARENT)
    return picture, quad
