from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from unetlite.vision.contract import (
    Contract,
    InputSpec,
    OutputSpec,
    parse_contract,
    read_associated_files,
    read_contract,
)
from unetlite.vision.errors import ContractError, ModelError

CONTRACT = Contract(
    input=InputSpec((192, 256), (-1.0, 1.0), "letterbox"),
    output=OutputSpec("softmax", ("background", "card", "passport"), 0.4, 0.6),
    level="int8",
    calibration={"sha256": "ab"},
)


def model_with(tmp_path: Path, files: dict[str, str]) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    path = tmp_path / "m.tflite"
    path.write_bytes(b"\x18\0\0\0TFL3" + bytes(100) + packed.getvalue())
    return path


def changed(**changes: object) -> str:
    content = json.loads(CONTRACT.to_json())
    for dotted, value in changes.items():
        *folders, name = dotted.split("__")
        place = content
        for folder in folders:
            place = place[folder]
        if value is None:
            del place[name]
        else:
            place[name] = value
    return json.dumps(content)


def test_a_contract_comes_back_as_it_was_written() -> None:
    assert parse_contract(CONTRACT.to_json(), "here") == CONTRACT
    assert CONTRACT.to_json() == Contract(**vars(CONTRACT)).to_json()


def test_a_contract_is_read_behind_the_flatbuffer(tmp_path: Path) -> None:
    path = model_with(tmp_path, {"contract.json": CONTRACT.to_json(), "labels.txt": "a\nb\n"})
    assert read_contract(path) == CONTRACT
    assert read_associated_files(path)["labels.txt"] == b"a\nb\n"


def test_a_model_without_contract_has_none(tmp_path: Path) -> None:
    assert read_contract(model_with(tmp_path, {"labels.txt": "x"})) is None
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(b"\x18\0\0\0TFL3" + bytes(100))
    assert read_contract(bare) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "expected a contract in JSON"),
        ("[]", "other JSON"),
        (changed(format="x"), "other JSON"),
        (changed(version=2), "expected contract version 1, got 2; use the unetlite release"),
        (changed(output__threshold=None), "lacks the field 'threshold'"),
        (changed(input__fit="crop"), "'fit' should be stretch or letterbox"),
        (changed(input__real_range=[1, 0]), "low < high"),
        (changed(input__size_wh=[0, 5]), "size_wh"),
        (changed(input__size_wh="big"), "do not fit"),
        (changed(output__class_names=["one"]), "two or more"),
        (changed(output__threshold=2), "between 0 and 1"),
        (changed(level="int4"), "'level'"),
        (changed(document_formats=[{"name": "A4"}]), "lacks the field 'size_mm'"),
    ],
)
def test_a_contract_that_cannot_be_used_says_why_and_where(text: str, sentence: str) -> None:
    with pytest.raises(ContractError, match="^m.tflite: ") as caught:
        parse_contract(text, "m.tflite")
    assert sentence in str(caught.value)


def test_files_that_are_no_tflite_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tflite").write_text("hello, this is no model")
    (tmp_path / "empty.tflite").write_bytes(b"")
    for name in ("text.tflite", "empty.tflite", "missing.tflite"):
        with pytest.raises(ModelError, match="expected a .tflite model"):
            read_contract(tmp_path / name)


def test_an_associated_file_that_unpacks_to_megabytes_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("contract.json", bytes(20 << 20))
    path = tmp_path / "bomb.tflite"
    path.write_bytes(b"\x18\0\0\0TFL3" + packed.getvalue())
    with pytest.raises(ModelError, match="under 1 MiB"):
        read_contract(path)
