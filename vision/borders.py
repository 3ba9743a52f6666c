"""Where a document ends, as a small network reads it off the picture: strips across the sides of a quad, and what the
network's answer says of any quad near it.

Stands apart from `edges`, which measures how well a step explains colours: it cannot know print from paper's edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from unetlite.vision.edges import CELLS, normals, piece_feet, profiles, visible_pieces
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import NEXT
from unetlite.vision.refine import LEAST_BAND_PX
from unetlite.vision.sides import lengths

_BAND_SHARE = 0.25  # of the card's width, the quad's longest side: so far in and out a strip reaches
_VISIBLE_SHARE = 0.08  # a side nearer to the picture's border than the band is wide may still have lines in it
SAMPLES = 120  # of a strip across a side: finer than lines of lettering, or these run into each other
PLACES = 60  # across a side that the network tells apart
_PROFILES = 2  # per piece
_LEAST_CONTRAST = 6.0  # grey levels: of less, noise must not be made large

_LEAST_PROBABILITY = 0.01  # of a place: what is as unlikely says no more than this
_LOG_LEAST = math.log(_LEAST_PROBABILITY)
_LEAST_COSINE = 0.3  # of a side's angle to the given one, to be read in the same strips

# Strips of a quad's sides, (4, CELLS, SAMPLES, 3) float32 from `as_input`, to the probability of each place, and of
# none of them, in each piece: (4, CELLS, PLACES + 1) float32, sum 1.
BorderNetwork = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Strips:
    """What a picture shows across the four sides of a quad.

    Attributes:
        colours: (4, CELLS, SAMPLES, 3) uint8 RGB: side, piece along it, place from inside to outside.
        visible: (4, CELLS) bool: which pieces the picture shows.
        sides: (4, start and end, xy) float64 pixels of the picture: the quad's.
        band: pixels that the strips reach in and out.
    """

    colours: np.ndarray
    visible: np.ndarray
    sides: np.ndarray
    band: float


def strips_of(image: RgbImage, quad: np.ndarray) -> Strips:
    """The strips across a quad's sides.

    Args:
        image: (H, W, 3) uint8, RGB, contiguous.
        quad: (4, 2) pixels of it, convex, clockwise as seen; corners may lie outside.
    """
    sides = np.stack([quad, quad[NEXT]], axis=1).astype(np.float64)
    card_width = float(lengths(sides).max())
    band = _BAND_SHARE * card_width
    rows = profiles(image, sides, band, SAMPLES, _PROFILES).reshape(4, CELLS, _PROFILES, SAMPLES, 3)
    colours = (rows.sum(axis=2, dtype=np.uint16) // _PROFILES).astype(np.uint8)
    return Strips(colours, visible_pieces(image, sides, _VISIBLE_SHARE * card_width), sides, band)


def as_input(colours: np.ndarray) -> np.ndarray:
    """What the network is fed: (N, 4, CELLS, SAMPLES, 3) float32, of each quad without its mean colour and contrast.

    Args:
        colours: (N, 4, CELLS, SAMPLES, 3) uint8 RGB, the strips of quads.
    """
    values = colours.astype(np.float32)
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    return (values - mean) / (values.std(axis=(1, 2, 3, 4), keepdims=True) + _LEAST_CONTRAST)


def crossings(strips: Strips, quad: np.ndarray) -> np.ndarray:
    """Where a quad's sides cross the strips: (4, CELLS) pixels outward of the strips' sides; NaN where one runs along.

    Args:
        strips: of another quad near it.
        quad: (4, 2) pixels of the picture, clockwise as seen, beginning with any corner.
    """
    corners = min(
        (np.roll(quad, -first, axis=0) for first in range(4)), key=lambda each: np.abs(each - strips.sides[:, 0]).sum()
    ).astype(np.float64)
    outward = normals(np.stack([corners, corners[NEXT]], axis=1))
    cosine = (normals(strips.sides) * outward).sum(axis=1)
    feet = piece_feet(strips.sides[:, 0], strips.sides[:, 1])
    off = ((corners[:, None] - feet) * outward[:, None]).sum(axis=2)
    return np.where(cosine >= _LEAST_COSINE, 1.0, np.nan)[:, None] * off / np.maximum(cosine, _LEAST_COSINE)[:, None]


@dataclass(frozen=True)
class Borders:
    """What the network says of the places across a quad's sides.

    Attributes:
        strips: what it was shown.
        votes: (4, CELLS, SAMPLES) float32 in [0, 1]: the logarithm of the probability, 0 for `_LEAST_PROBABILITY`, 1
            where it is certain; 0 in pieces that the picture does not show.
    """

    strips: Strips
    votes: np.ndarray

    def support(self, quad: np.ndarray) -> float:
        """0..1: how much of a quad's sides the network takes for the document's, in the mean of its visible pieces."""
        off = crossings(self.strips, quad)
        place = (np.nan_to_num(off / self.strips.band, nan=9.0) + 1.0) * ((SAMPLES - 1) / 2)
        within = (place > -0.5) & (place < SAMPLES - 0.5)
        nearest = np.rint(np.where(within, place, 0.0)).astype(np.intp)
        held = np.take_along_axis(self.votes, nearest[..., None], axis=2)[..., 0] * within
        return float((held.sum(axis=1) / np.maximum(self.strips.visible.sum(axis=1), 1)).mean())


def read_borders(image: RgbImage, quad: np.ndarray, network: BorderNetwork) -> Borders | None:
    """Ask the network about the strips across a quad's sides; None where they would be of a few pixels.

    Arguments as for `strips_of`.
    """
    strips = strips_of(np.ascontiguousarray(image), quad)
    if strips.band < LEAST_BAND_PX:
        return None
    probability = network(as_input(strips.colours[None])[0])[..., :PLACES]
    rows = np.ascontiguousarray(probability).reshape(4 * CELLS, PLACES)
    # Place k of the network lies between the samples 2 k and 2 k + 1.
    finer = cv2.resize(rows, (SAMPLES, 4 * CELLS), interpolation=cv2.INTER_LINEAR)
    votes = (np.log(_LEAST_PROBABILITY + finer) - _LOG_LEAST) / -_LOG_LEAST
    return Borders(strips, (votes.reshape(4, CELLS, SAMPLES) * strips.visible[..., None]).astype(np.float32))
