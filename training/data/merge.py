"""Putting the parts of a data set together that several runs with `--shard` made.

Stands apart from `prepare` and the generator, which know nothing of one another: what they share is that a part's
manifest is the whole set's and names its shard.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unetlite.training.data import prepare
from unetlite.training.synthesis import generator
from unetlite.vision.errors import DatasetError, OutputError, SettingsError
from unetlite.vision.files import read_json, write_json
from unetlite.vision.shard import Shard, check_complete, owns, parse_shard

SYNTHESIS = "synthesis.json"


@dataclass(frozen=True)
class Merged:
    """What `merge` did: the whole set's manifest, and how many files it names."""

    manifest: Path
    files: int


def merge(parts: Sequence[Path], to: Path) -> Merged:
    """Make one data set of all parts, the same as a single run would have written, byte for byte.

    Files are hard-linked where the file system allows, else copied; the parts stay as they are. The set appears
    under its name when it is whole.

    Args:
        parts: the folders of all shards of `unet-data prepare` or `unet-data synthesize`, in any order.
        to: a new folder.

    Raises:
        DatasetError: a part is no part, or not finished, or was made with other arguments than the others.
        SettingsError: a shard is missing or there twice.
        OutputError: the folder exists, or the disk refused.
    """
    if to.exists():
        raise OutputError(f"{to}: expected a new folder, but it exists; choose another")
    if not parts:
        raise SettingsError("expected the folders of all shards, got none; name them")
    names = [_manifest_name(part) for part in parts]
    records = [_read(part / name) for part, name in zip(parts, names, strict=True)]
    shards = [_shard(part, record) for part, record in zip(parts, records, strict=True)]
    whole = {key: value for key, value in records[0].items() if key != "shard"}
    for part, record in zip(parts[1:], records[1:], strict=True):
        differing = [key for key in {**whole, **record} if key != "shard" and whole.get(key) != record.get(key)]
        if differing:
            raise DatasetError(
                f"{part}: expected a part of the same set as {parts[0]}, got one with another "
                f"{', '.join(differing)}; name the parts of one run, or make this one again"
            )
    check_complete([(str(part), shard) for part, shard in zip(parts, shards, strict=True)])
    files_of = _synthesized if names[0] == SYNTHESIS else _prepared
    try:
        found = [(part, file) for part, record in zip(parts, records, strict=True) for file in files_of(record)]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{parts[0] / names[0]}: expected the manifest of a part; make the part again") from error
    for part, file in found:
        if not (part / file).is_file():
            shard = shards[list(parts).index(part)]
            raise DatasetError(f"{part}: shard {shard} is not finished, {file} is missing; run it again")
    temporary = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    try:
        for part, file in found:
            prepare.link_or_copy(part / file, temporary / file)
        if names[0] == SYNTHESIS:
            generator.write_overview(temporary, whole)
        write_json(temporary / names[0], whole)
        os.rename(temporary, to)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{to}: could not be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Merged(to / names[0], len(found))


def _manifest_name(part: Path) -> str:
    for name in (prepare.MANIFEST, SYNTHESIS):
        if (part / name).is_file():
            return name
    raise DatasetError(f"{part}: expected a part that --shard made, found neither {prepare.MANIFEST} nor {SYNTHESIS}")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: expected the manifest of a part, got {error}; make the part again") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: expected the manifest of a part, got {type(content).__name__}")
    return content


def _shard(part: Path, record: dict[str, Any]) -> Shard:
    if "shard" not in record:
        raise DatasetError(f"{part}: expected a part that --shard made, got a whole data set; leave it out")
    try:
        return parse_shard(record["shard"])
    except SettingsError as error:
        raise DatasetError(f"{part}: {error}; make the part again") from error


def _synthesized(record: dict[str, Any]) -> list[str]:
    return generator.files_of(record)


def _prepared(record: dict[str, Any]) -> list[str]:
    shard = parse_shard(record["shard"])
    units = prepare.units_of(record)
    return [file for number, unit in enumerate(units) if owns(shard, number) for file in unit.files]
