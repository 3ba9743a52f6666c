"""The contract inside a model file: how pixels enter, how the answer leaves, where the weights come from.

Stands apart because it travels: export writes it, every device reads it, with `zipfile` and `json` alone.
TFLite metadata's associated files are a zip appended to the flatbuffer.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unetlite.vision.errors import ContractError, ModelError

CONTRACT_VERSION = 1
CONTRACT_FILE = "contract.json"
LABELS_FILE = "labels.txt"
FITS = ("stretch", "letterbox", "turn")
OUTPUT_KINDS = ("sigmoid", "softmax")
LEVELS = ("float32", "float16", "weights8", "dynamic", "int8", "int16x8")
MAX_CONTRACT_BYTES = 1 << 20  # a contract is about 2 kB; a zip member that unpacks to more is no contract
MAX_ASSOCIATED_FILES = 64
MAX_MODEL_BYTES = 512 << 20  # the reference U-Net in float32 has 125 MB
MAX_CLASSES = 256  # masks hold a class in a byte


@dataclass(frozen=True)
class InputSpec:
    """How a picture enters: RGB uint8 of `size_wh`, fitted by `fit`; 0..255 stands for `real_range`.

    Attributes:
        fit: "stretch" to the size; "letterbox", scaled and centred on grey; "turn", stretched, and turned by a quarter
            counterclockwise where the picture stands and the input lies, or the other way round. The answer of a
            turned picture is turned back. A square lies no way: "turn" is "stretch" there.
    """

    size_wh: tuple[int, int] = (256, 256)
    real_range: tuple[float, float] = (0.0, 1.0)
    fit: str = "stretch"

    def __post_init__(self) -> None:
        if self.fit == "turn" and self.size_wh[0] == self.size_wh[1]:
            object.__setattr__(self, "fit", "stretch")  # one name for one thing: specs are compared

    @property
    def scale(self) -> float:
        """Real value per uint8 step: the input scale that a correct full-integer model has."""
        return (self.real_range[1] - self.real_range[0]) / 255.0


@dataclass(frozen=True)
class OutputSpec:
    """How the answer leaves: (h, w, 1) sigmoid for two classes, (h, w, N) softmax; background is class 0.

    Attributes:
        threshold: probability from which on a pixel belongs to the document (sigmoid).
        min_confidence: confidence from which on the picture holds a document.
    """

    kind: str = "sigmoid"
    class_names: tuple[str, ...] = ("background", "document")
    threshold: float = 0.5
    min_confidence: float = 0.5


@dataclass(frozen=True)
class DocumentFormat:
    """A document's real size. Source: ISO/IEC 7810."""

    name: str
    size_mm: tuple[float, float]


DOCUMENT_FORMATS = (
    DocumentFormat("ID-1", (85.60, 53.98)),
    DocumentFormat("ID-2", (105.0, 74.0)),
    DocumentFormat("ID-3", (125.0, 88.0)),
)


@dataclass(frozen=True)
class Contract:
    """All that a device must know of a model file beside its weights."""

    input: InputSpec = field(default_factory=InputSpec)
    output: OutputSpec = field(default_factory=OutputSpec)
    level: str = "float32"
    calibration: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    scores: Mapping[str, Any] | None = None
    document_formats: tuple[DocumentFormat, ...] = DOCUMENT_FORMATS

    def to_json(self) -> str:
        """The contract as JSON text, stable for equal contracts."""
        content = {"format": "unetlite-contract", "version": CONTRACT_VERSION, **asdict(self)}
        content["input"] = {"color": "RGB", "dtype": "uint8", **content["input"]}
        return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"


