"""Instructions of the stages about the network, on the processors of Raspberry Pis, beside the network's own.

    python benchmarks/arm64/frame_stages.py --sysroot DIR DATA [--model MODEL.tflite]

As `benchmarks/stages.py` does with milliseconds of this machine, for the same frames, looked at as camera frames, and
for its streams, looked at as live capture does.
Counts repeat almost exactly and are no time: neither memory nor the pipeline is in them. Wants what `emulate.py` wants.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from emulate import PROCESSORS, build_plugin, run_guest  # noqa: E402
from stages import COLUMNS, FRAME_WH, LIVE, STAGES, as_frame, chosen_samples, summary  # noqa: E402
from streams import FRAMES, FRAMES_PER_S, hand_held  # noqa: E402
from tables import table, write_tables  # noqa: E402

from unetlite.edge.segmenter import chosen_model  # noqa: E402
from unetlite.vision.image import read_image  # noqa: E402


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--sysroot", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--model", type=click.Path(path_type=Path), help="A .tflite; the shipped one by default.")
@click.option("--to", type=click.Path(path_type=Path), default=Path("docs/results/stages-arm64.json"))
def main(data: Path, sysroot: Path, model: Path | None, to: Path) -> None:
    """Count, and write the table."""
    path = chosen_model(model).resolve()
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as folder:
        frames, streams = Path(folder) / "frames", Path(folder) / "streams"
        count = write_frames(data, frames, streams)
        plugin = build_plugin(Path(folder))
        for processor, (board, _, _) in PROCESSORS.items():
            arguments = [str(path), str(frames), str(count), "ai-edge-litert", "hurried"]
            _, counts = run_guest(sysroot.resolve(), plugin, processor, arguments)
            arguments = [str(path), str(streams), str(FRAMES_PER_S), "ai-edge-litert"]
            _, live = run_guest(sysroot.resolve(), plugin, processor, arguments, "guest_live.py")
            live = live.reshape(count, 1 + FRAMES, *live.shape[1:])[:, 1:].reshape(-1, *live.shape[1:])
            for what, counted in (("", counts), (f"{LIVE}, ", live)):
                millions = dict(zip(STAGES, (counted[:, :, 0] / 1e6).T.tolist(), strict=True))
                own_rows, own_figures = summary(millions, "{:.1f} M")
                rows += [[f"{board}, {what}{name}", *cells] for name, *cells in own_rows]
                figures[f"{processor}{what and ' live'}"] = own_figures
    size = "x".join(map(str, FRAME_WH))
    write_tables(
        to,
        [table("The same on Raspberry Pis, in millions of instructions", COLUMNS, rows)],
        data=f"emulated by qemu; {count} frames of {data.name} at {size}, one thread; live capture: {FRAMES} frames "
        f"about each, {FRAMES_PER_S} a second",
        command="benchmarks/arm64/frame_stages.py",
        figures=figures,
    )


def write_frames(data: Path, to: Path, streams: Path) -> int:
    """The frames as pictures with empty masks, which the scores that nobody reads want; returns how many.

    Of each also the stream about it, an array.
    """
    (to / "images").mkdir(parents=True)
    (to / "masks").mkdir()
    streams.mkdir()
    samples = chosen_samples(data)
    for number, sample in enumerate(samples):
        frame = as_frame(read_image(sample.image))
        np.save(streams / f"{number:03d}.npy", np.stack(list(hand_held(frame, number))))
        cv2.imwrite(str(to / f"images/{number:03d}.png"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        cv2.imwrite(str(to / f"masks/{number:03d}.png"), np.zeros(frame.shape[:2], np.uint8))
    return len(samples)


if __name__ == "__main__":
    main()
