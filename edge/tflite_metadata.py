"""What a foreign model's TFLite metadata says about its input and labels.

Stands apart because it is the only part that knows metadata_schema.fbs, of which only what a contract needs is read.

Source: TensorFlow Lite Support, metadata_schema.fbs, version 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from unetlite.edge.flatbuffer import Table
from unetlite.vision.errors import ModelError

# Field numbers: Model and Metadata of schema.fbs, then those of metadata_schema.fbs.
_MODEL_BUFFERS, _MODEL_METADATA = 4, 6
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA = 0
_SUBGRAPH_METADATA = 3
_INPUT_TENSORS, _OUTPUT_TENSORS = 2, 3
_PROCESS_UNITS, _ASSOCIATED_FILES = 4, 6
_UNIT_KIND, _UNIT_OPTIONS = 0, 1
_NORMALIZATION = 1  # of the union ProcessUnitOptions
_MEAN, _STD = 0, 1
_FILE_NAME, _FILE_KIND = 0, 2
_TENSOR_AXIS_LABELS = 2  # of the enum AssociatedFileType


@dataclass(frozen=True)
class TfliteMetadata:
    """The parts of TFLite metadata that complete a contract.

    Attributes:
        mean, std: of the first input, one number or one a channel: real = (pixel - mean) / std. Empty: not stated.
        label_file: the associated file with the first output's class names, or None.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    label_file: str | None = None


def parse_tflite_metadata(content: bytes, where: str) -> TfliteMetadata | None:
    """Read the metadata of a model, or None where it carries none.

    Args:
        content: the bytes of a `.tflite` file.
        where: what to call it in an error.

    Raises:
        ModelError: offsets that point outside the file.
    """
    model = Table.root(content, where)
    entry = next((e for e in model.tables(_MODEL_METADATA) if e.text(_METADATA_NAME) == "TFLITE_METADATA"), None)
    if entry is None:
        return None
    buffers, index = model.tables(_MODEL_BUFFERS), entry.scalar(_METADATA_BUFFER, "I")
    if index >= len(buffers):
        raise ModelError(f"{where}: expected metadata in one of {len(buffers)} buffers, got {index}; copy it again")
    metadata = Table.root(buffers[index].array(_BUFFER_DATA, "u1").tobytes(), f"{where} (metadata)")
    subgraphs = metadata.tables(_SUBGRAPH_METADATA)
    if not subgraphs:
        return TfliteMetadata()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for tensor in subgraphs[0].tables(_INPUT_TENSORS)[:1]:
        for unit in tensor.tables(_PROCESS_UNITS):
            options = unit.table(_UNIT_OPTIONS)
            if unit.scalar(_UNIT_KIND, "B") == _NORMALIZATION and options is not None:
                mean, std = (tuple(options.array(field, "<f4").tolist()) for field in (_MEAN, _STD))
    names = [
        file.text(_FILE_NAME)
        for tensor in subgraphs[0].tables(_OUTPUT_TENSORS)[:1]
        for file in tensor.tables(_ASSOCIATED_FILES)
        if file.scalar(_FILE_KIND, "b") == _TENSOR_AXIS_LABELS
    ]
    return TfliteMetadata(mean, std, names[0] if names else None)
