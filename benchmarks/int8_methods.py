"""What narrows the gap that full integer leaves, method by method: a Markdown table, and a JSON that holds it.

    python benchmarks/int8_methods.py models/unetlite.keras --calibration DATA --validation DATA --report r.json

All files come from one calibration and are held against the Keras network on the same pictures in one run. The one
that `unet-export --int8` makes is marked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from tables import table, write_tables

from unetlite.vision.cli import Command, overwrite_option, watching

HEADINGS = (
    "method", "IoU lost", "worst picture", "masks agree", "error of the map", "quads lost", "gained", "chance",
)  # fmt: skip
LEFT_AS_THEY_ARE = {"LOGISTIC", "SOFTMAX", "CONCATENATION", "MAX_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
PERCENTILE = 99.99
SHRUNK_TO = np.linspace(0.4, 1.0, 25)  # of either end of a range
SAMPLED = 2048  # values of each tensor in each picture
BIAS_PICTURES = 16  # the network is run over them once for each convolution


@click.command(cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--calibration", required=True, type=click.Path(path_type=Path), help="A manifest or a folder.")
@click.option("--validation", required=True, type=click.Path(path_type=Path), help="A data set with truth.")
@click.option("--report", required=True, type=click.Path(path_type=Path), help="The result, JSON.")
@click.option("--limit", type=click.IntRange(min=1), help="Validation pictures to score, spread evenly.")
@overwrite_option
def main(
    model: Path, calibration: Path, validation: Path, report: Path, limit: int | None, overwrite: bool
) -> None:
    """Quantize MODEL in each way and compare the files with it."""
    from unetlite.export.quiet import quiet_tensorflow

    quiet_tensorflow()
    from unetlite.calibration.manifest import make_manifest, read_manifest, representative_pixels
    from unetlite.edge.model_contract import Overrides
    from unetlite.export import exporter
    from unetlite.export.agreement import validation_pictures
    from unetlite.export.equalize import equalize
    from unetlite.export.gates import Budget, judge_level
    from unetlite.export.levels import LEVELS
    from unetlite.export.mixed import calibrate, quantize
    from unetlite.export.sensitivity import spread
    from unetlite.vision.errors import OutputError

    if report.exists() and not overwrite:
        raise OutputError(f"{report}: expected a new file, but it exists; choose another name or pass --overwrite")
    network = exporter.open_network(model, Overrides())
    spec, int8 = network.contract.input, LEVELS["int8"]
    manifest = make_manifest(calibration, spec) if calibration.is_dir() else read_manifest(calibration)
    pixels = list(representative_pixels(manifest))
    pictures = validation_pictures(validation)
    pictures = pictures if limit is None else spread(pictures, limit)

    plain = calibrate(network.keras, spec, pixels)
    even = equalize(plain, spec, pixels)
    few = spread(pixels, BIAS_PICTURES)
    methods: dict[str, Callable[[], bytes]] = {
        "lowest and highest value": lambda: quantize(plain),
        f"ranges of {PERCENTILE} % of the values": lambda: quantize(with_ranges(plain, pixels, spec, percentile_range)),
        "ranges of least mean square error": lambda: quantize(with_ranges(plain, pixels, spec, mse_range)),
        "biases corrected": lambda: correct_biases(plain, few, spec),
        "**channels evened out** (ships)": lambda: quantize(even),
        "channels evened out, ranges of least error": lambda: quantize(with_ranges(even, pixels, spec, mse_range)),
        "channels evened out, biases corrected": lambda: correct_biases(even, few, spec),
    }
    segmenters = {}
    for name in watching("Quantizing")(list(methods)):
        opened = exporter.open_file(methods[name](), int8)
        segmenters[name] = exporter.file_segmenter(*opened, network.contract, int8)
    compared = exporter.compare_files(network, segmenters, pictures, watching("Comparing with Keras"))
    assert compared is not None and compared.keras is not None  # there are files and pictures with truth
    rows, figures = [], {}
    for name, judged in compared.levels.items():
        losses = judge_level(judged, compared.keras, Budget()).losses
        figures[name] = {"iou_loss": losses.iou, "image_loss": losses.image, "agreement": judged.agreement.iou_mean}
        known = losses.chance is not None
        rows.append(
            [
                name,
                f"{losses.iou:+.4f}",
                f"{losses.image:.3f}",
                f"{judged.agreement.iou_mean:.4f}",
                f"{judged.agreement.difference_mean:.5f}",
                *((losses.quads_lost, losses.quads_gained, f"{losses.chance:.2f}") if known else ("-", "-", "-")),
            ]
        )
    write_tables(
        report,
        [table("", list(HEADINGS), rows)],
        data=(
            f"`{model.name}`, {len(pixels)} pictures to calibrate with, {len(pictures)} to score on, on which the "
            f"Keras network's IoU is {compared.keras.iou_mean:.4f}. Masks agree: IoU with Keras's. Error of the map: "
            f"mean difference of two probabilities. Chance: how often a coin would lose as many quads"
        ),
        command="benchmarks/int8_methods.py",
        methods=figures,
    )


Range = Callable[[np.ndarray, float, float], tuple[float, float]]


def percentile_range(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The range that leaves out as many of the values at either end."""
    found = np.percentile(values, [100.0 - PERCENTILE, PERCENTILE])
    return max(low, min(float(found[0]), 0.0)), min(high, max(float(found[1]), 0.0))


