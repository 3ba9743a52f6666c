"""The procedural generator: its ground truth is exact, its pictures repeat, its sets can be resumed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetlite.training.synthesis import assets, poses
from unetlite.training.synthesis.camera import take_picture
from unetlite.training.synthesis.copies import photocopy
from unetlite.training.synthesis.faces import draw_face
from unetlite.training.synthesis.formats import FORMATS, nearest_format
from unetlite.training.synthesis.generator import Recipe, Workshop, generate
from unetlite.training.synthesis.layers import flat_homography, lay_over, rounded_alpha, warp_flat
from unetlite.training.synthesis.newspapers import lay_newspapers, newspaper_page
from unetlite.training.synthesis.randomness import pick_weighted, stream
from unetlite.training.synthesis.reprints import reprint_frame
from unetlite.training.synthesis.scene import draw_document_scene
from unetlite.training.synthesis.surfaces import SurfaceSource
from unetlite.vision.dataset import find_samples, read_truth
from unetlite.vision.errors import DatasetError
from unetlite.vision.image import read_image, write_image
from unetlite.vision.quad import quad_mask

SMALL = (160, 120)


def recipe(**changes: object) -> Recipe:
    plain = {
        "directory": Path("unused"),
        "seed": 3,
        "size_wh": SMALL,
        "negatives": 0.15,
        "classes": ("document",),
        "poses": None,
        "tiles": (),
        "pictures": (),
        "faces": (),
        "faces_folder": None,
        "frames": (),
    }
    return Recipe(**{**plain, **changes})  # type: ignore[arg-type]


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for folder in ("images", "masks", "ground_truth")
        for path in sorted((directory / folder).iterdir())
    }


def write_poses(path: Path, rows: list[str]) -> Path:
    path.write_text("frame,width,height,x1,y1,x2,y2,x3,y3,x4,y4\n" + "\n".join(rows) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("set")
    generate(directory, 12, 7, size_wh=SMALL, jobs=1)
    return directory


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


def test_the_number_of_jobs_does_not_change_a_byte(small_set: Path, tmp_path: Path) -> None:
    generate(tmp_path, 12, 7, size_wh=SMALL, jobs=2)
    assert contents(tmp_path) == contents(small_set)


def test_an_interrupted_run_goes_on_where_it_stopped(small_set: Path, tmp_path: Path) -> None:
    generate(tmp_path, 8, 7, size_wh=SMALL, jobs=1)
    kept = (tmp_path / "images" / "000002.jpg").stat().st_mtime_ns
    (tmp_path / "ground_truth" / "000003.json").unlink()
    (tmp_path / "masks" / "000005.png").unlink()
    seen = []
    result = generate(
        tmp_path, 12, 7, size_wh=SMALL, jobs=1, progress=lambda done, count: seen.append((done, count))
    )
    assert (result.written, result.kept) == (6, 6)
    assert seen[-1] == (12, 12)
    assert (tmp_path / "images" / "000002.jpg").stat().st_mtime_ns == kept
    assert contents(tmp_path) == contents(small_set)


@pytest.mark.parametrize("change", [{"seed": 8}, {"negatives": 0.5}, {"size_wh": (120, 160)}, {"count": 3}])
def test_a_set_of_other_arguments_is_not_mixed_in(small_set: Path, change: dict[str, object]) -> None:
    before = contents(small_set)
    arguments = {"count": 12, "seed": 7, "size_wh": SMALL, "jobs": 1, **change}
    with pytest.raises(DatasetError, match="use .*a new folder"):
        generate(small_set, **arguments)  # type: ignore[arg-type]
    assert contents(small_set) == before


def test_a_folder_with_foreign_pictures_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "mine.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DatasetError, match="no synthesis.json"):
        generate(tmp_path, 1, 1, jobs=1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"count": 0, "seed": 1},
        {"count": 1, "seed": -1},
        {"count": 1, "seed": 1, "negatives": 1.2},
        {"count": 1, "seed": 1, "size_wh": (16, 16)},
        {"count": 1, "seed": 1, "classes": ("cat",)},
    ],
)
def test_impossible_arguments_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, object]
) -> None:
    with pytest.raises(DatasetError, match="expected"):
        generate(tmp_path / "set", jobs=1, **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()


def test_the_set_reads_back_as_a_data_set(small_set: Path) -> None:
    samples = find_samples(small_set)
    assert len(samples) == 12
    for sample in samples:
        image = read_image(sample.image)
        assert image.shape == (120, 160, 3)
        truth = read_truth(sample, (120, 160))
        written = json.loads((small_set / "ground_truth" / f"{sample.image.stem}.json").read_text("utf-8"))
        assert sample.document == written["document"]
        assert (truth.quad is None) == (written["kind"] == "negative") == (truth.classes.max() == 0)
    record = json.loads((small_set / "synthesis.json").read_text("utf-8"))
    assert (record["seed"], record["count"]) == (7, 12)
    assert read_image(small_set / "contact-sheet.jpg").shape[1] == 8 * 224


def test_classes_are_numbered_as_the_labels_say(tmp_path: Path) -> None:
    generate(tmp_path, 40, 2, size_wh=SMALL, negatives=0.0, classes=("card", "passport"), jobs=1)
    assert (tmp_path / "labels.txt").read_text("utf-8").split() == ["background", "card", "passport"]
    values = {}
    for path in sorted((tmp_path / "ground_truth").iterdir()):
        mask = cv2.imdecode(
            np.fromfile(tmp_path / "masks" / f"{path.stem}.png", np.uint8), cv2.IMREAD_UNCHANGED
        )
        values[json.loads(path.read_text("utf-8"))["format"]] = set(np.unique(mask)) - {0}
    assert values["ID-1"] == {1}
    assert values["ID-3"] == {2}


def test_negatives_have_no_quad_and_an_empty_mask() -> None:
    workshop = Workshop(recipe(negatives=1.0))
    names = set()
    for index in range(6):
        scene, document, _ = workshop.draw(index)
        assert scene.quad is None and scene.format is None and scene.kind == "negative"
        assert not scene.mask.any()
        names.add(document)
    assert len(names) == 6


def test_pictures_of_a_document_carry_its_name() -> None:
    workshop = Workshop(recipe(negatives=0.0))
    names = [workshop.draw(index)[1] for index in range(8)]
    assert len(set(names)) == 2
    assert names[:4] == [names[0]] * 4


def test_asset_folders_are_used_and_recorded_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(3):
        write_image(tmp_path / "surfaces" / f"tile{number}.png", rng.integers(0, 255, (64, 64, 3), np.uint8))
    write_image(tmp_path / "surfaces" / "deep" / "photo.png", rng.integers(0, 255, (90, 200, 3), np.uint8))
    write_image(tmp_path / "cards" / "one.png", np.full((54, 86, 3), (0, 200, 0), np.uint8))
    write_image(tmp_path / "cards" / "panorama.png", np.zeros((50, 200, 3), np.uint8))
    tiles, pictures = assets.split_tiles(assets.list_images(tmp_path / "surfaces"))
    assert (len(tiles), [path.name for path in pictures]) == (3, ["photo.png"])
    generate(
        tmp_path / "set",
        100,
        2,
        size_wh=(96, 72),
        jobs=1,
        backgrounds=tmp_path / "surfaces",
        faces=tmp_path / "cards",
    )
    documents = {
        json.loads(path.read_text("utf-8"))["document"]
        for path in (tmp_path / "set" / "ground_truth").iterdir()
    }
    assert "face:one" in documents and "face:panorama" not in documents
    text = (tmp_path / "set" / "synthesis.json").read_text("utf-8")
    assert json.loads(text)["backgrounds"]["folder"] == "surfaces"
    assert str(tmp_path) not in text


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames as a camera might give them: cards with colours and with print in grey, on wood."""
    directory = tmp_path_factory.mktemp("frames")
    generate(directory, 24, 11, size_wh=(400, 300), negatives=0.0, jobs=1)
    return directory


