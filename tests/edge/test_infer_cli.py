"""`unet-infer` as a person calls it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from unetlite.edge.cli import infer
from unetlite.vision.image import read_image, read_levels, write_image
from unetlite.vision.metrics import mask_iou, quad_iou
from unetlite.vision.quad import quad_mask


def call(*arguments):
    return CliRunner().invoke(infer, [str(a) for a in arguments], catch_exceptions=False)


def records(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_has_exactly_the_documented_fields(models, card_file, card_quad):
    result = call(card_file("a.jpg"), "--model", models.bright__int8, "--json")
    assert result.exit_code == 0
    (record,) = records(result)
    assert list(record) == ["image", "document", "confidence", "quad", "mask_fraction", "latency_ms"]
    assert list(record["latency_ms"]) == ["preprocess", "invoke", "postprocess"]
    assert record["image"].endswith("a.jpg")
    assert record["document"] is True
    assert quad_iou(np.float32(record["quad"]), card_quad) > 0.95


def test_without_json_a_person_reads_one_line_a_picture(models, card_file):
    result = call(card_file("a.jpg"), "--model", models.bright__int8)
    (line,) = result.stdout.splitlines()
    assert re.search(r"a\.jpg: document, confidence (0\.9\d|1\.00), corners", line)
    assert "bright.int8.tflite on ai-edge-litert" in result.stderr


def test_no_document_is_an_answer_and_exit_0(models, tmp_path):
    write_image(tmp_path / "desk.png", np.full((100, 140, 3), 30, np.uint8))
    result = call(tmp_path / "desk.png", "--model", models.bright__int8, "--json", "--crop-out", tmp_path / "crop.png")
    assert result.exit_code == 0
    (record,) = records(result)
    assert (record["document"], record["quad"]) == (False, None)
    assert not (tmp_path / "crop.png").exists()


def test_mask_crop_and_overlay_of_one_picture_go_to_the_named_files(models, card_file, card_quad, tmp_path):
    out = tmp_path / "out"
    result = call(
        card_file("a.png"), "--model", models.bright__int8,
        "--mask-out", out / "m.png", "--crop-out", out / "c.png", "--overlay-out", out / "o.jpg",
    )  # fmt: skip
    assert result.exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["c.png", "m.png", "o.jpg"]
    mask = read_levels(out / "m.png")
    assert set(np.unique(mask)) <= {0, 255}
    assert mask_iou(mask > 0, quad_mask(card_quad, mask.shape)) > 0.95
    crop = read_image(out / "c.png")
    assert crop.shape[1] == pytest.approx(192, abs=8)
    assert crop[5:-5, 5:-5].min() > 150  # the card alone
    assert read_image(out / "o.jpg").shape == (240, 320, 3)


def test_a_card_is_cropped_upright_however_the_picture_is_turned(tmp_path):
    picture = read_image(Path(__file__).parents[2] / "samples" / "images" / "000010.jpg")
    for turn in range(4):
        write_image(tmp_path / "in" / f"{turn}.png", np.ascontiguousarray(np.rot90(picture, turn)))
    result = call(tmp_path / "in", "--crop-out", tmp_path / "out", "--json")
    assert [record["upright"] for record in records(result)] == [True] * 4
    assert "crops written to" in result.stderr and "4, of which 4 stand" in result.stderr
    crops = [read_image(tmp_path / "out" / f"{turn}.png") for turn in range(4)]
    for crop in crops[1:]:
        assert crop.shape[1] > crop.shape[0]
        alike = cv2.resize(crop, crops[0].shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.corrcoef(alike.ravel(), crops[0].ravel())[0, 1] > 0.8


def test_a_folder_of_pictures_fills_folders_and_the_masks_are_named_like_the_pictures(models, card_file, tmp_path):
    (tmp_path / "in").mkdir()
    card_file("in/a.jpg")
    card_file("in/b.png")
    result = call(tmp_path / "in", "--model", models.bright__int8, "--mask-out", tmp_path / "m")
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["a.png", "b.png"]


def test_bad_pictures_are_told_and_the_others_go_on(models, card_file, tmp_path):
    good = card_file("good.png")
    whole = good.read_bytes()
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    inputs = [tmp_path / name for name in ("missing.jpg", "empty.jpg", "text.jpg", "cut.png")]
    result = call(*inputs, good, "--model", models.bright__int8, "--json")
    assert result.exit_code == 1
    found = records(result)
    assert [list(record) for record in found[:4]] == [["image", "error"]] * 4
    assert all(record["image"] in record["error"] for record in found[:4])
    assert found[4]["document"] is True

    spoken = call(*inputs, good, "--model", models.bright__int8)
    assert spoken.exit_code == 1
    assert spoken.stderr.count("Error: ") == 4
    assert len(spoken.stdout.splitlines()) == 1


def test_unusual_pictures_work(models, card_file, card_quad, tmp_path):
    image = read_image(card_file("rgb.png"))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    variants = {
        "grey.png": grey,
        "deep.png": grey.astype(np.uint16) * 257,
        "alpha.png": np.dstack([image[..., ::-1], np.full(grey.shape, 128, np.uint8)]),
        "dot.png": np.full((1, 1, 3), 30, np.uint8),
    }
    for name, pixels in variants.items():
        (tmp_path / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    result = call(*[tmp_path / name for name in variants], "--model", models.bright__int8, "--json")
    assert result.exit_code == 0
    found = records(result)
    assert [record["document"] for record in found] == [True, True, True, False]
    for record in found[:3]:
        assert quad_iou(np.float32(record["quad"]), card_quad) > 0.95


def test_nothing_is_overwritten_unasked_and_nothing_is_begun(models, card_file, tmp_path):
    inputs = [card_file("a.png"), card_file("b.png")]
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "b.png").write_text("mine")
    refused = call(*inputs, "--model", models.bright__int8, "--mask-out", tmp_path / "m")
    assert refused.exit_code == 1
    assert "b.png: expected a new file, but it exists" in refused.stderr
    assert refused.stdout == ""
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["b.png"]
    assert (tmp_path / "m" / "b.png").read_text() == "mine"
    assert call(*inputs, "--model", models.bright__int8, "--mask-out", tmp_path / "m", "--overwrite").exit_code == 0
    assert read_levels(tmp_path / "m" / "b.png").shape == (240, 320)


def test_an_input_is_never_replaced_by_its_own_output(models, card_file, tmp_path):
    picture = card_file("a.png")
    before = picture.read_bytes()
    result = call(picture, "--model", models.bright__int8, "--mask-out", tmp_path, "--overwrite")
    assert result.exit_code == 1
    assert picture.read_bytes() == before


def test_inputs_of_one_name_get_outputs_of_their_own(models, card_file, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        card_file(f"{folder}/a.png")
    card_file("x/a.jpg")
    result = call(
        tmp_path / "x", tmp_path / "y", tmp_path / "y" / "a.png",
        "--model", models.bright__int8, "--crop-out", tmp_path / "out", "--mask-out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(f"{stem}.{kind}.png" for stem in ("a", "x-a", "y-a", "a-2") for kind in ("crop", "mask"))


def test_one_file_cannot_take_many_pictures(models, card_file, tmp_path):
    inputs = [card_file("a.png"), card_file("b.png")]
    result = call(*inputs, "--model", models.bright__int8, "--mask-out", tmp_path / "m.png")
    assert result.exit_code == 1
    assert "expected a folder for the masks of 2 inputs" in result.stderr


def test_a_video_is_answered_frame_by_frame(models, card_file, tmp_path):
    frame = read_image(card_file("a.png"))
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for _ in range(3):
        writer.write(frame[..., ::-1].copy())
    writer.release()
    arguments = (tmp_path / "clip.avi", "--model", models.bright__int8, "--crop-out", tmp_path / "out")
    result = call(*arguments, "--json")
    assert result.exit_code == 0
    assert [record["image"].rsplit("#")[-1] for record in records(result)] == ["0", "1", "2"]
    crops = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert crops == ["clip/000000.png", "clip/000001.png", "clip/000002.png"]
    assert call(*arguments).exit_code == 1


def test_a_class_mask_holds_the_classes_numbers(models, tmp_path):
    image = np.zeros((120, 160, 3), np.uint8)
    image[20:100, 90:150] = (0, 0, 255)
    write_image(tmp_path / "a.png", image)
    call(tmp_path / "a.png", "--model", models.colours__int8, "--mask-out", tmp_path / "m.png")
    assert set(np.unique(read_levels(tmp_path / "m.png"))) == {0, 2}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("bare_float32", "--input-range LOW HIGH"),
        ("three_inputs", "expected one input"),
        ("nowhere", "no such file"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_sentence_and_exit_1(models, card_file, tmp_path, model, sentence):
    result = call(card_file("a.png"), "--model", getattr(models, model), "--mask-out", tmp_path / "out")
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stderr.count("Error: ") == 1
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_labels_come_from_a_file(models, card_file, tmp_path):
    (tmp_path / "labels.txt").write_text("nothing\nidentity card\n")
    arguments = ("--model", models.bare_float32, "--input-range", 0, 1, "--labels", tmp_path / "labels.txt")
    result = call(card_file("a.png"), *arguments)
    assert result.exit_code == 0
    assert "classes nothing, identity card" in result.stderr


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))  # as a disk with 200 bytes left
from unetlite.edge.cli import infer
infer(sys.argv[1:], prog_name="unet-infer")
"""


def test_a_full_disk_leaves_nothing_half_written(models, card_file, tmp_path):
    out = tmp_path / "out"
    arguments = [card_file("a.png"), "--model", models.bright__int8, "--overlay-out", out / "o.jpg"]
    command = [sys.executable, "-c", FULL_DISK, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "o.jpg: could not be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(out.iterdir()) == []
