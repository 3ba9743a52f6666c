"""IoU against latency as a drawing in SVG, with each device's Pareto front.

Stands apart because coordinates, ticks and markers are of no interest to the rest of the page.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence

from unetlite.edge.compare.choice import pareto_front, usable
from unetlite.edge.compare.report import Row

COLOURS = {
    "float32": "#20639b", "float16": "#7a5195", "weights8": "#00808a", "dynamic": "#c98a00", "int8": "#d1495b",
    "int16x8": "#5f6b7a", "keras": "#3c8d5a",
}  # fmt: skip
OTHER_COLOUR = "#444444"
_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 14, 46
_SHAPES = ("circle", "square", "diamond", "triangle")
_R = 6.0
_Axis = tuple[Callable[[float], float], list[float]]  # where a value lies in the drawing, and the values with a tick


def colour_of(level: str | None) -> str:
    """A level's colour on the whole page."""
    return COLOURS.get(level or "", OTHER_COLOUR)


def scatter(rows: Sequence[Row], devices: Sequence[str], levels: Sequence[str]) -> str:
    """The drawing; empty text where no run has a valid latency.

    Args:
        rows: of all devices.
        devices, levels: in the order of the page's filters: points carry their place as `data-d` and `data-l`.
    """
    shown = [(row, row.median_ms) for row in usable(rows) if row.median_ms]
    if not shown:
        return ""
    x, x_ticks = _log_axis([ms for _, ms in shown], _LEFT, _WIDTH - _RIGHT)
    y, y_ticks = _linear_axis([row.iou for row, _ in shown], _HEIGHT - _BOTTOM, _TOP)
    bottom = _HEIGHT - _BOTTOM
    parts = [
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' aria-label='IoU against median latency'>",
        *(f"<path class='grid' d='M{x(v):.1f} {_TOP}V{bottom}'/><text class='tick' text-anchor='middle' "
          f"x='{x(v):.1f}' y='{bottom + 17}'>{v:g}</text>" for v in x_ticks),
        *(f"<path class='grid' d='M{_LEFT} {y(v):.1f}H{_WIDTH - _RIGHT}'/><text class='tick' text-anchor='end' "
          f"x='{_LEFT - 7}' y='{y(v) + 4:.1f}'>{v:g}</text>" for v in y_ticks),
        f"<text class='axis' text-anchor='middle' x='{(_LEFT + _WIDTH) / 2:.0f}' y='{_HEIGHT - 8}'>median latency of a "
        f"frame, ms (logarithmic)</text>",
        f"<text class='axis' text-anchor='middle' transform='translate(14 {(_TOP + bottom) / 2:.0f}) rotate(-90)'>"
        f"IoU</text>",
    ]  # fmt: skip
    for place, device in enumerate(devices):
        best = pareto_front([row for row in rows if row.device == device])
        front = [(x(row.median_ms), y(row.iou)) for row in best if row.median_ms]
        if len(front) > 1:
            line = "L".join(f"{px:.1f} {py:.1f}" for px, py in front)
            parts.append(f"<path class='front' data-d='{place}' d='M{line}'/>")
    for row, ms in sorted(shown, key=lambda pair: -pair[1]):
        at = devices.index(row.device)
        note = f"{row.device}: {row.model}, {row.threads or '?'} threads, IoU {row.iou:.3f}, {ms:.1f} ms"
        parts.append(
            f"<g data-d='{at}' data-l='{levels.index(row.level or '-')}'><title>{html.escape(note)}</title>"
            f"{_marker(_SHAPES[at % len(_SHAPES)], x(ms), y(row.iou), colour_of(row.level))}</g>"
        )
    return "\n".join([*parts, "</svg>"])


def legend_marker(device_place: int) -> str:
    """A device's marker for the page's filter."""
    drawn = _marker(_SHAPES[device_place % len(_SHAPES)], 8, 8, OTHER_COLOUR)
    return f"<svg class='key' viewBox='0 0 16 16' aria-hidden='true'>{drawn}</svg>"


def _marker(shape: str, x: float, y: float, colour: str) -> str:
    if shape == "circle":
        return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{_R}' fill='{colour}'/>"
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        "triangle": ((0, -1.2), (1.2, 0.9), (-1.2, 0.9)),
    }[shape]
    points = " ".join(f"{x + dx * _R * 0.9:.1f},{y + dy * _R * 0.9:.1f}" for dx, dy in corners)
    return f"<polygon points='{points}' fill='{colour}'/>"


def _log_axis(values: Sequence[float], start: float, end: float) -> _Axis:
    low, high = math.log10(min(values)) - 0.12, math.log10(max(values)) + 0.12
    if high - low < 0.6:  # one speed alone would leave an axis without a tick
        low, high = (low + high) / 2 - 0.3, (low + high) / 2 + 0.3
    steps = (1, 2, 5) if high - low < 3.5 else (1,)
    candidates = [step * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    ticks = [value for value in candidates if low <= math.log10(value) <= high]
    return lambda value: start + (math.log10(value) - low) / (high - low) * (end - start), ticks


def _linear_axis(values: Sequence[float], start: float, end: float) -> _Axis:
    span = max(max(values) - min(values), 0.02)
    low, high = min(values) - 0.15 * span, max(values) + 0.15 * span
    step = next(s for s in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (high - low) / s <= 7)
    ticks = [round(i * step, 4) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return lambda value: start + (value - low) / (high - low) * (end - start), ticks