def mse_range(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """The range, one or both ends drawn in, whose 255 steps come nearest to the values in mean square."""
    best = (np.inf, low, high)
    for share in SHRUNK_TO:
        for a, b in ((low, high * share), (low * share, high), (low * share, high * share)):
            step = (b - a) / 255.0
            if step <= 0:
                continue
            zero = np.round(-a / step)
            back = (np.clip(np.round(values / step) + zero, 0, 255) - zero) * step
            best = min(best, (float(np.square(back - values).mean()), a, b))
    return best[1], best[2]


def with_ranges(calibrated: bytes, pixels: Sequence[np.ndarray], spec: Any, choose: Range) -> bytes:
    """A calibrated network with other ranges, from samples of its tensors' values."""
    from unetlite.export.model_tables import operations_of, read_model, write_model

    model = read_model(calibrated)
    graph = model.subgraphs[0]
    tensors = [int(node.outputs[0]) for node, name in zip(graph.operators, operations_of(model), strict=True)
               if name not in LEFT_AS_THEY_ARE]  # fmt: skip
    rng = np.random.default_rng(0)
    samples: dict[int, list[np.ndarray]] = {tensor: [] for tensor in tensors}
    for interpreter in _invoked(calibrated, [_real(picture, spec) for picture in pixels]):
        for tensor in tensors:
            values = interpreter.get_tensor(tensor).ravel()
            samples[tensor].append(rng.choice(values, SAMPLED) if values.size > SAMPLED else values.copy())
    for tensor in tensors:
        limits = graph.tensors[tensor].quantization
        low, high = choose(np.concatenate(samples[tensor]), float(limits.min[0]), float(limits.max[0]))
        limits.min, limits.max = np.array([low], np.float32), np.array([high], np.float32)
    return write_model(model)


def correct_biases(calibrated: bytes, pixels: Sequence[np.ndarray], spec: Any) -> bytes:
    """An int8 file whose convolutions, first to last, give each channel the mean that it has in float.

    Source: Nagel et al. (2019), arXiv:1906.04721, section 4.2, measured over pictures.
    """
    from unetlite.export import mixed, model_tables

    source, model = model_tables.read_model(calibrated), model_tables.read_model(mixed._quantized(calibrated, ()))
    graph, names = model.subgraphs[0], model_tables.operations_of(model)
    if names != model_tables.operations_of(source):
        raise ValueError("expected the quantizer to keep the order of the operations")
    aimed: dict[int, Any] = {}
    for interpreter in _invoked(calibrated, [_real(picture, spec) for picture in pixels]):
        for place, node in enumerate(source.subgraphs[0].operators):
            limits = source.subgraphs[0].tensors[int(node.outputs[0])].quantization
            values = np.clip(interpreter.get_tensor(int(node.outputs[0])), limits.min[0], limits.max[0])
            aimed[place] = aimed.get(place, 0.0) + values.mean(axis=tuple(range(values.ndim - 1))) / len(pixels)
    for place, name in enumerate(names):
        if name not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        node = graph.operators[place]
        output, bias = graph.tensors[int(node.outputs[0])], graph.tensors[int(node.inputs[2])]
        mean: Any = 0.0
        for interpreter in _invoked(model_tables.write_model(model), [_int8(picture) for picture in pixels]):
            values = interpreter.get_tensor(int(node.outputs[0])).astype(np.float64)
            mean = mean + values.mean(axis=(0, 1, 2)) / len(pixels)
        found = (mean - output.quantization.zeroPoint[0]) * output.quantization.scale[0]
        old = np.frombuffer(bytes(model.buffers[bias.buffer].data), np.int32)
        new = old + np.rint((aimed[place] - found) / bias.quantization.scale).astype(np.int64)
        buffer = model_tables.schema().BufferT()
        buffer.data = new.astype(np.int32).view(np.uint8)
        model.buffers.append(buffer)
        bias.buffer = len(model.buffers) - 1
    return mixed._with_uint8_ends(model_tables.write_model(model))


def _real(picture: np.ndarray, spec: Any) -> np.ndarray:
    from unetlite.vision.preprocess import to_real

    return to_real(picture, spec)[np.newaxis]


def _int8(picture: np.ndarray) -> np.ndarray:
    return (picture ^ 0x80).view(np.int8)[np.newaxis]


def _invoked(content: bytes, inputs: Sequence[np.ndarray]) -> Iterator[Any]:
    """An interpreter after each input, all tensors kept."""
    from unetlite.export.equalize import open_with_all_tensors

    interpreter = open_with_all_tensors(content)
    given = interpreter.get_input_details()[0]["index"]
    for fed in inputs:
        interpreter.set_tensor(given, fed)
        interpreter.invoke()
        yield interpreter


if __name__ == "__main__":
    main()
