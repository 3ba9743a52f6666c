"""The commands whose work is interrupted: what each does in a small folder, and when what it left is whole.

Stands apart so that kills, full disks and read-only targets are tried on the same work.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unetlite.vision.contract import read_contract
from unetlite.vision.errors import UnetliteError
from unetlite.vision.image import is_image_path, read_image, write_image

RUNNER = Path(__file__).with_name("fault_runner.py")
DOCUMENT = "01_alb_id"
_LONGEST_S = 600.0


class Runner:
    """A process that has a command's imports done; close it."""

    def __init__(self, module: str, name: str, *heavy: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(RUNNER), module, name, *heavy],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        )  # fmt: skip - without a buffer, which select would not see
        assert self._read() == "ready"

    def run(self, arguments: list[str], kill_after_s: float | None = None) -> tuple[int, str]:
        """Run the command, or kill it after so many seconds; its status (-9: killed) and the end of what it said."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
        child = json.loads(self._read())
        if kill_after_s is not None and not self._waits(kill_after_s):
            os.kill(child, signal.SIGKILL)
        status, said = json.loads(self._read())
        return status, said

    def _waits(self, seconds: float) -> bool:
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _read(self) -> str:
        assert self._process.stdout is not None
        if not self._waits(_LONGEST_S):
            raise RuntimeError(f"no answer within {_LONGEST_S:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the runner ended")
        return line.decode().rstrip("\n")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()  # closes the pipes


@dataclass
class Work:
    """A command and its arguments; `{to}` stands for the target folder.

    Attributes:
        stable: whether the same arguments give the same bytes.
        unfinished: of a file's name: whether it says of itself that it is not finished.
    """

    name: str
    module: str
    command: str
    arguments: list[str]
    heavy: tuple[str, ...] = ()
    stable: bool = True
    again: list[str] = field(default_factory=list)

    def runner(self) -> Runner:
        """Its process."""
        return Runner(self.module, self.command, *self.heavy)

    def at(self, to: Path, again: bool = False) -> list[str]:
        """The arguments for a target folder; `again`: of a run after an interrupted one."""
        return [argument.replace("{to}", str(to)) for argument in [*self.arguments, *(self.again if again else [])]]


def unfinished(path: Path) -> bool:
    """Whether a name says that the file, or a folder above it, is not finished."""
    parts = path.parts
    return any(part.startswith(".") for part in parts) or path.name.endswith((".part", ".part.json"))


def finished_files(folder: Path) -> dict[str, str]:
    """Relative name and SHA-256 of every file that bears a final name."""
    files = [path for path in folder.rglob("*") if path.is_file() and not unfinished(path.relative_to(folder))]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def leftovers(folder: Path) -> int:
    """How many files say of themselves that they are not finished; locks are none."""
    found = [path for path in folder.rglob("*") if path.is_file() and unfinished(path.relative_to(folder))]
    return sum(not path.name.endswith(".lock") for path in found)


def broken(folder: Path, reference: dict[str, str], stable: bool) -> list[str]:
    """Files under a final name that are not whole: other bytes than those of a whole run, or not readable."""
    found = []
    for name, digest in finished_files(folder).items():
        path = folder / name
        # split.json and download.json are records that grow; they are read instead.
        if stable and reference.get(name, digest) != digest and not name.endswith(".json"):
            found.append(f"{name}: other bytes than in a whole run")
        reason = _unreadable(path)
        if reason:
            found.append(f"{name}: {reason}")
    return found


def _unreadable(path: Path) -> str:
    try:
        if path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        elif path.suffix == ".tflite":
            assert read_contract(path) is not None
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
        elif is_image_path(path) and DOCUMENT not in path.parts:
            read_image(path)
    except (OSError, ValueError, AssertionError, zipfile.BadZipFile, UnetliteError) as error:
        return f"not whole: {error}"
    return ""


def prepare_work(folder: Path) -> Work:
    """unet-data prepare over thirty noisy pictures."""
    source = folder / "source"
    rng = np.random.default_rng(0)
    for i in range(30):
        write_image(source / "images" / f"{i:02}.jpg", rng.integers(0, 255, (240, 320, 3)).astype(np.uint8))
        mask = np.zeros((240, 320), bool)
        mask[40:200, 50 : 260 + i] = True
        write_image(source / "masks" / f"{i:02}.png", mask)
    arguments = ["prepare", str(source), "--to", "{to}", "--jobs", "2"]
    return Work("prepare", "unetlite.training.data.cli", "main", arguments, ("unetlite.training.data.prepare",))


def synthesize_work(_: Path) -> Work:
    """unet-data synthesize of eight small pictures."""
    arguments = ["synthesize", "--to", "{to}", "--count", "8", "--size", "128x96", "--jobs", "1"]
    heavy = ("unetlite.training.synthesis.generator",)
    return Work("synthesize", "unetlite.training.data.cli", "main", arguments, heavy)


def download_work(folder: Path, url: str) -> Work:
    """unet-data download of one document from a server on this machine."""
    arguments = ["download", "midv500", "--to", "{to}", "--only", DOCUMENT, "--mirror", url]
    return Work("download", "unetlite.training.data.cli", "main", arguments, ("unetlite.training.data.download",))


def export_work(folder: Path, root: Path) -> Work:
    """unet-export of the shipped network as float32 and int8, checked on four pictures."""
    pictures = folder / "pictures"
    for part in ("images", "masks", "ground_truth"):
        for path in sorted((root / "samples" / part).iterdir())[:4]:
            (pictures / part).mkdir(parents=True, exist_ok=True)
            (pictures / part / path.name).write_bytes(path.read_bytes())
    arguments = [str(root / "models" / "unetlite.keras"), "--float32", "--to", "{to}"]
    heavy = ("unetlite.export.run", "unetlite.export.report", "tensorflow", "keras")
    return Work("export", "unetlite.export.cli", "main", arguments, heavy, stable=False, again=["--overwrite"])


@contextlib.contextmanager
def slow_server(folder: Path, seconds: float) -> Iterator[str]:
    """A web server with one archive, which takes so long to send; its address."""
    packed = io.BytesIO()
    noise = random.Random(0)
    with zipfile.ZipFile(packed, "w") as archive:
        for i in range(20):
            archive.writestr(f"{DOCUMENT}/images/CA/CA01_{i:02}.tif", b"II*\0" + noise.randbytes(40_000))
            archive.writestr(f"{DOCUMENT}/ground_truth/CA/CA01_{i:02}.json", '{"quad": []}')
    (folder / "mirror").mkdir(parents=True, exist_ok=True)
    (folder / "mirror" / f"{DOCUMENT}.zip").write_bytes(packed.getvalue())

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            content = packed.getvalue()
            given = self.headers.get("Range", "")
            begin = int(given[6:].split("-")[0]) if given.startswith("bytes=") else 0
            self.send_response(206 if given else 200)
            self.send_header("ETag", '"1"')
            self.send_header("Accept-Ranges", "bytes")
            if given:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            step = len(content) // 40
            with contextlib.suppress(OSError):  # the client was killed
                for at in range(begin, len(content), step):
                    self.wfile.write(content[at : at + step])
                    time.sleep(seconds / 40)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def all_works(folder: Path, root: Path, url: str) -> dict[str, Callable[[], Work]]:
    """Every command that writes, by name."""
    return {
        "prepare": lambda: prepare_work(folder / "for-prepare"),
        "synthesize": lambda: synthesize_work(folder),
        "download": lambda: download_work(folder, url),
        "export": lambda: export_work(folder / "for-export", root),
    }
