"""Writing a synthetic data set: pictures, masks, ground truth, in parallel and repeatably.

Stands apart because here are the generator's only writes.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from unetlite.training.synthesis import assets
from unetlite.training.synthesis.contact import write_contact_sheet
from unetlite.training.synthesis.faces import Face, draw_face
from unetlite.training.synthesis.poses import read_priors
from unetlite.training.synthesis.randomness import chance, pick, stream
from unetlite.training.synthesis.reprints import reprint_frame, usable_frames
from unetlite.training.synthesis.scene import Scene, draw_document_scene, draw_negative_scene
from unetlite.training.synthesis.surfaces import SurfaceSource
from unetlite.vision.dataset import Sample, find_samples, split_folder
from unetlite.vision.errors import DatasetError
from unetlite.vision.files import read_json, write_json, write_text
from unetlite.vision.image import write_image
from unetlite.vision.shard import Shard, owns, parse_shard

GENERATOR_VERSION = 3  # raise it whenever the same seed gives other pictures
SIZES_WH = ((480, 640), (640, 480), (540, 960), (960, 540))
CLASSES = {
    ("document",): {"ID-1": 255, "ID-2": 255, "ID-3": 255},
    ("card", "passport"): {"ID-1": 1, "ID-2": 1, "ID-3": 2},
}
PICTURES_PER_FACE = 4  # a face is dear to draw; four pictures show it in other places, copies and light


@dataclass(frozen=True)
class Recipe:
    """All that a picture depends on besides its index; travels to the workers."""

    directory: Path
    seed: int
    size_wh: tuple[int, int] | None
    negatives: float
    classes: tuple[str, ...]
    poses: Path | None
    tiles: tuple[Path, ...]
    pictures: tuple[Path, ...]
    faces: tuple[Path, ...]
    faces_folder: Path | None
    frames: tuple[Sample, ...]


@dataclass(frozen=True)
class Synthesis:
    """What a run did: how many pictures it drew, and how many it found there already."""

    directory: Path
    written: int
    kept: int


def generate(
    directory: Path,
    count: int,
    seed: int,
    *,
    backgrounds: Path | None = None,
    faces: Path | None = None,
    poses: Path | None = None,
    frames: Path | None = None,
    size_wh: tuple[int, int] | None = None,
    negatives: float = 0.15,
    classes: tuple[str, ...] = ("document",),
    shard: Shard | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Synthesis:
    """Write `count` synthetic pictures with masks and ground truth below `directory`.

    Picture i depends on the seed, i, these arguments and the asset folders' content, never on `jobs` or
    `count`. Pictures that an earlier run with the same arguments finished are kept, so an interrupted run
    goes on where it stopped and a larger `count` adds to a set.

    Args:
        directory: receives images/, masks/, ground_truth/, synthesis.json and contact-sheet.jpg.
        count: number of pictures.
        seed: any integer from 0.
        backgrounds: folder of pictures and small seamless tiles to use besides the procedural surfaces.
        faces: folder of flat document pictures to use besides the procedural faces.
        poses: CSV of corners in real frames, see `read_priors`.
        frames: real frames with corners, a MIDV folder or a prepared one (its train/); every picture is then one of
            them with a face over its document, and nothing else is drawn.
        size_wh: the pictures' size; by default each draws one of SIZES_WH.
        negatives: share of pictures without a document, 0..1.
        classes: ("document",) for masks of 0 and 255, ("card", "passport") for masks of 0, 1 and 2.
        shard: draw this share of the pictures only, and say so in synthesis.json; see `training.data.merge`.
        jobs: worker processes; all processors by default.
        progress: called with (finished, to be drawn by this run) now and then.

    Raises:
        DatasetError: an argument or asset folder is unusable, or `directory` holds a set of other arguments.
        OutputError: a file could not be written.
    """
    _check(count, seed, size_wh, negatives, classes)
    if frames and (backgrounds or poses or size_wh):
        raise DatasetError(
            f"{frames}: expected frames without backgrounds, poses or a size, which they have already; leave those out"
        )
    directory = Path(directory)
    background_paths = assets.list_images(backgrounds) if backgrounds else []
    face_paths = assets.usable_faces(assets.list_images(faces)) if faces else []
    if faces and not face_paths:
        raise DatasetError(
            f"{faces}: expected pictures with the sides' ratio of ID-1, ID-2 or ID-3, found none"
        )
    if poses:
        read_priors(poses)
    tiles, pictures = assets.split_tiles(background_paths)
    samples = usable_frames(find_samples(split_folder(frames, "train")), frames) if frames else []
    recipe = Recipe(
        directory,
        seed,
        size_wh,
        negatives,
        classes,
        poses,
        tiles,
        pictures,
        tuple(face_paths),
        Path(faces) if faces else None,
        tuple(samples),
    )
    record = {
        "generator": GENERATOR_VERSION,
        "seed": seed,
        "count": count,
        "size_wh": list(size_wh) if size_wh else None,
        "negatives": negatives,
        "classes": list(classes),
        "backgrounds": _describe(backgrounds, background_paths),
        "faces": _describe(faces, face_paths),
        "poses": _describe(poses.parent, [poses]) if poses else None,
        **({"frames": _describe(frames, [sample.image for sample in samples])} if frames else {}),
        "licences": "those of the named asset folders are not known to the generator",
        **({"shard": str(shard)} if shard else {}),
    }
    _claim(directory, record)
    indices = indices_of(record)
    missing = [index for index in indices if not all(p.is_file() for p in _paths(directory, index))]
    done = kept = len(indices) - len(missing)
    for finished in _draw_all(recipe, missing, jobs or os.cpu_count() or 1):
        done += finished
        if progress:
            progress(done, len(indices))
    write_overview(directory, record)
    return Synthesis(directory, len(missing), kept)


def indices_of(record: dict[str, Any]) -> list[int]:
    """The pictures that a set with this synthesis.json holds. Raises SettingsError."""
    shard = parse_shard(record["shard"]) if "shard" in record else None
    return [index for index in range(record["count"]) if owns(shard, index // PICTURES_PER_FACE)]


def files_of(record: dict[str, Any]) -> list[str]:
    """The files of those pictures, relative to the set's folder. Raises SettingsError."""
    return [path.as_posix() for index in indices_of(record) for path in _paths(Path(), index)]


