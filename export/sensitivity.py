"""What each layer's quantization costs, in the tensor and in IoU.

Stands apart because it explains a loss layer by layer, where the gates judge a whole file. A layer's cost is measured
with that layer alone at int8 and all others in float: beside other quantized layers it would hide behind theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unetlite.edge.runtime import make_interpreter
from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import CheckPicture, Judged, compare
from unetlite.export.mixed import Layer, layers_of, quantize, quantize_to_verify
from unetlite.export.quiet import hushed

MOST_PICTURES = 48  # spread over the set: 20 to 40 layers are run over each
ERROR_PICTURES = 8  # a tensor has thousands of values in each, its error hardly moves with more
FILES_AT_ONCE = 8  # interpreters held at a time


@dataclass(frozen=True)
class TensorError:
    """A layer's error as a share of its signal: root of the mean square of the difference over that of the float.

    Attributes:
        own: of the layer alone, fed with what the int8 layer before gives.
        along: of the whole network up to and with it.
    """

    own: float
    along: float


@dataclass(frozen=True)
class LayerCost:
    """A layer and what it costs to run it at int8.

    Attributes:
        name, operation, shape, tensor: see `mixed.Layer`.
        own_error, error_along: see `TensorError`; None where the layer has no quantized output of its own.
        iou_loss: mean IoU that is lost with this layer alone at int8, against the truth, or against the float
            network's masks where no truth is known; negative where it gains.
        disagreement: 1 - IoU with the float network's masks, mean; it never gains, and tells layers apart whose loss
            is nothing.
        image_loss: IoU lost on the worst picture.
        rank: 1 for the layer that costs most.
    """

    name: str
    operation: str
    shape: tuple[int, ...]
    tensor: str
    own_error: float | None
    error_along: float | None
    iou_loss: float
    disagreement: float
    image_loss: float
    rank: int


@dataclass(frozen=True)
class Sensitivity:
    """All layers in order of execution.

    Attributes:
        against: "truth", or "float" where no truth is known.
        pictures: how many were looked at.
        layers: one cost each.
    """

    against: str
    pictures: int
    layers: tuple[LayerCost, ...]

    def ranked(self) -> tuple[LayerCost, ...]:
        """The costliest first."""
        return tuple(sorted(self.layers, key=lambda layer: layer.rank))


def tensor_errors(calibrated: bytes, pixels: Sequence[np.ndarray]) -> dict[str, TensorError]:
    """Each layer's error by the layer's name.

    Args:
        calibrated: from `mixed.calibrate`.
        pixels: (h, w, 3) uint8 RGB each, at least one.
    """
    names = {layer.tensor: layer.name for layer in layers_of(calibrated)}
    own, along = (_verified(quantize_to_verify(calibrated, along=way), pixels, names) for way in (False, True))
    return {name: TensorError(own[name], along[name]) for name in own if name in along}


def _verified(model: bytes, pixels: Sequence[np.ndarray], names: dict[str, str]) -> dict[str, float]:
    with hushed():
        interpreter, _ = make_interpreter(model)
    given = interpreter.get_input_details()[0]["index"]
    tensors = {detail["index"]: detail["name"] for detail in interpreter.get_tensor_details()}
    checks = []
    for node in interpreter._get_ops_details():  # no public way to find the operations
        if node["op_name"] == "NumericVerify":
            # TensorFlow sets a digit behind the name of one of the two, now this, now that.
            found = [names[tensors[int(i)]] for i in node["inputs"] if tensors[int(i)] in names]
            if found:
                checks.append((found[0], int(node["inputs"][1]), int(node["outputs"][0])))
    noise, signal = (dict.fromkeys((name for name, _, _ in checks), 0.0) for _ in range(2))
    for picture in pixels:
        interpreter.set_tensor(given, (picture ^ 0x80).view(np.int8)[np.newaxis])
        interpreter.invoke()
        for name, whole, difference in checks:
            noise[name] += float(np.square(interpreter.get_tensor(difference), dtype=np.float64).mean())
            signal[name] += float(np.square(interpreter.get_tensor(whole), dtype=np.float64).mean())
    return {name: float(np.sqrt(noise[name] / signal[name])) if signal[name] else 0.0 for name in noise}


def measure_sensitivity(
    calibrated: bytes,
    open_file: Callable[[bytes], Segmenter],
    pictures: Sequence[CheckPicture],
    pixels: Sequence[np.ndarray],
    watch: Callable[[Sequence[Layer]], Iterable[Layer]] = iter,
) -> Sensitivity:
    """Quantize one layer after the other by itself, and look at what the masks lose.

    Args:
        calibrated: from `mixed.calibrate`.
        open_file: makes a segmenter of a file's bytes.
        pictures: to lose on, at least one; `MOST_PICTURES` of them are taken, spread evenly.
        pixels: representative pictures, for the tensors' errors; `ERROR_PICTURES` of them are taken.
        watch: wraps the layers, for a progress bar.

    Raises:
        ExportError: TensorFlow's quantizer refused.
        ImageError, GroundTruthError: a picture or its truth cannot be read.
    """
    layers = layers_of(calibrated)
    chosen = spread(pictures, MOST_PICTURES)
    errors = tensor_errors(calibrated, spread(pixels, ERROR_PICTURES))
    yardstick = open_file(quantize(calibrated, layers))
    costs: list[tuple[Layer, Losses]] = []
    waiting: dict[str, Segmenter] = {}
    by_name = {layer.name: layer for layer in layers}
    for layer in watch(layers):
        others = [other for other in layers if other is not layer]
        waiting[layer.name] = open_file(quantize(calibrated, others))
        if len(waiting) == FILES_AT_ONCE or layer is layers[-1]:
            judged = compare(yardstick, waiting, chosen).levels
            costs += [(by_name[name], losses_of(one)) for name, one in judged.items()]
            waiting = {}
    order = sorted(costs, key=lambda cost: (cost[1].iou, cost[1].disagreement), reverse=True)
    ranks = {layer.name: rank for rank, (layer, _) in enumerate(order, 1)}
    return Sensitivity(
        against="float" if chosen[0].sample is None else "truth",
        pictures=len(chosen),
        layers=tuple(
            LayerCost(
                layer.name, layer.operation, layer.shape, layer.tensor,
                errors[layer.name].own if layer.name in errors else None,
                errors[layer.name].along if layer.name in errors else None,
                losses.iou, losses.disagreement, losses.image, ranks[layer.name],
            )
            for layer, losses in costs
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class Losses:
    """Of one file against the yardstick: means over the pictures, and the worst."""

    iou: float
    disagreement: float
    image: float


def losses_of(judged: Judged) -> Losses:
    """What a file lost, over pictures that all have a truth or none."""
    missing = [1.0 - picture.agreement for picture in judged.pictures]
    lost = [p.keras - p.level for p in judged.pictures if p.keras is not None and p.level is not None] or missing
    return Losses(float(np.mean(lost)), float(np.mean(missing)), float(np.max(lost)))


def spread(items: Sequence, most: int) -> list:
    """At most so many of the items, evenly spread, in order."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def sensitivity_table(sensitivity: Sensitivity, most: int | None = None) -> str:
    """The costliest layers as a table for a terminal."""
    against = "the truth" if sensitivity.against == "truth" else "the float network's masks"
    lines = [
        f"Each layer alone at int8, the others in float; IoU lost against {against} (N={sensitivity.pictures}):",
        f"{'':>4}  {'layer':12}  {'operation':24}  {'IoU lost':>9}  {'worst':>6}  {'masks differ':>12}  "
        f"{'own error':>9}  {'up to here':>10}",
    ]
    for cost in sensitivity.ranked()[:most]:
        lost = round(cost.iou_loss, 4) + 0.0  # no -0.0000
        lines.append(
            f"{cost.rank:>4}  {cost.name:12}  {cost.operation:24}  {lost:>9.4f}  {cost.image_loss:>6.3f}  "
            f"{cost.disagreement:>12.4f}  {_percent(cost.own_error):>9}  {_percent(cost.error_along):>10}"
        )
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"
