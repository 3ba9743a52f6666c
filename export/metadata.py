"""TFLite metadata, labels and contract packed into a model file, for readers that nobody here wrote.

Stands apart because it speaks tflite-support's schema. Written with its own writers; the associated files are a zip
behind the flatbuffer, and carry no time, so that equal exports give equal bytes.
"""

from __future__ import annotations

import ctypes
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from unetlite.vision.contract import CONTRACT_FILE, LABELS_FILE, Contract
from unetlite.vision.errors import MissingExtraError

DESCRIPTION = "Finds identity documents in a photograph: for each pixel the probability of belonging to one."
SEGMENTER_METADATA = "SEGMENTER_METADATA"  # the name under which MediaPipe Tasks looks for its options
SEGMENTER_IDENTIFIER = b"V001"
ACTIVATION_NONE = 0  # readers would apply what is named here again: the network ends in its own sigmoid or softmax
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
UNIX = 3
LIBUSB = "libusb-1.0.so.0"


def add_metadata(model: bytes, contract: Contract, *, name: str, author: str, version: str, licence: str) -> bytes:
    """Describe a model as an image segmenter, with labels.txt and contract.json inside.

    Args:
        model: a TFLite flatbuffer without metadata.
        contract: what contract.json will say; the description follows it.
        name: of the model, for people.
        author: who made it.
        version: of the model.
        licence: of the weights.

    Returns:
        The bytes of the whole file.

    Raises:
        MissingExtraError: tflite-support is not installed.
    """
    fb, writers, populators = import_writers()
    populator = populators.MetadataPopulator.with_model_buffer(bytearray(model))
    described = _segmenter_metadata(model, contract, writers, populators, (name, author, version, licence))
    root = fb.ModelMetadataT.InitFromObj(fb.ModelMetadata.GetRootAsModelMetadata(described, 0))
    whole = fb.AssociatedFileT()
    whole.name, whole.description = CONTRACT_FILE, "How pixels enter and how the answer leaves, for unetlite."
    root.associatedFiles = [whole]
    root.subgraphMetadata[0].customMetadata = [_segmenter_options(fb)]
    populator.load_metadata_buffer(_pack(root, populators.MetadataPopulator.METADATA_FILE_IDENTIFIER))
    files = {LABELS_FILE: labels_text(contract).encode(), CONTRACT_FILE: contract.to_json().encode()}
    populator.load_associated_file_buffers(files)
    populator.populate()
    return _with_timeless_zip(bytes(populator.get_model_buffer()), files)


def labels_text(contract: Contract) -> str:
    """One name a line for each output channel: a sigmoid has one, the document."""
    names = contract.output.class_names
    return "".join(f"{name}\n" for name in (names[-1:] if contract.output.kind == "sigmoid" else names))


def import_writers() -> tuple[Any, Any, Any]:
    """tflite-support's schema, its segmenter and information writers, and its packer.

    Raises:
        MissingExtraError: tflite-support or the system library that it needs is not installed.
    """
    try:
        _preload_libusb()
        # Not `import tflite_support`: beside TensorFlow its native half fails to load.
        from tensorflow_lite_support.metadata import metadata_schema_py_generated as fb
        from tensorflow_lite_support.metadata.python import metadata as populators
        from tensorflow_lite_support.metadata.python.metadata_writers import image_segmenter, metadata_info
    except ImportError as error:
        raise MissingExtraError(
            f"writing TFLite metadata needs tflite-support (Linux x86-64, Python below 3.12): {error}; "
            f"pip install 'unetlite[export]'"
        ) from error
    return fb, (image_segmenter, metadata_info), populators


def _preload_libusb() -> None:
    """tflite-support is linked to a system library that few systems have; libusb-package brings it along."""
    try:
        ctypes.CDLL(LIBUSB, ctypes.RTLD_GLOBAL)
    except OSError:
        import libusb_package

        ctypes.CDLL(str(libusb_package.get_library_path()), ctypes.RTLD_GLOBAL)


def _segmenter_metadata(
    model: bytes, contract: Contract, writers: Any, populators: Any, titles: tuple[str, str, str, str]
) -> bytes:
    """The metadata flatbuffer that tflite-support's own image-segmenter writer makes."""
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as fb
    from tensorflow_lite_support.metadata.python.metadata_writers import writer_utils

    segmenter, info = writers
    name, author, version, licence = titles
    spec, output = contract.input, contract.output
    fitted = {
        "stretch": "stretched",
        "letterbox": "scaled and padded with grey",
        "turn": "stretched, and turned by a quarter counterclockwise where picture and input do not both lie or stand",
    }[spec.fit]
    masks = (
        f"One map: the probability of '{output.class_names[-1]}', taken from {output.threshold:g} on. "
        f"Ask readers for CONFIDENCE_MASK."
        if output.kind == "sigmoid"
        else "A map per class of labels.txt, adding up to 1; CATEGORY_MASK or CONFIDENCE_MASK."
    )
    general = info.GeneralMd(name=name, version=version, description=DESCRIPTION, author=author, licenses=licence)
    picture = info.InputImageTensorMd(
        name="image",
        description=f"A photograph, RGB, {fitted} to {spec.size_wh[0]}x{spec.size_wh[1]} pixels.",
        norm_mean=[-spec.real_range[0] / spec.scale],  # real = (pixel - mean) / std
        norm_std=[1.0 / spec.scale],
        color_space_type=fb.ColorSpaceType.RGB,
        tensor_type=writer_utils.get_input_tensor_types(bytearray(model))[0],
    )
    with tempfile.TemporaryDirectory() as folder:  # the writer takes labels as a file only
        labels = Path(folder) / LABELS_FILE
        labels.write_text(labels_text(contract), "utf-8")
        answer = info.TensorMd(
            name="segmentation_masks", description=masks, associated_files=[info.LabelFileMd(str(labels))]
        )
        writer = segmenter.MetadataWriter.create_from_metadata_info(bytearray(model), general, picture, answer)
        return bytes(populators.get_metadata_buffer(bytes(writer.populate())))


def _segmenter_options(fb: Any) -> Any:
    """MediaPipe's ImageSegmenterOptions, one byte of a table of its own schema."""
    import flatbuffers

    builder = flatbuffers.Builder(0)
    builder.ForceDefaults(True)
    builder.StartObject(2)
    builder.PrependInt8Slot(0, ACTIVATION_NONE, 0)
    builder.Finish(builder.EndObject(), SEGMENTER_IDENTIFIER)
    options = fb.CustomMetadataT()
    options.name, options.data = SEGMENTER_METADATA, list(builder.Output())
    return options


def _pack(root: Any, identifier: bytes) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(0)
    builder.Finish(root.Pack(builder), identifier)
    return bytes(builder.Output())


def _with_timeless_zip(model: bytes, files: dict[str, bytes]) -> bytes:
    """The same flatbuffer with the same files behind it, packed without the time of day."""
    with zipfile.ZipFile(io.BytesIO(model)) as packed:
        flatbuffer = model[: min(entry.header_offset for entry in packed.infolist())]
    whole = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.create_system, entry.external_attr = UNIX, 0o644 << 16
            archive.writestr(entry, content)
    return whole.getvalue()
