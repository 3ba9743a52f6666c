"""Inference with real small models whose answer is known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from border_networks import seeing_nothing, sure_of_what_it_is_shown
from drawn import draw_card

from unetlite.edge.network import Answer
from unetlite.edge.runtime import RuntimeInfo
from unetlite.edge.segmenter import Segmenter, chosen_model, load_segmenter
from unetlite.vision.contract import Contract, InputSpec, OutputSpec
from unetlite.vision.errors import ContractError, ModelError
from unetlite.vision.metrics import mask_iou, quad_iou
from unetlite.vision.preprocess import preprocess, to_real
from unetlite.vision.quad import quad_mask


@pytest.mark.parametrize("level", ["float32", "float16", "dynamic", "int8", "int16x8"])
def test_a_light_card_is_found_at_every_level(models, card_quad, level):
    image, mask = draw_card(card_quad)
    found = load_segmenter(getattr(models, f"bright__{level}"))(image)
    assert found.mask.shape == image.shape[:2]
    assert found.mask.dtype == bool
    assert mask_iou(found.mask, mask) > 0.95
    assert quad_iou(found.finding.quad, card_quad) > 0.95
    assert found.finding.confidence > 0.9
    assert found.mask_fraction == pytest.approx(mask.mean(), abs=0.02)
    assert set(found.latency_ms) == {"preprocess", "invoke", "postprocess"}


@pytest.mark.parametrize("model", ["bright__int8", "bare_signed"])
def test_a_quantized_model_gets_the_cameras_bytes(models, card_quad, model):
    image, _ = draw_card(card_quad)
    segmenter = load_segmenter(getattr(models, model))
    pixels, _ = preprocess(image, segmenter.contract.input)
    segmenter.network.feed(pixels)
    interpreter = segmenter.network.interpreter
    fed = interpreter.get_tensor(interpreter.get_input_details()[0]["index"])[0]
    shift = 128 if fed.dtype == np.int8 else 0
    assert np.array_equal(fed.astype(int) + shift, pixels)


def test_a_float_model_gets_the_contracts_real_values(models, card_quad):
    image, _ = draw_card(card_quad)
    segmenter = load_segmenter(models.bright__float32)
    pixels, _ = preprocess(image, segmenter.contract.input)
    segmenter.network.feed(pixels)
    interpreter = segmenter.network.interpreter
    fed = interpreter.get_tensor(interpreter.get_input_details()[0]["index"])[0]
    assert np.array_equal(fed, to_real(pixels, segmenter.contract.input))
    assert fed.max() <= 1.0


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.77, 0.999])
def test_levels_against_the_thresholds_level_are_probabilities_against_the_threshold(models, threshold):
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    found = load_segmenter(models.bright__int8, threshold=threshold)(np.ascontiguousarray(ramp))
    assert np.array_equal(found.mask, found.probability >= np.float32(threshold))
    assert found.probability.dtype == np.float32
    assert found.probability.min() >= 0.0
    assert found.probability.max() <= 1.0


def test_no_document_is_an_answer(models):
    found = load_segmenter(models.bright__int8)(np.full((90, 120, 3), 30, np.uint8))
    assert found.finding.quad is None
    assert not found.mask.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (7, 3), (3000, 20)])
def test_pictures_of_any_size_are_answered(models, shape):
    found = load_segmenter(models.bright__int8)(np.full((*shape, 3), 200, np.uint8))
    assert found.mask.shape == shape
    assert found.mask.all()


def test_a_softmax_model_gives_a_class_for_every_pixel(models):
    image = np.zeros((120, 160, 3), np.uint8)
    card, passport = np.s_[20:100, 10:70], np.s_[20:100, 90:150]
    image[card] = (255, 0, 0)
    image[passport] = (0, 0, 255)
    expected = np.zeros((120, 160), np.uint8)
    expected[card], expected[passport] = 1, 2
    for level in ("float32", "int8"):
        found = load_segmenter(getattr(models, f"colours__{level}"))(image)
        assert found.classes.dtype == np.uint8
        for index in range(3):
            assert mask_iou(found.classes == index, expected == index) > 0.93
        assert mask_iou(found.mask, expected > 0) > 0.93
        assert found.answer.real().shape == (64, 64, 3)
        assert found.answer.real().sum(axis=2) == pytest.approx(1.0, abs=0.02)


def test_letterbox_and_stretch_find_the_same_card(models, card_quad):
    tall_quad = card_quad + np.float32([0, 200])
    image, _ = draw_card(tall_quad, size_wh=(320, 640))
    quads = [load_segmenter(models.bright__float32, fit=fit)(image).finding.quad for fit in ("stretch", "letterbox")]
    for quad in quads:
        assert quad_iou(quad, tall_quad) > 0.9
    # The bars are grey, not document: the mask ends with the picture.
    assert not load_segmenter(models.bright__float32, fit="letterbox")(image).mask[:150].any()


class Brightness:
    """A network whose answer is how bright a lying input is, at a quarter of its size."""

    looks = 0

    def feed(self, pixels: np.ndarray) -> None:
        assert pixels.shape == (192, 320, 3)
        self._grey = cv2.resize(pixels[..., 0], (80, 48), interpolation=cv2.INTER_AREA)

    def invoke(self) -> None:
        self.looks += 1

    def answer(self) -> Answer:
        return Answer((self._grey[..., None] / np.float32(255.0)).astype(np.float32), None)


@pytest.mark.parametrize("size_wh", [(480, 640), (640, 480)])
@pytest.mark.parametrize("beside", [False, True])
def test_a_turned_picture_is_answered_as_it_stands(card_quad, size_wh, beside):
    output = OutputSpec(min_confidence=0.2)  # brightness is not sure of anything
    contract = Contract(InputSpec((320, 192), fit="turn"), output)
    segmenter = Segmenter(Brightness(), contract, "test", RuntimeInfo("test", "0"))
    quad = card_quad + np.float32([60, 150])
    image, mask = draw_card(quad, size_wh=size_wh)
    if beside:  # something that touches the card: a closer look, or two
        x, y = quad.astype(int).max(axis=0)
        cv2.rectangle(image, (x - 30, y - 50), (x + 40, y - 30), (240, 240, 240), -1)
    found = segmenter(image)
    assert segmenter.network.looks in ((2, 3) if beside else (1,))
    assert found.placement.turned == (size_wh[0] < size_wh[1])
    map_shape = (80, 48) if found.placement.turned else (48, 80)
    assert found.answer.values.shape[:2] == found.probability.shape == map_shape
    assert quad_iou(found.finding.quad, quad) > 0.97
    assert mask_iou(found.mask, mask) > (0.85 if beside else 0.93)


class Forgetful(Brightness):
    """At the first look it doubts all rows of the map from `row` on."""

    def __init__(self, row: int) -> None:
        self._row = row

    def answer(self) -> Answer:
        values = super().answer().values.copy()
        if self.looks == 1:
            values[self._row :] = np.minimum(values[self._row :], 0.3)
        return Answer(values, None)


@pytest.mark.parametrize("supported", ["later", "earlier"])
def test_where_the_network_for_borders_doubts_the_sides_a_second_look_is_taken(monkeypatch, supported: str) -> None:
    passport = np.array([[150, 120], [490, 120], [490, 360], [150, 360]], np.float32)
    cut = passport - np.array([[0, 0], [0, 0], [0, 30], [0, 30]], np.float32)  # the shape of a card
    image, _ = draw_card(passport, size_wh=(640, 480))
    network = Forgetful(33)

    def doubting(strips: np.ndarray) -> np.ndarray:
        sure = 0.12 if (network.looks == 2) == (supported == "later") else 0.08
        return (sure * sure_of_what_it_is_shown(strips) + (1 - sure) * seeing_nothing(strips)).astype(np.float32)

    monkeypatch.setattr("unetlite.edge.segmenter.TfliteBorders", lambda: doubting)
    contract = Contract(InputSpec((320, 192), fit="turn"), OutputSpec(min_confidence=0.0))
    found = Segmenter(network, contract, "test", RuntimeInfo("test", "0"))(image)
    assert network.looks == 2
    assert quad_iou(found.finding.quad, passport if supported == "later" else cut) > 0.97
    network.looks = 0
    in_a_hurry = Segmenter(network, contract, "test", RuntimeInfo("test", "0"))(image, hurried=True)
    assert network.looks == 1 and quad_iou(in_a_hurry.finding.quad, cut) > 0.97


@pytest.mark.parametrize("hurried", [False, True])
def test_the_network_for_borders_is_asked_of_photographs_and_in_a_hurry_of_unclear_maps(
    card_quad, monkeypatch, hurried
):
    asked = []

    class Uniform:
        def __call__(self, strips: np.ndarray) -> np.ndarray:
            asked.append(strips.shape)
            return np.full((4, 16, 61), 1 / 61, np.float32)

    monkeypatch.setattr("unetlite.edge.segmenter.TfliteBorders", Uniform)
    contract = Contract(InputSpec((320, 192), fit="turn"), OutputSpec(min_confidence=0.2))
    segmenter = Segmenter(Brightness(), contract, "test", RuntimeInfo("test", "0"))
    image, _ = draw_card(card_quad + np.float32([60, 150]), size_wh=(480, 640))
    segmenter(image, hurried=hurried)
    assert (asked == []) == hurried
    asked.clear()
    x, y = (card_quad + np.float32([60, 150])).astype(int).max(axis=0)
    cv2.rectangle(image, (x - 60, y - 80), (x + 60, y + 30), (240, 240, 240), -1)
    segmenter(image, hurried=hurried)
    assert set(asked) == {(4, 16, 120, 3)}


def test_a_quantized_model_without_contract_says_enough_by_its_quantization(models, card_quad):
    for name in ("bare_int8", "bare_signed"):
        segmenter = load_segmenter(getattr(models, name))
        assert segmenter.contract_origin == "input quantization"
        assert segmenter.contract.input.real_range == pytest.approx((0.0, 1.0), abs=0.01)
        image, mask = draw_card(card_quad)
        assert mask_iou(segmenter(image).mask, mask) > 0.95


def test_a_float_model_without_contract_asks_for_the_range(models):
    with pytest.raises(ContractError, match="--input-range LOW HIGH"):
        load_segmenter(models.bare_float32)


def test_flags_stand_in_for_a_contract(models, card_quad):
    segmenter = load_segmenter(
        models.bare_float32, input_range=(0, 1), fit="letterbox", threshold=0.3, labels=("nothing", "card")
    )
    assert segmenter.contract_origin == "flags"
    assert segmenter.contract.input == InputSpec((64, 64), (0.0, 1.0), "letterbox")
    assert segmenter.contract.output == OutputSpec("sigmoid", ("nothing", "card"), 0.3)
    image, mask = draw_card(card_quad)
    assert mask_iou(segmenter(image).mask, mask) > 0.95


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("three_inputs", r"expected one input \(1, height, width, 3\), got 3"),
        ("grey", r"expected an input of 3 channels \(RGB\), got float32 \(1, 64, 64, 1\)"),
        ("classifier", r"expected one output \(1, height, width, classes\) .* got float32 \(1, 3\)"),
    ],
)
def test_a_model_that_segments_no_pictures_is_refused_in_one_sentence(models, name, sentence):
    with pytest.raises(ModelError, match=sentence) as caught:
        load_segmenter(getattr(models, name), input_range=(0, 1))
    assert "\n" not in str(caught.value)


def test_an_answer_that_is_no_probability_is_an_error(models):
    segmenter = load_segmenter(models.logits, input_range=(0, 255))
    with pytest.raises(ModelError, match="expected probabilities 0..1"):
        segmenter(np.full((64, 64, 3), 200, np.uint8))


@pytest.mark.parametrize(
    ("contract", "sentence"),
    [
        (Contract(InputSpec((256, 256))), r"expected input \(1, 256, 256, 3\) as its contract says, got uint8"),
        (Contract(InputSpec((64, 64), (-1.0, 1.0))), r"spans -1\.\.1, got 0\.\.1.*unet-calibrate"),
        (
            Contract(InputSpec((64, 64)), OutputSpec("softmax", ("background", "a", "b"))),
            r"expected 3 output channels for softmax with 3 classes",
        ),
    ],
)
def test_a_contract_that_contradicts_the_tensors_is_refused(models, tmp_path, pack, contract, sentence):
    path = tmp_path / "wrong.tflite"
    pack(path, models.bare_int8.read_bytes(), contract)
    with pytest.raises(ContractError, match=sentence):
        load_segmenter(path)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("input_range", (1, 0)),
        ("input_range", (0, float("nan"))),
        ("threshold", 1.0),
        ("fit", "crop"),
        ("labels", ("a",)),
    ],
)
def test_senseless_flags_are_refused(models, flag, value):
    with pytest.raises(ContractError):
        load_segmenter(models.bright__float32, **{flag: value})


def test_a_keras_model_answers_like_its_export(models, card_quad, tmp_path):
    image, mask = draw_card(card_quad)
    for name in ("bright.keras", "bright.training.json"):
        shutil.copy(models.folder / name, tmp_path)
    segmenter = load_segmenter(tmp_path / "bright.keras")
    assert segmenter.contract_origin == "bright.training.json"
    assert segmenter.runtime.name == "keras"
    assert segmenter.contract.output == OutputSpec("sigmoid", ("background", "document"), 0.4, 0.3)
    exported = load_segmenter(models.bright__float32, fit="letterbox", threshold=0.4)
    assert np.abs(segmenter(image).probability - exported(image).probability).max() < 1e-4
    assert mask_iou(segmenter(image).mask, mask) > 0.95

    (tmp_path / "bright.training.json").unlink()
    assert load_segmenter(tmp_path / "bright.keras").contract_origin == "defaults"


def test_an_h5_model_with_an_unknown_loss_loads(tmp_path, card_quad, models):
    keras = pytest.importorskip("keras")

    def own_loss(truth, predicted):
        return keras.ops.mean(truth - predicted)

    network = keras.models.load_model(models.folder / "bright.keras", compile=False)
    network.compile(optimizer="adam", loss=own_loss)
    path = tmp_path / "old.h5"
    network.save(path)
    image, mask = draw_card(card_quad)
    assert mask_iou(load_segmenter(path)(image).mask, mask) > 0.95


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", ["code.keras", "code.h5"])
def test_a_keras_file_may_not_bring_code(tmp_path, name):
    keras = pytest.importorskip("keras")
    picture = keras.Input((64, 64, 3))
    network = keras.Model(picture, keras.layers.Lambda(lambda x: x[..., :1])(picture))
    network.save(tmp_path / name)
    with pytest.raises(ModelError, match=f"{name}: expected a Keras model.* Lambda layer"):
        load_segmenter(tmp_path / name)


@pytest.mark.parametrize("name", ["text.keras", "text.h5"])
def test_a_text_file_called_keras_is_an_error(tmp_path, name):
    (tmp_path / name).write_text("no model")
    with pytest.raises(ModelError, match=name):
        load_segmenter(tmp_path / name)


def test_a_summary_that_says_nothing_is_an_error(models, tmp_path):
    shutil.copy(models.folder / "bright.keras", tmp_path)
    (tmp_path / "bright.training.json").write_text(json.dumps({"epochs": 3}))
    with pytest.raises(ContractError, match="expected a training summary"):
        load_segmenter(tmp_path / "bright.keras")


@pytest.mark.parametrize("name", [None, Path("unetlite")])
def test_shipped_models_go_by_name(name):
    assert load_segmenter(chosen_model(name)).contract_origin == "contract.json"


def test_an_unknown_shipped_model_is_an_error_that_names_those_there_are(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="the shipped model large, found unetlite, unetlite-nano; pass --model"):
        chosen_model(Path("large"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "large").touch()
    assert chosen_model(Path("large")) == Path("large")


def test_a_mask_lies_where_the_document_is(models):
    quad = np.float32([[100, 20], [300, 20], [300, 120], [100, 120]])
    image, _ = draw_card(quad, size_wh=(400, 300))
    found = load_segmenter(models.bright__int8)(image)
    assert mask_iou(found.mask, quad_mask(quad, (300, 400))) > 0.95
