"""Hit and false-alarm rates of the capture's quality gates on pictures of known blur, glare, tilt and cover.

    python benchmarks/quality_gates.py --count 20 --to docs/quality-gates.md

Cards and surfaces are the generator's; the camera is a pinhole of known focal length, each fault is put in alone and
in known strength. "closed" is how often the fault's own gate closed: a false alarm in the rows marked good, a hit in
those marked bad; what lies between is neither.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from unetlite.edge.capture.quality import QualitySettings, judge
from unetlite.training.synthesis.faces import Face, draw_face
from unetlite.training.synthesis.hands import draw_hands, paint_front
from unetlite.training.synthesis.layers import flat_homography
from unetlite.training.synthesis.randomness import stream
from unetlite.training.synthesis.surfaces import SurfaceSource, draw_surface
from unetlite.vision.image import write_image

SIZE_WH = (960, 720)
FOCAL_SHARE = 0.9
SEED = 11
NOISE = 2.5  # grey levels, of a small sensor in a room
LENS_BLUR_PX = 0.6

Scene = tuple[np.ndarray, np.ndarray, float]  # image (H, W, 3) uint8 RGB, quad (4, 2), pixels per mm
Fault = Callable[[np.random.Generator, Scene, float], Scene]


def draw_scene(rng: np.random.Generator, number: int, tilt_deg: float = 5.0, width_share: float = 0.55) -> Scene:
    """A card on a table, tilted by so much about a random axis, before the lens has blurred it."""
    face = draw_face(rng, f"card {number}")
    focal = FOCAL_SHARE * SIZE_WH[0]
    axis_angle, roll = rng.uniform(0, np.pi), rng.normal(0, 0.08)
    axis = np.array([np.cos(axis_angle), np.sin(axis_angle), 0.0]) * np.radians(tilt_deg)
    rotation = cv2.Rodrigues(axis)[0] @ cv2.Rodrigues(np.array([0.0, 0.0, roll]))[0]
    distance_mm = focal * face.format.width_mm / (width_share * SIZE_WH[0])
    camera = np.array([[focal, 0, SIZE_WH[0] / 2 - 0.5], [0, focal, SIZE_WH[1] / 2 - 0.5], [0, 0, 1]])
    plane = camera @ np.column_stack([rotation[:, 0], rotation[:, 1], [0.0, 0.0, distance_mm]])
    canvas = draw_surface(rng, SIZE_WH, plane, SurfaceSource(SEED, (), ()))
    return lay(canvas, face, plane), quad_of(face, plane), focal / distance_mm


def lay(canvas: np.ndarray, face: Face, plane: np.ndarray) -> np.ndarray:
    """The face laid on the table."""
    height, width = face.image.shape[:2]
    matrix = flat_homography(plane, face.format.corners_mm, (width, height))
    card = cv2.warpPerspective(face.image, matrix, SIZE_WH, flags=cv2.INTER_AREA)
    alpha = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, SIZE_WH)[..., None] / 255.0
    return (card * alpha + canvas * (1.0 - alpha)).astype(np.uint8)


def quad_of(face: Face, plane: np.ndarray) -> np.ndarray:
    corners = np.column_stack([face.format.corners_mm, np.ones(4)]) @ plane.T
    return (corners[:, :2] / corners[:, 2:]).astype(np.float32)


def photograph(rng: np.random.Generator, scene: Scene) -> Scene:
    """Lens, sensor noise and JPEG, as of every camera."""
    image, quad, px_per_mm = scene
    image = cv2.GaussianBlur(image, (0, 0), LENS_BLUR_PX)
    image = np.clip(image + rng.normal(0, NOISE, image.shape), 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], 1), quad, px_per_mm


def defocus(rng: np.random.Generator, scene: Scene, blur_mm: float) -> Scene:
    image, quad, px_per_mm = scene
    return (cv2.GaussianBlur(image, (0, 0), blur_mm * px_per_mm) if blur_mm else image), quad, px_per_mm


def motion(rng: np.random.Generator, scene: Scene, length_mm: float) -> Scene:
    image, quad, px_per_mm = scene
    length = length_mm * px_per_mm
    side = int(np.ceil(length)) // 2 * 2 + 3
    kernel = np.zeros((side, side), np.float32)
    angle = rng.uniform(0, np.pi)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    ends = np.round((side // 2 + np.array([-step, step])) * 16).astype(np.int32)
    cv2.polylines(kernel, [ends], False, (1.0,), 1, cv2.LINE_AA, 4)
    return cv2.filter2D(image, -1, kernel / kernel.sum()), quad, px_per_mm


def glare(rng: np.random.Generator, scene: Scene, share: float) -> Scene:
    """A lamp's reflection over so much of the card, fading out around it."""
    image, quad, px_per_mm = scene
    centre = rng.dirichlet(np.full(4, 4.0)) @ quad
    area = share * cv2.contourArea(quad)
    ratio = rng.uniform(1.0, 2.0)
    radius = np.sqrt(area / np.pi) * np.array([np.sqrt(ratio), np.sqrt(1 / ratio)])
    spot = np.zeros(SIZE_WH[::-1], np.float32)
    if share:
        centre_xy = (int(centre[0]), int(centre[1]))
        radius_xy = (int(np.ceil(radius[0])), int(np.ceil(radius[1])))
        cv2.ellipse(spot, centre_xy, radius_xy, rng.uniform(0, 180), 0, 360, (1.0,), -1)
        halo = cv2.GaussianBlur(spot, (0, 0), 2.5 * px_per_mm)
        spot = np.maximum(spot, 0.7 * halo / max(float(halo.max()), 1e-6))
    return np.clip(image + 255.0 * spot[..., None], 0, 255).astype(np.uint8), quad, px_per_mm