def write_overview(directory: Path, record: dict[str, Any]) -> None:
    """Write what lies beside the pictures and is made from all of them: class names and contact sheet."""
    if len(record["classes"]) > 1:
        write_text(directory / "labels.txt", "\n".join(["background", *record["classes"]]) + "\n")
    triples = [_paths(directory, index) for index in indices_of(record)]
    if triples:
        write_contact_sheet(directory, triples)


def _check(
    count: int, seed: int, size_wh: tuple[int, int] | None, negatives: float, classes: tuple[str, ...]
) -> None:
    if count < 1:
        raise DatasetError(f"synthesis: expected a count of at least 1, got {count}; pass --count 1000")
    if seed < 0:
        raise DatasetError(f"synthesis: expected a seed from 0, got {seed}; pass --seed 1")
    if size_wh is not None and not (min(size_wh) >= 64 and max(size_wh) <= 4096):
        raise DatasetError(
            f"synthesis: expected sides of 64 to 4096 pixels, got {size_wh[0]}x{size_wh[1]}; "
            f"pass --size 640x480"
        )
    if not 0.0 <= negatives <= 1.0:
        raise DatasetError(
            f"synthesis: expected a share of negatives in 0..1, got {negatives}; pass --negatives 0.15"
        )
    if classes not in CLASSES:
        raise DatasetError(
            f"synthesis: expected the classes document or card,passport, got {','.join(classes)}"
        )


def _describe(folder: Path | None, paths: list[Path]) -> dict[str, Any] | None:
    if folder is None:
        return None
    return {
        "folder": Path(folder).resolve().name,
        "files": len(paths),
        "fingerprint": assets.fingerprint(paths, Path(folder)),
    }


def _claim(directory: Path, record: dict[str, Any]) -> None:
    """Write down what the set is made of, or refuse to mix it with a set made otherwise."""
    path = directory / "synthesis.json"
    if path.is_file():
        try:
            earlier = read_json(path)
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"{path}: expected the record of an earlier run, got no JSON; use a new folder"
            ) from error
        if not isinstance(earlier, dict) or type(earlier.get("count")) is not int:
            raise DatasetError(f"{path}: expected the record of an earlier run, got other JSON; use a new folder")
        keys = {**earlier, **record}
        differing = [key for key in keys if key != "count" and earlier.get(key) != record.get(key)]
        if differing:
            raise DatasetError(
                f"{path}: the set there was made with another {', '.join(differing)}; "
                f"use the same arguments or a new folder"
            )
        if earlier["count"] > record["count"]:
            raise DatasetError(
                f"{path}: the set there has {earlier['count']} pictures, more than the "
                f"{record['count']} asked for; use a new folder"
            )
    elif (directory / "images").is_dir() and any((directory / "images").iterdir()):
        raise DatasetError(
            f"{directory}: holds pictures that no synthesis.json accounts for; use a new folder"
        )
    write_json(path, record)


