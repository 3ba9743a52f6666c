"""The installed project packed as a wheel: pip takes it, and its commands start."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from unetlite.edge.remote.wheel import check_wheel, pack_wheel
from unetlite.vision.errors import ModelError

PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]


def test_the_packed_wheel_installs_and_its_commands_start(tmp_path: Path) -> None:
    wheel = pack_wheel(tmp_path)
    check_wheel(wheel)
    target = tmp_path / "site"
    subprocess.run([*PIP, "--target", str(target), str(wheel)], check=True)
    assert (target / "unetlite" / "edge" / "models" / "unetlite.int8.tflite").is_file()
    assert (target / "unetlite" / "training" / "synthesis" / "__init__.py").is_file()
    script = "import sys, unetlite.edge.segmenter as s; print(s.__file__); print(s.shipped_model())"
    # -I and an explicit path: without it this environment's own unetlite would answer.
    program = f"import sys; sys.path.insert(0, {str(target)!r}); {script}"
    ended = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert all(line.startswith(str(target)) for line in ended.stdout.splitlines())
    assert "unet-benchmark" in {path.name for path in (target / "bin").iterdir()}


def test_the_record_names_every_file_with_its_hash(tmp_path: Path) -> None:
    with zipfile.ZipFile(pack_wheel(tmp_path)) as archive:
        names = archive.namelist()
        record = next(name for name in names if name.endswith(".dist-info/RECORD"))
        rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
        assert sorted(row[0] for row in rows) == sorted(names)
        assert not [name for name in names if "__pycache__" in name]
        for name, digest, size in rows:
            content = archive.read(name)
            if name != record:
                expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
                assert (digest, size) == (f"sha256={expected}", str(len(content)))


def test_other_files_are_no_wheel(tmp_path: Path) -> None:
    for name, content in {"other-1.0-py3-none-any.whl": b"", "unetlite-0.1.0-py3-none-any.whl": b"no zip"}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelError, match="expected a wheel of unetlite"):
            check_wheel(path)
    with pytest.raises(ModelError, match="expected a wheel"):
        check_wheel(tmp_path / "unetlite-9-py3-none-any.whl")