def exposure(rng: np.random.Generator, scene: Scene, factor: float) -> Scene:
    image, quad, px_per_mm = scene
    return np.clip(image * factor, 0, 255).astype(np.uint8), quad, px_per_mm


def fog(rng: np.random.Generator, scene: Scene, share: float) -> Scene:
    """So much of the contrast taken away."""
    image, quad, px_per_mm = scene
    return (image * (1.0 - share) + 150.0 * share).astype(np.uint8), quad, px_per_mm


def hand(rng: np.random.Generator, scene: Scene, hands: float) -> Scene:
    """Fingers over the card's border."""
    image, quad, px_per_mm = scene
    canvas = image.copy()
    if hands:
        for one in draw_hands(rng, quad, px_per_mm):
            paint_front(rng, canvas, one)
    return canvas, quad, px_per_mm


def shifted(rng: np.random.Generator, scene: Scene, share: float) -> Scene:
    """The card's nearest corner so far from the frame's left border, as a share of the shorter side."""
    image, quad, px_per_mm = scene
    shift = share * min(SIZE_WH) - quad[:, 0].min()
    matrix = np.array([[1.0, 0.0, shift], [0.0, 1.0, 0.0]])
    moved = cv2.warpAffine(image, matrix, SIZE_WH, borderMode=cv2.BORDER_REFLECT)
    return moved, (quad + [shift, 0.0]).astype(np.float32), px_per_mm


def unchanged(rng: np.random.Generator, scene: Scene, level: float) -> Scene:
    return scene


# gate, what is done, unit, the levels that are good and those that are bad; what lies between is a matter of taste.
FAULTS: tuple[tuple[str, str, str, Fault, tuple[float, ...], tuple[float, ...]], ...] = (
    ("margin", "distance to the frame's border", "of the shorter side", shifted, (0.05, 0.03), (0.0, -0.05)),
    ("size", "card's width", "of the frame's", unchanged, (0.55, 0.35), (0.15, 0.1)),
    ("tilt", "tilt", "degrees", unchanged, (0, 10, 20, 30), (42, 50)),
    ("brightness", "exposure", "times", exposure, (1.0, 0.7), (0.12, 0.06)),
    ("glare", "washed out", "of the card", glare, (0.0, 0.01), (0.05, 0.1, 0.2)),
    ("contrast", "fog", "of the contrast", fog, (0.0, 0.3), (0.85, 0.95)),
    ("sharpness", "defocus, sigma", "mm", defocus, (0.0, 0.15), (0.6, 0.8, 1.2)),
    ("sharpness", "motion, length", "mm", motion, (0.0, 0.5), (2.5, 4.0)),
    ("occlusion", "fingers over the border (1) or none (0)", "", hand, (0,), (1,)),
)


def values_at(gate: str, fault: Fault, level: float, count: int) -> Iterable[tuple[float | None, bool]]:
    """The gate's value, and whether it closed, on `count` pictures."""
    settings = QualitySettings(focal_share=FOCAL_SHARE)
    for number in range(count):
        rng = stream(SEED, "quality", number)  # every level sees the same cards
        tilt_deg = level if gate == "tilt" else 5.0
        scene = draw_scene(rng, number, tilt_deg, level if gate == "size" else 0.55)
        image, quad, _ = photograph(rng, fault(rng, scene, level))
        result = next(g for g in judge(image, quad, settings).gates if g.name == gate)
        yield result.value, not result.passed


def table(count: int) -> str:
    lines = [
        "| gate | fault | level | | closed | median value | threshold |",
        "|---|---|---|---|---|---|---|",
    ]
    thresholds = {"size": "least_ppi", "tilt": "most_tilt_deg", "margin": "least_margin", "glare": "most_glare"}
    thresholds |= {"brightness": "least_brightness", "contrast": "least_contrast", "sharpness": "most_blur_mm"}
    thresholds |= {"occlusion": "most_hidden_mm"}
    for gate, what, unit, fault, good, bad in FAULTS:
        for level in (*good, *bad):
            results = list(values_at(gate, fault, level, count))
            measured = [value for value, _ in results if value is not None]
            middle = f"{np.median(measured):.3g}" if measured else "-"
            closed = sum(shut for _, shut in results)
            kind = "good" if level in good else "bad"
            threshold = getattr(QualitySettings(), thresholds[gate])
            cells = (gate, what, f"{level:g} {unit}".strip(), kind, f"{closed} of {count}", middle, f"{threshold:g}")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="pictures per level")
    parser.add_argument("--to", type=Path, help="a Markdown file; default: stdout")
    parser.add_argument("--look", type=Path, help="also write one picture per fault and level, to be looked at")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    if given.look is not None:
        write_pictures(given.look)
    text = table(given.count)
    if given.to is None:
        print(text, end="")
    else:
        given.to.write_text(text, encoding="utf-8")


def write_pictures(path: Path) -> None:
    """A sheet with a row of levels for each fault."""
    rows = []
    for gate, _, _, fault, good, bad in FAULTS:
        row = []
        for level in (*good, *bad)[-4:]:
            rng = stream(SEED, "quality", 3)
            scene = draw_scene(rng, 3, level if gate == "tilt" else 5.0, level if gate == "size" else 0.55)
            picture = photograph(rng, fault(rng, scene, level))[0]
            row.append(cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA))
        rows.append(np.hstack(row + [np.zeros_like(row[0])] * (4 - len(row))))
    write_image(path, np.vstack(rows))


if __name__ == "__main__":
    main()
