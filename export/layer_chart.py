"""The layers of a network as a picture: what each costs in IoU, and how the error grows along the network.

Stands apart from the page because it is a file of its own, too; plain SVG, which needs no drawing package.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

STEP = 34  # pixels from layer to layer
LEFT, RIGHT, TOP = 64, 20, 34
BARS, GAP, LINES, NAMES = 130, 44, 150, 92  # heights
LOST, KEPT, OWN, ALONG, INK, GRID = "#d1495b", "#f0b8bf", "#8aa4c8", "#1d5fbf", "#1c2330", "#d9dee7"
LEAST_ERROR, MOST_ERROR = 1e-4, 1.0  # the logarithmic axis's ends: below a hundredth of a percent nothing is told


def layer_chart(sensitivity: Mapping[str, Any], in_float: Sequence[str] = ()) -> str:
    """An SVG picture.

    Args:
        sensitivity: `layers` of an export report.
        in_float: names of layers that stay in float; their bars are hollow.
    """
    layers = sensitivity["layers"]
    width = LEFT + STEP * len(layers) + RIGHT
    height = TOP + BARS + GAP + LINES + NAMES
    against = "the truth" if sensitivity["against"] == "truth" else "the float network's masks"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="11" fill="{INK}" role="img">',
        "<title>What each layer costs at int8, and the error along the network</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_bars(layers, in_float, width, f"IoU lost with this layer alone at int8, against {against}"),
        *_errors(layers, width),
    ]
    bottom = TOP + BARS + GAP + LINES + 10
    for i, layer in enumerate(layers):
        x = _x(i)
        weight = ' font-weight="bold"' if layer["name"] in in_float else ""
        parts.append(
            f'<text transform="translate({x + 4:.0f} {bottom}) rotate(-60)" text-anchor="end"{weight}>'
            f"{html.escape(layer['name'])}</text>"
        )
    return "\n".join([*parts, "</svg>\n"])


def _x(i: int) -> float:
    return LEFT + STEP * (i + 0.5)


def _bars(layers: Sequence[Mapping[str, Any]], in_float: Sequence[str], width: int, title: str) -> list[str]:
    top = max(_nice(max((layer["iou_loss"] for layer in layers), default=0.0)), 0.001)
    parts = [f'<text x="{LEFT}" y="{TOP - 14}" font-weight="bold">{html.escape(title)}</text>']
    for share in (0.0, 0.5, 1.0):
        parts += _gridline(TOP + BARS * (1 - share), f"{top * share:g}", width)
    for i, layer in enumerate(layers):
        loss = max(layer["iou_loss"], 0.0)
        tall = BARS * min(loss / top, 1.0)
        fill = KEPT if layer["name"] in in_float else LOST
        parts.append(
            f'<rect x="{_x(i) - 10:.0f}" y="{TOP + BARS - tall:.1f}" width="20" height="{max(tall, 0.5):.1f}" '
            f'fill="{fill}" stroke="{LOST}"><title>{html.escape(_told(layer))}</title></rect>'
        )
    return parts


def _errors(layers: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    top = TOP + BARS + GAP
    parts = [
        f'<text x="{LEFT}" y="{top - 14}" font-weight="bold">Error as a share of the signal: '
        f'<tspan fill="{ALONG}">of the network up to the layer</tspan>, '
        f'<tspan fill="{OWN}">of the layer itself</tspan></text>'
    ]
    decades = round(math.log10(MOST_ERROR / LEAST_ERROR))
    for decade in range(decades + 1):
        value = LEAST_ERROR * 10**decade
        parts += _gridline(top + _height(value), f"{100 * value:g} %", width)
    for key, colour in (("own_error", OWN), ("error_along", ALONG)):
        points = [(_x(i), top + _height(layer[key])) for i, layer in enumerate(layers) if layer[key] is not None]
        path = " ".join(f"{x:.0f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.0f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return parts


def _height(error: float) -> float:
    """Pixels from the panel's top."""
    share = math.log10(min(max(error, LEAST_ERROR), MOST_ERROR) / LEAST_ERROR) / math.log10(MOST_ERROR / LEAST_ERROR)
    return LINES * (1.0 - share)


def _gridline(y: float, label: str, width: int) -> list[str]:
    return [
        f'<line x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>',
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>',
    ]


def _nice(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value * (1 - 1e-9))


def _told(layer: Mapping[str, Any]) -> str:
    shape = "x".join(str(side) for side in layer["shape"][1:])
    return f"{layer['name']} ({layer['operation']}, {shape}): IoU lost {layer['iou_loss']:.4f}, rank {layer['rank']}"
