"""Hit and false-alarm rates of the capture's quality gates on pictures of known blur, glare, tilt and cover.

    python benchmarks/quality_gates.py --to docs/results/quality-gates.json

Cards and surfaces are the generator's; the camera is a pinhole of known focal length, each fault is put in alone and
in known strength. A fault's own gate that closes at a harmless strength is a false alarm, at a harmful one a hit.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tables import table, write_tables

from unetlite.edge.capture.camera import LiveFrame
from unetlite.edge.capture.quality import QualitySettings, judge, outline_threshold
from unetlite.edge.segmenter import load_segmenter, shipped_model
from unetlite.training.synthesis.faces import Face, draw_face
from unetlite.training.synthesis.hands import draw_hands, paint_front
from unetlite.training.synthesis.layers import flat_homography
from unetlite.training.synthesis.randomness import stream
from unetlite.training.synthesis.surfaces import SurfaceSource, draw_surface
from unetlite.vision.image import write_image
from unetlite.vision.metrics import quad_iou

SIZE_WH = (960, 720)
FOCAL_SHARE = 0.9
SEED = 11
NOISE = 2.5  # grey levels, of a small sensor in a room
LENS_BLUR_PX = 0.6
RIGHT_IOU = 0.9  # of a quad that a usable crop can be taken from

Scene = tuple[np.ndarray, np.ndarray, float]  # image (H, W, 3) uint8 RGB, quad (4, 2), pixels per mm
Fault = Callable[[np.random.Generator, Scene, float], Scene]


def draw_scene(rng: np.random.Generator, number: int, tilt_deg: float = 5.0, width_share: float = 0.55) -> Scene:
    """A card on a table, tilted by so much about a random axis, before the lens has blurred it."""
    face = draw_face(rng, f"card {number}")
    plane, px_per_mm = pose(rng, face, tilt_deg, width_share)
    canvas = draw_surface(rng, SIZE_WH, plane, SurfaceSource(SEED, (), ()))
    return lay(canvas, face, plane), quad_of(face, plane), px_per_mm


def pose(
    rng: np.random.Generator, face: Face, tilt_deg: float = 5.0, width_share: float = 0.55
) -> tuple[np.ndarray, float]:
    """The homography (3, 3) from the card's plane in mm to pixels, and pixels per mm."""
    focal = FOCAL_SHARE * SIZE_WH[0]
    axis_angle, roll = rng.uniform(0, np.pi), rng.normal(0, 0.08)
    axis = np.array([np.cos(axis_angle), np.sin(axis_angle), 0.0]) * np.radians(tilt_deg)
    rotation = cv2.Rodrigues(axis)[0] @ cv2.Rodrigues(np.array([0.0, 0.0, roll]))[0]
    distance_mm = focal * face.format.width_mm / (width_share * SIZE_WH[0])
    camera = np.array([[focal, 0, SIZE_WH[0] / 2 - 0.5], [0, focal, SIZE_WH[1] / 2 - 0.5], [0, 0, 1]])
    return camera @ np.column_stack([rotation[:, 0], rotation[:, 1], [0.0, 0.0, distance_mm]]), focal / distance_mm


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


THRESHOLDS = {
    "margin": "least_margin",
    "size": "least_ppi",
    "tilt": "most_tilt_deg",
    "brightness": "least_brightness",
    "glare": "most_glare",
    "contrast": "least_contrast",
    "sharpness": "most_blur_mm",
    "occlusion": "most_hidden_mm",
}


UNITS = {
    "margin": "of the shorter side",
    "size": "ppi",
    "tilt": "degrees",
    "brightness": "of 255",
    "glare": "of the card",
    "contrast": "of 255",
    "sharpness": "mm",
    "occlusion": "mm",
}


def results_at(gate: str, fault: Fault, level: float, count: int) -> dict[str, Any]:
    """How often the gate closed on `count` pictures, and its median value."""
    settings = QualitySettings(focal_share=FOCAL_SHARE)
    values, closed = [], 0
    for number in range(count):
        rng = stream(SEED, "quality", number)  # every level sees the same cards
        scene = scene_at(rng, number, gate, level)
        image, quad, _ = photograph(rng, fault(rng, scene, level))
        frame = LiveFrame(number, 0.0, image, "RGB", SIZE_WH)
        result = next(g for g in judge(frame, quad, settings, every=True).gates if g.name == gate)
        closed += not result.passed
        values += [] if result.value is None else [float(result.value)]
    return {"level": level, "closed": closed, "median": float(np.median(values)) if values else None}


