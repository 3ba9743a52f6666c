"""Training passes of a U-Net on a processor, in bfloat16: several times as fast as PyTorch's own.

The network's weights stay float32 and its own: an optimizer that moves them trains it.
"""

from __future__ import annotations

from typing import Any

import torch
from network import Network
from operations import Depthwise, Dropped, Enlarged, Joined, Pointwise, Pooled, Rectified, patches
from torch import Tensor
from torch.nn import functional as F


class OnProcessor:
    """A network's training pass: of a preset of `unetlite.training.unet`."""

    def __init__(self, network: Network) -> None:
        """Raises ValueError where the network has other layers, or in another order."""
        self._kept = network.kept
        self._steps: list[tuple[str, str, Any, list[str]]] = []
        graph = list(network.graph)
        while graph:
            kind, name, config, inputs = graph.pop(0)
            if kind == "SeparableConv2D" or (kind == "Conv2D" and not config["use_bias"]):
                _, normalized, moved, _ = self._next(graph, "BatchNormalization")
                if graph[0][0] == "Add":
                    inputs = [*inputs, self._next(graph, "Add")[3][0]]
                _, last, cut, _ = self._next(graph, "ReLU")
                top = float("inf") if cut["max_value"] is None else float(cut["max_value"])
                rectified = normalized, (1.0 - moved["momentum"], moved["epsilon"], top)
                config, name = (name, config["strides"][0], rectified), last
            elif kind == "UpSampling2D":
                _, name, _, (_, skip) = self._next(graph, "Concatenate")
                inputs = [*inputs, skip]
            elif kind == "Conv2DTranspose":
                _, last, _, (_, skip) = self._next(graph, "Concatenate")
                rate = 0.0
                if graph[0][0] == "Dropout":
                    _, last, dropped, _ = graph.pop(0)
                    rate = dropped["rate"]
                config, name, inputs = (name, rate), last, [*inputs, skip]
            elif kind == "Conv2D":
                kind = "Logits"
            elif kind not in ("InputLayer", "MaxPooling2D", "Dropout", "Activation"):
                raise ValueError(f"expected layers of a preset, got {kind}")
            self._steps.append((kind, name, config, inputs))

    @staticmethod
    def _next(graph: list[Any], kind: str) -> Any:
        if graph[0][0] != kind:
            raise ValueError(f"expected {kind}, got {graph[0][0]}")
        return graph.pop(0)

    def __call__(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) of 0..1 to (B, 1, h, w) logits, float32."""
        values: dict[str, Tensor] = {}
        for kind, name, config, inputs in self._steps:
            values[name] = self._run(kind, name, config, [values[each] for each in inputs] or [pictures])
        return values[name]

    def _run(self, kind: str, name: str, config: Any, x: list[Tensor]) -> Tensor:
        if kind == "InputLayer":
            return x[0].permute(0, 2, 3, 1)
        if kind in ("Conv2D", "SeparableConv2D"):
            layer, stride, rectified = config
            z = self._convolved(x[0], layer, stride) if kind == "Conv2D" else self._separable(x[0], layer)
            return self._rectified(z, x[1] if len(x) > 1 else None, *rectified)
        if kind == "MaxPooling2D":
            return Pooled.apply(x[0])
        if kind == "UpSampling2D":
            return Enlarged.apply(x[0], x[1])
        if kind == "Conv2DTranspose":
            layer, rate = config
            kernel, bias = self._own(layer, 2)  # (in, out, 2, 2)
            u = Pointwise.apply(x[0], kernel.permute(0, 2, 3, 1).reshape(kernel.shape[0], -1))
            return Joined.apply(u, bias, x[1], rate)
        if kind == "Dropout":
            return Dropped.apply(x[0], config["rate"])
        if kind == "Logits":
            kernel, bias = self._own(name, 2)
            return (torch.matmul(x[0], kernel[:, :, 0, 0].t().to(torch.bfloat16)).float() + bias).permute(0, 3, 1, 2)
        return x[0]  # Activation: the last layer's sigmoid is the loss's

    def _own(self, name: str, count: int) -> list[Tensor]:
        return [self._kept[f"{name}/{number}"] for number in range(count)]

    def _convolved(self, x: Tensor, name: str, stride: int) -> Tensor:
        (kernel,) = self._own(name, 1)  # (out, in, k, k)
        mixed = kernel.permute(2, 3, 1, 0).reshape(-1, kernel.shape[0])
        if kernel.shape[2] == 1:
            return Pointwise.apply(x, mixed)
        cut = patches(x, kernel.shape[2], stride)
        return Pointwise.apply(cut, F.pad(mixed, (0, 0, 0, cut.shape[3] - len(mixed))))

    def _separable(self, x: Tensor, name: str) -> Tensor:
        depthwise, pointwise = self._own(name, 2)  # (1, in, 3, 3) in Keras's order, and (out, in, 1, 1)
        spread = depthwise.view(-1, 9).t().contiguous()
        x = x.to(torch.bfloat16).contiguous()  # of pictures alone it is a copy
        return Pointwise.apply(Depthwise.apply(x, spread), pointwise[:, :, 0, 0].t())

    def _rectified(self, z: Tensor, added: Tensor | None, name: str, config: Any) -> Tensor:
        scale, offset, mean, variance = self._own(name, 4)
        return Rectified.apply(z, added, scale, offset, (mean, variance), config)
