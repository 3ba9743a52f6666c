"""What the gates measure in the pixels: blur, glare, and things lying over the border.

Stands apart because each is a function of a flattened view, checked against pictures of known blur, glare and cover.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from unetlite.edge.capture.camera import LiveFrame
from unetlite.vision.contract import DocumentFormat
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import Quad

VIEW_PX = 320  # of the card's longer side, for light and cover
SHARP_PX = 640  # for sharpness: more shows no print that matters, and costs time on a small processor
_RIM_MM = 7.0  # of surroundings kept around the card

_WINDOW_MM = 4.0  # in which an edge is compared with the contrast around it: a wider blur hides its own extent
_PRINT_SHARE = 0.5  # of the card's whole contrast that a window must have to count as print
_LEAST_STEP = 14.0  # grey levels; noise alone stays below
_LEAST_WINDOWS = 40  # of the thousand on a card
_EDGE_RANK = 70  # percentile: the sharper edges tell the camera's blur, the others the print's own softness

_WASHED_OUT = 250  # of all three channels
_GLARE_MM = 1.5  # smaller spots wash out no letter

_STRIP_MM = (1.5, 4.0)  # from the border, inwards and outwards, that are compared
_STATIONS = 48  # along each side
_END_SHARE = 0.08  # of a side at its ends, where corners are round
_CLEAR_STEP = 30.0  # levels by which a station must differ from the usual look there
_SPREAD = 2.0  # and times the median deviation, which is large where the ground is motley
_ALIKE = 0.5  # of _CLEAR_STEP, times how unusual a station is: inside and outside are of one thing
_NO_EDGE = 0.25  # of the card's usual edge: as good as none


@dataclass(frozen=True)
class FlatView:
    """A card flattened together with its surroundings.

    Attributes:
        wide: (h, w, 3) uint8 RGB: the card and `rim_px` around it.
        rim_px: on every side.
        px_per_mm: in the view.
    """

    wide: RgbImage
    rim_px: int
    px_per_mm: float

    @property
    def card(self) -> RgbImage:
        r = self.rim_px
        return self.wide[r:-r, r:-r]


def flat_view(image: RgbImage, quad: Quad, document: DocumentFormat) -> FlatView:
    """Flatten a card with its surroundings, for light and cover: at no more than its own resolution and VIEW_PX."""
    (left, top), (width, height), step = _near(quad, (image.shape[1], image.shape[0]), VIEW_PX)
    image, quad = _shrunk(image[top : top + height, left : left + width], quad, (left, top), step)
    size_wh, px_per_mm = _view_size(quad, document, VIEW_PX)
    rim = max(2, round(_RIM_MM * px_per_mm))
    return FlatView(_flattened(image, quad, size_wh, rim), rim, px_per_mm)


def sharp_view(frame: LiveFrame, quad: Quad, document: DocumentFormat) -> tuple[np.ndarray, float]:
    """Flatten a card for its sharpness: (h, w) uint8 luminance at up to SHARP_PX, and its pixels per mm."""
    corner, size, step = _near(quad, frame.size_wh, SHARP_PX)
    near, quad = _shrunk(frame.luminance_within(corner, size), quad, corner, step)
    size_wh, px_per_mm = _view_size(quad, document, SHARP_PX)
    return _flattened(near, quad, size_wh, 0), px_per_mm


def _flattened(image: np.ndarray, quad: Quad, size_wh: tuple[int, int], rim: int) -> np.ndarray:
    width, height = size_wh
    low, right, bottom = rim - 0.5, rim + width - 0.5, rim + height - 0.5
    target = np.array([[low, low], [right, low], [right, bottom], [low, bottom]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.asarray(quad, np.float32), target)
    wide_wh = (width + 2 * rim, height + 2 * rim)
    return cv2.warpPerspective(image, matrix, wide_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _side_lengths(quad: Quad) -> tuple[float, float]:
    """Pixels across and down, means of opposite sides."""
    corners = np.asarray(quad, np.float64)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return float(sides[0] + sides[2]) / 2.0, float(sides[1] + sides[3]) / 2.0


def _view_size(quad: Quad, document: DocumentFormat, most_px: int) -> tuple[tuple[int, int], float]:
    """Width and height of a view with the document's own aspect, and its pixels per mm."""
    across, down = _side_lengths(quad)
    long_px = min(most_px, max(across, down))
    short_px = long_px * min(document.size_mm) / max(document.size_mm)
    width, height = (long_px, short_px) if across >= down else (short_px, long_px)
    size_wh = max(16, round(width)), max(16, round(height))
    return size_wh, max(size_wh) / max(document.size_mm)


