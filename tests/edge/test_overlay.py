"""What people see: drawn for any size, without touching the picture."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import draw_card

from unetlite.edge.overlay import FOUND, REJECTED, draw_overlay
from unetlite.vision.document import Finding


def holds(canvas: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(near(canvas, colour).any())


def near(canvas: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(canvas.astype(int) - colour).max(axis=2) < 60  # thin letters are blended with their ground


def test_the_quad_runs_along_the_document_and_the_picture_is_left_alone(card_quad):
    image, mask = draw_card(card_quad, size_wh=(400, 300))
    before = image.copy()
    overlay = draw_overlay(image, Finding(card_quad, 0.93), mask)
    assert np.array_equal(image, before)
    assert overlay.shape == image.shape
    x, y = card_quad[2].astype(int)
    assert holds(overlay[y - 2 : y + 3, x - 2 : x + 3], FOUND)
    inside = overlay[120, 150].astype(int) - image[120, 150]
    assert inside[0] < -30  # the tint takes red away
    assert np.array_equal(overlay[250, 390], image[250, 390])


def test_a_rejected_picture_is_written_on_in_another_colour():
    image = np.zeros((300, 400, 3), np.uint8)
    overlay = draw_overlay(image, Finding(None, 0.2))
    assert holds(overlay, REJECTED)
    assert not holds(overlay, FOUND)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (24, 32), (240, 320), (2000, 3000)])
def test_the_caption_is_whole_on_a_picture_of_any_size(shape):
    height, width = shape
    quad = np.float32([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.7]]) * (width, height)
    picture = np.full((*shape, 3), 90, np.uint8)
    overlay = draw_overlay(picture, Finding(quad, 0.5), note="IoU 0.812")
    assert max(overlay.shape[:2]) >= 320
    plate = overlay[(overlay[:, 0] == 0).all(axis=1)]
    letters = near(plate, FOUND)
    assert letters.any()
    assert not letters[:, -1].any()  # a caption that ran out of the picture would touch its border
    assert not letters[-1].any()


def test_corners_far_outside_are_drawn_without_fuss():
    quad = np.float32([[-1e9, -50], [5e8, 10], [400, 1e9], [-30, 300]])
    assert draw_overlay(np.zeros((300, 400, 3), np.uint8), Finding(quad, 0.5)).shape == (300, 400, 3)
