"""Which file every result goes to, settled before any work is done.

Stands apart because nothing may be overwritten unasked, and no two inputs may share one output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unetlite.edge.sources import Frame, is_video_path, list_folder
from unetlite.vision.errors import ImageError, OutputError
from unetlite.vision.image import is_image_path

SUFFIXES = {"mask": ".png", "crop": ".png", "overlay": ".jpg"}


@dataclass(frozen=True)
class OutputPlan:
    """Where the results of each input go.

    Attributes:
        targets: by kind ("mask", "crop", "overlay"), the file or folder that was asked for.
        tails: by kind, the end of a file's name in a folder; None where the target is one file.
        stems: by place among the inputs and file, the beginning of its outputs' names.
    """

    targets: Mapping[str, Path]
    tails: Mapping[str, str | None]
    stems: Mapping[tuple[int, Path], str]

    def path_for(self, kind: str, place: int, frame: Frame, number: int) -> Path | None:
        """The file for one kind of result of a frame, None where that kind was not asked for.

        Args:
            kind: "mask", "crop" or "overlay".
            place: which of the inputs the frame is from.
            frame: the frame.
            number: which frame of its file; used for videos, which get a folder of their own.
        """
        target, tail = self.targets.get(kind), self.tails.get(kind)
        if target is None or tail is None:
            return target
        stem = self.stems[place, frame.path]
        return target / stem / f"{number:06d}{tail}" if is_video_path(frame.path) else target / f"{stem}{tail}"


def plan_outputs(inputs: Sequence[Path], targets: Mapping[str, Path], *, overwrite: bool) -> OutputPlan:
    """Settle every output's name.

    A target named like a picture is one file, and takes one input picture; any other is a folder, in which outputs
    are named like their pictures. Of two inputs with one name, the second is told apart by its folder's name.

    Args:
        inputs: files and folders as the user gave them; those that do not exist are left out.
        targets: by kind, what was asked for.
        overwrite: whether files that exist may be replaced.

    Raises:
        OutputError: one file for many pictures; an output that exists; an output that would replace an input.
    """
    files = [(place, file) for place, path in enumerate(inputs) for file in _files_of(path)]
    single = len(files) == 1 and not is_video_path(files[0][1])
    folders: list[Path] = []
    tails: dict[str, str | None] = {}
    for kind, target in targets.items():
        if is_image_path(target) and not target.is_dir():
            if not single:
                raise OutputError(
                    f"{target}: expected a folder for the {kind}s of {len(files)} inputs, got the name of one file; "
                    f"name a folder"
                )
            tails[kind] = None
        else:
            tails[kind] = SUFFIXES[kind]
            folders.append(target.resolve())
    for kind, target in targets.items():
        if tails[kind] is not None and folders.count(target.resolve()) > 1:
            tails[kind] = f".{kind}{SUFFIXES[kind]}"
    plan = OutputPlan(targets, tails, _unique_stems(files))
    _refuse_clashes(plan, files, overwrite)
    return plan


def _files_of(path: Path) -> list[Path]:
    try:
        return list_folder(path) if path.is_dir() else [path] if path.exists() else []
    except ImageError:  # told when the folder's turn comes
        return []


def _unique_stems(files: Sequence[tuple[int, Path]]) -> dict[tuple[int, Path], str]:
    stems: dict[tuple[int, Path], str] = {}
    taken: set[str] = set()
    for key in files:
        path = key[1]
        stem = path.stem
        if stem in taken:
            stem = f"{path.resolve().parent.name}-{path.stem}"
        count = 2
        while stem in taken:
            stem, count = f"{path.stem}-{count}", count + 1
        taken.add(stem)
        stems[key] = stem
    return stems


def _refuse_clashes(plan: OutputPlan, files: Sequence[tuple[int, Path]], overwrite: bool) -> None:
    sources = {file.resolve() for _, file in files}
    for kind, target in plan.targets.items():
        tail = plan.tails[kind]
        outputs = [target] if tail is None else [_first_output(target, plan.stems[key], key[1], tail) for key in files]
        for output in outputs:
            if output is not None and output.resolve() in sources:
                raise OutputError(f"{output}: expected an output beside the inputs, but it is one; name another folder")
            if output is not None and output.exists() and not overwrite:
                raise OutputError(f"{output}: expected a new file, but it exists; name another or pass --overwrite")


def _first_output(folder: Path, stem: str, file: Path, tail: str) -> Path | None:
    """The output of a picture; of a video, whose frames are not counted yet, the first that exists."""
    return next((folder / stem).glob(f"*{tail}"), None) if is_video_path(file) else folder / f"{stem}{tail}"
