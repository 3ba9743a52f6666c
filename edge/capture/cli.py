"""The device's command `unet-capture`.

Stands apart because options and words live here, work elsewhere. Imports click alone at module level.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from unetlite.edge.cli import PATH, _load, model_options
from unetlite.vision.cli import SIZE, Command, tell


@click.command(cls=Command, name="unet-capture")
@click.option("--camera", required=True, help="picamera2, 0, /dev/video0, a video, a folder of pictures, or a URL.")
@click.option("--to", "folder", type=PATH, required=True, help="Folder for the captures; made readable to you alone.")
@click.option("--model", type=PATH, help="A .tflite file; default: the model that ships with unetlite.")
@click.option("--config", "config_path", type=PATH, help="TOML: sections states, quality, store, recovery.")
@click.option("--serve", metavar="HOST:PORT", help="Show a page with the live picture, such as 127.0.0.1:8080.")
@click.option("--size", type=SIZE, help="Camera's picture, such as 1920x1080; default: the camera's own choice.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Pictures a second.")
@click.option("--every-frame", is_flag=True, help="Of files: look at each frame instead of keeping their pace.")
@model_options
def main(
    camera: str,
    folder: Path,
    model: Path | None,
    config_path: Path | None,
    serve: str | None,
    size: tuple[int, int] | None,
    rate: float | None,
    every_frame: bool,
    **given: Any,
) -> None:
    """Watch a camera and save one sharp, cropped picture of each card that is shown.

    One line per capture on stdout, the state on stderr. Ends with the video, with Ctrl-C, or on SIGTERM.
    """
    import signal
    from contextlib import ExitStack

    from unetlite.edge.capture.camera import CameraOptions, open_camera
    from unetlite.edge.capture.config import CaptureConfig, read_config
    from unetlite.edge.capture.latest import LatestFrames
    from unetlite.edge.capture.loop import CaptureLoop
    from unetlite.edge.capture.origin import origin_record
    from unetlite.edge.capture.store import CaptureStore
    from unetlite.edge.segmenter import shipped_model

    config = CaptureConfig() if config_path is None else read_config(config_path)
    store = CaptureStore(folder, config.store)
    if not store.is_private:
        tell(f"Warning: other users can see names in {folder}; close it with: chmod 700 {folder}")
    model = model or shipped_model()
    segmenter = _load(model, given)
    options = CameraOptions(size, rate, paced=not every_frame)
    with ExitStack() as stack:
        frames = LatestFrames(
            lambda: open_camera(camera, options), every_frame=every_frame, recovery=config.recovery, tell=tell
        )
        stack.callback(frames.close)
        preview = None
        if serve is not None:
            from unetlite.edge.capture.preview import Preview

            preview = stack.enter_context(Preview(serve, store, tell=tell))
        loop = CaptureLoop(
            frames,
            segmenter,
            store,
            config,
            origin_record(model, segmenter),
            publish=(lambda view: None) if preview is None else preview.show,
            captured=lambda saved, record: click.echo(capture_line(saved, record)),
            tell=tell,
        )
        if preview is not None:
            preview.on_trigger = loop.trigger
        for number in (signal.SIGTERM, signal.SIGINT):
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: loop.stop()))
        tell(f"watching {frames.name}, captures go to {folder}")
        loop.run()
        tell(f"{loop.captures} captures in {folder}, {frames.dropped} frames dropped")


def capture_line(saved: Any, record: Any) -> str:
    """A capture as one line: where it is and how good."""
    values = {gate["name"]: gate["value"] for gate in record["gates"]}
    blur = "unknown" if values["sharpness"] is None else f"{values['sharpness']:.2f} mm"
    return f"{saved.crop}: confidence {record['confidence']:.2f}, {values['size']:.0f} ppi, blur {blur}"
