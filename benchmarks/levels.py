"""Every level of one or more models side by side: a Markdown table for each, from what `unet-export` measured.

    python benchmarks/levels.py exported/*.export.json --to docs/results/levels.json

Run it on the machine that exported: the result states this one's name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from tables import table, write_tables

from unetlite.vision.cli import Command

HEADINGS = (
    "level", "size", "IoU", "quad IoU", "quads >= 0.9", "IoU lost", "worst picture", "time / float32", "partitions",
    "ops delegated", "gates",
)  # fmt: skip


@click.command(cls=Command)
@click.argument("reports", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "target", required=True, type=click.Path(path_type=Path), help="The result, JSON.")
def main(reports: tuple[Path, ...], target: Path) -> None:
    """Put the levels of REPORTS (NAME.export.json, scored with --validation) into tables."""
    contents = [json.loads(path.read_text("utf-8")) for path in reports]
    for path, content in zip(reports, contents, strict=True):
        if content.get("format") != "unetlite-export" or content["keras"] is None:
            raise click.UsageError(f"{path}: expected a report of unet-export with --validation")
    counts = sorted({content["keras"]["pictures"] for content in contents})
    write_tables(
        target,
        [table(f"`{content['model']['file']}`", list(HEADINGS), rows(content)) for content in contents],
        data=(
            f"{' and '.join(map(str, counts))} drawn pictures that were in no training; worst picture: the largest "
            f"loss of IoU on any; time: the network alone, one thread, all levels taking turns"
        ),
        command="benchmarks/levels.py",
        models=[{key: content[key] for key in ("model", "date", "tools")} for content in contents],
    )


def rows(content: Mapping[str, Any]) -> list[list[str]]:
    """A line for Keras and one for each level; what is unknown is a dash."""
    keras, levels = content["keras"], content["levels"]
    base = (levels.get("float32") or {}).get("invoke_ms")
    lines = [["Keras", "-", *scores(keras), *["-"] * 6]]
    for name, level in levels.items():
        found = level["delegation"]
        ops = "-" if found["total_ops"] is None else f"{found['delegated_ops']} of {found['total_ops']}"
        partitions = "-" if found["partitions"] is None else str(found["partitions"])
        if level["status"] == "refused":
            lines.append([name, *["-"] * 7, partitions, ops, "refused"])
            continue
        losses, time = level["losses"], level["invoke_ms"]
        lines.append(
            [
                name,
                f"{level['bytes'] / 1e6:.2f} MB",
                *scores(level["score"]),
                f"{losses['iou']:+.4f}",
                f"{losses['image']:.3f}",
                f"{time / base:.2f}" if time and base else "-",
                partitions,
                ops,
                "passed" if level["status"] == "accepted" else "rejected",
            ]
        )
    return lines


def scores(score: Mapping[str, Any]) -> list[str]:
    quad, good = score["quad_iou_mean"], score["quad_iou_ge_90"]
    return [f"{score['iou_mean']:.4f}", *(("-", "-") if quad is None else (f"{quad:.3f}", f"{100 * good:.1f} %"))]


if __name__ == "__main__":
    main()
