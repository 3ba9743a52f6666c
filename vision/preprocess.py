"""One way for a picture into the network, and the way back for coordinates.

Stands apart because training, calibration, export's check, benchmark and device must feed identical bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from unetlite.vision.contract import InputSpec
from unetlite.vision.image import RgbImage

# Pixels between the samples that stand for an area. A frame of 1920x1080 pixels is 3 pixels to a sample at 320: reading
# it dearer costs more than the whole network. Lenses and JPEG leave little that is finer.
_FARTHEST_SAMPLES = 4.0
# So far apart, samples are pixels as they are: interpolating them takes several times as long and changes next to
# nothing. Nearer ones are interpolated by OpenCV's exact method. Both give the same bytes on every device;
# the common bilinear method does not: arm64's wheels hand it to KleidiCV.
_PICKED_FROM = 1.8
_Resize = Callable[[np.ndarray, tuple[int, int]], np.ndarray]
LETTERBOX_GREY = 114  # neither card nor shadow; the value Ultralytics pads with


@dataclass(frozen=True)
class Placement:
    """Where a picture lies inside the network's input: input = (image + 0.5) * scale - 0.5 + offset.

    Of a picture that is turned on its way in, all this is said of the input, and of maps, before they were turned.

    Attributes:
        image_size_wh: pixels of the picture.
        input_size_wh: pixels of the network's input.
        scale_xy: input pixels per picture pixel.
        offset_xy: input pixels left of and above the picture; whole ones, but where a part of it fills the input.
        turned: whether what was fitted enters turned by a quarter, counterclockwise.
    """

    image_size_wh: tuple[int, int]
    input_size_wh: tuple[int, int]
    scale_xy: tuple[float, float]
    offset_xy: tuple[float, float]
    turned: bool = False

    @property
    def filled_wh(self) -> tuple[int, int]:
        """Pixels of the input that the picture fills; the rest is a letterbox's bars."""
        return round(self.image_size_wh[0] * self.scale_xy[0]), round(self.image_size_wh[1] * self.scale_xy[1])

    def upright(self, output: np.ndarray) -> np.ndarray:
        """A map of the network's output, (h, w) or (h, w, C), turned back where the picture was turned."""
        return np.ascontiguousarray(np.rot90(output, -1)) if self.turned else output

    def to_input(self, points: np.ndarray) -> np.ndarray:
        """Picture pixels (..., 2) to input pixels, float64; pixel centres at integers."""
        return (np.asarray(points, np.float64) + 0.5) * self.scale_xy - 0.5 + self.offset_xy

    def to_image(self, points: np.ndarray, map_size_wh: tuple[int, int] | None = None) -> np.ndarray:
        """Input pixels (..., 2), or pixels of an output map of another size, to picture pixels, float64."""
        points = np.asarray(points, np.float64)
        if map_size_wh is not None:
            points = (points + 0.5) * np.divide(self.input_size_wh, map_size_wh) - 0.5
        return (points - self.offset_xy + 0.5) / self.scale_xy - 0.5

    def of_size(self, image_size_wh: tuple[int, int]) -> Placement:
        """The same of the picture at another size, scaled as a whole."""
        (old_w, old_h), (new_w, new_h) = self.image_size_wh, image_size_wh
        scale_xy = self.scale_xy[0] * old_w / new_w, self.scale_xy[1] * old_h / new_h
        return replace(self, image_size_wh=image_size_wh, scale_xy=scale_xy)

    def map_to_image(self, output_map: np.ndarray) -> np.ndarray:
        """Bring a map of the network's output to the picture's size.

        Args:
            output_map: (h, w) float32 or uint8.

        Returns:
            (H, W) of the same dtype, bilinear, the letterbox's bars cut off.
        """
        map_h, map_w = output_map.shape
        step_x, step_y = np.divide(self.input_size_wh, (map_w, map_h)) / self.scale_xy  # picture px per map px
        corner_x, corner_y = self.to_image(np.zeros(2), (map_w, map_h))
        matrix = np.array([[step_x, 0.0, corner_x], [0.0, step_y, corner_y]])
        return cv2.warpAffine(
            output_map, matrix, self.image_size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )


def place(image_size_wh: tuple[int, int], spec: InputSpec) -> Placement:
    """How a picture of this size is fitted into the network's input."""
    width, height = image_size_wh
    input_w, input_h = spec.size_wh
    if spec.fit != "letterbox":
        turned = spec.fit == "turn" and (width - height) * (input_w - input_h) < 0
        if turned:
            input_w, input_h = input_h, input_w
        return Placement((width, height), (input_w, input_h), (input_w / width, input_h / height), (0, 0), turned)
    scale = min(input_w / width, input_h / height)
    inner_w, inner_h = _inner_size((width, height), scale)
    offset = ((input_w - inner_w) // 2, (input_h - inner_h) // 2)
    return Placement((width, height), spec.size_wh, (inner_w / width, inner_h / height), offset)


def _inner_size(size_wh: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size_wh[0] * scale)), max(1, round(size_wh[1] * scale))


