"""`unet-benchmark run`: scores with known answers, and the report's documented form."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from drawn import draw_card
from reports import check_schema

from unetlite.edge.benchmark.latency import paired_ratio, percentiles, summarise
from unetlite.edge.benchmark.pictures import benchmark_samples
from unetlite.edge.benchmark.run import run_benchmark
from unetlite.edge.benchmark.scores import Scores, true_quad
from unetlite.edge.benchmark.watch import read_state
from unetlite.edge.cli import benchmark
from unetlite.edge.device import Throttling
from unetlite.edge.segmenter import load_segmenter
from unetlite.vision.dataset import Truth
from unetlite.vision.errors import DatasetError
from unetlite.vision.image import write_image
from unetlite.vision.metrics import quad_iou

RUN_FIELDS = {
    "model", "sha256", "level", "images", "iou_mean", "quad_iou_mean", "quad_iou_ge_90", "below_threshold",
    "latency_ms", "first_invoke_ms", "threads", "partitions", "gmac", "gmac_per_s", "peak_share", "valid", "spread",
    "steady_rss_bytes", "corner_error_median", "conditions", "invalid_because",
    "runtime", "model_bytes", "peak_rss_bytes", "delegated_ops",
    "total_ops", "throttled", "mean_iou_two_class", "constant_iou", "class_iou", "corner_error_mean",
}  # fmt: skip


def measured(models, data, *names, **kwargs):
    """A short report of some of the test models."""
    kwargs = {"rounds": 2, **kwargs}
    threads = kwargs.get("threads", (1,))
    loaded = [(getattr(models, n), load_segmenter(getattr(models, n), threads=threads[0])) for n in names]
    return run_benchmark(loaded, data, **kwargs)


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
        "--report", report, "--rounds", 3, "--threads", 1, "--low-iou-out", tmp_path / "low", "--pictures",
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
        assert run["peak_rss_bytes"] >= run["steady_rss_bytes"] > run["base_rss_bytes"] > 10e6
        assert run["gmac"] == pytest.approx(64 * 64 * 4 / 1e9, abs=1e-6)
        assert 0 < run["peak_share"] < 1
        assert len(run["round_total_ms"]) == 3
        assert run["conditions"] == []
        assert run["time_ratio"] == 1.0 or level != "float32"
        assert run["time_ratio_interval"][0] <= run["time_ratio"] <= run["time_ratio_interval"][1]
        assert len(run["round_invoke_ms"]) == 3
        assert len(run["frame_total_ms"]) == run["frames"] == 12
    assert [entry["image"] for entry in content["worst"]][0] == "images/c.jpg"
    assert [answer["iou"] for answer in content["worst"][0]["models"]] == [0.0, 0.0]
    assert all(answer["jpeg"] for answer in content["worst"][0]["models"])
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
    report = measured(models, midv_folder, "bright__int8", limit=4)
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
    report = measured(models, tmp_path, "colours__int8")
    run = report["runs"][0]
    assert list(run["class_iou"]) == ["background", "card", "passport"]
    assert run["class_iou"]["card"] > 0.95
    assert run["class_iou"]["passport"] == 0.0
    assert run["mean_iou"] == pytest.approx(sum(run["class_iou"].values()) / 3, abs=1e-3)
    assert run["iou_mean"] == pytest.approx(0.5, abs=0.02)


def test_keras_models_are_measured_beside_the_others(models, prepared, tmp_path):
    result = call(
        "run", "--model", models.folder / "bright.keras", "--data", prepared, "--report", tmp_path / "r.json",
        "--rounds", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "r.json").read_text())
    assert len(content["runs"]) == 1
    run = content["runs"][0]
    assert (run["level"], run["runtime"], run["threads"], run["total_ops"]) == ("keras", "keras", None, None)
    assert run["iou_mean"] == pytest.approx(0.75, abs=0.03)


def test_a_model_without_contract_has_no_level(models, prepared):
    assert measured(models, prepared, "bare_int8")["runs"][0]["level"] is None


def test_each_number_of_threads_is_a_run_of_its_own_with_the_same_scores(models, prepared):
    report = measured(models, prepared, "bright__int8", "bright__float32", threads=(2, 1))
    assert [(run["level"], run["threads"]) for run in report["runs"]] == [
        ("int8", 2), ("int8", 1), ("float32", 2), ("float32", 1),
    ]  # fmt: skip
    assert report["runs"][0]["iou_mean"] == report["runs"][1]["iou_mean"]
    assert {(peak["dtype"], peak["threads"]) for peak in report["gemm"]} == {
        ("float32", 1), ("float32", 2), ("int8", 1), ("int8", 2),
    }  # fmt: skip


@pytest.mark.parametrize("names", [("bright__int8", "bright__float32"), ("bare_int8",)])
def test_reports_follow_the_published_schema(models, prepared, names):
    lines = ["image\tlight", "images/a.jpg\tbright", "images/c.jpg\tdark"]
    (prepared / "test" / "conditions.tsv").write_text("\n".join(lines) + "\n")
    hot = {"throttling": Throttling(("throttled",), ("throttled",))}
    check_schema(measured(models, prepared, *names, threads=(1, 2), pictures=True, look=states({}, {}, {}, hot, hot)))


@pytest.mark.parametrize("threads", ["0", "two", "1,,2", "1;2"])
def test_threads_that_are_no_numbers_are_a_usage_error(models, prepared, tmp_path, threads):
    result = call("run", "--data", prepared, "--report", tmp_path / "r.json", "--threads", threads)
    assert result.exit_code == 2
    assert "such as 1,2,4" in result.stderr


def test_scores_are_told_by_condition(models, prepared):
    lines = ["image\tlight\tclip"]
    lines += [f"images/{name}.jpg\t{'dark' if name == 'c' else 'bright'}\tonly" for name in "abc"]
    (prepared / "test" / "conditions.tsv").write_text("\n".join(lines) + "\n")
    found = measured(models, prepared, "bright__int8")["runs"][0]["conditions"]
    # One clip divides nothing; d has no condition.
    assert [(c["condition"], c["value"], c["images"]) for c in found] == [("light", "bright", 2), ("light", "dark", 1)]
    assert found[0]["quad_iou_mean"] > 0.95
    assert found[0]["quad_iou_ge_90"] == 1.0
    assert (found[1]["iou_mean"], found[1]["corner_error_mean"]) == (0.0, None)


def test_conditions_without_pictures_names_are_one_error(models, prepared):
    (prepared / "test" / "conditions.tsv").write_text("picture,light\na,dark\n")
    with pytest.raises(DatasetError, match="expected a first line with 'image'"):
        measured(models, prepared, "bright__int8")


def states(*changes):
    """Looks at a device: before, before the first round, after each round, after all."""
    looks = iter([dataclasses.replace(CALM, **change) for change in changes])
    return lambda: next(looks)


CALM = dataclasses.replace(read_state(), throttling=Throttling((), ()), governor="ondemand", max_khz="2400000")


def test_a_round_under_throttling_is_left_out_and_the_run_is_invalid(models, prepared):
    hot = {"throttling": Throttling(("throttled",), ("throttled",))}
    cooled = {"throttling": Throttling((), ("throttled",))}
    report = measured(models, prepared, "bright__int8", rounds=4, look=states({}, {}, {}, hot, cooled, cooled, cooled))
    run = report["runs"][0]
    # The third round began under it.
    assert run["round_clean"] == [True, False, False, True]
    assert (run["valid"], run["throttled"], run["frames"]) == (False, True, 8)
    assert run["invalid_because"] == ["throttled: throttled"]
    assert report["device"]["after"]["throttling"]["since_start"] == ["throttled"]


def test_a_governor_that_moves_makes_the_run_invalid(models, prepared):
    slow = {"governor": "powersave"}
    run = measured(models, prepared, "bright__int8", rounds=2, look=states({}, {}, {}, slow, slow))["runs"][0]
    assert (run["valid"], run["throttled"], run["round_clean"]) == (False, False, [True, False])
    assert run["invalid_because"] == ["governor moved from ondemand to powersave"]


def test_a_calm_device_is_valid(models, prepared):
    run = measured(models, prepared, "bright__int8", look=lambda: CALM)["runs"][0]
    assert (run["valid"], run["throttled"], run["invalid_because"]) == (True, False, [])


def test_reports_and_overlays_are_not_overwritten_unasked(models, prepared, tmp_path):
    report = tmp_path / "r.json"
    report.write_text("mine")
    arguments = ("run", "--model", models.bright__int8, "--data", prepared, "--rounds", 1, "--report", report)
    refused = call(*arguments)
    assert (refused.exit_code, report.read_text()) == (1, "mine")
    (tmp_path / "low").mkdir()
    (tmp_path / "low" / "old.jpg").write_text("mine")
    assert "holds files" in call(*arguments[:-1], tmp_path / "new.json", "--low-iou-out", tmp_path / "low").stderr
    assert not (tmp_path / "new.json").exists()
    assert call(*arguments, "--overwrite").exit_code == 0


def test_a_run_that_is_worse_than_its_baseline_ends_with_3(models, prepared, tmp_path):
    arguments = ("run", "--model", models.bright__int8, "--data", prepared, "--rounds", 1, "--threads", 1, "--report")
    assert call(*arguments, tmp_path / "base.json").exit_code == 0
    # One round of a tiny model says nothing of its speed.
    against = ("--against", tmp_path / "base.json", "--max-slowdown", 1000)
    same = call(*arguments, tmp_path / "same.json", *against)
    assert (same.exit_code, "holds" in same.stdout) == (0, True), same.output
    better = json.loads((tmp_path / "base.json").read_text())
    better["runs"][0]["iou_mean"] = 0.9
    (tmp_path / "base.json").write_text(json.dumps(better))
    worse = call(*arguments, tmp_path / "worse.json", *against)
    assert worse.exit_code == 3
    assert "REGRESSION  bright.int8.tflite with 1 thread: IoU fell from 0.9000" in worse.stdout
    assert (tmp_path / "worse.json").exists()


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
    # Percentiles of the stages added up would say 16.
    assert summarise(runs)["total"] == {"p50": 12.0, "p90": 12.0, "p99": 12.0}


def test_the_ratio_holds_while_the_machine_slows_down():
    # Twice as slow as the other in every round, while the machine becomes three times slower; the last is not clean.
    own, others = [20.0, 20.0, 60.0, 60.0, 1.0], [10.0, 30.0, 30.0, 30.0, 90.0]
    ratio = paired_ratio(own, others, [True, False, True, True, False])
    assert ratio is not None
    assert (ratio.median, ratio.low, ratio.high, ratio.holds) == (2.0, 2.0, 2.0, True)
    assert paired_ratio(own, others, [False] * 5) is None


def test_the_ratios_interval_holds_the_true_ratio_in_19_of_20_repetitions():
    rng = np.random.default_rng(4)
    held, widths = [], []
    for _ in range(400):
        ratio = paired_ratio(rng.lognormal(0, 0.4, 50), rng.lognormal(0, 0.4, 50), [True] * 50)
        held.append(ratio.low <= 1.0 <= ratio.high)
        widths.append(ratio.holds)
    assert 0.93 <= np.mean(held) <= 0.99
    assert not any(widths)  # such a device tells no ratio to a tenth
    calm = paired_ratio(rng.lognormal(0, 0.02, 50), rng.lognormal(0, 0.02, 50), [True] * 50)
    assert calm.holds


def test_the_interval_of_few_rounds_is_all_they_saw():
    ratio = paired_ratio([3.0, 1.0, 2.0], [1.0] * 3, [True] * 3)
    assert (ratio.median, ratio.low, ratio.high) == (2.0, 1.0, 3.0)
