"""A `.keras` file as a PyTorch network, and back: no Keras on the GPU machine, no second definition of the U-Net.

Layers, order and weights are the file's; what stands here is what each kind of layer does.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


class Network(nn.Module):
    """The network of a `.keras` file: (B, 3, H, W) of 0..1 to (B, 1, h, w) logits, float32.

    Attributes:
        size_wh: the input's pixels.
        kept: weights by layer and number, as `separable_conv2d_3/1`.
    """

    def __init__(self, path: Path) -> None:
        """Raises ValueError where the file has a layer of another kind than those below."""
        super().__init__()
        with zipfile.ZipFile(path) as archive:
            layers = json.loads(archive.read(CONFIG))["config"]["layers"]
            weights = io.BytesIO(archive.read(WEIGHTS))
        self.graph = [(each["class_name"], each["name"], each["config"], _inputs(each)) for each in layers]
        unknown = {kind for kind, *_ in self.graph} - {*_RUN, "InputLayer"}
        if unknown:
            raise ValueError(f"{path}: expected layers of {', '.join(_RUN)}, got {', '.join(sorted(unknown))}")
        _, height, width, _ = self.graph[0][2]["batch_shape"]
        self.size_wh = (width, height)
        self.kept = nn.ParameterDict()
        with h5py.File(weights) as file:
            for name, arrays in _weights(file):
                for number, array in enumerate(arrays):
                    value = torch.from_numpy(np.ascontiguousarray(_as_torch(array)))
                    moving = "batch_normalization" in name and number >= 2
                    self.kept[f"{name}/{number}"] = nn.Parameter(value, requires_grad=not moving)

    def forward(self, picture: Tensor) -> Tensor:
        values: dict[str, Tensor] = {}
        for kind, name, config, inputs in self.graph:
            if kind == "InputLayer":
                values[name] = picture
                continue
            own = [self.kept[f"{name}/{i}"] for i in range(_COUNT.get(kind, 0)) if f"{name}/{i}" in self.kept]
            values[name] = _RUN[kind](self, config, own, *(values[each] for each in inputs))
        return values[name]

    def save(self, path: Path, like: Path) -> None:
        """Write a `.keras` file: the one that the network came from, with the weights of now."""
        with zipfile.ZipFile(like) as archive:
            members = {each: archive.read(each) for each in archive.namelist()}
        weights = io.BytesIO(members[WEIGHTS])
        with h5py.File(weights, "r+") as file:
            for name, arrays in _weights(file):
                for number, array in enumerate(arrays):
                    array[...] = _as_keras(self.kept[f"{name}/{number}"].detach().float().cpu().numpy())
        members[WEIGHTS] = weights.getvalue()
        with zipfile.ZipFile(path, "w") as archive:
            for each, content in members.items():
                archive.writestr(each, content)


def draw_weights(network: Network, seed: int) -> None:
    """Weights of an untrained network, as Keras draws them: kernels Glorot-uniform, normalizations neutral."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.kept.items():
        if value.ndim == 4:  # (out, in, h, w), depthwise ones (1, in, h, w) and counted like the others
            area = value.shape[2] * value.shape[3]
            limit = (6.0 / (area * (value.shape[0] + value.shape[1]))) ** 0.5
            value.data.copy_((torch.rand(value.shape, generator=generator) * 2 - 1) * limit)
        else:
            value.data.fill_(1.0 if "batch_normalization" in name and name[-1] in "03" else 0.0)


def _inputs(layer: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for node in layer["inbound_nodes"]:
        for argument in node["args"]:
            for each in argument if isinstance(argument, list) else [argument]:
                found.append(each["config"]["keras_history"][0])
    return found


def _weights(file: h5py.File) -> list[tuple[str, list[h5py.Dataset]]]:
    groups = [group["vars"] for group in file["layers"].values() if len(group["vars"])]
    return [(group.attrs["name"], [group[str(i)] for i in range(len(group))]) for group in groups]


def _as_torch(array: h5py.Dataset) -> np.ndarray:
    """Keras keeps kernels as (h, w, in, out), PyTorch as (out, in, h, w); both as (out, in) for transposed ones."""
    return np.transpose(array[()], (3, 2, 0, 1)) if array.ndim == 4 else array[()]


def _as_keras(array: np.ndarray) -> np.ndarray:
    return np.transpose(array, (2, 3, 1, 0)) if array.ndim == 4 else array


def _conv(_: Network, config: dict[str, Any], own: list[Tensor], x: Tensor) -> Tensor:
    kernel, stride = config["kernel_size"][0], config["strides"][0]
    bias = own[1] if config["use_bias"] else None
    if stride == 1:
        return F.conv2d(x, own[0], bias, padding=kernel // 2)
    short = [max(-(-size // stride) * stride - stride + kernel - size, 0) for size in (x.shape[3], x.shape[2])]
    pads = [part for each in short for part in (each // 2, each - each // 2)]  # TensorFlow's "same"
    return F.conv2d(F.pad(x, pads), own[0], bias, stride=stride)


def _separable(_: Network, config: dict[str, Any], own: list[Tensor], x: Tensor) -> Tensor:
    depthwise = own[0].transpose(0, 1)  # (1, in, h, w) in Keras's order
    y = F.conv2d(x, depthwise, padding=config["kernel_size"][0] // 2, groups=x.shape[1])
    return F.conv2d(y, own[1])


def _transposed(_: Network, config: dict[str, Any], own: list[Tensor], x: Tensor) -> Tensor:
    return F.conv_transpose2d(x, own[0], own[1], stride=config["strides"][0])


def _normalized(network: Network, config: dict[str, Any], own: list[Tensor], x: Tensor) -> Tensor:
    scale, offset, mean, variance = own
    share = 1.0 - config["momentum"]
    return F.batch_norm(x, mean, variance, scale, offset, network.training, share, config["epsilon"])


def _relu(_: Network, config: dict[str, Any], __: list[Tensor], x: Tensor) -> Tensor:
    return F.relu(x) if config["max_value"] is None else F.hardtanh(x, 0.0, float(config["max_value"]))


_COUNT = {"Conv2D": 2, "SeparableConv2D": 2, "Conv2DTranspose": 2, "BatchNormalization": 4}
_RUN: dict[str, Any] = {
    "Conv2D": _conv,
    "SeparableConv2D": _separable,
    "Conv2DTranspose": _transposed,
    "BatchNormalization": _normalized,
    "ReLU": _relu,
    "MaxPooling2D": lambda _, __, ___, x: F.max_pool2d(x, 2),
    "UpSampling2D": lambda _, __, ___, x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False),
    "Concatenate": lambda _, __, ___, *x: torch.cat(x, dim=1),
    "Add": lambda _, __, ___, x, y: x + y,
    "Dropout": lambda network, config, _, x: F.dropout(x, config["rate"], network.training),
    "Activation": lambda _, __, ___, x: x,  # the last layer's sigmoid: losses on logits keep their precision
}