def preprocess(image: RgbImage, spec: InputSpec) -> tuple[np.ndarray, Placement]:
    """Fit a picture into the network's input.

    Args:
        image: (H, W, 3) uint8, RGB.
        spec: the contract's input.

    Returns:
        (h, w, 3) uint8 RGB of `spec.size_wh`, averaged over areas when shrinking, bilinear when growing,
        and the placement that leads back.
    """
    placement = place((image.shape[1], image.shape[0]), spec)
    return _turned(_fit(image, placement, LETTERBOX_GREY, _sampled), placement), placement


def preprocess_mask(mask: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Fit a ground-truth mask as `preprocess` fits its picture.

    Args:
        mask: (H, W) uint8 class indices.
        spec: the contract's input.

    Returns:
        (h, w) uint8 class indices: of each output pixel the class that covers most of it; letterbox bars are 0.
    """
    placement = place((mask.shape[1], mask.shape[0]), spec)
    classes = np.unique(mask)
    if len(classes) == 1:
        coverage_index = np.zeros((placement.input_size_wh[1], placement.input_size_wh[0]), np.intp)
    else:
        covers = [_fit((mask == value).astype(np.uint8) * 255, placement, 0, _averaged) for value in classes]
        coverage_index = np.argmax(np.stack(covers), axis=0)
    fitted = classes[coverage_index].astype(np.uint8)
    inside = _fit(np.ones_like(mask, np.uint8), placement, 0, _averaged)
    return _turned(fitted * inside, placement)


def _turned(fitted: np.ndarray, placement: Placement) -> np.ndarray:
    return cv2.rotate(fitted, cv2.ROTATE_90_COUNTERCLOCKWISE) if placement.turned else fitted


def _fit(image: np.ndarray, placement: Placement, padding: int, resize: _Resize) -> np.ndarray:
    inner = placement.filled_wh
    resized = resize(image, inner)
    input_w, input_h = placement.input_size_wh
    if inner == (input_w, input_h):
        return resized
    left, top = (int(offset) for offset in placement.offset_xy)
    canvas = np.full((input_h, input_w, *image.shape[2:]), padding, np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = resized
    return canvas


def _averaged(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Resized: bilinear when growing, each pixel the mean of its area when shrinking."""
    grows = size_wh[0] > image.shape[1] or size_wh[1] > image.shape[0]
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR_EXACT if grows else cv2.INTER_AREA)


def _sampled(image: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """`_averaged` in less time: where an area is large, the mean of a few samples of it."""
    width, height = size_wh
    samples, picked = _samples((image.shape[1], image.shape[0]), size_wh)
    if samples == 0:
        return _averaged(image, size_wh)
    sampling = cv2.INTER_NEAREST_EXACT if picked else cv2.INTER_LINEAR_EXACT
    resized = cv2.resize(image, (samples * width, samples * height), interpolation=sampling)
    while samples > 1:
        samples //= 2  # OpenCV averages blocks of 2x2 in vector instructions, areas of another size one by one
        resized = cv2.resize(resized, (samples * width, samples * height), interpolation=cv2.INTER_AREA)
    return resized


def _samples(image_wh: tuple[int, int], size_wh: tuple[int, int]) -> tuple[int, bool]:
    """How many samples stand for an area, along each axis, 0 for all of it; and whether they are pixels as they are."""
    ratios = image_wh[0] / size_wh[0], image_wh[1] / size_wh[1]
    samples = 2
    while max(ratios) > samples * _FARTHEST_SAMPLES:
        samples *= 2
    return (0, False) if min(ratios) < samples else (samples, min(ratios) >= samples * _PICKED_FROM)


def picked_size(image_size_wh: tuple[int, int], spec: InputSpec) -> tuple[int, int] | None:
    """The size of the picture that `preprocess` makes of a large one's pixels, before it averages them.

    Whoever holds the picture in another form may pick from that (`cv2.INTER_NEAREST_EXACT`) and hand over the result.
    None where `preprocess` reads more than a few of its pixels.
    """
    width, height = place(image_size_wh, spec).filled_wh
    samples, picked = _samples(image_size_wh, (width, height))
    return (samples * width, samples * height) if picked else None


def to_real(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """uint8 pixels to the real values that a float network was trained on, float32: 0 is low, 255 is high."""
    step, low = real_steps(spec)
    return pixels.astype(np.float32) * step + low


def real_steps(spec: InputSpec) -> tuple[np.float32, np.float32]:
    """What one level of a pixel is worth in the spec's real values, and what level 0 stands for."""
    low, high = spec.real_range
    return np.float32((high - low) / 255.0), np.float32(low)