def test_a_reprint_leaves_the_frame_and_takes_on_its_light(frames: Path) -> None:
    rng, changed = np.random.default_rng(5), []
    for sample in find_samples(frames):
        frame, truth = read_image(sample.image), read_truth(sample, (300, 400), 2)
        assert truth.quad is not None
        scene = reprint_frame(rng, sample, draw_face(rng, "face"))
        inside = quad_mask(truth.quad, (300, 400))
        assert np.count_nonzero(scene.mask ^ inside) < 0.02 * inside.sum()
        if not scene.occluded:
            outside = cv2.erode((~inside).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
            assert np.array_equal(scene.image[outside], frame[outside])
            deep = cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
            changed.append(np.abs(scene.image[deep].astype(int) - frame[deep]).mean())
            lightest, own_lightest = np.percentile(scene.image[deep], 90), np.percentile(frame[deep], 90)
            assert lightest < 1.5 * own_lightest + 20  # a card in the dark stays in the dark
    assert len(changed) > 10 and np.median(changed) > 8


def test_frames_are_redrawn_by_the_command_of_all_sets(frames: Path, tmp_path: Path) -> None:
    generate(tmp_path / "a", 6, 1, frames=frames, jobs=1)
    generate(tmp_path / "b", 6, 1, frames=frames, jobs=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    record = json.loads((tmp_path / "a" / "synthesis.json").read_text("utf-8"))
    assert record["frames"]["files"] == 24
    documents = {sample.document for sample in find_samples(tmp_path / "a")}
    assert all(document.startswith("reprint:") for document in documents)


def test_frames_bring_their_own_surroundings_and_need_corners(frames: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="without backgrounds, poses or a size"):
        generate(tmp_path / "a", 4, 1, frames=frames, size_wh=SMALL)
    for path in (tmp_path / "images" / "1.png", tmp_path / "masks" / "1.png"):
        path.parent.mkdir(exist_ok=True)
        write_image(path, np.zeros((40, 60, 3) if "images" in path.parts else (40, 60), np.uint8))
    with pytest.raises(DatasetError, match="corners of their documents, found masks alone"):
        generate(tmp_path / "b", 4, 1, frames=tmp_path)


def test_black_bars_around_a_flat_face_are_cut_off(tmp_path: Path) -> None:
    padded = np.zeros((200, 400, 3), np.uint8)
    padded[30:165, 90:304] = (200, 220, 240)
    write_image(tmp_path / "card.png", padded)
    assert assets.usable_faces([tmp_path / "card.png"]) == [tmp_path / "card.png"]
    face = assets.read_face(tmp_path / "card.png", tmp_path)
    assert face.format.name == "ID-1" and face.image.min() >= 195


def test_an_asset_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found none"):
        generate(tmp_path / "set", 1, 1, jobs=1, backgrounds=tmp_path)


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


def test_generating_needs_no_tensorflow() -> None:
    code = "import sys; import unetlite.training.synthesis.generator; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
