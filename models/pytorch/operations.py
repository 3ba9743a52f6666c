"""What a U-Net's training pass on a processor is made of, each with its gradient; `processor.py` puts it together.

What is no matrix product is done by `kernels.c`. Pictures lie pixel by pixel, (B, H, W, C), in bfloat16.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unetlite.vision.errors import SettingsError

_LONG_SUM, _PART = 15360, 3840  # pixels; matrix products over so many are summed in parts, as oneDNN is slow at them
_FLAGS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")


@cache
def kernels() -> ctypes.CDLL:
    """`kernels.c` and `views.c`, compiled for this processor. Raises SettingsError where they cannot be."""
    sources = [str(Path(__file__).with_name(name)) for name in ("kernels.c", "views.c")]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        try:
            done = subprocess.run(["cc", *_FLAGS, *sources, "-o", str(library)], capture_output=True, text=True)
        except FileNotFoundError:
            raise SettingsError(f"{sources[0]}: expected a C compiler, found no cc; install gcc") from None
        if done.returncode:
            raise SettingsError(
                f"{sources[0]}: expected a processor with AVX-512 and BF16, cc said "
                f"{done.stderr.strip().splitlines()[0]}; train on another machine, or a smaller preset with unet-train"
            )
        return ctypes.CDLL(str(library))


def run(name: str, *arguments: Any) -> None:
    """Call a kernel. Tensors, which must be contiguous, are handed over as pointers."""
    kernels()[name](*(ctypes.c_void_p(a.data_ptr()) if isinstance(a, Tensor) else a for a in arguments))


def _sizes(x: Tensor) -> list[ctypes.c_int]:
    return [ctypes.c_int(size) for size in x.shape]


def _pixels(x: Tensor) -> tuple[ctypes.c_long, ctypes.c_int]:
    return ctypes.c_long(x.numel() // x.shape[-1]), ctypes.c_int(x.shape[-1])


class Depthwise(torch.autograd.Function):
    """3x3 depthwise convolution of (B, H, W, C) bfloat16 with (9, C) float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        y = torch.empty_like(x)
        run("depthwise", x, w, y, *_sizes(x))
        ctx.save_for_backward(x, w)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor]:
        x, w = ctx.saved_tensors
        gx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        gw = torch.empty_like(w)
        run("depthwise_backward", x, w, g.contiguous(), gx, gw, *_sizes(x))
        return gx, gw


class Pointwise(torch.autograd.Function):
    """1x1 convolution of (B, H, W, A) bfloat16 with (A, C) float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        rounded = w.to(torch.bfloat16)
        ctx.save_for_backward(x, rounded)
        return torch.mm(x.view(-1, x.shape[-1]), rounded).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor]:
        x, w = ctx.saved_tensors
        rows, columns = x.view(-1, x.shape[-1]), g.contiguous().view(-1, g.shape[-1])
        gx = torch.mm(columns, w.t()).view_as(x) if ctx.needs_input_grad[0] else None
        if len(rows) >= _LONG_SUM and len(rows) % _PART == 0 and rows.shape[1] <= 256:
            parts = torch.bmm(rows.view(-1, _PART, rows.shape[1]).mT, columns.view(-1, _PART, columns.shape[1]))
            return gx, parts.float().sum(0)
        return gx, torch.mm(rows.t(), columns).float()


class Rectified(torch.autograd.Function):
    """Batch normalization, something added or None, and ReLU, cut off above `top`; moves mean and variance (C,)."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, added: Tensor | None, scale: Tensor, offset: Tensor, moving: Any, config: Any
    ) -> Tensor:
        share, epsilon, top = config
        count, width = _pixels(z)
        sums = torch.empty(2, z.shape[-1])
        run("moments", z, sums, count, width)
        mean, square = sums / count.value
        variance = (square - mean * mean).clamp_min(0.0)
        moving[0].lerp_(mean, share)
        moving[1].lerp_(variance * (count.value / max(count.value - 1, 1)), share)
        inverse = (variance + epsilon).rsqrt()
        shift = -mean * inverse
        a, ctx.top = torch.empty_like(z), ctypes.c_float(top)
        run("rectify", z, added, scale * inverse, offset + scale * shift, a, count, width, ctx.top)
        ctx.save_for_backward(z, a, scale * inverse, inverse, shift)
        return a

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        z, a, scale, inverse, shift = ctx.saved_tensors
        g, sums, gz = g.contiguous(), torch.empty(2, z.shape[-1]), torch.empty_like(z)
        gadded = torch.empty_like(z) if ctx.needs_input_grad[1] else None
        run("rectify_sums", z, a, g, inverse, shift, sums, *_pixels(z), ctx.top)
        of_offset, of_scale = sums
        mean, product = sums * (z.shape[-1] / z.numel())
        by_z, constant = -scale * product * inverse, -scale * (mean + product * shift)
        run("rectify_backward", z, a, g, scale, by_z, constant, gz, gadded, *_pixels(z), ctx.top)
        return gz, gadded, of_scale, of_offset, None, None


