"""A trained network's weights in a wider, deeper one of its family, which then answers as it does.

Stands apart from `network`, which knows layers: here is what the shapes of a family have in common. Training the larger
one goes on from there, and need not learn again what the smaller one has learned in less time.

Source: Chen, Goodfellow & Shlens, Net2Net (2016), arXiv:1511.05641; new channels are read by nobody at first, as there
they are copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from network import Network


@dataclass(frozen=True)
class _Unit:
    """A convolution, its normalization (None of the last one), and whether it adds its input."""

    convolution: str
    normalization: str | None
    adds: bool


@torch.no_grad()
def grow(network: Network, small: Network) -> None:
    """Take over the weights of a network that has fewer channels, or fewer residual blocks, at some levels.

    What is new keeps its own weights: channels that no old one reads, and blocks that add nothing to their input.

    Raises:
        ValueError: the small network is no part of the other.
    """
    old = _units(small)
    units = {unit.convolution: unit for unit in _units(network)}
    channels = {network.graph[0][1]: torch.arange(3)}  # of each layer's answer, where the small network's are
    widths = {network.graph[0][1]: 3}
    for kind, name, config, inputs in network.graph[1:]:
        if name in units:
            unit = units[name]
            widths[name] = config["filters"]
            if unit.adds and not (old and old[0].adds):  # a block that the small network lacks at this level
                network.kept[f"{unit.normalization}/0"].zero_()
                channels[name] = channels[inputs[0]]
            else:
                if not old:
                    raise ValueError(f"expected a part of the network, got one without {name}")
                channels[name] = _take_over(network, unit, small, old.pop(0), channels[inputs[0]])
        elif kind == "Concatenate":
            first, second = inputs
            channels[name] = torch.cat([channels[first], widths[first] + channels[second]])
            widths[name] = widths[first] + widths[second]
        else:
            channels[name], widths[name] = channels[inputs[0]], widths[inputs[0]]
    if old:
        raise ValueError(f"expected a part of the network, got one that also has {old[0].convolution}")


def _units(network: Network) -> list[_Unit]:
    found = []
    kinds = [(kind, name) for kind, name, *_ in network.graph] + [("", "")] * 2
    for at, (kind, name) in enumerate(kinds):
        if kind in ("Conv2D", "SeparableConv2D"):
            (after, normalization), (last, _) = kinds[at + 1 : at + 3]
            is_normalized = after == "BatchNormalization"
            found.append(_Unit(name, normalization if is_normalized else None, is_normalized and last == "Add"))
    return found


def _take_over(network: Network, new: _Unit, small: Network, old: _Unit, read: torch.Tensor) -> torch.Tensor:
    """Returns where the small network's answers now are. read: where those are that it reads."""
    of_new, of_old = (
        [each.kept[f"{unit.convolution}/{i}"] for i in range(2) if f"{unit.convolution}/{i}" in each.kept]
        for each, unit in ((network, new), (small, old))
    )
    mixing, mixed = of_new[0], of_old[0]
    if len(of_old) == 2 and of_old[1].ndim == 4:  # separable: (1, in, 3, 3), then (out, in, 1, 1)
        of_new[0][:, read] = of_old[0]
        mixing, mixed = of_new[1], of_old[1]
    if mixed.shape[1] != len(read) or mixed.shape[2:] != mixing.shape[2:] or len(mixed) > len(mixing):
        raise ValueError(f"expected a part of {new.convolution}, {tuple(mixing.shape)}, got {tuple(mixed.shape)}")
    count = len(mixed)
    mixing[:count] = 0.0
    mixing[:count, read] = mixed
    if new.normalization is None:
        of_new[1][:count] = of_old[1]
    else:
        for number in range(4):
            network.kept[f"{new.normalization}/{number}"][:count] = small.kept[f"{old.normalization}/{number}"]
    return torch.arange(count)