def _near(quad: Quad, size_wh: tuple[int, int], most_px: int) -> tuple[tuple[int, int], tuple[int, int], int]:
    """The part of a picture around a quad: its first pixel, its size, and the step by which it is to be averaged.

    Averaged by whole numbers, so that warping does not pick single pixels; the size is a multiple of the step.
    """
    step = min(max(1, int(max(_side_lengths(quad)) / most_px)), *size_wh)
    margin = 0.15 * np.ptp(quad, axis=0).max()
    first = np.clip(np.floor(quad.min(0) - margin), 0, np.subtract(size_wh, step)).astype(int)
    last = np.clip(np.ceil(quad.max(0) + margin), first + step, size_wh).astype(int)
    (left, top), (width, height) = first, (last - first) // step * step
    return (int(left), int(top)), (int(width), int(height)), step


def _shrunk(part: np.ndarray, quad: Quad, corner_xy: tuple[int, int], step: int) -> tuple[np.ndarray, Quad]:
    """The part at its averaged size, and the quad in it."""
    if step > 1:
        part = cv2.resize(part, (part.shape[1] // step, part.shape[0] // step), interpolation=cv2.INTER_AREA)
    return part, ((quad - corner_xy + 0.5) / step - 0.5).astype(np.float32)


def luminance(view: RgbImage) -> np.ndarray:
    """(h, w) uint8."""
    return cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)


def blur_mm(grey: np.ndarray, px_per_mm: float) -> float | None:
    """The width of the blur on a card, from how steep its print's edges are for their contrast.

    A step of height A behind a Gaussian blur rises by at most A / (sigma * sqrt(2 pi)) a pixel. Each window's
    steepest rise is divided by its own contrast, so neither the print's darkness nor its amount matters. Across,
    down and both diagonals are measured apart, the worst counts: motion blurs one direction.

    Args:
        grey: (h, w) uint8 flattened card.
        px_per_mm: its resolution, which is also the least blur that can be seen.

    Returns:
        Sigma in millimetres; None where too little print is in sight.
    """
    cell = max(2, round(_WINDOW_MM * px_per_mm / 3))  # a window is three cells wide, and they overlap by two
    low, high = levels_at(grey, (0.03, 0.97))
    contrast = _windows(cv2.dilate, grey, cell) - _windows(cv2.erode, grey, cell)
    printed = contrast >= max(_LEAST_STEP, _PRINT_SHARE * (high - low))
    if int(printed.sum()) < _LEAST_WINDOWS:
        return None
    middle = grey[1:-1, 1:-1]
    rises = (
        (grey[1:-1, 2:], grey[1:-1, :-2], 2.0),
        (grey[2:, 1:-1], grey[:-2, 1:-1], 2.0),
        (grey[2:, 2:], grey[:-2, :-2], 2.0 * np.sqrt(2.0)),
        (grey[2:, :-2], grey[:-2, 2:], 2.0 * np.sqrt(2.0)),
    )
    steepness = []
    rise = np.zeros_like(grey)
    for after, before, distance_px in rises:
        cv2.absdiff(after, before, dst=rise[1 : 1 + middle.shape[0], 1 : 1 + middle.shape[1]])
        share = _windows(cv2.dilate, rise, cell)[printed] / contrast[printed]
        rank = (len(share) - 1) * _EDGE_RANK // 100
        steepness.append(float(np.partition(share, rank)[rank]) / distance_px)
    sigma_px = 1.0 / (max(min(steepness), 1e-3) * float(np.sqrt(2.0 * np.pi)))
    return float(sigma_px / px_per_mm)


def _windows(extreme: Callable[..., np.ndarray], values: np.ndarray, cell: int) -> np.ndarray:
    """(h, w) float32 extremes of the windows, without those at the border, which is no print."""
    cells = extreme(values, np.ones((cell, cell), np.uint8))[cell // 2 :: cell, cell // 2 :: cell]
    return extreme(np.ascontiguousarray(cells), np.ones((3, 3), np.uint8))[2:-2, 2:-2].astype(np.float32)


def levels_at(grey: np.ndarray, shares: Sequence[float]) -> list[float]:
    """The grey levels below which these shares of (h, w) uint8 lie."""
    counts = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]))  # OpenCV 4: (256, 1), 5: (256,)
    return [float(np.searchsorted(counts, share * counts[-1])) for share in shares]


