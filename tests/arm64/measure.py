"""What arm64 answers, next to what this machine answers with the same packages: the shipped model and both commands.

measure.py --bookworm FOLDER --trixie FOLDER --to REPORT.json [--pictures N]      folders that build.sh made
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from printed_card import printed_face, view_of_card  # noqa: E402

from unetlite.edge.segmenter import shipped_model  # noqa: E402
from unetlite.vision.cli import Command, tell  # noqa: E402
from unetlite.vision.files import sha256_of, write_json  # noqa: E402
from unetlite.vision.image import read_image  # noqa: E402

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "samples" / "images"
RATE = 10.0
SIZE_WH = (960, 540)
# Two drawn cards that are captured, a second each, and an empty table between them.
SCENES = ((0, 12), (None, 10), (2, 12))
PATH = click.Path(path_type=Path)


def write_video(path: Path, pictures: list[np.ndarray]) -> Path:
    """Without loss, so that both processors see the same pixels if they decode alike."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), RATE, SIZE_WH)
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def sample_video(path: Path, most: int) -> Path:
    pictures = [read_image(file) for file in sorted(SAMPLES.glob("*.jpg"))]
    return write_video(path, [p for p in pictures if p.shape == (SIZE_WH[1], SIZE_WH[0], 3)][:most])


def card_video(path: Path) -> Path:
    pictures = []
    for number, count in SCENES:
        if number is None:
            picture = np.full((SIZE_WH[1], SIZE_WH[0], 3), 40, np.uint8)
        else:
            picture, _ = view_of_card(printed_face(number), tilt_deg=10.0, width_px=480.0, size_wh=SIZE_WH)
        pictures += [picture] * count
    return write_video(path, pictures)


@dataclass(frozen=True)
class Machine:
    """Where commands of the wheel and scripts run: `start` and `commands` stand before a script's or command's name."""

    start: tuple[str, ...]
    commands: str

    def run(self, program: str, *arguments: object) -> str:
        words = [str(argument) for argument in arguments]
        script = program if program.endswith(".py") else self.commands + program
        result = subprocess.run([*self.start, script, *words], capture_output=True, text=True)
        if result.returncode:
            raise click.ClickException(f"{program} ended with {result.returncode}: {result.stderr[-2000:]}")
        return result.stdout

    def results(self, work: Path, pictures: Path, cards: Path, reference: Path | None = None) -> dict[str, Any]:
        """All that is compared."""
        work.mkdir()
        self.run(str(HERE / "outputs.py"), pictures, work / "outputs.npz", *([] if reference is None else [reference]))
        lines = self.run("unet-infer", pictures, "--json", "--mask-out", work / "masks").splitlines()
        self.run("unet-capture", "--camera", cards, "--to", work / "captures", "--every-frame")
        return {
            "outputs": dict(np.load(work / "outputs.npz")),
            "infer": [json.loads(line) for line in lines],
            "masks": [read_image(path)[..., 0] for path in sorted((work / "masks").rglob("*.png"))],
            "captures": [json.loads(path.read_text()) for path in sorted((work / "captures").glob("*.json"))],
        }


def this_machine(root: Path) -> Machine:
    """The environment beside a folder of build.sh."""
    return Machine((f"{root}.here/bin/python",), f"{root}.here/bin/")


def emulated(root: Path) -> Machine:
    """The arm64 system in a folder of build.sh."""
    return Machine((str(HERE / "run.sh"), str(root)), "")


