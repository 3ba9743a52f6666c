"""What readers that nobody here wrote find in a file."""

from __future__ import annotations

import importlib
import json
import zipfile

import pytest

from unetlite.edge.tflite_metadata import parse_tflite_metadata
from unetlite.export.metadata import add_metadata, import_writers, labels_text
from unetlite.vision.contract import Contract, InputSpec, OutputSpec, read_contract

LEVELS = ("float32", "float16", "dynamic", "int8")
THREE = OutputSpec("softmax", ("background", "card", "passport"))


def displayed(content: bytes) -> dict:
    """As tflite-support's own displayer tells it."""
    import_writers()
    metadata = importlib.import_module("tensorflow_lite_support.metadata.python.metadata")
    return json.loads(metadata.MetadataDisplayer.with_model_buffer(content).get_metadata_json())


def test_contract_and_labels_are_read_with_zipfile_alone(exported) -> None:
    for level in LEVELS:
        with zipfile.ZipFile(exported.file(level)) as archive:
            assert sorted(archive.namelist()) == ["contract.json", "labels.txt"]
            assert archive.read("labels.txt") == b"document\n"
            assert json.loads(archive.read("contract.json"))["level"] == level
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_contract_tells_calibration_training_and_scores(exported) -> None:
    contract = read_contract(exported.file("int8"))
    assert contract.input == InputSpec((64, 64))
    assert contract.output == OutputSpec()
    assert contract.calibration["manifest_sha256"] == exported.report["calibration"]["manifest_sha256"]
    assert contract.training["data"][0]["licence"] == "none needed"
    assert contract.scores["pictures_from"] == "validation"
    assert contract.scores["iou_mean"] > 0.8
    assert read_contract(exported.file("float32")).calibration is None


def test_tflite_support_s_displayer_reads_the_whole_description(exported) -> None:
    for level in LEVELS:
        told = displayed(exported.file(level).read_bytes())
        assert told["author"] == "the tests"
        assert told["license"] == "CC0-1.0"
        assert told["version"] == "7"
        assert told["name"] == f"unet ({level})"
        assert [file["name"] for file in told["associated_files"]] == ["contract.json"]
        (subgraph,) = told["subgraph_metadata"]
        (picture,), (answer,) = subgraph["input_tensor_metadata"], subgraph["output_tensor_metadata"]
        assert picture["content"]["content_properties"]["color_space"] == "RGB"
        (normalisation,) = picture["process_units"]
        assert normalisation["options"] == {"mean": [0.0], "std": [255.0]}
        assert answer["associated_files"][0]["name"] == "labels.txt"
        assert answer["associated_files"][0]["type"] == "TENSOR_AXIS_LABELS"
        assert "CONFIDENCE_MASK" in answer["description"]


def test_the_range_of_values_follows_the_input_s_type(exported) -> None:
    for level, highest in (("float32", 1.0), ("int8", 255.0)):
        told = displayed(exported.file(level).read_bytes())
        assert told["subgraph_metadata"][0]["input_tensor_metadata"][0]["stats"] == {"max": [highest], "min": [0.0]}


def test_no_activation_is_named_that_a_reader_would_apply_a_second_time(exported) -> None:
    (custom,) = displayed(exported.file("int8").read_bytes())["subgraph_metadata"][0]["custom_metadata"]
    assert custom["name"] == "SEGMENTER_METADATA"
    options = bytes(custom["data"])
    assert options[4:8] == b"V001"
    table = int.from_bytes(options[:4], "little")
    fields = table - int.from_bytes(options[table : table + 4], "little", signed=True)
    offset = int.from_bytes(options[fields + 4 : fields + 6], "little")
    assert offset > 0
    assert options[table + offset] == 0  # NONE


@pytest.mark.parametrize("real_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_the_normalisation_maps_bytes_to_the_real_range(exported, real_range: tuple[float, float]) -> None:
    plain = add_metadata(
        bare(exported.file("float32").read_bytes()),
        Contract(InputSpec((64, 64), real_range)),
        name="n", author="a", version="1", licence="l",
    )  # fmt: skip
    told = parse_tflite_metadata(plain, "file")
    assert ((0 - told.mean[0]) / told.std[0], (255 - told.mean[0]) / told.std[0]) == pytest.approx(real_range)


def bare(content: bytes) -> bytes:
    """The flatbuffer without what is packed behind it; its metadata are replaced by the next writer."""
    return content[: content.index(b"PK\x03\x04")]


def test_labels_name_each_channel_of_the_answer() -> None:
    assert labels_text(Contract()) == "document\n"
    assert labels_text(Contract(output=THREE)) == "background\ncard\npassport\n"
