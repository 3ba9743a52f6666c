"""Drawn pictures with known answers, shared by all folders' tests."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from drawn import draw_card

from unetlite.vision.image import write_image

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def card_quad() -> np.ndarray:
    """A card seen a little from the side, clockwise from its top-left."""
    return np.array([[60, 50], [250, 64], [244, 180], [52, 170]], np.float32)


@pytest.fixture
def midv_folder(tmp_path: Path) -> Path:
    """A small data set in MIDV's layout: four documents, two clips each, two frames a clip."""
    root = tmp_path / "midv"
    rng = np.random.default_rng(7)
    for number, name in enumerate(("01_alb_id", "02_aut_id", "03_esp_id", "04_fin_id")):
        for clip in ("CA", "TS"):
            for frame in (1, 2):
                quad = np.array([[60, 50], [250, 64], [244, 180], [52, 170]]) + rng.integers(-20, 20, (1, 2))
                picture, _ = draw_card(quad, card=170 + 20 * number)
                stem = f"{clip}{number + 1:02}_{frame:02}"
                write_image(root / name / "images" / clip / f"{stem}.tif", picture)
                truth = root / name / "ground_truth" / clip / f"{stem}.json"
                truth.parent.mkdir(parents=True, exist_ok=True)
                truth.write_text(json.dumps({"quad": quad.tolist()}))
    return root


@pytest.fixture
def real_data() -> Path:
    """The real photographs beside the project, where there are any."""
    if not (REAL_DATA / "dlc2021-dev").is_dir():
        pytest.skip(f"real photographs are not part of the project; put dlc2021-dev into {REAL_DATA}")
    return REAL_DATA


def pytest_configure() -> None:
    """A shell starts background jobs with SIGINT ignored, and the commands under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
