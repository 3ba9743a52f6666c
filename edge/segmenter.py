"""From a picture to its document with one model: the whole of inference on a device.

Stands apart because command, benchmark, live capture and export's check must run a model in one way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from unetlite.edge.borders import TfliteBorders
from unetlite.edge.model_contract import Overrides
from unetlite.edge.network import Answer, check_sha256, load_tflite
from unetlite.edge.runtime import RuntimeInfo
from unetlite.vision.contract import Contract, OutputSpec
from unetlite.vision.document import Finding, document_probability
from unetlite.vision.errors import ModelError
from unetlite.vision.image import RgbImage
from unetlite.vision.looks import Search, locate_closely, search_closely
from unetlite.vision.preprocess import Placement, preprocess
from unetlite.vision.refine import Belief
from unetlite.vision.second_look import View, fuse, place_view

KERAS_SUFFIXES = (".keras", ".h5")


class Network(Protocol):
    """What runs a model: fed with pixels, invoked, asked for its answer."""

    def feed(self, pixels: np.ndarray) -> None: ...

    def invoke(self) -> None: ...

    def answer(self) -> Answer: ...


@dataclass(frozen=True)
class Segmentation:
    """What a network says about one picture.

    Attributes:
        answer: the network's output as it left, (h, w, C); turned back where the picture was turned.
        probability: (h, w) float32 in [0, 1], that a pixel of the output is part of a document.
        finding: the document's quad in pixels of the picture, refined on its edges, and the confidence.
        placement: how the picture was fitted into the input.
        output: the contract's output.
        latency_ms: milliseconds by stage: preprocess, invoke, postprocess (up to the finding, with the closer looks
            where there were some).
    """

    answer: Answer
    probability: np.ndarray
    finding: Finding
    placement: Placement
    output: OutputSpec
    latency_ms: Mapping[str, float]

    @cached_property
    def mask(self) -> np.ndarray:
        """(H, W) bool in pixels of the picture, True on documents; made when it is first asked for.

        Of a quantized one-channel answer the levels themselves are compared with the threshold's level.
        """
        if self.answer.real_of_level is not None and self.output.kind == "sigmoid":
            # The first level whose real value reaches the threshold; 256 where none does.
            level = int(np.searchsorted(self.answer.real_of_level, np.float32(self.output.threshold)))
            levels = self.placement.map_to_image(np.ascontiguousarray(self.answer.values[..., 0]))
            return levels >= level if level < 256 else np.zeros(levels.shape, bool)
        return self.placement.map_to_image(self.probability) >= self.output.threshold

    @cached_property
    def classes(self) -> np.ndarray:
        """(H, W) uint8 in pixels of the picture: the most probable class; of a sigmoid model `mask` as 0 and 1."""
        if self.output.kind == "sigmoid":
            return self.mask.astype(np.uint8)
        width, height = self.placement.image_size_wh
        best = np.zeros((height, width), np.uint8)
        highest = self._class_map(0)
        for index in range(1, self.answer.values.shape[2]):
            values = self._class_map(index)
            better = values > highest
            best[better] = index
            np.maximum(highest, values, out=highest)
        return best

    def _class_map(self, index: int) -> np.ndarray:
        return self.placement.map_to_image(np.ascontiguousarray(self.answer.values[..., index]))

    @property
    def mask_fraction(self) -> float:
        """The share of the picture that is document."""
        return float(self.mask.mean())


class Segmenter:
    """A loaded model and its contract; call it with a picture.

    Attributes:
        contract: how pixels enter and how the answer leaves.
        contract_origin: where the contract is from, for messages.
        runtime: what runs the model.
        network: the model itself; `network.interpreter` of a `.tflite`.
    """

    def __init__(self, network: Network, contract: Contract, contract_origin: str, runtime: RuntimeInfo) -> None:
        self.network = network
        self.contract = contract
        self.contract_origin = contract_origin
        self.runtime = runtime

    def __call__(self, image: RgbImage, *, hurried: bool = False) -> Segmentation:
        """Segment one picture.

        Args:
            image: (H, W, 3) uint8, RGB, of any size.
            hurried: as for `locate`.

        Raises:
            ModelError: the network answers with something other than probabilities.
        """
        _ = self._borders  # loaded before the clock starts
        begin = time.perf_counter()
        pixels, placement = preprocess(image, self.contract.input)
        self.network.feed(pixels)
        fed = time.perf_counter()
        self.network.invoke()
        invoked = time.perf_counter()
        answer = self.network.answer().upright(placement)
        probability = document_probability(answer.real(), self.contract.output)
        finding = self.locate(image, probability, placement, hurried=hurried)
        done = time.perf_counter()
        latency_ms = {
            "preprocess": (fed - begin) * 1000.0,
            "invoke": (invoked - fed) * 1000.0,
            "postprocess": (done - invoked) * 1000.0,
        }
        return Segmentation(answer, probability, finding, placement, self.contract.output, latency_ms)

    def locate(
        self, image: RgbImage, probability: np.ndarray, placement: Placement, *, hurried: bool = False
    ) -> Finding:
        """Find the document in a picture that the network has answered, with up to two closer looks in doubt.

        Args:
            image: (H, W, 3) uint8, RGB.
            probability: (h, w) float32, from `document_probability`.
            placement: how the picture was fitted into the input.
            hurried: whether another frame comes at once: then doubt is left where settling it would take long.

        Raises:
            ModelError: the network answers with something other than probabilities.
        """
        def look(view: View, before: Belief) -> Belief:
            pixels, fitted = preprocess(view.of(image), self.contract.input)
            self.network.feed(pixels)
            self.network.invoke()
            return self.joined(view, fitted, before)

        output = self.contract.output
        belief = Belief(probability, placement, output.threshold)
        return locate_closely(image, belief, output, look, self._borders, hurried=hurried)

    def search(self, image: RgbImage, probability: np.ndarray, placement: Placement) -> Search:
        """`locate` in a hurry, with its closer looks left to the caller, who may take them at later frames."""
        output = self.contract.output
        belief = Belief(probability, placement, output.threshold)
        return search_closely(image, belief, output, self._borders, hurried=True)

    def joined(self, view: View, fitted: Placement, before: Belief) -> Belief:
        """What is believed after a closer look, for which the network has just been invoked.

        Args:
            view: what was looked at.
            fitted: how that was fitted into the input.
            before: what was believed then.
        """
        seen = document_probability(self.network.answer().upright(fitted).real(), self.contract.output)
        closer = place_view(view, fitted, before.placement)
        return Belief(fuse(before.probability, before.placement, seen, closer), closer, self.contract.output.threshold)

    @cached_property
    def _borders(self) -> TfliteBorders:
        return TfliteBorders()


def load_segmenter(
    model: Path,
    *,
    threads: int = 1,
    runtime: str | None = None,
    input_range: tuple[float, float] | None = None,
    fit: str | None = None,
    threshold: float | None = None,
    labels: Sequence[str] | None = None,
    require_sha256: str | None = None,
) -> Segmenter:
    """Load a model with its contract.

    Args:
        model: a `.tflite` file; or `.keras` or `.h5`, which needs TensorFlow and Keras.
        threads: of the interpreter, 1 or more.
        runtime: a key of `runtime.RUNTIMES`; None chooses.
        input_range: real values of 0 and 255, in place of what the model says.
        fit: one of `contract.FITS`, likewise.
        threshold: likewise.
        labels: class names, background first, likewise.
        require_sha256: hex digest that the file's bytes must have, as the export record states it.

    Raises:
        ModelError: no model, a damaged one, one of another hash, or no segmentation model.
        ContractError: what the model leaves unsaid is not given, or contradicts its tensors.
        MissingExtraError: no runtime for it is installed.
    """
    model = Path(model)
    given = Overrides(input_range, fit, threshold, None if labels is None else tuple(labels))
    if model.suffix.lower() in KERAS_SUFFIXES:
        from unetlite.edge.keras_network import load_keras

        if require_sha256 is not None and model.is_file():
            check_sha256(model.read_bytes(), require_sha256, str(model))
        return Segmenter(*load_keras(model, given))
    return Segmenter(*load_tflite(model, given, threads=threads, runtime=runtime, require_sha256=require_sha256))


def shipped_model(name: str = "unetlite") -> Path:
    """A model that ships in this package, by name.

    Raises:
        ModelError: this installation has none of that name.
    """
    folder = Path(__file__).parent / "models"
    path = folder / f"{name}.int8.tflite"
    if not path.is_file():
        names = ", ".join(sorted(p.name.removesuffix(".int8.tflite") for p in folder.glob("*.int8.tflite")))
        raise ModelError(f"{folder}: expected the shipped model {name}, found {names or 'none'}; pass --model FILE")
    return path


def chosen_model(model: Path | None) -> Path:
    """The file that `--model` means: the shipped default for None, a shipped model's name, or a path as it is."""
    if model is None:
        return shipped_model()
    if not model.suffix and len(model.parts) == 1 and not model.exists():
        return shipped_model(model.name)
    return model
