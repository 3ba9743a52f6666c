"""How well a quad can be a flat document seen by a camera: what its shape alone says.

Stands apart because it reads neither map nor picture: it is asked where those leave several quads to choose from.
"""

from __future__ import annotations

import numpy as np

# From the corners of 9,086 phone frames of documents, undone by a camera of each of these focal lengths and the frame's
# middle as its axis (`benchmarks/pose_shapes.py` prints the shares):
_FOCAL_SHARES = (0.7, 1.0, 1.6)  # of the picture's longer side: wide, usual, cropped
_SKEW = 0.04  # cosine of the angle between the sides: 99 of 100 are below it by the best of the three cameras
_TILT = 0.25  # sine of the angle to the picture's plane: 19 of 20 are below 0.3, hand-held phones elsewhere tilt more
_FORMATS = (1.586, 1.42)  # ISO/IEC 7810: ID-1; ID-2, ID-3 and an open passport
_FORMAT_SPREAD = 0.03  # of the logarithm of the aspect
_OTHER_ASPECT = 0.06  # of a known format's weight: a sheet, a licence of another form

PLAIN_COST = 1.2  # nineteen of twenty of those frames cost less


def shape_cost(quads: np.ndarray, picture_wh: tuple[int, int]) -> np.ndarray:
    """How unlike a flat document in front of a camera quads are.

    Args:
        quads: (N, 4, 2) convex, clockwise as seen, pixels of the picture; corners may lie outside.
        picture_wh: the picture's size.

    Returns:
        (N,) float64, 0 for a plain view of a known format; bounded, so that no shape forbids itself.

    Source: Zhang & He, Whiteboard Scanning and Image Enhancement (2007), for the aspect from four corners.
    """
    q = (quads - (np.array(picture_wh) - 1.0) / 2) / max(picture_wh)
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = (q[:, i].T for i in range(4))
    # The homography from the unit square, up to scale (Heckbert 1989): its first columns are the sides' directions.
    d1x, d1y, d2x, d2y, d3x, d3y = bx - cx, by - cy, dx - cx, dy - cy, ax - bx + cx - dx, ay - by + cy - dy
    determinant = d1x * d2y - d1y * d2x
    g = (d3x * d2y - d3y * d2x) / determinant
    h = (d1x * d3y - d1y * d3x) / determinant
    ux, uy = bx - ax + g * bx, by - ay + g * by
    vx, vy = dx - ax + h * dx, dy - ay + h * dy
    focal = np.array(_FOCAL_SHARES)[:, None]
    ug, vh = g * focal, h * focal
    uu, vv = ux * ux + uy * uy + ug * ug, vx * vx + vy * vy + vh * vh
    skew2 = np.square(ux * vx + uy * vy + ug * vh) / (uu * vv)
    nz = ux * vy - uy * vx
    nx, ny = uy * vh - ug * vy, ug * vx - ux * vh
    flat2 = nx * nx + ny * ny
    tilt2 = flat2 / (flat2 + nz * nz)
    aspect = 0.5 * np.abs(np.log(uu / vv))
    off = (aspect[..., None] - np.log(_FORMATS)) / _FORMAT_SPREAD
    known = np.exp(-0.5 * off * off).max(axis=-1)
    odd = -np.log((known + _OTHER_ASPECT) / (1 + _OTHER_ASPECT))
    cost = np.log1p(skew2 / _SKEW**2) + np.log1p(tilt2 / _TILT**2) + odd
    return cost.min(axis=0)
