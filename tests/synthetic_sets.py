"""What tests of the generator draw with, and what it wrote."""

from __future__ import annotations

from pathlib import Path

from unetlite.training.synthesis.generator import Recipe

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
