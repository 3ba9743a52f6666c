"""Each quality gate on drawn cards of known fault."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from printed_card import ID1_MM, SIZE_WH, printed_face, view_of_card

from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.gate import Gate, first_failed
from unetlite.edge.capture.quality import Quality, QualitySettings, judge
from unetlite.vision.contract import DOCUMENT_FORMATS

FACE = printed_face()


def gate(quality: Quality, name: str) -> Gate:
    return next(g for g in quality.gates if g.name == name)


def closed(quality: Quality) -> list[str]:
    return [g.name for g in quality.gates if not g.passed]


def frame_of(picture: np.ndarray) -> LiveFrame:
    return LiveFrame(0, 0.0, picture, "RGB", (picture.shape[1], picture.shape[0]))


def judged(picture: np.ndarray, quad: np.ndarray) -> Quality:
    return judge(frame_of(picture), quad, QualitySettings(), every=True)


def test_a_good_card_passes_all_gates() -> None:
    assert closed(judged(*view_of_card(FACE))) == []


@pytest.mark.parametrize("tilt_deg", [0.0, 10.0, 25.0, 45.0])
def test_tilt_is_measured_in_degrees(tilt_deg: float) -> None:
    lie = judged(*view_of_card(FACE, tilt_deg=tilt_deg)).lie
    assert lie.tilt_deg == pytest.approx(tilt_deg, abs=0.5)
    assert lie.format.name == "ID-1"


def test_resolution_is_measured_in_pixels_per_inch_of_the_format() -> None:
    quality = judged(*view_of_card(FACE, width_px=337.0))
    assert gate(quality, "size").value == pytest.approx(337.0 / (ID1_MM[0] / 25.4), rel=0.01)


def test_a_passport_is_measured_by_its_own_size() -> None:
    quad = np.array([[100, 100], [350, 100], [350, 276], [100, 276]], np.float32)
    lie = judge(frame_of(np.zeros((480, 640, 3), np.uint8)), quad, QualitySettings(), DOCUMENT_FORMATS).lie
    assert (lie.format.name, round(lie.ppi, 1)) == ("ID-3", round(250 / 125 * 25.4, 1))


def test_one_fault_closes_its_own_gate() -> None:
    assert closed(judged(*view_of_card(FACE, tilt_deg=50.0))) == ["tilt"]
    assert "margin" in closed(judged(*view_of_card(FACE, shift_xy=(-130.0, 0.0))))
    assert "size" in closed(judged(*view_of_card(FACE, width_px=120.0)))
    picture, quad = view_of_card(FACE)
    assert "brightness" in closed(judged((picture * 0.1).astype(np.uint8), quad))
    assert "contrast" in closed(judged((picture * 0.1 + 150).astype(np.uint8), quad))


@pytest.mark.parametrize("sigma_mm", [0.3, 0.6])
def test_blur_is_measured_in_millimetres_whatever_the_print_and_size(sigma_mm: float) -> None:
    measured = []
    for number, width_px in ((0, 300.0), (1, 300.0), (0, 500.0), (1, 500.0)):
        picture, quad = view_of_card(printed_face(number), width_px=width_px)
        blurred = cv2.GaussianBlur(picture, (0, 0), sigma_mm * width_px / ID1_MM[0])
        measured.append(gate(judged(blurred, quad), "sharpness").value)
    assert min(measured) > 0.7 * sigma_mm
    assert max(measured) < 1.5 * sigma_mm


def test_defocus_and_motion_close_the_sharpness_gate() -> None:
    picture, quad = view_of_card(FACE)
    assert gate(judged(picture, quad), "sharpness").passed
    for kernel_hw in ((1, 25), (25, 1)):
        moved = cv2.blur(picture, kernel_hw[::-1])
        assert not gate(judged(moved, quad), "sharpness").passed
    assert not gate(judged(cv2.GaussianBlur(picture, (0, 0), 6), quad), "sharpness").passed


def test_a_sharper_frame_has_the_higher_score() -> None:
    picture, quad = view_of_card(FACE)
    scores = [judged(cv2.GaussianBlur(picture, (0, 0), sigma), quad).sharpness for sigma in (0.5, 1.0, 2.0, 3.0)]
    assert scores == sorted(scores, reverse=True)


def test_a_card_without_any_print_is_not_called_sharp() -> None:
    blank = np.full_like(FACE, 225)
    result = gate(judged(*view_of_card(blank)), "sharpness")
    assert (result.value, result.passed) == (None, False)


def test_glare_is_measured_as_a_share_of_the_card() -> None:
    picture, quad = view_of_card(FACE)
    assert gate(judged(picture, quad), "glare").value == 0.0
    radius = 50
    cv2.circle(picture, (SIZE_WH[0] // 2, SIZE_WH[1] // 2), radius, (255, 255, 255), -1)
    share = np.pi * radius**2 / cv2.contourArea(quad)
    result = gate(judged(picture, quad), "glare")
    assert result.value == pytest.approx(share, rel=0.05)
    assert not result.passed


def test_a_finger_over_the_border_is_suspected() -> None:
    picture, quad = view_of_card(FACE)
    assert gate(judged(picture, quad), "occlusion").value == 0.0
    left, top = quad.min(axis=0).astype(int)
    finger_px = 80  # 17 mm
    picture[top + 100 : top + 100 + finger_px, left - 60 : left + 70] = (190, 140, 110)
    result = gate(judged(picture, quad), "occlusion")
    assert not result.passed
    assert result.value == pytest.approx(finger_px / 400 * ID1_MM[0], abs=4.0)


def test_what_a_closed_gate_makes_needless_is_not_measured() -> None:
    picture, quad = view_of_card(FACE, tilt_deg=50.0)
    quality = judge(frame_of(picture), quad, QualitySettings())
    assert [g.name for g in quality.gates] == ["outline", "margin", "size", "tilt"]
    dark, quad = view_of_card((FACE * 0.1).astype(np.uint8))
    quality = judge(frame_of(dark), quad, QualitySettings())
    assert "sharpness" not in {g.name for g in quality.gates}
    assert quality.fingerprint is not None
    picture, quad = view_of_card(FACE)
    quality = judge(frame_of(picture), quad, QualitySettings(), known=lambda print_: True)
    assert "sharpness" not in {g.name for g in quality.gates}


@pytest.mark.parametrize("seed", range(5))
def test_no_quad_is_too_odd_to_be_judged(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture, quad = view_of_card(FACE)
    for scale in (0.003, 0.1, 1.0, 4.0):
        odd = ((quad - quad.mean(0)) * scale * rng.uniform(0.1, 1.0, 2) + rng.uniform(-300, 900, 2)).astype(np.float32)
        assert len(judged(picture, odd).gates) == 9


def test_an_answer_that_the_network_is_not_sure_of_is_not_taken() -> None:
    picture, quad = view_of_card(FACE)
    quality = judge(frame_of(picture), quad, QualitySettings(), confidence=0.74, model_least=0.7)
    assert closed(quality) == ["outline"]


def test_the_first_closed_gate_gives_the_hint() -> None:
    quality = judged(*view_of_card(FACE, width_px=120.0, tilt_deg=50.0))
    assert first_failed(quality.gates) is gate(quality, "size")


def test_a_frame_of_twelve_megapixels_is_judged_like_a_small_one() -> None:
    small = judged(*view_of_card(FACE))
    picture, quad = view_of_card(FACE)
    large = judged(cv2.resize(picture, None, fx=6, fy=6), ((quad + 0.5) * 6 - 0.5).astype(np.float32))
    assert gate(large, "sharpness").value == pytest.approx(gate(small, "sharpness").value, rel=0.25)
    assert closed(large) == []


def test_the_outline_gate_follows_the_model_unless_it_is_set() -> None:
    picture, quad = view_of_card(FACE)

    def threshold(settings: QualitySettings, model_least: float) -> float:
        return gate(judge(frame_of(picture), quad, settings, model_least=model_least), "outline").threshold

    assert threshold(QualitySettings(), 0.7) == pytest.approx(0.75)
    assert threshold(QualitySettings(), 0.4) == pytest.approx(0.5)
    assert threshold(QualitySettings(least_confidence=0.9), 0.4) == 0.9
