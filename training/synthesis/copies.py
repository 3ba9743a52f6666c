"""What paper and use do to a face: photocopies in grey and colour, and worn, scratched originals.

Stands apart because the same face is laid down as an original in one picture and as a copy in the next.
"""

from __future__ import annotations

import cv2
import numpy as np

from unetlite.training.synthesis.patterns import draw_curve, value_noise
from unetlite.training.synthesis.randomness import chance, log_uniform


def photocopy(rng: np.random.Generator, face: np.ndarray) -> np.ndarray:
    """The face as a copier prints it, uint8 (H, W, 3): 255 stands for bare paper."""
    if chance(rng, 0.85):
        grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
        printed = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    else:
        printed = face.astype(np.float32)
    if chance(rng, 0.3):
        printed = cv2.GaussianBlur(printed, (0, 0), rng.uniform(0.5, 1.1))
    black, white = rng.uniform(0, 70), rng.uniform(190, 290)
    tone = np.clip((printed - black * rng.uniform(0.2, 1.0)) / (white - black), 0, 1)
    tone = tone ** log_uniform(rng, 0.8, 2.0)
    toner = rng.uniform(10, 60)
    printed = toner + tone * (255.0 - toner)
    height, width = face.shape[:2]
    if chance(rng, 0.6):
        mottle = value_noise(rng, (height, width), (height / 3, width / 3), 1) - 0.5
        printed += (mottle * rng.uniform(4, 26))[..., None]
    if chance(rng, 0.15):
        printed += (value_noise(rng, (height, width), (1, width / 6))[..., None] - 0.5) * rng.uniform(5, 25)
    printed = np.clip(printed, 0, 255).astype(np.uint8)
    if chance(rng, 0.3):  # the card's edge throws a line of shadow on the copier's glass
        line = rng.uniform(60, 200)
        cv2.rectangle(printed, (0, 0), (width - 1, height - 1), (line, line, line), int(rng.integers(1, 3)))
    return printed


def wear(rng: np.random.Generator, face: np.ndarray) -> np.ndarray:
    """The face after years in a wallet: faded, scratched, pale at the edges."""
    height, width = face.shape[:2]
    used = face.astype(np.float32)
    if chance(rng, 0.5):
        fade = rng.uniform(0.0, 0.3)
        used = used * (1 - fade) + fade * rng.uniform(120, 230)
    if chance(rng, 0.4):
        used *= (0.9 + 0.2 * value_noise(rng, (height, width), (6, 9), 2))[..., None]
    if chance(rng, 0.35):
        rim = np.ones((height, width), np.float32)
        edge = int(rng.integers(2, 9))
        rim[edge:-edge, edge:-edge] = 0
        rim = cv2.blur(rim, (2 * edge + 1, 2 * edge + 1)) * value_noise(rng, (height, width), (20, 30), 2)
        used += rim[..., None] * (rng.uniform(120, 255) - used)
    used = np.clip(used, 0, 255).astype(np.uint8)
    if chance(rng, 0.3):
        for _ in range(int(rng.integers(1, 7))):
            start = rng.uniform([0, 0], [width, height])
            line = start + np.cumsum(rng.normal(0, 14, (5, 2)), 0)
            tone = rng.uniform(90, 255)
            draw_curve(used, line, (tone, tone, tone))
    return used
