"""models/borders.py: what the network for borders learns from, and that what it leaves is what a device runs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "models"))

import borders  # noqa: E402

from unetlite.edge.runtime import make_interpreter  # noqa: E402
from unetlite.training.synthesis.generator import generate  # noqa: E402
from unetlite.vision.borders import PLACES, SAMPLES  # noqa: E402
from unetlite.vision.edges import CELLS  # noqa: E402
from unetlite.vision.files import read_json  # noqa: E402
from unetlite.vision.quad import as_quad  # noqa: E402


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "first"
    generate(folder, 6, 3, size_wh=(480, 360), negatives=0.0, jobs=2)
    return folder


def test_quads_are_moved_a_little_and_far() -> None:
    card = as_quad([[100, 100], [420, 110], [415, 320], [95, 310]])
    rng = np.random.default_rng(0)
    near = [borders.moved(card, rng) for _ in range(200)]
    off = np.array([np.abs(quad - card).max() for quad in near if quad is not None]) / 320
    assert len(off) > 190
    assert np.quantile(off, 0.05) < 0.06 and 0.1 < np.median(off) < 0.25


def test_strips_say_where_the_document_ends(drawn: Path) -> None:
    pictures = borders.read_strips(drawn)
    assert len(pictures) == 6
    for colours, places in pictures:
        assert colours.shape[1:] == (4, CELLS, SAMPLES, 3) and colours.dtype == np.uint8
        assert places.shape == colours.shape[:3] and len(places) == borders.QUADS
    again = borders.strips_of_picture(sorted((drawn / "ground_truth").glob("*.json"))[2], 2)
    np.testing.assert_array_equal(again[0], pictures[2][0])


def test_targets_lie_at_the_place_or_at_none() -> None:
    middle = (2 * 37 + 0.5) * (2 / (SAMPLES - 1)) - 1
    shares, counted = borders.targets(np.array([[middle, 1.5, np.nan]], np.float32))
    assert shares.shape == (1, 3, PLACES + 1)
    assert shares.sum(axis=2) == pytest.approx(np.ones((1, 3)), abs=1e-5)
    assert shares[0, 0].argmax() == 37 and shares[0, 0, -1] == 0
    assert shares[0, 1, -1] == 1
    assert counted.tolist() == [[1, 1, 0]]


def test_an_epoch_leaves_model_file_and_record(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(borders, "HELD_BACK", 1)
    monkeypatch.setattr(borders, "BATCH", 4)
    result = CliRunner().invoke(borders.main, [str(drawn), "--to", str(tmp_path), "--epochs", "1"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "borders.keras", "borders.tflite", "borders.training.json"
    ]  # fmt: skip
    record = read_json(tmp_path / "borders.training.json")
    assert record["pictures"] == 5 and record["quads"] == 5 * borders.QUADS
    assert len(record["course"]) == 1 and np.isfinite(record["course"][0]["validation_loss"])
    interpreter, _ = make_interpreter(tmp_path / "borders.tflite")
    (source,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert source["shape"].tolist() == [1, 4 * CELLS, SAMPLES, 3] and source["dtype"] == np.float32
    assert answer["shape"].tolist() == [1, 4 * CELLS, PLACES + 1] and answer["dtype"] == np.float32
    rims = borders.as_rims(borders.read_strips(drawn)[0][0][:1])
    interpreter.set_tensor(source["index"], rims)
    interpreter.invoke()
    import keras

    expected = np.asarray(keras.models.load_model(tmp_path / "borders.keras").predict_on_batch(rims))
    assert np.ptp(expected, axis=2).min() > 0.01
    assert interpreter.get_tensor(answer["index"]) == pytest.approx(expected, abs=0.1 * np.ptp(expected))


def test_too_few_pictures_are_one_sentence(drawn: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(borders.main, [str(drawn), "--to", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "expected more than 500 pictures" in result.output and not (tmp_path / "out").exists()
