"""Exports that would mislead are refused or rejected, each with its own sentence, by the command on real models."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from unetlite.calibration.cli import main as calibrate
from unetlite.vision.dataset import find_samples
from unetlite.vision.image import read_image, write_image


@pytest.fixture
def refusal(trained, export: Callable[..., Result], tmp_path: Path) -> Callable[..., str]:
    """The sentence with which an int8 export of the trained model ends; nothing may have been written."""

    def run(calibration: Path, *more: object, validation: Path | None = trained.data) -> str:
        scored = () if validation is None else ("--validation", validation)
        arguments = (trained.model, "--int8", "--calibration", calibration, *scored, "--to", tmp_path / "out", *more)
        result = export(*arguments)
        assert result.exit_code == 1, result.output
        assert not (tmp_path / "out").exists()
        return result.stderr.splitlines()[-1]

    return run


def changed(data: Path, folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """The training pictures, each changed, as a plain folder."""
    for sample in find_samples(data / "train"):
        write_image(folder / sample.image.name, change(read_image(sample.image)))
    return folder


def test_dark_pictures_alone(trained, refusal, tmp_path: Path) -> None:
    assert "these pictures are all dark: 99.8%" in refusal(changed(trained.data, tmp_path / "dark", lambda p: p // 4))


def test_pictures_that_hold_0_to_255_where_0_to_1_is_meant(trained, refusal, tmp_path: Path) -> None:
    for sample in find_samples(trained.data / "train"):
        pixels = cv2.cvtColor(read_image(sample.image), cv2.COLOR_RGB2BGR).astype(np.float32)
        (tmp_path / "float").mkdir(exist_ok=True)
        content = cv2.imencode(".tiff", pixels)[1].tobytes()  # a float picture is read as 0..1
        (tmp_path / "float" / f"{sample.image.stem}.tiff").write_bytes(content)
    assert "these pictures are all bright" in refusal(tmp_path / "float")


def test_pictures_that_hold_0_to_255_in_16_bits(trained, refusal, tmp_path: Path) -> None:
    folder = changed(trained.data, tmp_path / "deep", lambda p: p)
    for path in folder.iterdir():
        path.write_bytes(cv2.imencode(".png", read_image(path).astype(np.uint16))[1].tobytes())
    assert "these pictures are all dark" in refusal(folder)


def test_a_calibration_for_another_range_names_the_flags(trained, refusal, tmp_path: Path) -> None:
    arguments = (trained.data, "--to", tmp_path / "m.json", "--size", "64x64", "--input-range", "0", "255")
    assert CliRunner().invoke(calibrate, [str(argument) for argument in arguments]).exit_code == 0
    assert "run unet-calibrate with --size 64x64 --input-range 0 1 --fit stretch" in refusal(tmp_path / "m.json")


def test_a_calibration_of_another_size_names_the_flags(trained, refusal, tmp_path: Path) -> None:
    arguments = [str(trained.data), "--to", str(tmp_path / "m.json")]  # 320x192 unless told
    assert CliRunner().invoke(calibrate, arguments).exit_code == 0
    got, _, advice = refusal(tmp_path / "m.json").rpartition("; ")
    assert got.endswith("got one for --size 320x192 --input-range 0 1 --fit turn")
    assert advice == "run unet-calibrate with --size 64x64 --input-range 0 1 --fit stretch"


def test_a_range_that_the_training_summary_contradicts(trained, refusal) -> None:
    sentence = refusal(trained.data, "--input-range", 0, 255, validation=None)
    assert "unet.training.json says that the network was trained with 0..255 standing for 0..1" in sentence
    assert "leave the flag out" in sentence


def test_a_range_on_which_a_model_without_summary_makes_no_sense(
    trained, export: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "m.keras").write_bytes(trained.model.read_bytes())
    arguments = (tmp_path / "m.keras", "--int8", "--calibration", trained.data, "--validation", trained.data)
    result = export(*arguments, "--input-range", 0, 255, "--to", tmp_path / "out")
    assert result.exit_code == 1, result.output
    assert "with 0..255 standing for 0..255 the Keras network's IoU is 0." in result.stderr
    assert "it was trained on other values; pass --input-range 0 1 here and to unet-calibrate" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["txt", "jpg"])
def test_text_files(refusal, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "letters").mkdir()
    for i in range(12):
        (tmp_path / "letters" / f"{i}.{suffix}").write_text("Dear Sir or Madam")
    expected = {"txt": "expected pictures to calibrate with, found none", "jpg": "12 of 12 looked at cannot be read"}
    assert expected[suffix] in refusal(tmp_path / "letters")


def test_a_torn_file_among_many_is_told_and_recorded(
    bright, noise_folder: Path, export: Callable[..., Result], tmp_path: Path
) -> None:
    bright().save(tmp_path / "m.keras")
    shutil.copytree(noise_folder, tmp_path / "pictures")
    (tmp_path / "pictures" / "torn.jpg").write_text("Dear Sir or Madam")
    result = export(tmp_path / "m.keras", "--int8", "--calibration", tmp_path / "pictures", "--to", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"WARNING: 1 files of {tmp_path / 'pictures'} cannot be read and were left out" in result.stderr
    told = json.loads((tmp_path / "out" / "m.export.json").read_text())["calibration"]
    assert (told["candidates"], told["unreadable_left_out"], told["copies_left_out"]) == (11, 1, 0)


def test_one_picture(trained, refusal, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(find_samples(trained.data / "train")[0].image.read_bytes())
    assert "expected 8 different pictures or more to calibrate with, got 1" in refusal(tmp_path / "one")


def test_one_picture_saved_again_and_again(trained, refusal, tmp_path: Path) -> None:
    picture = read_image(find_samples(trained.data / "train")[0].image)
    for quality in range(40, 100, 5):
        write_image(tmp_path / "one" / f"{quality}.jpg", picture, jpeg_quality=quality)
    expected = "expected 8 different pictures or more to calibrate with, got 1 (11 copies left out)"
    assert expected in refusal(tmp_path / "one")


def test_the_validation_s_own_pictures(trained, refusal) -> None:
    sentence = refusal(trained.data / "validation" / "images")
    assert "10 of 10 calibration pictures are not apart from the validation: 10 by the same bytes" in sentence


def test_the_validation_s_pictures_recompressed(trained, refusal, tmp_path: Path) -> None:
    for sample in find_samples(trained.data / "validation"):
        write_image(tmp_path / "copies" / f"copy-{sample.image.stem}.jpg", read_image(sample.image))
    assert "10 by near-duplicates" in refusal(tmp_path / "copies")


def test_leakage_that_is_allowed_is_told_and_recorded(trained, export: Callable[..., Result], tmp_path: Path) -> None:
    result = export(
        trained.model, "--int8", "--calibration", trained.data / "validation", "--validation", trained.data,
        "--allow-leakage", "--to", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "WARNING: 10 of 10 calibration pictures are not apart from the validation" in result.stderr
    report = json.loads((tmp_path / "unet.export.json").read_text())
    assert {leak["kind"] for leak in report["calibration"]["leaks"]} == {"bytes"}


def test_an_operation_outside_tflite_s_builtins(export: Callable[..., Result], tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    picture = keras.Input((32, 32, 3))
    answer = keras.layers.Conv2D(1, 1, activation="sigmoid")(keras.ops.erfinv(picture * 0.5))
    keras.Model(picture, answer).save(tmp_path / "m.keras")
    result = export(tmp_path / "m.keras", "--float32", "--to", tmp_path / "out")
    assert result.exit_code == 1
    assert "float32: TensorFlow's converter refused this network" in result.stderr
    assert "erfinv" in result.stderr.lower()
    assert not (tmp_path / "out").exists()


def test_weights_that_hold_nan(bright, export: Callable[..., Result], tmp_path: Path) -> None:
    network = bright()
    network.layers[-1].bias.assign([np.nan])
    network.save(tmp_path / "m.keras")
    result = export(tmp_path / "m.keras", "--to", tmp_path / "out")
    assert result.exit_code == 1
    assert "bias holds NaN or infinity; train the model again" in result.stderr


def test_a_stricter_budget_rejects_what_the_default_lets_pass(
    trained, export: Callable[..., Result], tmp_path: Path
) -> None:
    given = (trained.model, "--dynamic", "--validation", trained.data, "--to", tmp_path)
    result = export(*given, "--max-iou-loss", 0, "--max-share-loss", 0, "--max-image-loss", 0)
    assert result.exit_code == 3, result.output
    rejected, reason = result.stderr.splitlines()[:2]
    assert rejected == f"Rejected dynamic, kept as {tmp_path / 'rejected' / 'unet.dynamic.tflite'}:"
    assert "where 0 is allowed (--max-i" in reason
    report = json.loads((tmp_path / "unet.export.json").read_text())
    assert report["budget"] == {"iou": 0.0, "share_points": 0.0, "image": 0.0}
    worst = report["levels"]["dynamic"]["worst"][0]
    assert f"  worst: {worst['path']}  IoU {worst['keras']:.3f} to {worst['level']:.3f}" in result.stderr
    again = export(*given, "--overwrite")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "unet.dynamic.tflite").exists()
    assert not (tmp_path / "rejected" / "unet.dynamic.tflite").exists()


def test_a_calibration_without_the_whites_that_decide(export: Callable[..., Result], tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    picture = keras.Input((32, 32, 3))
    mean = keras.layers.Conv2D(1, 5, padding="same", activation="relu", name="mean")
    answer = keras.layers.Conv2D(1, 1, activation="sigmoid", name="answer")
    network = keras.Model(picture, answer(mean(picture)))
    mean.set_weights([np.full((5, 5, 3, 1), 1 / 75, np.float32), np.zeros(1, np.float32)])
    answer.set_weights([np.full((1, 1, 1, 1), 100, np.float32), np.array([-90], np.float32)])  # from 230 on
    network.save(tmp_path / "m.keras")
    rng = np.random.default_rng(6)
    for i in range(12):
        grey = np.kron(rng.integers(0, 216, (2, 2, 3)), np.ones((16, 16, 1))).astype(np.uint8)
        grey[:8], grey[24:] = 0, 215
        write_image(tmp_path / "grey" / f"{i}.png", grey)
        card = np.full((32, 32, 3), int(rng.integers(100, 216)), np.uint8)
        card[6 + i : 20 + i, 4:28] = 255
        write_image(tmp_path / "data" / "images" / f"{i}.png", card)
        write_image(tmp_path / "data" / "masks" / f"{i}.png", card[..., 0] == 255)
    given = ("--calibration", tmp_path / "grey", "--validation", tmp_path / "data", "--to", tmp_path / "out")
    result = export(tmp_path / "m.keras", "--float32", "--int8", *given)
    assert result.exit_code == 3, result.output
    assert (tmp_path / "out" / "m.float32.tflite").exists()
    assert not (tmp_path / "out" / "m.int8.tflite").exists()
    assert (tmp_path / "out" / "rejected" / "m.int8.tflite").exists()
    assert "to 0.0000, a loss of 0." in result.stderr
    expected = r"likely cause: \d\d\.\d% of the validation's values lie outside 0\.\.215, between which"
    assert re.search(expected, result.stderr), result.stderr


def test_weights_too_large_for_float16(export: Callable[..., Result], trained, tmp_path: Path) -> None:
    keras = importlib.import_module("keras")
    picture = keras.Input((32, 32, 3))
    large = keras.layers.Conv2D(4, 1, name="large")
    small = keras.layers.Conv2D(1, 1, activation="sigmoid", name="small")
    network = keras.Model(picture, small(keras.layers.Activation("relu")(large(picture))))
    large.set_weights([np.full((1, 1, 3, 4), 1e6, np.float32), np.zeros(4, np.float32)])
    small.set_weights([np.full((1, 1, 4, 1), 1.5e-6, np.float32), np.array([-9], np.float32)])
    network.save(tmp_path / "m.keras")
    result = export(
        tmp_path / "m.keras", "--float32", "--float16", "--validation", trained.data, "--to", tmp_path / "out"
    )
    assert result.exit_code == 3, result.output
    assert (tmp_path / "out" / "m.float32.tflite").exists()
    assert not (tmp_path / "out" / "m.float16.tflite").exists()
    assert f"Rejected float16, kept as {tmp_path / 'out' / 'rejected' / 'm.float16.tflite'}:" in result.stderr
    assert "likely cause: the weight large/kernel holds 1e+06, and float16 ends at 65504" in result.stderr
