"""What int8 loses by strategy and number of representative pictures: a Markdown table, and a JSON that holds it.

    python benchmarks/calibration_strategies.py models/unetlite.keras DATA --validation DATA --report r.json

Each strategy draws each number of pictures from the training part with several seeds: where the seeds of one row
differ more than two rows, the rows do not differ. All files are scored in one run over the validation pictures.
"""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from typing import Any

import click
import numpy as np
from tables import TABLES_FORMAT, markdown, table

from unetlite.vision.cli import Command, overwrite_option, tell, watching

HEADINGS = (
    "pictures", "strategy", "IoU loss", "over draws", "worst picture", "agreement", "quad IoU loss", "copies", "spread",
)  # fmt: skip


@click.command(cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source", metavar="DATA", type=click.Path(path_type=Path))
@click.option("--validation", required=True, type=click.Path(path_type=Path), help="A data set with truth.")
@click.option("--report", required=True, type=click.Path(path_type=Path), help="The result, JSON.")
@click.option("--count", "counts", type=click.IntRange(min=8), multiple=True, default=(16, 64, 128, 256),
              help="Numbers of pictures to draw.")  # fmt: skip
@click.option("--draws", type=click.IntRange(min=1), default=3, help="Draws of each number, with seeds 0, 1, ...")
@click.option("--limit", type=click.IntRange(min=1), help="Validation pictures to score, spread evenly.")
@overwrite_option
def main(
    model: Path,
    source: Path,
    validation: Path,
    report: Path,
    counts: tuple[int, ...],
    draws: int,
    limit: int | None,
    overwrite: bool,
) -> None:
    """Export MODEL at int8 from calibrations of each strategy, number and seed, and compare the files."""
    from unetlite.export.quiet import quiet_tensorflow

    quiet_tensorflow()
    from unetlite.calibration.manifest import make_manifest, representative_pixels
    from unetlite.calibration.select import STRATEGIES
    from unetlite.edge.device import device_record
    from unetlite.edge.model_contract import Overrides
    from unetlite.export import exporter
    from unetlite.export.agreement import validation_pictures
    from unetlite.export.build import build
    from unetlite.export.gates import Budget, judge_level
    from unetlite.export.levels import LEVELS
    from unetlite.vision.errors import OutputError
    from unetlite.vision.files import sha256_of, write_json

    if report.exists() and not overwrite:  # before an hour of work
        raise OutputError(f"{report}: expected a new file, but it exists; choose another name or pass --overwrite")
    network = exporter.open_network(model, Overrides())
    pictures = validation_pictures(validation)
    if limit is not None and limit < len(pictures):
        pictures = [pictures[i] for i in np.linspace(0, len(pictures) - 1, limit).round().astype(int)]
    plans = list(itertools.product(sorted(counts), STRATEGIES, range(draws)))
    int8, manifests, segmenters = LEVELS["int8"], {}, {}
    for plan in watching("Converting")(plans):
        count, strategy, seed = plan
        manifest = make_manifest(source, network.contract.input, count=count, strategy=strategy, seed=seed)
        if len(manifest.pictures) < count:
            tell(f"{strategy}, seed {seed}: {len(manifest.pictures)} different pictures where {count} were asked for.")
        content = build(network.keras, int8, network.contract.input, list(representative_pixels(manifest)))
        opened = exporter.open_file(content, int8)
        manifests[plan], segmenters[str(plan)] = manifest, exporter.file_segmenter(*opened, network.contract, int8)
    compared = exporter.compare_files(network, segmenters, pictures, watching("Comparing with Keras"))
    assert compared is not None  # there are pictures and files

    rows = []
    for count, strategy in itertools.product(sorted(counts), STRATEGIES):
        drawn = [(count, strategy, seed) for seed in range(draws)]
        verdicts = [judge_level(compared.levels[str(plan)], compared.keras, Budget()) for plan in drawn]
        ours = [manifests[plan] for plan in drawn]
        rows.append(
            {
                "pictures": count,
                "strategy": strategy,
                "iou_loss": [verdict.losses.iou for verdict in verdicts],
                "image_loss": [verdict.losses.image for verdict in verdicts],
                "quad_iou_loss": [verdict.losses.quad_iou for verdict in verdicts],
                "share_points": [verdict.losses.share_points for verdict in verdicts],
                "agreement_iou": [compared.levels[str(plan)].agreement.iou_mean for plan in drawn],
                "copies_left_out": [manifest.copies_left_out for manifest in ours],
                "brightness": [[manifest.brightness.min, manifest.brightness.max] for manifest in ours],
                "manifest_sha256": [manifest.sha256 for manifest in ours],
            }
        )
    result: dict[str, Any] = {
        "format": TABLES_FORMAT,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "device": device_record(),
        "model": {"file": model.name, "sha256": sha256_of(model)},
        "calibration": {"name": source.name, "candidates": next(iter(manifests.values())).candidates},
        "validation": {"name": validation.name, "pictures": len(pictures)},
        "keras_iou": compared.keras.iou_mean if compared.keras is not None else None,
        "draws": draws,
        "rows": rows,
    }
    result["tables"], result["note"] = [table("", list(HEADINGS), table_rows(result))], note(result)
    write_json(report, result, overwrite=overwrite)
    click.echo(markdown(report.name, result), nl=False)
    tell(f"{report} written; docs/fill.py puts its table where a document names it.")


def table_rows(content: dict[str, Any]) -> list[list[str]]:
    """Each figure is the mean over the draws, the worst picture is of the worst draw."""
    lines = []
    for row in content["rows"]:
        losses, quads = row["iou_loss"], [loss for loss in row["quad_iou_loss"] if loss is not None]
        cells = [
            str(row["pictures"]),
            row["strategy"],
            f"{np.mean(losses):+.4f}",
            f"{min(losses):+.4f} to {max(losses):+.4f}",
            f"{max(row['image_loss']):.3f}",
            f"{np.mean(row['agreement_iou']):.4f}",
            f"{np.mean(quads):+.4f}" if quads else "-",
            f"{np.mean(row['copies_left_out']):.0f}",
            f"{np.mean([low for low, _ in row['brightness']]):.0f} to "
            f"{np.mean([high for _, high in row['brightness']]):.0f}",
        ]
        lines.append(cells)
    return lines


def note(content: dict[str, Any]) -> str:
    """What was measured on, and what the columns are."""
    data = content["validation"]
    return (
        f"{content['date'][:10]}, `{content['model']['file']}` at int8, draws of each: {content['draws']}, from "
        f"{content['calibration']['candidates']} pictures of `{content['calibration']['name']}`, scored on "
        f"{data['pictures']} pictures of `{data['name']}`, on which the Keras network's IoU is "
        f"{content['keras_iou']:.3f}. A loss below zero is a gain. Worst picture: the largest loss on any picture in "
        f"any draw. Agreement: IoU with Keras's masks. Copies: pictures left out. Spread: mean brightness of the "
        f"darkest and the lightest picture, of 255."
    )


if __name__ == "__main__":
    main()
