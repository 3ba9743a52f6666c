"""Pictures and masks packed into TFRecord files, for data sets whose single files no file system likes to hold.

Stands apart because here alone is known how a record is made and found again. Beside each `.tfrecord` lies a `.json`
that says where each record begins, so that any picture can be read at any time and an epoch has the same order, and
the same bytes, as from single files.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unetlite.vision.errors import DatasetError, MissingExtraError
from unetlite.vision.files import atomic_path, read_json, write_json

PICTURES_PER_FILE = 256
_HEADER, _FOOTER = 12, 4  # bytes of length and its checksum before, and of the checksum after, a record
_PATTERN = f"records-{'[0-9]' * 5}-of-{'[0-9]' * 5}.tfrecord"
_FIELDS = ("name", "image", "mask", "ground_truth")


@dataclass(frozen=True)
class RecordSample:
    """One picture with its mask inside a `.tfrecord` file.

    Attributes:
        file: the `.tfrecord`.
        name: what the picture's file would be called.
        offset, length: of the record's content in the file, in bytes.
        crc32: of that content.
        sha256: of the picture's file, in hex.
    """

    file: Path
    name: str
    offset: int
    length: int
    crc32: int
    sha256: str


def record_name(number: int, count: int) -> str:
    """File `number` of `count`, from 0, as TensorFlow's own data sets are called."""
    return f"records-{number:05}-of-{count:05}.tfrecord"


def write_records(path: Path, entries: Iterable[tuple[str, bytes, bytes, bytes, str]]) -> None:
    """Write a `.tfrecord` and its index, both atomically, the index last.

    Args:
        entries: of each picture the file name, the bytes of picture, mask and ground truth, the picture's SHA-256.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        OutputError: the disk refused.
    """
    tf = _tensorflow()
    places, position = [], 0
    with atomic_path(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        for name, image, mask, truth, sha256 in entries:
            contents = zip(_FIELDS, (name.encode(), image, mask, truth), strict=True)
            feature = {
                field: tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
                for field, content in contents
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            record = example.SerializeToString(deterministic=True)
            writer.write(record)
            place = RecordSample(path, name, position + _HEADER, len(record), zlib.crc32(record), sha256)
            places.append({key: value for key, value in asdict(place).items() if key != "file"})
            position += _HEADER + len(record) + _FOOTER
    write_json(path.with_suffix(".json"), {"records": places})


def has_records(folder: Path) -> bool:
    """Whether a split's folder holds record files."""
    return next(folder.glob(_PATTERN), None) is not None


def find_records(folder: Path) -> list[RecordSample]:
    """All records of a split, in the order that single files would have.

    Raises:
        DatasetError: a file or its index is missing or damaged.
    """
    count = int(sorted(folder.glob(_PATTERN))[0].stem.rpartition("-")[2])
    found = []
    for number in range(count):
        path = folder / record_name(number, count)
        try:
            places = read_json(path.with_suffix(".json"))["records"]
            found += [RecordSample(file=path, **place) for place in places]
            size = path.stat().st_size
            end = found[-1].offset + found[-1].length + _FOOTER if places else size
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DatasetError(
                f"{path}: expected a file of records with its index {path.stem}.json, got {error}; run unet-data "
                "prepare again"
            ) from error
        if end != size:
            raise DatasetError(f"{path}: expected a file as long as its index says, got {size} bytes; copy it again")
    return found


def read_record(sample: RecordSample) -> dict[str, bytes]:
    """The bytes of `image`, `mask` and `ground_truth` as their files would hold them, and the `name`.

    Raises:
        DatasetError: the file is damaged.
    """
    tf = _tensorflow()
    try:
        with sample.file.open("rb") as file:
            file.seek(sample.offset)
            content = file.read(sample.length)
    except OSError as error:
        raise DatasetError(f"{sample.file}: could not be read: {error.strerror}; check the path") from error
    if zlib.crc32(content) != sample.crc32:
        raise DatasetError(f"{sample.file}: the record of {sample.name} is damaged; copy the file again")
    features: Any = tf.train.Example.FromString(content).features.feature
    return {field: features[field].bytes_list.value[0] for field in _FIELDS}


def _tensorflow() -> Any:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError(
            f"--records needs TensorFlow ({error}); install it with: pip install 'unetlite[train-cpu]'"
        ) from error
    return tf
