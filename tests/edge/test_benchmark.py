"""`unet-benchmark run`: scores with known answers, and the report's documented form."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from drawn import draw_card

from unetlite.edge.benchmark import benchmark_samples, run_benchmark
from unetlite.edge.cli import benchmark
from unetlite.edge.latency import percentiles, summarise
from unetlite.edge.scores import Scores, true_quad
from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.dataset import Truth
from unetlite.vision.image import write_image
from unetlite.vision.metrics import quad_iou

RUN_FIELDS = {
    "model", "sha256", "level", "images", "iou_mean", "quad_iou_mean", "quad_iou_ge_90", "below_threshold",
    "latency_ms", "first_invoke_ms", "threads", "runtime", "model_bytes", "peak_rss_bytes", "delegated_ops",
    "total_ops", "throttled", "mean_iou_two_class", "constant_iou", "class_iou", "corner_error_mean",
}  # fmt: skip


def call(*arguments):
    return CliRunner().invoke(benchmark, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def prepared(tmp_path, card_quad):
    """A prepared data set; its test/: two cards that the model sees, one too dark for it, a desk without a card."""
    for split in ("train", "test"):
        for name, card in (("a", 220), ("b", 200), ("c", 90), ("d", None)):
            image, mask = draw_card(card_quad, card=card or 40)
            if card is None:
                image[:], mask[:] = 40, False
            write_image(tmp_path / "set" / split / "images" / f"{name}.jpg", image)
            write_image(tmp_path / "set" / split / "masks" / f"{name}.png", mask)
    return tmp_path / "set"


def test_the_report_has_the_documented_form(models, prepared, tmp_path):
    report = tmp_path / "r.json"
    result = call(
        "run", "--model", models.bright__float32, "--model", models.bright__int8, "--data", prepared,
        "--report", report, "--repeat", 2, "--low-iou-out", tmp_path / "low",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    content = json.loads(report.read_text())
    assert {"device", "runs", "date", "data"} <= set(content)
    assert str(tmp_path) not in report.read_text()
    assert content["data"]["images"] == 4
    assert len(content["data"]["sha256"]) == 64
    for run, level in zip(content["runs"], ("float32", "int8"), strict=True):
        assert set(run) >= RUN_FIELDS
        assert run["level"] == level
        assert run["images"] == 4
        # a and b are found, d is rightly empty (1.0 by definition), c is missed.
        assert run["iou_mean"] == pytest.approx(0.75, abs=0.02)
        assert run["quad_iou_mean"] == pytest.approx(0.75, abs=0.02)
        assert run["quad_iou_ge_90"] == 0.75
        assert run["corner_error_images"] == 2
        assert run["corner_error_mean"] < 0.02
        assert [entry["image"] for entry in run["below_threshold"]] == ["images/c.jpg"]
        assert set(run["latency_ms"]) == {"preprocess", "invoke", "postprocess", "total"}
        for stage in run["latency_ms"].values():
            assert 0 < stage["p50"] <= stage["p90"] <= stage["p99"]
        assert run["first_invoke_ms"] > 0
        assert run["model_bytes"] == (models.folder / run["model"]).stat().st_size
        assert run["peak_rss_bytes"] > 10e6
    assert content["runs"][0]["delegated_ops"] == content["runs"][0]["total_ops"] == 3
    overlays = sorted(path.relative_to(tmp_path / "low").as_posix() for path in (tmp_path / "low").rglob("*.jpg"))
    assert overlays == ["bright.float32.tflite/0.000-images-c.jpg", "bright.int8.tflite/0.000-images-c.jpg"]
    assert "0.000  images/c.jpg" in result.stdout


def test_the_two_class_figure_is_kerass(models, prepared):
    keras = pytest.importorskip("keras")
    metric = keras.metrics.MeanIoU(2)
    scores = Scores(("background", "document"))
    segmenter = load_segmenter(models.bright__int8)
    rng = np.random.default_rng(2)
    for _ in range(3):
        image, mask = draw_card(np.float32([[60, 50], [250, 64], [244, 180], [52, 170]]))
        image[rng.random(mask.shape) < 0.2] = 255
        segmentation = segmenter(image)
        truth = Truth(mask.astype(np.uint8), None, False)
        scores.add("x", segmentation, truth, true_quad(truth))
        metric.update_state(truth.classes, segmentation.mask.astype(np.uint8))
    assert scores.summary()["mean_iou_two_class"] == pytest.approx(float(metric.result()), abs=1e-4)
    assert scores.summary()["mean_iou_two_class"] != pytest.approx(scores.summary()["iou_mean"], abs=1e-3)


def test_the_quad_is_the_annotated_one_or_is_fitted_to_the_mask(card_quad):
    _, mask = draw_card(card_quad)
    classes = mask.astype(np.uint8)
    fitted = true_quad(Truth(classes, None, False))
    assert quad_iou(fitted, card_quad) > 0.98
    shifted = card_quad + 5
    assert true_quad(Truth(classes, shifted, True)) is shifted
    assert true_quad(Truth(classes, None, True)) is None
    assert true_quad(Truth(np.zeros((30, 40), np.uint8), None, False)) is None


def test_midv_polygons_are_read_and_the_limit_is_spread(models, midv_folder):
    _, everything = benchmark_samples(midv_folder, None)
    _, some = benchmark_samples(midv_folder, 4)
    assert len(everything) == 16
    assert len({sample.document for sample in some}) == 4
    report = run_benchmark(
        [(models.bright__int8, load_segmenter(models.bright__int8))], midv_folder, threads=1, limit=4
    )
    assert report["runs"][0]["images"] == report["data"]["images"] == 4
    assert report["runs"][0]["iou_mean"] > 0.9


def test_classes_are_scored_one_by_one(models, tmp_path):
    image = np.zeros((120, 160, 3), np.uint8)
    image[20:100, 10:70] = (255, 0, 0)
    classes = np.zeros((120, 160), np.uint8)
    classes[20:100, 10:70] = 1
    classes[20:100, 90:150] = 2  # a passport that cannot be seen
    write_image(tmp_path / "images" / "a.png", image)
    write_image(tmp_path / "masks" / "a.png", classes)
    report = run_benchmark([(models.colours__int8, load_segmenter(models.colours__int8))], tmp_path, threads=1)
    run = report["runs"][0]
    assert list(run["class_iou"]) == ["background", "card", "passport"]
    assert run["class_iou"]["card"] > 0.95
    assert run["class_iou"]["passport"] == 0.0
    assert run["mean_iou"] == pytest.approx(sum(run["class_iou"].values()) / 3, abs=1e-3)
    assert run["iou_mean"] == pytest.approx(0.5, abs=0.02)


def test_keras_models_are_measured_beside_the_others(models, prepared, tmp_path):
    result = call("run", "--model", models.folder / "bright.keras", "--data", prepared, "--report", tmp_path / "r.json")
    assert result.exit_code == 0
    run = json.loads((tmp_path / "r.json").read_text())["runs"][0]
    assert (run["level"], run["runtime"], run["threads"], run["total_ops"]) == ("keras", "keras", None, None)
    assert run["iou_mean"] == pytest.approx(0.75, abs=0.03)


def test_a_model_without_contract_has_no_level(models, prepared):
    report = run_benchmark([(models.bare_int8, load_segmenter(models.bare_int8))], prepared, threads=1)
    assert report["runs"][0]["level"] is None


def test_reports_and_overlays_are_not_overwritten_unasked(models, prepared, tmp_path):
    report = tmp_path / "r.json"
    report.write_text("mine")
    arguments = ("run", "--model", models.bright__int8, "--data", prepared, "--report", report)
    refused = call(*arguments)
    assert (refused.exit_code, report.read_text()) == (1, "mine")
    (tmp_path / "low").mkdir()
    (tmp_path / "low" / "old.jpg").write_text("mine")
    assert "holds files" in call(*arguments[:-1], tmp_path / "new.json", "--low-iou-out", tmp_path / "low").stderr
    assert not (tmp_path / "new.json").exists()
    assert call(*arguments, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda root: (root / "test/masks/b.png").unlink(), "expected its mask"),
        (lambda root: (root / "test/images/b.jpg").write_text("no picture"), "b.jpg: expected a picture"),
        (lambda root: write_image(root / "test/masks/b.png", np.zeros((5, 5), np.uint8)), "320x240 pixels like its"),
    ],
)
def test_a_data_set_that_is_not_whole_is_one_error_and_no_report(models, prepared, tmp_path, break_it, sentence):
    break_it(prepared)
    result = call("run", "--model", models.bright__int8, "--data", prepared, "--report", tmp_path / "r.json")
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("quad", ["[[1, 2], [3, 4], [5, 6]]", "[[1, 2], [3, NaN], [5, 6], [7, 8]]"])
def test_a_polygon_that_is_none_is_one_error(models, midv_folder, tmp_path, quad):
    next(midv_folder.rglob("*.json")).write_text('{"quad": ' + quad + "}")
    result = call("run", "--model", models.bright__int8, "--data", midv_folder, "--report", tmp_path / "r.json")
    assert result.exit_code == 1
    assert "expected four" in result.stderr


def test_a_folder_without_pairs_is_an_error(models, tmp_path):
    result = call("run", "--model", models.bright__int8, "--data", tmp_path, "--report", tmp_path / "r.json")
    assert result.exit_code == 1
    assert "found no pair" in result.stderr


def test_percentiles_do_not_depend_on_the_order():
    values = list(range(1, 101))
    rng = np.random.default_rng(1)
    assert percentiles(rng.permutation(values)) == percentiles(values) == {"p50": 50.5, "p90": 90.1, "p99": 99.01}


def test_the_total_is_taken_run_by_run():
    runs = [{"preprocess": 1, "invoke": 10, "postprocess": 1}, {"preprocess": 9, "invoke": 2, "postprocess": 1}]
    assert summarise(runs)["total"] == {"p50": 12.0, "p90": 12.0, "p99": 12.0}