class Pooled(torch.autograd.Function):
    """The largest of each 2x2 pixels of (B, H, W, C) bfloat16, none of them negative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.new_empty(x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3])
        run("pool", x, y, *_sizes(x))
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        x, y = ctx.saved_tensors
        gx = torch.empty_like(x)
        run("pool_backward", x, y, g.contiguous(), gx, *_sizes(x))
        return gx


class Joined(torch.autograd.Function):
    """(B, h, w, 4 C) spread to 2x2 pixels, its bias (C,) added, beside (B, 2h, 2w, C); a share of all is dropped."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, bias: Tensor, skip: Tensor, rate: float) -> Tensor:
        sizes = _sizes(u[..., : u.shape[3] // 4])
        ctx.sizes, ctx.dropped = sizes, _dropped(rate)
        out = u.new_empty(*skip.shape[:3], 2 * skip.shape[3])
        run("join", u, bias, skip, out, *sizes, *ctx.dropped)
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        batch, height, width, depth = (size.value for size in ctx.sizes)
        gu, gskip = g.new_empty(batch, height, width, 4 * depth), g.new_empty(batch, 2 * height, 2 * width, depth)
        gbias = torch.empty(depth)
        run("join_backward", g.contiguous(), gu, gbias, gskip, *ctx.sizes, *ctx.dropped)
        return gu, gbias, gskip, None


class Enlarged(torch.autograd.Function):
    """(B, h, w, C) twice as large, bilinear, beside (B, 2h, 2w, D)."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, skip: Tensor) -> Tensor:
        ctx.sizes = [*_sizes(u), ctypes.c_int(skip.shape[3])]
        out = u.new_empty(*skip.shape[:3], u.shape[3] + skip.shape[3])
        run("enlarge", u, skip, out, *ctx.sizes)
        return out

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        batch, height, width, depth, beside = (size.value for size in ctx.sizes)
        gu, gskip = g.new_empty(batch, height, width, depth), g.new_empty(batch, 2 * height, 2 * width, beside)
        run("enlarge_backward", g.contiguous(), gu, gskip, *ctx.sizes)
        return gu, gskip


class Dropped(torch.autograd.Function):
    """A share of the values dropped, the others larger by as much."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        ctx.dropped = _dropped(rate)
        y = torch.empty_like(x)
        run("drop", x, y, ctypes.c_long(x.numel()), *ctx.dropped)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        gx = torch.empty_like(g)
        run("drop", g.contiguous(), gx, ctypes.c_long(g.numel()), *ctx.dropped)
        return gx, None


def _dropped(rate: float) -> tuple[ctypes.c_uint32, ctypes.c_uint32, ctypes.c_float]:
    """Seed, limit and gain, as the kernels want them; the seed is PyTorch's chance."""
    seed = int(torch.randint(2**32, ()))
    return ctypes.c_uint32(seed), ctypes.c_uint32(int(rate * 2**32)), ctypes.c_float(1.0 / (1.0 - rate))


def patches(pictures: Tensor, kernel: int, stride: int) -> Tensor:
    """What a convolution over (B, H, W, C) float32 reads for each answer: (B, H / stride, W / stride, N) bfloat16.

    Its kernel^2 C values come first, in that order, zeros after them; below and right of the picture lie zeros, too.
    """
    batch, height, width, depth = pictures.shape
    count = -(-kernel * kernel * depth // 16) * 16
    out = torch.empty(batch, height // stride, width // stride, count, dtype=torch.bfloat16)
    sizes = (*_sizes(pictures), *(ctypes.c_int(value) for value in (kernel, stride, count)))
    run("patches", pictures.contiguous(), out, *sizes)
    return out


def see(
    planes: Tensor,
    places: Tensor,
    colour: Tensor,
    blur: Tensor,
    size_wh: tuple[int, int],
    map_hw: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """`views.see` on a processor; the noise is PyTorch's chance."""
    batch, (width, height) = len(planes), size_wh
    x, y = torch.empty(batch, height, width, 3), torch.empty(batch, 1, *map_hw)
    sizes = (ctypes.c_int(size) for size in (batch, *planes.shape[2:], height, width, *map_hw))
    seed = ctypes.c_uint32(int(torch.randint(2**32, ())))
    run("views", planes, places, colour, blur, x, y, *sizes, seed)
    return x.permute(0, 3, 1, 2), y
