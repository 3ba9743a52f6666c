"""The int8 file looked at layer by layer, where that was asked for, and the file that came of it.

Stands apart from `sensitivity` and `keep_float`, which know nothing of an export's network and pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import CheckPicture
from unetlite.export.build import build_calibrated
from unetlite.export.exporter import Network, file_segmenter, keras_segmenter, open_file
from unetlite.export.gates import Budget
from unetlite.export.keep_float import Trade, Wish, choose_layers
from unetlite.export.levels import LEVELS
from unetlite.export.mixed import Layer, layers_named, layers_of, quantize
from unetlite.export.sensitivity import Sensitivity, measure_sensitivity


@dataclass(frozen=True)
class Study:
    """What was found.

    Attributes:
        sensitivity: each layer's cost; None where layers were named and no ranking was asked for.
        trade: what keeping layers in float gives and takes; None where no layer was to be kept.
        content: the int8 file with the chosen layers in float; None where it is the converter's own.
    """

    sensitivity: Sensitivity | None
    trade: Trade | None
    content: bytes | None = field(repr=False)

    @property
    def in_float(self) -> tuple[str, ...]:
        """The layers that stay in float."""
        return () if self.trade is None else self.trade.layers


def study_layers(
    network: Network,
    pixels: Sequence[np.ndarray],
    pictures: Sequence[CheckPicture],
    wish: Wish | None,
    budget: Budget,
    *,
    rank: bool,
    watch: Callable[[Sequence[Layer]], Iterable[Layer]] = iter,
) -> Study:
    """Rank the layers where that is asked for or needed, and choose those that stay in float.

    Args:
        network: what is exported.
        pixels: the representative pictures, (h, w, 3) uint8 RGB each.
        pictures: to measure on, at least one.
        wish: from `--keep-float`; None keeps no layer.
        budget: of the gates.
        rank: whether the ranking is wanted for itself.
        watch: wraps the layers, for a progress bar.

    Raises:
        SettingsError: a layer that the network does not have.
        ExportError: TensorFlow's converter or quantizer refused.
        ImageError, GroundTruthError, ModelError: see `agreement.compare`.
    """
    level = LEVELS["int8"]

    def open_int8(content: bytes) -> Segmenter:
        return file_segmenter(*open_file(content, level), network.contract, level)

    calibrated = build_calibrated(network.keras, network.contract.input, pixels)
    layers = layers_of(calibrated)
    if wish is not None:
        layers_named(layers, wish.names)  # a wrong name is told before minutes of work
    ranked = rank or (wish is not None and not wish.names)
    sensitivity = measure_sensitivity(calibrated, open_int8, pictures, pixels, watch) if ranked else None
    if wish is None:
        return Study(sensitivity, None, None)
    keras = keras_segmenter(network, network.contract.input)
    trade = choose_layers(calibrated, wish, sensitivity, open_int8, keras, pictures, budget)
    content = quantize(calibrated, layers_named(layers, trade.layers)) if trade.layers else None
    return Study(sensitivity, trade, content)
