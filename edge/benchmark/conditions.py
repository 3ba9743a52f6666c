"""Under which conditions a data set's pictures were taken, from the `conditions.tsv` beside them.

Stands apart because most data sets have none.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unetlite.vision.errors import DatasetError

CONDITIONS_FILE = "conditions.tsv"
MOST_VALUES = 12  # a column of more (a clip's name, say) names pictures rather than a condition


@dataclass(frozen=True)
class Conditions:
    """The table: its columns, and by picture the value of each."""

    columns: Sequence[str]
    of_image: Mapping[str, Mapping[str, str]]

    def groups(self, names: Sequence[str]) -> dict[tuple[str, str], list[str]]:
        """By column and value ("cut", "1"), those of `names`, in their order; only columns that divide them."""
        found: dict[tuple[str, str], list[str]] = {}
        for column in self.columns:
            groups: dict[str, list[str]] = {}
            for name in names:
                value = self.of_image.get(name, {}).get(column)
                if column != "image" and value:
                    groups.setdefault(value, []).append(name)
            if 2 <= len(groups) <= MOST_VALUES:
                found.update({(column, value): groups[value] for value in sorted(groups)})
        return found


def read_conditions(root: Path, names: list[str]) -> dict[tuple[str, str], list[str]]:
    """Which pictures are of which condition; `Conditions.groups` of the table in `root`, if there is one.

    Raises:
        DatasetError: as `read_table`.
    """
    table = read_table(root)
    return table.groups(names) if table else {}


def read_table(root: Path) -> Conditions | None:
    """The `conditions.tsv` of a data set's folder; None where there is none.

    Raises:
        DatasetError: no table with a column `image` and at least one other.
    """
    path = root / CONDITIONS_FILE
    if not path.is_file():
        return None
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter="\t", restval="")
            rows, columns = list(reader), list(reader.fieldnames or ())
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"{path}: expected a table separated by tabs, got {error}; restore the file") from error
    if "image" not in columns or len(columns) < 2:
        raise DatasetError(
            f"{path}: expected a first line with 'image' and at least one condition, separated by tabs, "
            f"got {columns!r:.80}; add it or remove the file"
        )
    return Conditions(columns, {row["image"]: row for row in rows})
