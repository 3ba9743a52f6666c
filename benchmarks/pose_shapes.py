"""What shapes flat documents show to a phone: the shares that the constants of vision/shape.py stand for.

    python benchmarks/pose_shapes.py POSES.csv

POSES.csv holds the corners of real frames: columns width, height, x1 y1 ... x4 y4.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import numpy as np

from unetlite.vision.quad import order_corners
from unetlite.vision.shape import shape_cost, undone_view

PERCENT = (50, 90, 95, 99, 99.9)


@click.command()
@click.argument("poses", type=click.Path(path_type=Path, exists=True))
def main(poses: Path) -> None:
    skews, tilts, aspects, costs = [], [], [], []
    with open(poses, newline="") as file:
        for row in csv.DictReader(file):
            corners = np.array([float(row[f"{axis}{i}"]) for i in range(1, 5) for axis in "xy"]).reshape(1, 4, 2)
            quad, picture_wh = order_corners(corners[0])[None], (int(row["width"]), int(row["height"]))
            skew, tilt, aspect = undone_view(quad, picture_wh)
            best = int(skew.argmin())  # the camera that fits
            skews.append(skew[best, 0] ** 0.5)
            tilts.append(tilt[best, 0] ** 0.5)
            aspects.append(np.exp(aspect[best, 0]))
            costs.append(shape_cost(quad, picture_wh)[0])
    print(f"{len(costs)} frames; percentiles {PERCENT}")
    for name, values in (("cosine of the angle", skews), ("sine of the tilt", tilts), ("cost", costs)):
        print(f"{name:<20}", *(f"{value:.3f}" for value in np.percentile(values, PERCENT)))
    percent = (1, 5, 25, 50, 75, 95, 99)
    print(f"aspect, percentiles {percent}:", *(f"{value:.3f}" for value in np.percentile(aspects, percent)))


if __name__ == "__main__":
    main()
