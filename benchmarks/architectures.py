"""U-Nets of the family side by side: what each change of the shape costs and brings.

    python benchmarks/architectures.py DATA --work DIR

DATA is a prepared data set, whose validation pictures are measured on. Every candidate is trained from the same seed on
the same pictures for the same, short time, exported as float32 and int8, and benchmarked in one run; so the figures
compare shapes with each other, and not with the shipped model, which is trained for longer. Finished trainings in
`--work` are used again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from tables import table, write_tables

from unetlite.training.unet import PRESETS, Preset

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
# Compared with square inputs, as all of them were trained.
EDGE = replace(PRESETS["edge"], size_wh=(256, 256), fit="stretch")
NANO = replace(PRESETS["nano"], size_wh=(192, 192), fit="stretch")

CANDIDATES: dict[str, tuple[str, Preset]] = {
    "edge": ("the shipped shape", EDGE),
    "edge-plain": ("without residual additions", replace(EDGE, residual=False)),
    "edge-shallow": ("one convolution a level", replace(EDGE, encoder=(1, 1, 1, 1, 1), residual=False)),
    "edge-narrow": ("three quarters as wide", replace(EDGE, widths=(24, 48, 72, 128, 168))),
    "edge-wide": ("half again as wide", replace(EDGE, widths=(48, 96, 144, 264, 336))),
    "edge-four-levels": ("one level less", replace(
        EDGE, widths=EDGE.widths[:4], encoder=EDGE.encoder[:4], decoder=EDGE.decoder[:3])),
    "edge-small": ("the shipped shape until this one grew from it", replace(
        EDGE, widths=(24, 48, 96, 176, 224), encoder=(1, 2, 2, 3, 3), decoder=(1, 1, 1, 1))),
    "edge-decoder": ("two convolutions a level on the way up", replace(EDGE, decoder=(2, 2, 2, 2))),
    "edge-transposed": ("learned upsampling", replace(EDGE, transposed=True)),
    "edge-relu": ("activations without an upper end", replace(EDGE, relu_max=None)),
    "edge-stem2": ("stem of stride 2, half as wide, answer of 128x128", replace(
        EDGE, stem_stride=2, widths=(16, 32, 48, 88, 112))),
    "nano": ("the small shape, 192x192", NANO),
}  # fmt: skip


def train_candidate(name: str, data: Path, work: Path, epochs: int) -> Path:
    """Train one candidate in this process; returns its Keras file."""
    from unetlite.training.fit import Settings, train

    path = work / f"{name}.keras"
    if not path.exists():
        PRESETS[name] = CANDIDATES[name][1]  # a preset that only this script knows
        settings = Settings(
            preset=name, epochs=epochs, batch_size=32, learning_rate=0.003, loss="dice+bce", schedule="cosine",
            patience=epochs,
        )  # fmt: skip
        train([data], path, settings, tell=lambda message: click.echo(message, err=True))
    return path


def run(*command: str | Path) -> None:
    """Run one of the project's commands; its output is progress."""
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def rows_of(report: dict[str, Any], parameters: dict[str, int]) -> list[list[Any]]:
    """A line for each candidate."""
    runs = {(Path(entry["model"]).name.split(".")[0], entry["level"]): entry for entry in report["runs"]}
    base = runs["edge", "int8"]["latency_ms"]["invoke"]["p50"]
    rows = []
    for name, (what, _) in CANDIDATES.items():
        if (name, "int8") not in runs:
            continue
        real, small = runs[name, "float32"], runs[name, "int8"]
        rows.append(
            [
                name, what, f"{parameters[name] / 1000:.0f} k", f"{small['gmac']:.3f}",
                f"{small['model_bytes'] / 1000:.0f} kB", f"{small['latency_ms']['invoke']['p50'] / base:.2f}",
                f"{real['iou_mean']:.3f} / {small['iou_mean']:.3f}",
                f"{real['quad_iou_mean']:.3f} / {small['quad_iou_mean']:.3f}",
            ]
        )  # fmt: skip
    return rows


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), required=True, help="Kept for the next run.")
@click.option("--epochs", type=click.IntRange(1), default=5, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(CANDIDATES)), help="Default: all.")
@click.option("--report", type=click.Path(path_type=Path), default=ROOT / "docs" / "results" / "architectures.json")
def main(data: Path, work: Path, epochs: int, only: tuple[str, ...], report: Path) -> None:
    """Train, export and measure every candidate, and write the table."""
    work.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(["edge", *(only or CANDIDATES)]))
    models = []
    for name in names:
        keras = train_candidate(name, data, work, epochs)
        files = [work / f"{name}.{level}.tflite" for level in ("float32", "int8")]
        if not all(path.exists() for path in files):
            # Short trainings are far from the export's gates, which judge a model for use.
            run(BIN / "unet-export", keras, "--float32", "--int8", "--calibration", data, "--to", work, "--overwrite",
                "--max-iou-loss", "1", "--max-share-loss", "100", "--max-image-loss", "1")  # fmt: skip
        models += [part for path in files for part in ("--model", path)]
    measured = work / "benchmark.json"
    run(BIN / "unet-benchmark", "run", "--threads", "1", "--data", data / "validation", *models, "--report", measured,
        "--overwrite")  # fmt: skip
    summaries = {name: json.loads((work / f"{name}.training.json").read_text()) for name in names}
    rows = rows_of(json.loads(measured.read_text()), {name: summaries[name]["parameters"] for name in names})
    columns = ["preset", "what", "parameters", "GMAC", "int8 file", "invoke / edge", "IoU float / int8",
               "quad IoU float / int8"]  # fmt: skip
    trained_on = summaries["edge"]["data"][0]
    write_tables(
        report,
        [table("Shapes of the network, each trained alike and briefly", columns, rows)],
        data=f"{trained_on['pictures']} pictures of {trained_on['name']}, {epochs} epochs, int8 at one thread",
        command="benchmarks/architectures.py",
    )


if __name__ == "__main__":
    main()
