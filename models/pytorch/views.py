"""Views of pictures and masks that lie on the GPU, a batch at a time, as `chances` has drawn them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def see(
    planes: Tensor,
    places: Tensor,
    colour: Tensor,
    blur: Tensor,
    size_wh: tuple[int, int],
    map_hw: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """The views.

    Args:
        planes: (B, 4, H, W) uint8: red, green, blue, and 1 on the document.
        places, colour, blur: as in `chances.Chances`.

    Returns:
        (B, 3, h, w) of 0..1 and the share of each pixel of the map that the document covers, (B, 1, h', w').
    """
    width, height = size_wh
    # Twice as fine, then averaged: what a view shrinks is averaged over areas, as on a device.
    fine = _grid(places, 2 * width, 2 * height)
    x = F.grid_sample(planes[:, :3].float(), fine, padding_mode="border", align_corners=False)
    x = F.avg_pool2d(x, 2) / 255.0
    y = F.grid_sample(planes[:, 3:].float(), _grid(places, width, height), align_corners=False)
    y = F.avg_pool2d(y, (height // map_hw[0], width // map_hw[1]))
    # Laid out channel by channel within a pixel, as the GPU's convolutions read fastest.
    return _shade(x, colour, blur).contiguous(memory_format=torch.channels_last), y


def _grid(places: Tensor, width: int, height: int) -> Tensor:
    """Where in the pictures the pixels of the views lie, (B, height, width, 2), -1..1 from edge to edge."""
    columns = (torch.arange(width, device=places.device) + 0.5) * (2.0 / width) - 1.0
    rows = (torch.arange(height, device=places.device) + 0.5) * (2.0 / height) - 1.0
    x = places[:, None, None, :, 0] * columns[None, None, :, None]
    y = places[:, None, None, :, 1] * rows[None, :, None, None]
    at = x + y + places[:, None, None, :, 2]
    return at[..., :2] / at[..., 2:]


def _shade(x: Tensor, colour: Tensor, blur: Tensor) -> Tensor:
    gain, gamma, contrast, offset, grey, noise = (
        part[:, :, None, None] for part in colour.split([3, 1, 1, 1, 1, 1], dim=1)
    )
    x = (x * gain).clamp(0.0, 1.0) ** gamma
    x = ((x - 0.5) * contrast + 0.5 + offset).clamp(0.0, 1.0)
    x = x + grey * (x.mean(dim=1, keepdim=True) - x)
    for axis in (2, 3):
        reach = blur.shape[1] // 2
        wide = F.pad(x, (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach), mode="replicate")
        parts = (wide.narrow(axis, i, x.shape[axis]) * blur[:, i, None, None, None] for i in range(blur.shape[1]))
        x = sum(parts)
    return (x + noise * torch.randn_like(x)).clamp(0.0, 1.0)
