"""How well a quad can be a flat document seen by a camera: what its shape alone says.

Stands apart because it reads neither map nor picture: it is asked where those leave several quads to choose from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_Real = TypeVar("_Real", float, np.ndarray)  # of one quad numbers: they cost a tenth of arrays of one

# From the corners of 9,086 phone frames of documents, undone by a camera of each of these focal lengths and the frame's
# middle as its axis (`benchmarks/pose_shapes.py` prints the shares):
_FOCAL_SHARES = (0.7, 1.0, 1.6)  # of the picture's longer side: wide, usual, cropped
_SKEW = 0.04  # cosine of the angle between the sides: 999 of 1000 are below 0.032 by the best of the three
_TILT = 0.25  # sine of the angle to the picture's plane: 9 of 10 are below 0.26
_LOG_FORMATS = (math.log(1.586), math.log(1.42))  # ISO/IEC 7810: ID-1; ID-2, ID-3 and an open passport
_FORMAT_SPREAD = 0.03  # of the logarithm of the aspect: 9 of 10 lie between 1.414 and 1.619
_OTHER_ASPECT = 0.06  # of a known format's weight: a sheet, a licence of another form

PLAIN_COST = 1.2  # nineteen of twenty of those frames cost less


def shape_cost(quads: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """How unlike a flat document in front of a camera quads are.

    Args:
        quads: (N, 4, 2) convex, clockwise as seen, pixels of the picture; corners may lie outside.
        picture_wh: the picture's size.

    Returns:
        (N,) float64, 0 for a plain view of a known format; growing with the logarithm, so that no shape forbids itself.
    """
    columns = _centred(quads, picture_wh)
    if len(quads) == 1:
        corners = columns[:, 0].tolist()
        return np.log([min(_odds(*_undone(corners, focal)) for focal in _FOCAL_SHARES)])
    return np.log(_odds(*_undone(columns, np.array(_FOCAL_SHARES)[:, None])).min(axis=0))


def _odds(skew2: _Real, tilt2: _Real, aspect: _Real) -> _Real:
    """How much rather something else has such a shape: 1 for a plain view of a known format."""
    off = [(aspect - known) / _FORMAT_SPREAD for known in _LOG_FORMATS]
    likeness = np.exp(-0.5 * np.minimum(off[0] * off[0], off[1] * off[1]))
    odd = (1 + _OTHER_ASPECT) / (likeness + _OTHER_ASPECT)
    return (1 + skew2 / _SKEW**2) * (1 + tilt2 / _TILT**2) * odd


def undone_view(quads: np.ndarray, picture_wh: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What rectangle quads would be, seen by each of three cameras with the picture's middle as their axis.

    Args:
        quads: (N, 4, 2) convex, clockwise as seen, pixels of the picture.
        picture_wh: the picture's size.

    Returns:
        (3, N) squared cosine of the angle between the sides; (3, N) squared sine of the tilt against the picture's
        plane; (3, N) logarithm of the long side over the short one.

    Source: Zhang & He, Whiteboard Scanning and Image Enhancement (2007); Heckbert, Fundamentals of Texture Mapping
        (1989), for the homography from the unit square.
    """
    return _undone(_centred(quads, picture_wh), np.array(_FOCAL_SHARES)[:, None])


def _centred(quads: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """(8, N) x and y of each corner in shares of the picture's longer side, from its middle."""
    return ((quads - (np.array(picture_wh) - 1.0) / 2) / max(picture_wh)).reshape(-1, 8).T


def _undone(corners: Sequence[_Real] | np.ndarray, focal: _Real) -> tuple[_Real, _Real, _Real]:
    """`undone_view` for x and y of each corner, from `_centred`, and a focal length in the same shares."""
    ax, ay, bx, by, cx, cy, dx, dy = corners
    # Up to scale, the homography's first columns are the sides' directions.
    d1x, d1y, d2x, d2y, d3x, d3y = bx - cx, by - cy, dx - cx, dy - cy, ax - bx + cx - dx, ay - by + cy - dy
    determinant = d1x * d2y - d1y * d2x
    g = (d3x * d2y - d3y * d2x) / determinant
    h = (d1x * d3y - d1y * d3x) / determinant
    ux, uy = bx - ax + g * bx, by - ay + g * by
    vx, vy = dx - ax + h * dx, dy - ay + h * dy
    ug, vh = g * focal, h * focal
    uu, vv = ux * ux + uy * uy + ug * ug, vx * vx + vy * vy + vh * vh
    cosine = ux * vx + uy * vy + ug * vh
    nz = ux * vy - uy * vx
    nx, ny = uy * vh - ug * vy, ug * vx - ux * vh
    flat2 = nx * nx + ny * ny
    return cosine * cosine / (uu * vv), flat2 / (flat2 + nz * nz), 0.5 * abs(np.log(uu / vv))
