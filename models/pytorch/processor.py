"""Training passes of a U-Net on a processor, in bfloat16: several times as fast as PyTorch's own.

What is no matrix product is done by `kernels.c`. Pictures lie pixel by pixel, (B, H, W, C). The network's weights stay
float32 and its own: an optimizer that moves them trains it.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from network import Network
from torch import Tensor
from torch.nn import functional as F

from unetlite.vision.errors import SettingsError

_LONG_SUM, _PART = 15360, 3840  # pixels; matrix products over so many are summed in parts, as oneDNN is slow at them
_FLAGS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")


@cache
def kernels() -> ctypes.CDLL:
    """`kernels.c`, compiled for this processor. Raises SettingsError where it cannot be."""
    source = Path(__file__).with_name("kernels.c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        try:
            done = subprocess.run(["cc", *_FLAGS, str(source), "-o", str(library)], capture_output=True, text=True)
        except FileNotFoundError:
            raise SettingsError(f"{source}: expected a C compiler, found no cc; install gcc") from None
        if done.returncode:
            raise SettingsError(
                f"{source}: expected a processor with AVX-512 and BF16, cc said {done.stderr.strip().splitlines()[0]}; "
                "train on another machine, or a smaller preset with unet-train"
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
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        x, w = ctx.saved_tensors
        rows, columns = x.view(-1, x.shape[-1]), g.contiguous().view(-1, g.shape[-1])
        gx = torch.mm(columns, w.t()).view_as(x)
        if len(rows) >= _LONG_SUM and len(rows) % _PART == 0 and rows.shape[1] <= 256:
            parts = torch.bmm(rows.view(-1, _PART, rows.shape[1]).mT, columns.view(-1, _PART, columns.shape[1]))
            return gx, parts.float().sum(0)
        return gx, torch.mm(rows.t(), columns).float()


class Rectified(torch.autograd.Function):
    """Batch normalization and ReLU, cut off above `top`, of (B, H, W, C) bfloat16; moves mean and variance (C,)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, scale: Tensor, offset: Tensor, moving: Any, config: Any) -> Tensor:
        share, epsilon, ctx.top = config
        count, width = _pixels(z)
        sums = torch.empty(2, z.shape[-1])
        run("moments", z, sums, count, width)
        mean, square = sums / count.value
        variance = (square - mean * mean).clamp_min(0.0)
        moving[0].lerp_(mean, share)
        moving[1].lerp_(variance * (count.value / max(count.value - 1, 1)), share)
        inverse = (variance + epsilon).rsqrt()
        shift = -mean * inverse
        ctx.save_for_backward(z, scale * inverse, offset + scale * shift, inverse, shift)
        a = torch.empty_like(z)
        run("rectify", z, scale * inverse, offset + scale * shift, a, count, width, ctypes.c_float(ctx.top))
        return a

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        z, scale, offset, inverse, shift = ctx.saved_tensors
        g, top = g.contiguous(), ctypes.c_float(ctx.top)
        sums, gz = torch.empty(2, z.shape[-1]), torch.empty_like(z)
        run("rectify_sums", z, g, scale, offset, inverse, shift, sums, *_pixels(z), top)
        of_offset, of_scale = sums
        mean, product = sums * (z.shape[-1] / z.numel())
        by_z, constant = -scale * product * inverse, -scale * (mean + product * shift)
        run("rectify_backward", z, g, scale, offset, by_z, constant, gz, *_pixels(z), top)
        return gz, of_scale, of_offset, None, None


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


class OnProcessor:
    """A network's training pass: of the preset `reference`, or another of the layers that it is made of."""

    def __init__(self, network: Network) -> None:
        """Raises ValueError where the network has other layers, or in another order."""
        self._kept = network.kept
        self._steps: list[tuple[str, str, Any, list[str]]] = []
        graph = list(network.graph)
        while graph:
            kind, name, config, inputs = graph.pop(0)
            if kind == "SeparableConv2D":
                (_, normalized, moved, _), (_, last, cut, _) = self._next(graph, "BatchNormalization", "ReLU")
                top = float("inf") if cut["max_value"] is None else float(cut["max_value"])
                config = name, normalized, (1.0 - moved["momentum"], moved["epsilon"], top)
                name = last
            elif kind == "Conv2DTranspose":
                ((_, last, _, (_, skip)),) = self._next(graph, "Concatenate")
                rate = 0.0
                if graph[0][0] == "Dropout":
                    _, last, dropped, _ = graph.pop(0)
                    rate = dropped["rate"]
                config, name, inputs = (name, rate), last, [*inputs, skip]
            elif kind not in ("InputLayer", "MaxPooling2D", "Dropout", "Conv2D", "Activation"):
                raise ValueError(f"expected layers of the preset reference, got {kind}")
            self._steps.append((kind, name, config, inputs))

    @staticmethod
    def _next(graph: list[Any], *kinds: str) -> list[Any]:
        found = [graph.pop(0) for _ in kinds]
        if tuple(layer[0] for layer in found) != kinds:
            raise ValueError(f"expected {', '.join(kinds)}, got {', '.join(layer[0] for layer in found)}")
        return found

    def __call__(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) of 0..1 to (B, 1, H, W) logits, float32."""
        values: dict[str, Tensor] = {}
        for kind, name, config, inputs in self._steps:
            x = [values[each] for each in inputs]
            if kind == "InputLayer":  # the kernels want 16 channels
                y = F.pad(pictures.permute(0, 2, 3, 1), (0, 16 - pictures.shape[1])).to(torch.bfloat16).contiguous()
            elif kind == "SeparableConv2D":
                y = self._separable(x[0], *config)
            elif kind == "MaxPooling2D":
                y = Pooled.apply(x[0])
            elif kind == "Conv2DTranspose":
                y = self._enlarged(x[0], x[1], *config)
            elif kind == "Dropout":
                y = Dropped.apply(x[0], config["rate"])
            elif kind == "Conv2D":
                kernel, bias = self._own(name, 2)
                y = (torch.matmul(x[0], kernel[:, :, 0, 0].t().to(torch.bfloat16)).float() + bias).permute(0, 3, 1, 2)
            else:  # Activation: the last layer's sigmoid is the loss's
                y = x[0]
            values[name] = y
        return y

    def _own(self, name: str, count: int) -> list[Tensor]:
        return [self._kept[f"{name}/{number}"] for number in range(count)]

    def _separable(self, x: Tensor, name: str, normalized: str, config: Any) -> Tensor:
        depthwise, pointwise = self._own(name, 2)  # (1, in, 3, 3) in Keras's order, and (out, in, 1, 1)
        spread, mixed = depthwise.view(-1, 9).t(), pointwise[:, :, 0, 0].t()
        missing = x.shape[3] - spread.shape[1]
        if missing:
            spread, mixed = F.pad(spread, (0, missing)), F.pad(mixed, (0, 0, 0, missing))
        scale, offset, mean, variance = self._own(normalized, 4)
        z = Pointwise.apply(Depthwise.apply(x, spread.contiguous()), mixed)
        return Rectified.apply(z, scale, offset, (mean, variance), config)

    def _enlarged(self, x: Tensor, skip: Tensor, name: str, rate: float) -> Tensor:
        kernel, bias = self._own(name, 2)  # (in, out, 2, 2)
        u = Pointwise.apply(x, kernel.permute(0, 2, 3, 1).reshape(kernel.shape[0], -1))
        return Joined.apply(u, bias, skip, rate)