def parse_contract(text: str, where: str) -> Contract:
    """Read a contract from JSON text.

    Raises:
        ContractError: no contract, another version, a field that is missing or senseless; `where` names the file.
    """
    try:
        content = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{where}: expected a contract in JSON, got {error}; export the model again") from error
    if not isinstance(content, dict) or content.get("format") != "unetlite-contract":
        raise ContractError(f"{where}: expected a unetlite contract, got other JSON; export the model again")
    version = content.get("version")
    if version != CONTRACT_VERSION:
        raise ContractError(
            f"{where}: expected contract version {CONTRACT_VERSION}, got {version!r:.80}; "
            f"use the unetlite release that wrote it, or export the model again with this one"
        )
    try:
        return _build(content)
    except KeyError as error:
        raise ContractError(
            f"{where}: contract version {version} lacks the field {error}; export the model again with this unetlite"
        ) from error
    except (TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
        raise ContractError(f"{where}: the contract's fields do not fit: {error}; export the model again") from error


def _finite(number: str) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(f"the number {number}")
    return float(number)


def _build(content: dict[str, Any]) -> Contract:
    given_in, given_out = content["input"], content["output"]
    width, height = (int(v) for v in given_in["size_wh"])
    low, high = (float(v) for v in given_in["real_range"])
    _require(given_in["color"] == "RGB", "color", given_in["color"], "'RGB'")
    _require(given_in["fit"] in FITS, "fit", given_in["fit"], " or ".join(FITS))
    _require(1 <= width <= 8192 and 1 <= height <= 8192, "size_wh", (width, height), "1..8192 each")
    _require(math.isfinite(low) and math.isfinite(high) and low < high, "real_range", (low, high), "low < high")
    _require(given_out["kind"] in OUTPUT_KINDS, "kind", given_out["kind"], " or ".join(OUTPUT_KINDS))
    names = tuple(str(name) for name in given_out["class_names"])
    _require(2 <= len(names) <= MAX_CLASSES, "class_names", len(names), f"two or more, up to {MAX_CLASSES}")
    threshold, confidence = float(given_out["threshold"]), float(given_out["min_confidence"])
    _require(0.0 < threshold < 1.0, "threshold", threshold, "between 0 and 1")
    _require(0.0 <= confidence <= 1.0, "min_confidence", confidence, "0..1")
    _require(content["level"] in LEVELS, "level", content["level"], ", ".join(LEVELS))
    formats = tuple(
        DocumentFormat(str(f["name"]), (float(f["size_mm"][0]), float(f["size_mm"][1])))
        for f in content["document_formats"]
    )
    for name in ("calibration", "training", "scores"):
        _require(isinstance(content[name], (dict, type(None))), name, content[name], "an object or null")
    return Contract(
        InputSpec((width, height), (low, high), given_in["fit"]),
        OutputSpec(given_out["kind"], names, threshold, confidence),
        content["level"],
        content["calibration"],
        content["training"],
        content["scores"],
        formats,
    )


def _require(holds: bool, name: str, got: Any, expected: str) -> None:
    if not holds:
        raise ValueError(f"'{name}' should be {expected}, got {got!r:.80}")


def read_contract(model: Path) -> Contract | None:
    """The contract of a `.tflite` file, or None where it carries none (anyone's model).

    Raises:
        ModelError: no such file, or no TFLite model.
        ContractError: there is a contract, but it cannot be used.
    """
    return contract_of(read_model(model), str(model))


def contract_of(content: bytes, where: str) -> Contract | None:
    """As `read_contract`, of a file's bytes."""
    text = associated_files(content, where).get(CONTRACT_FILE)
    return None if text is None else parse_contract(text.decode("utf-8", "replace"), where)


def read_associated_files(model: Path) -> dict[str, bytes]:
    """The files packed behind a `.tflite` flatbuffer, by name; empty where there are none.

    Raises:
        ModelError: no such file, or no TFLite model, or a packed file larger than 1 MiB.
    """
    return associated_files(read_model(model), str(model))


def associated_files(content: bytes, where: str) -> dict[str, bytes]:
    """As `read_associated_files`, of a file's bytes."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ASSOCIATED_FILES:
                raise ModelError(f"{where}: expected up to {MAX_ASSOCIATED_FILES} associated files, got {len(entries)}")
            for entry in entries:
                if entry.file_size > MAX_CONTRACT_BYTES:
                    raise ModelError(
                        f"{where}: expected associated files under 1 MiB, got {entry.filename!r} of "
                        f"{entry.file_size} bytes; export the model again"
                    )
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{where}: its associated files are damaged ({error}); copy the model again") from error


def read_model(model: Path) -> bytes:
    """The bytes of a `.tflite` file. Raises ModelError unless it exists, starts as TFLite does and has a usual size."""
    try:
        with open(model, "rb") as file:
            content = file.read(MAX_MODEL_BYTES + 1)
    except FileNotFoundError as error:
        raise ModelError(f"{model}: expected a .tflite model, but there is no such file; check the path") from error
    except OSError as error:
        raise ModelError(f"{model}: could not be read: {error.strerror}; expected a .tflite model") from error
    check_is_tflite(content, str(model))
    if len(content) > MAX_MODEL_BYTES:
        raise ModelError(f"{model}: expected a model of up to {MAX_MODEL_BYTES >> 20} MiB, got a larger one")
    return content


def check_is_tflite(content: bytes, where: str) -> None:
    """Raise ModelError unless the bytes start as a TFLite flatbuffer does (identifier TFL3)."""
    if content[4:8] != b"TFL3":
        raise ModelError(f"{where}: expected a .tflite model, got another kind of file; make one with unet-export")
