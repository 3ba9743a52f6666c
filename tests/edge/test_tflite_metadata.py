"""The small FlatBuffers reader against metadata that TFLite Support wrote, and against hostile bytes."""

from __future__ import annotations

import ctypes
import warnings

import numpy as np
import pytest

from unetlite.edge.segmenter import load_segmenter
from unetlite.edge.tflite_graph import read_graphs
from unetlite.edge.tflite_metadata import parse_tflite_metadata
from unetlite.vision.errors import ContractError, ModelError


def with_metadata(content: bytes, folder, mean, std, labels=("background", "card")) -> bytes:
    """The model with metadata from TFLite Support's own writer."""
    pytest.importorskip("tensorflow_lite_support", reason="no wheel of TFLite Support here; pip install tflite-support")
    try:
        ctypes.CDLL("libusb-1.0.so.0", ctypes.RTLD_GLOBAL)
    except OSError:
        libusb_package = pytest.importorskip("libusb_package", reason="apt install libusb-1.0-0")
        ctypes.CDLL(str(libusb_package.get_library_path()), ctypes.RTLD_GLOBAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its protobuf code is older than the Python that runs it
        from tensorflow_lite_support.metadata.python.metadata_writers import image_segmenter

    label_file = folder / "labels.txt"
    label_file.write_text("\n".join(labels))
    writer = image_segmenter.MetadataWriter.create_for_inference(bytearray(content), mean, std, [str(label_file)])
    return bytes(writer.populate())


@pytest.mark.parametrize(("mean", "std", "expected"), [(0.0, 255.0, (0.0, 1.0)), (127.5, 127.5, (-1.0, 1.0))])
def test_metadata_of_tflite_support_is_enough_for_a_float_model(models, tmp_path, mean, std, expected):
    path = tmp_path / "foreign.tflite"
    path.write_bytes(with_metadata(models.bare_float32.read_bytes(), tmp_path, [mean], [std]))
    segmenter = load_segmenter(path)
    assert segmenter.contract_origin == "TFLite metadata"
    assert segmenter.contract.input.real_range == pytest.approx(expected)
    assert segmenter.contract.output.class_names == ("background", "card")


def test_a_model_that_lost_its_packed_files_is_truncated(models, tmp_path):
    content = with_metadata(models.bare_int8.read_bytes(), tmp_path, [0.0], [255.0])
    path = tmp_path / "foreign.tflite"
    path.write_bytes(content)
    assert load_segmenter(path).contract.output.class_names == ("background", "card")
    path.write_bytes(content[:-30])
    with pytest.raises(ModelError, match="'labels.txt' that its metadata names"):
        load_segmenter(path)


def test_normalisation_by_channel_is_refused_with_a_reason(models, tmp_path):
    path = tmp_path / "foreign.tflite"
    mean, std = [123.0, 117.0, 104.0], [58.0, 57.0, 57.0]
    path.write_bytes(with_metadata(models.bare_float32.read_bytes(), tmp_path, mean, std))
    with pytest.raises(ContractError, match="one normalisation for all channels"):
        load_segmenter(path)


def test_a_model_without_metadata_has_none(models):
    assert parse_tflite_metadata(models.bare_float32.read_bytes(), "m") is None


def test_damaged_bytes_are_read_or_refused_but_never_left(models, tmp_path):
    content = with_metadata(models.bare_float32.read_bytes(), tmp_path, [0.0], [255.0])
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), 2):
            damaged[at] = rng.integers(0, 256)
        try:
            read_graphs(bytes(damaged), "m")
            parse_tflite_metadata(bytes(damaged), "m")
        except ModelError:
            refused += 1
    assert 100 < refused < 400


def test_every_truncation_that_loses_a_weight_is_refused(models):
    content = models.bare_int8.read_bytes()
    for length in range(0, len(content) - 64, 7):
        with pytest.raises(ModelError):
            read_graphs(content[:length], "m")