def compare(here: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """The largest difference of each stage."""
    ours, theirs = here["outputs"], there["outputs"]

    def levels(a: np.ndarray, b: np.ndarray) -> int:
        return int(np.abs(a.astype(np.int16) - b.astype(np.int16)).max())

    def quad_px(a: Any, b: Any) -> float | None:
        if len(a) != len(b) or not np.array_equal(np.isnan(a), np.isnan(b)):
            return None  # one of them found what the other did not
        return round(float(np.nanmax(np.abs(np.subtract(a, b)), initial=0.0)), 3)

    frame_pixels = ours["masks"][0].size
    return {
        "decoded_frame_levels": levels(ours["frames"], theirs["frames"]),
        "network_input_levels": levels(ours["inputs"], theirs["inputs"]),
        "network_output_levels_of_the_same_input": levels(ours["levels"], theirs["levels_of_other_inputs"]),
        "network_output_levels": levels(ours["levels"], theirs["levels"]),
        "mask_pixels_in_a_frame": int((ours["masks"] != theirs["masks"]).sum(axis=(1, 2)).max()),
        "mask_pixels_of_a_frame": frame_pixels,
        "unet_infer_mask_pixels_in_a_frame": max(
            int((a != b).sum()) for a, b in zip(here["masks"], there["masks"], strict=True)
        ),
        "confidence": round(float(np.abs(ours["confidences"] - theirs["confidences"]).max()), 6),
        "quad_px": quad_px(ours["quads"], theirs["quads"]),
        "capture_quad_px": quad_px([c["quad"] for c in here["captures"]], [c["quad"] for c in there["captures"]]),
    }


def described(results: dict[str, Any]) -> dict[str, Any]:
    names = ("machine", "python", "numpy", "opencv", "ai_edge_litert")
    counts = {"frames": len(results["infer"]), "captures": len(results["captures"])}
    return {**dict(zip(names, results["outputs"]["versions"].tolist(), strict=True)), **counts}


def measure(release: str, root: Path, most: int) -> dict[str, Any]:
    """One release's part of the report: both machines, and the largest differences between them."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pictures, cards = sample_video(work / "pictures.avi", most), card_video(work / "cards.avi")
        tell(f"{release}, this machine")
        here = this_machine(root).results(work / "here", pictures, cards)
        tell(f"{release}, emulated")
        there = emulated(root).results(work / "there", pictures, cards, work / "here" / "outputs.npz")
    return {
        "release": release,
        "arm64": described(there),
        "here": described(here),
        "largest_difference": compare(here, there),
    }


COLUMNS = ["arm64 system", "network", "mask", "mask of `unet-infer`", "quad", "captures", "their quads"]


def table(systems: list[dict[str, Any]], emulator: str) -> dict[str, Any]:
    """The report as a document shows it: its columns, rows and a note."""

    def pixels(value: float | None) -> str:
        return "found by one alone" if value is None else f"{value:.3f} px"

    rows = []
    for system in systems:
        arm64, here, largest = system["arm64"], system["here"], system["largest_difference"]
        of_all = f"of {largest['mask_pixels_of_a_frame']} pixels"
        rows.append(
            [
                f"{system['release']}: Python {arm64['python']}, NumPy {arm64['numpy']}, OpenCV {arm64['opencv']}",
                f"{largest['network_output_levels']} of 255",
                f"{largest['mask_pixels_in_a_frame']} {of_all}",
                f"{largest['unet_infer_mask_pixels_in_a_frame']} {of_all}",
                pixels(largest["quad_px"]),
                f"{arm64['captures']} and {here['captures']}",
                pixels(largest["capture_quad_px"]),
            ]
        )
    here = systems[0]["here"]
    note = (
        f"{datetime.now(timezone.utc):%Y-%m-%d}; the other machine is {here['machine']} with Python {here['python']} "
        f"and the same packages; {here['frames']} sample pictures as a lossless video, and another video in which two "
        f"cards are shown; ai-edge-litert {here['ai_edge_litert']}; {emulator}."
    )
    return {
        "format": "unetlite-tables",  # as benchmarks/tables.py writes it
        "tables": [{"title": "", "columns": COLUMNS, "rows": rows}],
        "note": note,
    }


@click.command(cls=Command)
@click.option("--bookworm", type=PATH, help="Folder that build.sh made of bookworm.")
@click.option("--trixie", type=PATH, help="Folder that build.sh made of trixie.")
@click.option("--to", "target", type=PATH, required=True, help="Report, as JSON.")
@click.option("--pictures", "most", default=100, help="So many sample pictures at most.")
def main(bookworm: Path | None, trixie: Path | None, target: Path, most: int) -> None:
    """Compare arm64 with this machine on the sample pictures."""
    roots = {name: root for name, root in (("bookworm", bookworm), ("trixie", trixie)) if root is not None}
    if not roots:
        raise click.UsageError("Expected --bookworm, --trixie or both.")
    systems = [measure(release, root.absolute(), most) for release, root in roots.items()]
    version = subprocess.run(["qemu-aarch64", "--version"], capture_output=True, text=True).stdout
    emulator = f"qemu-aarch64 {version.split('version ')[-1].split()[0]} as a Cortex-A72"
    details = {"model_sha256": sha256_of(shipped_model()), "emulator": emulator, "systems": systems}
    write_json(target, {**table(systems, emulator), **details})
    for system in systems:
        click.echo(f"{system['release']}   {json.dumps(system['largest_difference'])}")


if __name__ == "__main__":
    main()
