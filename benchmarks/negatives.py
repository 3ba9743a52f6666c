"""Pictures without a document that nobody trained on: wallpapers of Debian packages, one file per motif.

    python benchmarks/negatives.py --to DIR        fetches the packages with apt-get (Debian 12)

Packages whose pictures the training drew on (gnome-backgrounds, mate-backgrounds, lomiri-wallpapers) are left out.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import click
import cv2

from unetlite.vision.image import read_image, write_image

PACKAGES = ("plasma-workspace-wallpapers", "ukui-wallpapers", "lomiri-wallpapers-16.04")
LONGEST_SIDE = 1600


def motifs(root: Path) -> list[Path]:
    """The largest picture of each folder of variants; every picture of a folder that holds several motifs."""
    pictures = [p for p in root.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"} and not p.is_symlink()]
    pictures = [p for p in pictures if p.name != "screenshot.png" and p.name != "screenshot.jpg"]
    variants: dict[Path, Path] = {}
    for path in sorted(pictures):
        key = path.parents[1] if path.parent.name == "images" else path
        if key not in variants or path.stat().st_size > variants[key].stat().st_size:
            variants[key] = path
    return [path for path in sorted(variants.values()) if path.parent.name != "images_dark"]


@click.command()
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(to: Path) -> None:
    """Fetch, unpack and write the pictures as JPEG of at most 1600 pixels."""
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=folder, check=True)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, f"{folder}/root"], check=True)
        for number, path in enumerate(motifs(Path(folder) / "root")):
            image = read_image(path)
            scale = min(1.0, LONGEST_SIDE / max(image.shape[:2]))
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            name = path.parents[2].name if path.parent.name == "images" else path.stem
            write_image(to / f"{number:03d}-{name}.jpg", image)
    click.echo(f"{to}   {len(list(to.glob('*.jpg')))} pictures")


if __name__ == "__main__":
    main()
