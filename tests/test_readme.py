"""The README's workstation chain, its own lines, from a download to a benchmark table; only smaller."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from drawn import draw_card

from unetlite.vision.image import write_image

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

# What makes the chain small enough for a test; the last of two equal options wins.
SMALLER = {
    "unet-data synthesize": "--count 40 --size 160x120",
    "unet-train": "--epochs 2 --preset nano --size 64x64",
    "unet-calibrate": "--size 64x64",
}


def chain() -> list[str]:
    """The commands of the README's section for workstations, without comments."""
    section = (ROOT / "README.md").read_text("utf-8").split("## On a workstation")[1].split("###")[0]
    lines = [line.split("  #")[0].strip() for line in section.splitlines() if line.startswith("    unet-")]
    assert len(lines) >= 9
    return lines


@pytest.fixture
def mirror(tmp_path: Path):
    """An HTTP server with small archives in MIDV's layout, under the publishers' paths."""
    folder = tmp_path / "mirror" / "midv-500" / "dataset"
    rng = np.random.default_rng(5)
    for name in re.findall(r"\d\d_\w+", chain()[0]):
        for clip in ("CA", "TS"):
            for frame in range(1, 6):
                quad = np.array([[60, 50], [250, 64], [244, 180], [52, 170]]) + rng.integers(-30, 30, 2)
                picture, _ = draw_card(quad, background=int(rng.integers(0, 60)), card=int(rng.integers(200, 256)))
                noisy = np.clip(picture + rng.normal(0, 20, picture.shape), 0, 255).astype(np.uint8)
                stem = f"{clip}{name[:2]}_{frame:02}"
                write_image(tmp_path / "raw" / name / "images" / clip / f"{stem}.tif", noisy)
                truth = tmp_path / "raw" / name / "ground_truth" / clip / f"{stem}.json"
                truth.parent.mkdir(parents=True, exist_ok=True)
                truth.write_text(json.dumps({"quad": quad.tolist()}))
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((tmp_path / "raw" / name).rglob("*.*")):
                archive.write(path, path.relative_to(tmp_path / "raw"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readmes_chain_leads_from_a_download_to_a_table(mirror: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for line in chain():
        if line.startswith("unet-benchmark compare"):
            shutil.copy(work / "here.json", work / "pi.json")  # the other device's report
        command = shlex.split(line)
        command += next((shlex.split(more) for start, more in SMALLER.items() if line.startswith(start)), [])
        if line.startswith("unet-data download"):
            command += ["--mirror", mirror]
        result = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=work, capture_output=True, text=True)
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"
    assert "int8" in result.stdout and "keras" in result.stdout
    assert (work / "report.html").stat().st_size > 1000