def _paths(directory: Path, index: int) -> tuple[Path, Path, Path]:
    name = f"{index:06d}"
    return (
        directory / "images" / f"{name}.jpg",
        directory / "masks" / f"{name}.png",
        directory / "ground_truth" / f"{name}.json",
    )


def _draw_all(recipe: Recipe, missing: list[int], jobs: int) -> Iterator[int]:
    """Draw the missing pictures, yielding how many more are finished."""
    groups: dict[int, list[int]] = {}
    for index in missing:
        groups.setdefault(index // PICTURES_PER_FACE, []).append(index)
    tasks = list(groups.values())
    if jobs == 1 or len(tasks) < 2:
        workshop = Workshop(recipe)
        for indices in tasks:
            yield _write_pictures(workshop, indices)
        return
    # Spawned, not forked: OpenCV's and TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(jobs, len(tasks)), initializer=_open_worker, initargs=(recipe,)) as pool:
        yield from pool.imap_unordered(_work, tasks, chunksize=2)


_worker_workshop: Workshop  # one per worker process, set as it starts


def _open_worker(recipe: Recipe) -> None:
    global _worker_workshop
    cv2.setNumThreads(1)
    _worker_workshop = Workshop(recipe)


def _work(indices: list[int]) -> int:
    return _write_pictures(_worker_workshop, indices)


class Workshop:
    """Draws any picture of one recipe; keeps what neighbouring pictures share."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._priors = read_priors(recipe.poses) if recipe.poses else None
        self._source = SurfaceSource(recipe.seed, recipe.tiles, recipe.pictures)
        self._last_face: tuple[int, Face] | None = None

    def draw(self, index: int) -> tuple[Scene, str, int]:
        """Picture `index`: the scene, its document's name and its JPEG quality."""
        recipe = self.recipe
        rng = stream(recipe.seed, "picture", index)
        if recipe.frames:
            frame = pick(rng, recipe.frames)
            scene = reprint_frame(rng, frame, self._face(index // PICTURES_PER_FACE))
            return scene, f"reprint:{frame.clip}", int(rng.integers(40, 96))  # a split keeps a clip together
        size_wh = recipe.size_wh or pick(rng, SIZES_WH)
        if chance(rng, recipe.negatives):
            document = f"negative:{recipe.seed}:{index}"
            scene = draw_negative_scene(rng, size_wh, self._priors, self._source)
        else:
            face = self._face(index // PICTURES_PER_FACE)
            document = face.document
            scene = draw_document_scene(rng, size_wh, face, self._priors, self._source)
        return scene, document, int(rng.integers(40, 96))

    def _face(self, number: int) -> Face:
        if self._last_face is None or self._last_face[0] != number:
            recipe = self.recipe
            rng = stream(recipe.seed, "face", number)
            if recipe.faces and recipe.faces_folder and chance(rng, 0.2):
                face = assets.read_face(pick(rng, recipe.faces), recipe.faces_folder)
            else:
                face = draw_face(rng, f"procedural:{recipe.seed}:{number}")
            self._last_face = (number, face)
        return self._last_face[1]


def _write_pictures(workshop: Workshop, indices: list[int]) -> int:
    recipe = workshop.recipe
    for index in indices:
        scene, document, quality = workshop.draw(index)
        image_path, mask_path, truth_path = _paths(recipe.directory, index)
        value = CLASSES[recipe.classes][scene.format] if scene.format else 0
        truth = {
            "quad": None if scene.quad is None else np.round(scene.quad, 3).tolist(),
            "document": document,
            "format": scene.format,
            "kind": scene.kind,
            "occluded": scene.occluded,
        }
        write_image(image_path, scene.image, jpeg_quality=quality)
        write_image(mask_path, scene.mask.astype(np.uint8) * np.uint8(value))
        write_json(truth_path, truth)
    return len(indices)
