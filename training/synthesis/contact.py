"""The contact sheet: a set's pictures side by side with their ground truth, for a person's eye.

Stands apart because no number tells whether pictures look real.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from unetlite.vision.files import read_json
from unetlite.vision.image import read_image, write_image

_CELL = 224
_COLUMNS, _ROWS = 8, 6


def write_contact_sheet(directory: Path, triples: list[tuple[Path, Path, Path]]) -> None:
    """Write contact-sheet.jpg with up to 48 pictures spread evenly over the set; quads outlined in green.

    Raises:
        OutputError: the file could not be written.
    """
    spread = np.linspace(0, len(triples) - 1, min(len(triples), _COLUMNS * _ROWS)).astype(int)
    cells = [_cell(triples[index][0], triples[index][2]) for index in spread]
    while len(cells) % _COLUMNS:
        cells.append(np.zeros((_CELL, _CELL, 3), np.uint8))
    rows = [np.hstack(cells[start : start + _COLUMNS]) for start in range(0, len(cells), _COLUMNS)]
    write_image(directory / "contact-sheet.jpg", np.vstack(rows), jpeg_quality=88)


def _cell(image_path: Path, truth_path: Path) -> np.ndarray:
    image = read_image(image_path)
    quad = read_json(truth_path)["quad"]
    factor = _CELL / max(image.shape[:2])
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    if quad is not None:
        corners = (np.array(quad) + 0.5) * factor - 0.5
        fixed = np.round(corners * 16).astype(np.int32)
        cv2.polylines(small, [fixed], True, (0, 255, 0), 1, cv2.LINE_AA, 4)
        cv2.circle(small, tuple(int(v) for v in fixed[0]), 3 << 4, (255, 0, 0), -1, cv2.LINE_AA, 4)
    cell = np.zeros((_CELL, _CELL, 3), np.uint8)
    cell[: small.shape[0], : small.shape[1]] = small[:_CELL, :_CELL]
    return cell
