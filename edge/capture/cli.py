"""The device's command `unet-capture`.

Stands apart because options and words live here, work elsewhere. Imports click alone at module level.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from unetlite.edge.cli import _load
from unetlite.edge.options import PATH, model_options, require_sha256_option
from unetlite.vision.cli import SIZE, Command, overwrite_option, tell


class _Watch(Command, click.Group):
    """Watches a camera, unless the name of another command follows."""


_CAMERA_HELP = "picamera2, 0, /dev/video0, a video, a folder of pictures, or a URL."


@click.group(cls=_Watch, name="unet-capture", invoke_without_command=True, subcommand_metavar="[COMMAND ...]")
@click.option("--camera", help=f"{_CAMERA_HELP} Required.")
@click.option("--to", "folder", type=PATH, help="Folder for the captures; made readable to you alone. Required.")
@click.option("--model", type=PATH, help="A .tflite file; default: the model that ships with unetlite.")
@click.option("--config", "config_path", type=PATH, help="TOML; `install-service` writes one with every setting.")
@click.option("--serve", metavar="HOST:PORT", help="Show a page with the live picture, such as 127.0.0.1:8080.")
@click.option("--size", type=SIZE, help="Camera's picture, such as 1920x1080; default: the camera's own choice.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Pictures a second.")
@click.option("--every-frame", is_flag=True, help="Of files: look at each frame instead of keeping their pace.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, help="Threads of the interpreter.")
@model_options
@require_sha256_option
@click.pass_context
def main(
    context: click.Context,
    camera: str | None,
    folder: Path | None,
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
    if context.invoked_subcommand is not None:
        if camera is not None or folder is not None:
            raise click.UsageError(f"The options of {context.invoked_subcommand} stand behind its name.", context)
        return
    if camera is None or folder is None:
        missing = "--camera" if camera is None else "--to"
        raise click.MissingParameter(ctx=context, param_hint=f"'{missing}'", param_type="option")

    import signal
    from contextlib import ExitStack

    import cv2

    from unetlite.edge.capture.camera import CameraOptions, open_camera
    from unetlite.edge.capture.config import CaptureConfig, read_config
    from unetlite.edge.capture.hooks import Hooks
    from unetlite.edge.capture.latest import LatestFrames
    from unetlite.edge.capture.lights import Lights
    from unetlite.edge.capture.loop import CaptureLoop, View
    from unetlite.edge.capture.memory import give_frames_back
    from unetlite.edge.capture.notify import Notifier
    from unetlite.edge.capture.origin import origin_record
    from unetlite.edge.capture.preview import Preview
    from unetlite.edge.capture.store import CaptureStore
    from unetlite.edge.segmenter import chosen_model

    give_frames_back()
    cv2.setNumThreads(1)  # the pictures are small: more threads cost 50 MB and save nothing
    config = CaptureConfig() if config_path is None else read_config(config_path)
    store = CaptureStore(folder, config.store)
    if not store.is_private:
        tell(f"Warning: other users can see names in {folder}; close it with: chmod 700 {folder}")
    preview = None if serve is None else Preview(serve, store, tell=tell)
    model = chosen_model(model)
    segmenter = _load(model, given)
    options = CameraOptions(size, rate, paced=not every_frame)
    notifier = Notifier()
    with ExitStack() as stack:
        hooks = stack.enter_context(Hooks(config.hooks, tell))
        frames = LatestFrames(
            lambda: open_camera(camera, options),
            every_frame=every_frame,
            fit=segmenter.contract.input,
            small=preview is not None,
            recovery=config.recovery,
            tell=tell,
        )
        stack.callback(frames.close, 0.5)
        if preview is not None:
            stack.enter_context(preview)

        def publish(view: View) -> None:
            lights.show(view.step.state, trouble=view.trouble is not None)
            if preview is not None:
                preview.show(view)

        def captured(saved: Any, record: Any) -> None:
            click.echo(capture_line(saved, record))
            hooks.deliver(saved, record)

        loop = CaptureLoop(
            frames,
            segmenter,
            store,
            config,
            origin_record(model, segmenter),
            publish=publish,
            captured=captured,
            alive=notifier.alive,
            tell=tell,
        )
        lights = stack.enter_context(Lights(config.lights, loop.trigger))
        if preview is not None:
            preview.on_trigger = loop.trigger
        for number in (signal.SIGTERM, signal.SIGINT):
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: loop.stop()))
        tell(f"watching {frames.name}, captures go to {folder}")
        notifier.ready()
        loop.run()
        notifier.stopping()
        tell(f"{loop.captures} captures in {folder}, {frames.dropped} frames dropped")


def capture_line(saved: Any, record: Any) -> str:
    """A capture as one line: where it is and how good."""
    values = {gate["name"]: gate["value"] for gate in record["gates"]}
    blur = "unknown" if values["sharpness"] is None else f"{values['sharpness']:.2f} mm"
    return f"{saved.crop}: confidence {record['confidence']:.2f}, {values['size']:.0f} ppi, blur {blur}"


@main.command("install-service", cls=Command)
@click.option("--camera", required=True, help=_CAMERA_HELP)
@click.option("--to", "folder", type=PATH, required=True, help="Folder for the captures.")
@click.option("--serve", metavar="HOST:PORT", help="Show a page with the live picture, such as 127.0.0.1:8080.")
@click.option("--size", type=SIZE, help="Camera's picture, such as 1920x1080; default: the camera's own choice.")
@click.option("--model", type=PATH, help="A .tflite file; default: the model that ships with unetlite.")
@require_sha256_option
@click.option("--user", help="Who runs it and owns the captures; default: you, also behind sudo.")
@click.option("--unit", type=PATH, default="/etc/systemd/system/unet-capture.service", help="systemd's file.")
@click.option("--config", type=PATH, default="/etc/unetlite/capture.toml", help="Settings; kept where they exist.")
@overwrite_option
def install_service_command(
    camera: str,
    folder: Path,
    serve: str | None,
    size: tuple[int, int] | None,
    model: Path | None,
    require_sha256: str | None,
    user: str | None,
    unit: Path,
    config: Path,
    overwrite: bool,
) -> None:
    """Write a systemd service that watches a camera from the start of the machine on, and a file of settings."""
    from unetlite.edge.capture.address import parse_address
    from unetlite.edge.capture.camera import back_end_of
    from unetlite.edge.capture.service import Service, default_user, install_service
    from unetlite.edge.segmenter import chosen_model, load_segmenter

    back_end = back_end_of(camera)
    options = ["--camera", str(Path(camera).absolute()) if back_end == "file" else camera]
    if serve is not None:
        parse_address(serve)
        options += ["--serve", serve]
    if size is not None:
        options += ["--size", f"{size[0]}x{size[1]}"]
    chosen = chosen_model(model)
    if model is not None or require_sha256 is not None:
        load_segmenter(chosen, require_sha256=require_sha256)
    if model is not None:
        options += ["--model", str(chosen.absolute())]
    if require_sha256 is not None:
        options += ["--require-sha256", require_sha256]
    service = Service(tuple(options), folder, user or default_user(), unit, config)
    for path in install_service(service, overwrite=overwrite):
        click.echo(f"{path}   {path.stat().st_size} bytes")
    tell(f"next: sudo systemctl daemon-reload && sudo systemctl enable --now {unit.name}")
    tell(f"what it says: journalctl -u {unit.name} -f")
