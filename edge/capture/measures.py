"""What the gates measure in the pixels: blur, glare, and things lying over the border.

Stands apart because each is a function of a flattened view, checked against pictures of known blur, glare and cover.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unetlite.edge.capture.geometry import Lie
from unetlite.vision.image import RgbImage
from unetlite.vision.quad import Quad

VIEW_PX = 640  # of the card's longer side: more shows no print that matters, and costs time on a small processor
_RIM_MM = 7.0  # of surroundings kept around the card

_WINDOW_MM = 4.0  # in which an edge is compared with the contrast around it: a wider blur hides its own extent
_PRINT_SHARE = 0.5  # of the card's whole contrast that a window must have to count as print
_LEAST_STEP = 14.0  # grey levels; noise alone stays below
_LEAST_WINDOWS = 20  # of the several hundred on a card
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


def flat_view(image: RgbImage, quad: Quad, lie: Lie) -> FlatView:
    """Flatten a card for measuring, at no more than its own resolution and no more than VIEW_PX."""
    image, quad = _shrunk(image, quad, lie.long_px / VIEW_PX)
    corners = np.asarray(quad, np.float64)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    across, down = (sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2
    long_px = min(VIEW_PX, max(across, down))
    short_px = long_px * min(lie.format.size_mm) / max(lie.format.size_mm)
    width, height = (long_px, short_px) if across >= down else (short_px, long_px)
    width, height = max(16, round(width)), max(16, round(height))
    px_per_mm = max(width, height) / max(lie.format.size_mm)
    rim = max(2, round(_RIM_MM * px_per_mm))
    low, right, bottom = rim - 0.5, rim + width - 0.5, rim + height - 0.5
    target = np.array([[low, low], [right, low], [right, bottom], [low, bottom]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    size_wh = (width + 2 * rim, height + 2 * rim)
    wide = cv2.warpPerspective(image, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return FlatView(wide, rim, px_per_mm)


def _shrunk(image: RgbImage, quad: Quad, factor: float) -> tuple[RgbImage, Quad]:
    """The quad's part of the image by whole-number averages, so that warping does not pick single pixels."""
    step = int(factor)
    if step < 2:
        return image, quad
    margin = 0.15 * np.ptp(quad, axis=0).max()
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(quad.min(0) - margin).astype(int), 0, [width - step, height - step])
    right, bottom = np.clip(np.ceil(quad.max(0) + margin).astype(int), [left + step, top + step], [width, height])
    columns, rows = (right - left) // step, (bottom - top) // step
    part = image[top : top + rows * step, left : left + columns * step]
    small = cv2.resize(part, (int(columns), int(rows)), interpolation=cv2.INTER_AREA)
    return small, ((quad - (left, top) + 0.5) / step - 0.5).astype(np.float32)


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
    side = max(5, round(_WINDOW_MM * px_per_mm)) | 1
    values = grey.astype(np.float32)
    across = cv2.filter2D(values, -1, np.array([[-0.5, 0.0, 0.5]], np.float32))
    down = cv2.filter2D(values, -1, np.array([[-0.5], [0.0], [0.5]], np.float32))
    half = float(np.sqrt(0.5))
    rises = [np.abs(rise) for rise in (across, down, (across + down) * half, (across - down) * half)]
    kernel = np.ones((side, side), np.uint8)
    centres = slice(side, -side, max(2, side // 2))  # the border itself is no print
    contrast = (cv2.dilate(values, kernel) - cv2.erode(values, kernel))[centres, centres]
    if contrast.size == 0:
        return None
    low, high = np.percentile(grey[::2, ::2], (3, 97))
    printed = contrast >= max(_LEAST_STEP, _PRINT_SHARE * float(high - low))
    if int(printed.sum()) < _LEAST_WINDOWS:
        return None
    steepness = [
        float(np.percentile(cv2.dilate(rise, kernel)[centres, centres][printed] / contrast[printed], _EDGE_RANK))
        for rise in rises
    ]
    sigma_px = 1.0 / (max(min(steepness), 1e-3) * float(np.sqrt(2.0 * np.pi)))
    return sigma_px / px_per_mm


def glare_share(card: RgbImage, px_per_mm: float) -> float:
    """The share of a flattened card that is washed out in spots larger than small print."""
    washed = (card.min(axis=2) >= _WASHED_OUT).astype(np.uint8)
    side = max(2, round(_GLARE_MM * px_per_mm))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return float(cv2.morphologyEx(washed, cv2.MORPH_OPEN, kernel).mean())


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
