"""The procedural generator: its ground truth is exact, its pictures repeat and look as documents do."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_sets import recipe

from unetlite.training.synthesis import assets, poses
from unetlite.training.synthesis.camera import take_picture
from unetlite.training.synthesis.copies import photocopy
from unetlite.training.synthesis.faces import draw_face
from unetlite.training.synthesis.formats import FORMATS, nearest_format
from unetlite.training.synthesis.generator import Workshop
from unetlite.training.synthesis.layers import flat_homography, lay_over, rounded_alpha, warp_flat
from unetlite.training.synthesis.newspapers import lay_newspapers, newspaper_page
from unetlite.training.synthesis.randomness import pick_weighted, stream
from unetlite.training.synthesis.scene import draw_document_scene, sheet_margins
from unetlite.training.synthesis.surfaces import SurfaceSource
from unetlite.vision.errors import DatasetError
from unetlite.vision.image import write_image
from unetlite.vision.quad import quad_mask


def write_poses(path: Path, rows: list[str]) -> Path:
    path.write_text("frame,width,height,x1,y1,x2,y2,x3,y3,x4,y4\n" + "\n".join(rows) + "\n", "utf-8")
    return path


def test_mask_and_quad_describe_the_same_document() -> None:
    workshop = Workshop(recipe(size_wh=(400, 300), negatives=0.0))
    kinds = set()
    for index in range(24):
        scene, _, _ = workshop.draw(index)
        assert scene.quad is not None
        expected = quad_mask(scene.quad, scene.mask.shape)
        union = (expected | scene.mask).sum()
        assert (expected & scene.mask).sum() / union >= 0.98, (index, scene.kind)
        kinds.add((scene.kind, scene.occluded))
    assert any(occluded for _, occluded in kinds)  # the mask is whole under fingers and things as well
    assert any(kind == "uncut-copy" for kind, _ in kinds)


@pytest.mark.parametrize("magnification", [0.35, 0.9, 2.3])
def test_a_warped_edge_lies_where_the_quad_says(magnification: float) -> None:
    quad = np.array([[61.3, 40.8], [210.6, 58.2], [196.4, 160.9], [50.7, 139.5]])
    width, height = round(150 / magnification), round(100 / magnification)
    plane = cv2.getPerspectiveTransform(
        FORMATS["ID-1"].corners_mm.astype(np.float32), quad.astype(np.float32)
    )
    homography = flat_homography(plane, FORMATS["ID-1"].corners_mm, (width, height))
    seen = warp_flat(
        np.full((height, width, 3), 255, np.uint8),
        rounded_alpha((width, height), 0.0),
        homography,
        (260, 200),
    )
    assert seen is not None
    colours, coverage, corner = seen
    canvas = np.zeros((200, 260, 3), np.uint8)
    lay_over(canvas, colours, coverage, corner)
    for start, end in zip(quad, np.roll(quad, -1, 0), strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        inward = np.array([-along[1], along[0]])
        steps = np.linspace(-6, 6, 121)
        for part in np.linspace(0.15, 0.85, 9):
            points = (start + part * (end - start) + steps[:, None] * inward).astype(np.float32)
            profile = cv2.remap(canvas[..., 0], points[:, None], None, cv2.INTER_LINEAR).ravel() / 255.0
            # Inside is white: what is missing of the inner half, less what spills over, is the shift.
            shift = (0.5 - profile.mean()) * 12.0
            assert abs(shift) < 0.15, (part, shift)


def test_the_camera_does_not_move_what_it_sees() -> None:
    lit = np.full((160, 200, 3), 40, np.uint8)
    lit[60:101, 70:131] = 200  # centred on (100, 80)
    for number in range(40):
        picture = take_picture(stream(4, "camera", number), lit)
        weights = picture.astype(np.float64).sum(2)
        weights = np.clip(weights - (weights.min() + weights.max()) / 2, 0, None)
        y, x = np.mgrid[0:160, 0:200]
        centre = (weights * x).sum() / weights.sum(), (weights * y).sum() / weights.sum()
        assert centre == pytest.approx((100.0, 80.0), abs=0.25), number


def test_rounded_corners_are_not_in_the_mask_and_square_ones_are() -> None:
    rounded, square = rounded_alpha((200, 120), 15.0), rounded_alpha((200, 120), 0.0)
    assert rounded[0, 0] == 0 and rounded[-1, -1] == 0 and rounded[0, 100] == 255
    assert square.min() == 255
    missing = (255.0 - rounded).sum() / 255.0
    assert missing == pytest.approx((4 - np.pi) * 15.0**2, rel=0.02)


def test_a_document_partly_outside_has_corners_outside_and_a_clipped_mask() -> None:
    outside = 0
    for number in range(60):
        pose = poses.draw_pose(stream(1, "pose", number), (320, 240), FORMATS["ID-1"], None)
        beyond = (pose.quad < -0.5) | (pose.quad > np.array([319.5, 239.5]))
        if beyond.any():
            outside += 1
            assert 0 < quad_mask(pose.quad, (240, 320)).sum() < poses.area(pose.quad)
    assert 2 <= outside <= 14


def test_a_newspaper_has_print_on_paper_and_the_same_page_is_drawn_again() -> None:
    source = SurfaceSource(7, (), ())
    pages = [newspaper_page(source, index) for index in range(4)]
    newspaper_page.cache_clear()
    assert all(np.array_equal(page.image, newspaper_page(source, i).image) for i, page in enumerate(pages))
    for page in pages:
        height, width = page.image.shape[:2]
        assert height / width == pytest.approx(page.size_mm[1] / page.size_mm[0], rel=0.01)
        grey = cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY)
        assert np.percentile(grey, 90) - np.percentile(grey, 2) > 60
    assert not np.array_equal(pages[0].image[:300, :300], pages[1].image[:300, :300])


def test_newspapers_lie_where_the_document_will_and_end_there_now_and_then() -> None:
    source = SurfaceSource(7, (), ())
    plane = np.array([[2.0, 0, 240], [0, 2.0, 320], [0, 0, 1.0]])
    shares = []
    for seed in range(30):
        table = np.full((640, 480, 3), 7, np.uint8)
        lay_newspapers(stream(seed, "test"), table, plane, source, 0.0)
        under_a_card = table[270:370, 160:320]
        shares.append(float((under_a_card != 7).any(axis=2).mean()))
    assert min(shares) > 0.1
    assert 3 < sum(share < 0.98 for share in shares) < 25


def test_sheets_end_close_to_the_print_on_any_side_and_seldom_all_around() -> None:
    margins = np.array([sheet_margins(stream(5, "sheet", number)) for number in range(400)])
    narrow = margins < 12.0  # millimetres; such rims are what a copy's own edge is mistaken for
    assert margins.min() >= 2.0
    assert 0.45 < narrow.any(axis=1).mean() < 0.75
    assert narrow.mean(axis=0).min() > 0.15
    assert narrow.all(axis=1).mean() < 0.05


def test_poses_keep_the_reading_order_clockwise_and_a_plausible_size(tmp_path: Path) -> None:
    path = write_poses(
        tmp_path / "quads.csv",
        [
            "id/a,1080,1920,97,672,904,643,931,1142,122,1185",
            "a_passport/b,1080,1920,200,500,820,510,830,950,190,940",
        ],
    )
    priors = poses.read_priors(path)
    assert priors.aspects == pytest.approx([85.60 / 53.98, 125 / 88])
    for number in range(120):
        pose = poses.draw_pose(stream(2, "pose", number), (480, 640), FORMATS["ID-3"], priors)
        assert cv2.isContourConvex(pose.quad.astype(np.float32))
        assert 0.02 * 480 * 640 < poses.area(pose.quad) < 1.4 * 480 * 640
        assert poses.project(pose.plane, FORMATS["ID-3"].corners_mm) == pytest.approx(pose.quad)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("frame,width\na,3\n", "none named height"),
        ("frame,width,height,x1,y1,x2,y2,x3,y3,x4,y4\na,1,2,3,4,5,6,7,8,9,ten\n", "expected numbers"),
        ("frame,width,height,x1,y1,x2,y2,x3,y3,x4,y4\na,100,100,0,0,0,9,9,9,9,0\n", "clockwise convex quads"),
    ],
)
def test_an_unusable_pose_file_is_refused_with_its_reason(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "poses.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DatasetError, match=complaint):
        poses.read_priors(path)


def test_every_format_has_its_real_size() -> None:
    sizes = {name: (f.width_mm, f.height_mm) for name, f in FORMATS.items()}
    assert sizes == {"ID-1": (85.60, 53.98), "ID-2": (105.0, 74.0), "ID-3": (125.0, 88.0)}
    assert nearest_format(1.6)[0].name == "ID-1"
    for number in range(12):
        face = draw_face(stream(5, "face", number), "any")
        height, width = face.image.shape[:2]
        assert width / height == pytest.approx(face.format.width_mm / face.format.height_mm, rel=0.005)
        assert face.image.std() > 10  # something is printed on it


def test_a_photocopy_is_mostly_grey() -> None:
    face = draw_face(stream(5, "face", 1), "any").image
    spreads = []
    for number in range(20):
        copy = photocopy(stream(6, "copy", number), face).astype(int)
        spreads.append(int((copy.max(2) - copy.min(2)).max()))
    assert sum(spread == 0 for spread in spreads) >= 12
    assert max(spreads) > 0


def test_a_picture_depends_on_its_index_alone() -> None:
    first, second = Workshop(recipe()), Workshop(recipe())
    for index in (9, 2, 8):
        first.draw(index)
    scene, document, quality = first.draw(5)
    again, same_document, same_quality = second.draw(5)
    assert np.array_equal(scene.image, again.image) and np.array_equal(scene.mask, again.mask)
    assert (document, quality) == (same_document, same_quality)
    other, _, _ = Workshop(recipe(seed=4)).draw(5)
    assert not np.array_equal(scene.image, other.image)


def test_negatives_have_no_quad_and_an_empty_mask() -> None:
    workshop = Workshop(recipe(negatives=1.0))
    names = set()
    for index in range(6):
        scene, document, _ = workshop.draw(index)
        assert scene.quad is None and scene.format is None and scene.kind == "negative"
        assert not scene.mask.any()
        names.add(document)
    assert len(names) == 6


def test_black_bars_around_a_flat_face_are_cut_off(tmp_path: Path) -> None:
    padded = np.zeros((200, 400, 3), np.uint8)
    padded[30:165, 90:304] = (200, 220, 240)
    write_image(tmp_path / "card.png", padded)
    assert assets.usable_faces([tmp_path / "card.png"]) == [tmp_path / "card.png"]
    face = assets.read_face(tmp_path / "card.png", tmp_path)
    assert face.format.name == "ID-1" and face.image.min() >= 195


def test_the_document_differs_from_what_it_lies_on() -> None:
    face = draw_face(stream(8, "face", 3), "any")
    source = SurfaceSource(8, (), ())
    contrasts = []
    for number in range(12):
        scene = draw_document_scene(stream(8, "scene", number), (320, 240), face, None, source)
        mask = scene.mask.astype(np.uint8)
        rim = cv2.dilate(mask, np.ones((9, 9))) - mask
        if rim.sum() > 50:
            inside, outside = scene.image[scene.mask].mean(0), scene.image[rim.astype(bool)].mean(0)
            contrasts.append(float(np.abs(inside - outside).max()))
    assert np.median(contrasts) > 12


def test_weights_decide_how_often_a_choice_is_made() -> None:
    rng = np.random.default_rng(0)
    drawn = [pick_weighted(rng, {"rare": 1, "common": 3, "never": 0}) for _ in range(400)]
    assert 60 < drawn.count("rare") < 140 and drawn.count("never") == 0
