"""Corners to a fraction of a pixel: a quad's sides moved onto the edges that the full-resolution image shows.

Stands apart because it reads the picture where the fit reads the network's map, which is too coarse for corners;
a side that the picture does not speak for stays where the map put it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from unetlite.vision.errors import InvalidQuadError
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import Quad, as_quad

_CELLS = 16  # pieces of a side that vote one by one: an object over a quarter of it costs a quarter of the votes
_PROFILES = 6  # per cell
_SAMPLES = 64  # per profile
_END_SHARE = 0.08  # of a side's length at each end that is not looked at: ID-1 corners are rounded over 6 %
_WINDOW_SHARE = 0.125  # of the band: what is compared on either side of a would-be edge
_FINE = 0.25  # the second pass's band, as a share of the first's
_NOISE = 2.0  # grey levels of sensor noise and JPEG: a step must rise above it
_GRID = 2  # samples between the ends of the lines that are tried in the first pass


@dataclass(frozen=True)
class Refinement:
    """A quad after its sides were looked for in the picture.

    Attributes:
        quad: (4, 2) float32 pixels, clockwise from the top-left as seen.
        moved: per side of the quad that was given (corner i to corner i + 1), whether the picture decided.
        agreement: per side, the share of its visible pieces that show an edge on the line.
        residual: per side, root mean square distance in pixels of those edges from the line; NaN where it stayed.
    """

    quad: Quad
    moved: tuple[bool, bool, bool, bool]
    agreement: tuple[float, float, float, float]
    residual: tuple[float, float, float, float]


PARAM = dict(prior=0.02, min_agree=0.5, min_e=0.15, mode="r2", window=0.006, fwindow=0.003, fband=0.01, tol=0.002, minpx=2.0, noise=2.0)


def refine_quad(image: RgbImage, quad: Quad, *, search_share: float = 0.05) -> Refinement:
    corners = as_quad(quad).astype(np.float64)
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    width = lengths.max()
    band = search_share * width
    fband = max(PARAM["fband"] * width, 4)
    normals = np.stack([sides[:, 1], -sides[:, 0]], axis=1) / lengths[:, None]  # outward: corners run clockwise
    ends = np.zeros((4, 2))  # of each side's line: offset along the normal at its two corners, pixels
    w = max(2, round(max(PARAM["window"] * width, PARAM["minpx"]) * (_SAMPLES - 1) / 2 / band))
    evidence, visible = _evidence(image, corners, sides, normals, ends, band, w)
    coarse = _best_lines(evidence, visible, w, band / width * 100) * band
    w = max(2, round(max(PARAM["fwindow"] * width, PARAM["minpx"]) * (_SAMPLES - 1) / 2 / fband))
    evidence, visible2 = _evidence(image, corners, sides, normals, coarse, fband, w)
    fine0 = _best_lines(evidence, visible, w, 0)
    fine, agreement, residual = _fit_lines(evidence, visible & visible2, w, fband, fine0 * fband, max(PARAM["tol"] * width, 0.75))
    ends = coarse + fine
    moved = (agreement >= PARAM["min_agree"]) & (np.abs(ends).max(axis=1) <= band) & (visible.sum(axis=1) >= _CELLS // 2)
    ends = np.where(moved[:, None], ends, 0.0)
    starts = corners + normals * ends[:, :1]
    stops = np.roll(corners, -1, axis=0) + normals * ends[:, 1:]
    try:
        refined = as_quad(_intersect(starts, stops))
    except InvalidQuadError:
        refined, moved = as_quad(quad), np.zeros(4, bool)
    return Refinement(refined, tuple(moved.tolist()), tuple(agreement.tolist()), tuple(np.where(moved, residual, np.nan).tolist()))


def _along() -> np.ndarray:
    return np.linspace(_END_SHARE, 1.0 - _END_SHARE, _CELLS * _PROFILES)


def _evidence(image, corners, sides, normals, ends, band, w):
    t = _along()
    s = np.linspace(-band, band, _SAMPLES)
    base = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * t  # (4, P)
    foot = corners[:, None] + sides[:, None] * t[:, None] + normals[:, None] * base[..., None]  # (4, P, 2)
    points = (foot[:, :, None] + normals[:, None, None] * s[:, None]).astype(np.float32)  # (4, P, N, 2)
    height, width = image.shape[:2]
    limit = np.array([width - 1, height - 1])
    seen = np.ones(points.shape[:2], bool)
    for edge in (points[:, :, 0], points[:, :, -1]):
        seen &= ((edge >= 0) & (edge <= limit)).all(axis=-1)
    visible = seen.reshape(4, _CELLS, _PROFILES).all(axis=2)
    strip = cv2.remap(image, points.reshape(-1, _SAMPLES, 2), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    strip = strip.reshape(4 * _CELLS, _PROFILES, _SAMPLES * 3).astype(np.float32)
    mean = strip.mean(axis=1).reshape(4, _CELLS, _SAMPLES, 3)
    square = np.einsum("cpn,cpn->cn", strip, strip).reshape(4, _CELLS, _SAMPLES, 3).sum(axis=3) / _PROFILES
    sums = np.zeros((4, _CELLS, _SAMPLES + 1, 4), np.float64)
    np.cumsum(mean, axis=2, out=sums[:, :, 1:, :3])
    np.cumsum(square, axis=2, out=sums[:, :, 1:, 3])
    windows = (sums[:, :, w:] - sums[:, :, :-w]) / w  # (4, C, N - w + 1, 4): samples i .. i + w - 1
    inner, outer = windows[:, :, :-w], windows[:, :, w:]  # boundary between sample i + w - 1 and i + w
    between = ((inner[..., :3] - outer[..., :3]) ** 2).sum(axis=3) / 4
    win = inner[..., 3] - (inner[..., :3] ** 2).sum(axis=3)
    wout = outer[..., 3] - (outer[..., :3] ** 2).sum(axis=3)
    noise = 3 * PARAM["noise"]**2
    if PARAM["mode"] == "r2":
        e = between / (between + (win + wout) / 2 + noise)
    else:
        e = between / (between + np.minimum(win, wout) + noise)
    e[~visible] = 0
    return e, visible


def _positions(count, w):
    """Of the boundaries between windows, in shares of the band."""
    return (np.arange(count) + w - 0.5) * (2 / (_SAMPLES - 1)) - 1


@lru_cache
def _line_table(count):
    pos = np.arange(0, count, _GRID)
    a, b = (x.ravel() for x in np.meshgrid(pos, pos, indexing="ij"))
    t = (np.arange(_CELLS) + 0.5) / _CELLS
    t = _END_SHARE + (1 - 2 * _END_SHARE) * t
    at = np.rint(a[:, None] + (b - a)[:, None] * t).astype(np.intp)
    return a, b, at + np.arange(_CELLS) * count


def _best_lines(e, visible, w, scale):
    count = e.shape[2]
    a, b, table = _line_table(count)
    p = _positions(count, w)
    pooled = e.copy()
    pooled[..., 1:] = np.maximum(pooled[..., 1:], e[..., :-1])
    pooled[..., :-1] = np.maximum(pooled[..., :-1], e[..., 1:])
    flat = pooled.reshape(4, -1).T  # (C * K, 4)
    votes = flat[table].sum(axis=1) / np.maximum(visible.sum(axis=1), 1)  # (lines, 4)
    sq = p[a] ** 2 + p[b] ** 2 + p[a] * p[b]  # mean square offset along the line, times 3
    votes -= PARAM["prior"] * scale**2 * (sq / 3)[:, None]
    best = votes.argmax(axis=0)
    return np.stack([p[a[best]], p[b[best]]], axis=1)


def _fit_lines(e, visible, w, band, start, tol):
    count = e.shape[2]
    p = _positions(count, w) * band
    step = p[1] - p[0]
    t = _END_SHARE + (1 - 2 * _END_SHARE) * (np.arange(_CELLS) + 0.5) / _CELLS
    design = np.stack([1 - t, t], axis=1)
    line = start @ design.T  # (4, C)
    near = np.abs(p - line[..., None]) <= 2 * tol
    near[..., [0, -1]] = False
    e1 = np.where(near, e, -1)
    peak = np.clip(e1.argmax(axis=2), 1, count - 2)
    rows = np.ogrid[:4, :_CELLS]
    left, top, right = (e[rows[0], rows[1], peak + k] for k in (-1, 0, 1))
    curve = left - 2 * top + right
    shift = np.where(curve < -1e-9, 0.5 * (left - right) / np.where(curve < -1e-9, curve, 1), 0)
    offset = p[peak] + np.clip(shift, -0.5, 0.5) * step
    strong = visible & (top >= PARAM["min_e"])
    ends, agreement, residual = start.copy(), np.zeros(4), np.zeros(4)
    for _ in range(3):
        r = (offset - line) / (2 * tol)
        wgt = np.where(strong, np.maximum(0, 1 - r * r) ** 2, 0) + 1e-9
        m = np.einsum("ci,kc,cj->kij", design, wgt, design)
        ends = np.linalg.solve(m, np.einsum("ci,kc->ki", design, wgt * offset)[..., None])[..., 0]
        line = ends @ design.T
    ok = strong & (np.abs(offset - line) < tol)
    agreement = ok.sum(axis=1) / np.maximum(visible.sum(axis=1), 1)
    residual = np.sqrt((ok * (offset - line) ** 2).sum(axis=1) / np.maximum(ok.sum(axis=1), 1))
    return ends, agreement, residual


def _intersect(starts, stops):
    corners = []
    for k in range(4):
        p, d = starts[k - 1], stops[k - 1] - starts[k - 1]
        q, f = starts[k], stops[k] - starts[k]
        det = d[0] * f[1] - d[1] * f[0]
        if abs(det) < 1e-9:
            return np.zeros((4, 2))
        corners.append(p + d * (((q - p)[0] * f[1] - (q - p)[1] * f[0]) / det))
    return np.array(corners)