def glare_share(card: RgbImage, px_per_mm: float) -> float:
    """The share of a flattened card that is washed out in spots larger than small print."""
    washed = cv2.inRange(card, np.full(3, _WASHED_OUT), np.full(3, 255))
    side = max(2, round(_GLARE_MM * px_per_mm))
    opened = cv2.morphologyEx(washed, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return cv2.countNonZero(opened) / opened.size


def hidden_mm(view: FlatView) -> float:
    """The longest stretch of the card's border, in millimetres, that something seems to lie over.

    Where a finger reaches over the border, the surroundings look unusual and the card's edge is gone, or inside and
    outside are alike and both unusual. A suspicion only: what ends at the border, or lies within, is not seen.
    """
    near, far = (round(edge * view.px_per_mm) for edge in _STRIP_MM)
    far = max(far, near + 1)
    rim = view.rim_px
    turns = [np.rot90(view.wide, turn) for turn in range(4)]
    inside = [_stations(turned[rim + near : rim + far, rim:-rim]) for turned in turns]
    outside = np.stack([_stations(turned[rim - far : rim - near, rim:-rim]) for turned in turns])
    strange_outside = _unusual(outside)
    edge = np.abs(np.stack(inside) - outside).max(axis=2)
    usual_edge = float(np.median(edge))
    longest = 0.0
    for turned, own, strange, step in zip(turns, inside, strange_outside, edge, strict=True):
        foreign = np.minimum(strange, _unusual(own))  # the print differs from side to side, the table does not
        hidden = (foreign > 1.0) & (step < _ALIKE * _CLEAR_STEP * foreign)
        hidden |= (strange > 1.0) & (step < _NO_EDGE * usual_edge)
        length_mm = (turned.shape[1] - 2 * rim) / view.px_per_mm * (1.0 - 2.0 * _END_SHARE)
        longest = max(longest, _longest_run(hidden) * length_mm / _STATIONS)
    return longest


def _unusual(colours: np.ndarray) -> np.ndarray:
    """(..., stations) how far each is from the usual look, in units of what is clearly another thing."""
    off = np.abs(colours - np.median(colours.reshape(-1, 3), axis=0)).max(axis=-1)
    return off / np.maximum(_CLEAR_STEP, _SPREAD * np.median(off))


def _stations(strip: np.ndarray) -> np.ndarray:
    """(stations, 3) float32: a strip's colours along its length, without its ends."""
    end = round(strip.shape[1] * _END_SHARE)
    return cv2.resize(np.ascontiguousarray(strip[:, end:-end]), (_STATIONS, 1), interpolation=cv2.INTER_AREA)[0].astype(
        np.float32
    )


def _longest_run(flags: np.ndarray) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest
