"""A network fed with other values than it was trained on is noticed by its score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unetlite.edge.keras_network import KerasNetwork
from unetlite.edge.runtime import RuntimeInfo
from unetlite.edge.segmenter import Segmenter
from unetlite.export.agreement import CheckPicture, validation_pictures
from unetlite.export.input_range import check_input_range
from unetlite.vision.contract import Contract, InputSpec
from unetlite.vision.errors import CalibrationError
from unetlite.vision.image import write_image


@pytest.fixture
def make(bright: Callable) -> Callable[[InputSpec], Segmenter]:
    """At 0..1 the network calls values from 128 on document, at -1..1 from 191 on, at 0..255 everything but black."""
    network = bright(32)

    def at(spec: InputSpec) -> Segmenter:
        return Segmenter(KerasNetwork(network, spec, "test"), Contract(spec), "test", RuntimeInfo("keras", ""))

    return at


def pictures(folder: Path, grey_columns: int) -> list[CheckPicture]:
    """Twenty columns of document on 64, so many of them grey (160) and the others white."""
    picture = np.full((32, 32, 3), 64, np.uint8)
    picture[:, 6:26] = 255
    picture[:, 6 : 6 + grey_columns] = 160
    write_image(folder / "images" / "a.png", picture)
    write_image(folder / "masks" / "a.png", picture[..., 0] > 100)
    return validation_pictures(folder)


@pytest.mark.parametrize("grey_columns", [0, 12])
def test_the_range_of_training_passes(make: Callable, tmp_path: Path, grey_columns: int) -> None:
    assert check_input_range(make, InputSpec((32, 32)), pictures(tmp_path, grey_columns)) is None


@pytest.mark.parametrize(("wrong", "iou"), [((0.0, 255.0), "0.62"), ((-1.0, 1.0), "0.40")])
def test_a_range_at_which_the_network_fails_is_refused(
    make: Callable, tmp_path: Path, wrong: tuple[float, float], iou: str
) -> None:
    expected = rf"the Keras network's IoU is {iou}, and with 0\.\.1 it is 1\.00 \(N=1\): it was trained on other values"
    with pytest.raises(CalibrationError, match=expected):
        check_input_range(make, InputSpec((32, 32), wrong), pictures(tmp_path, 12))


def test_a_range_at_which_the_network_is_somewhat_worse_is_doubted(make: Callable, tmp_path: Path) -> None:
    doubt = check_input_range(make, InputSpec((32, 32), (-1.0, 1.0)), pictures(tmp_path, 2))
    assert "IoU is 0.90, and with 0..1 it is 1.00 (N=1): if it was trained on those values, pass --input-range" in doubt


def test_without_truth_nothing_is_said(make: Callable, tmp_path: Path) -> None:
    (known,) = pictures(tmp_path, 12)
    assert check_input_range(make, InputSpec((32, 32), (-1.0, 1.0)), [CheckPicture(known.path, None)]) is None
