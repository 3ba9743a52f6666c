"""Where an export's files go: those that may ship to the folder, the others below it.

Stands apart because it alone touches that folder, and must not leave what an earlier export put there in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unetlite.export.exporter import Export, Network
from unetlite.export.levels import Level
from unetlite.vision.errors import OutputError
from unetlite.vision.files import write_bytes

REJECTED = "rejected"  # folder below the export's for files that passed their budget


def file_name(model: Path, level: Level) -> str:
    """`unet.keras` at int8 -> `unet.int8.tflite`."""
    return f"{model.stem}.{level.name}.tflite"


def targets_of(model: Path, level: Level, folder: Path) -> tuple[Path, Path]:
    """Where a level's file goes if it may ship, and where it is kept if it may not."""
    name = file_name(model, level)
    return folder / name, folder / REJECTED / name


def write_files(network: Network, exports: Sequence[Export], folder: Path, *, overwrite: bool) -> dict[str, Path]:
    """Write each file that was not refused, whole or not at all.

    An earlier export's file that this one takes the place of goes, wherever it lay: nobody may ship by mistake what
    has just been rejected.

    Raises:
        OutputError: a file exists and `overwrite` is false, or the disk refused.
    """
    written = {}
    for export in exports:
        shipped, kept = targets_of(network.path, export.level, folder)
        target = shipped if export.ships else kept
        if export.refused is None:
            write_bytes(target, export.content, overwrite=overwrite)
            written[export.level.name] = target
        if overwrite:
            for path in {shipped, kept} - set(written.values()):
                _remove(path)
    return written


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: an earlier export's file could not be removed: {error.strerror}") from error