def scene_at(rng: np.random.Generator, number: int, gate: str, level: float) -> Scene:
    """The scene before its fault; tilt and size are the scene's own."""
    return draw_scene(rng, number, level if gate == "tilt" else 5.0, level if gate == "size" else 0.55)


def outline_results(count: int) -> list[dict[str, Any]]:
    """What the shipped model finds on cards that lie well, are held, cut off by the frame, or tilted, and its gate."""
    segmenter = load_segmenter(shipped_model())
    spec = segmenter.contract.output
    results = []
    for number in range(count):
        for kind in ("lies well", "held", "cut off", "tilted"):
            rng = stream(SEED, "outline", number)
            tilt_deg = 45.0 if kind == "tilted" else float(rng.uniform(0.0, 25.0))
            scene = draw_scene(rng, number, tilt_deg, float(rng.uniform(0.35, 0.6)))
            if kind == "held":
                scene = hand(rng, scene, 1.0)
            elif kind == "cut off":
                scene = shifted(rng, scene, -0.1)
            image, quad, _ = photograph(rng, scene)
            finding = segmenter(image).finding
            if finding.quad is not None:
                closed = finding.confidence < outline_threshold(spec.min_confidence)
                iou = float(quad_iou(finding.quad, quad))
                results.append({"kind": kind, "confidence": finding.confidence, "iou": iou, "closed": closed})
    return results


def outline_row(results: list[dict[str, Any]]) -> list[str]:
    right = [r["closed"] for r in results if r["iou"] >= RIGHT_IOU]
    wrong = [r["closed"] for r in results if r["iou"] < RIGHT_IOU]
    threshold = outline_threshold(load_segmenter(shipped_model()).contract.output.min_confidence)
    rates = [f"{sum(closed)} of {len(closed)}" for closed in (right, wrong)]
    return [
        "outline",
        f"{threshold:.2f} of 1",
        "the network's own quad (IoU with the true one)",
        f">= {RIGHT_IOU:g}",
        rates[0],
        f"< {RIGHT_IOU:g}",
        rates[1],
    ]


def write_report(to: Path, count: int) -> None:
    """Write a table for docs/fill.py; each level's own figures stand beside it."""
    outlines = outline_results(count)
    rows, faults = [outline_row(outlines)], []
    for gate, what, unit, fault, good, bad in FAULTS:
        levels = {
            kind: [results_at(gate, fault, level, count) for level in chosen]
            for kind, chosen in (("harmless", good), ("harmful", bad))
        }
        faults.append({"gate": gate, "fault": what, "unit": unit, **levels})
        threshold = getattr(QualitySettings(), THRESHOLDS[gate])
        cells = [gate, f"{threshold:g} {UNITS[gate]}".strip(), f"{what} ({unit})" if unit else what]
        for results in levels.values():
            cells.append(", ".join(f"{r['level']:g}" for r in results))
            cells.append(f"{sum(r['closed'] for r in results)} of {count * len(results)}")
        rows.append(cells)
    columns = ["gate", "closes at", "fault", "harmless", "false alarms", "harmful", "hits"]
    data = (
        f"{count} drawn cards per level, {SIZE_WH[0]}x{SIZE_WH[1]}, judged at their true corners; levels between "
        f"harmless and harmful are a matter of taste and not counted. The outline's are what the shipped model finds "
        f"of {count} cards each that lie well, are held, cut off by the frame, or tilted"
    )
    write_tables(
        to,
        [table("", columns, rows)],
        data=data,
        command="benchmarks/quality_gates.py",
        faults=faults,
        outlines=outlines,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="pictures per level")
    parser.add_argument("--to", type=Path, required=True, help="the JSON to write, for docs/fill.py")
    parser.add_argument("--look", type=Path, help="also write one picture per fault and level, to be looked at")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    if given.look is not None:
        write_pictures(given.look)
    write_report(given.to, given.count)


def write_pictures(path: Path) -> None:
    """A sheet with a row of levels for each fault."""
    rows = []
    for gate, _, _, fault, good, bad in FAULTS:
        row = []
        for level in (*good, *bad)[-4:]:
            rng = stream(SEED, "quality", 3)
            picture = photograph(rng, fault(rng, scene_at(rng, 3, gate, level), level))[0]
            row.append(cv2.resize(picture, (320, 240), interpolation=cv2.INTER_AREA))
        rows.append(np.hstack(row + [np.zeros_like(row[0])] * (4 - len(row))))
    write_image(path, np.vstack(rows))


if __name__ == "__main__":
    main()
