from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from unetlite.vision.errors import OutputError
from unetlite.vision.files import atomic_path, sha256_of, write_bytes, write_json


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_clear_error_and_nothing_half_written(tmp_path: Path) -> None:
    # A limit on the file size stands in for a full disk: the same failing write() call, without root.
    script = (
        "import resource, signal, sys; from pathlib import Path; from unetlite.vision.files import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_bytes(Path(sys.argv[1]), bytes(5000))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    assert resource.RLIMIT_FSIZE is not None
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "big")], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith(f"OutputError {tmp_path / 'big'}: could not be written")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        write_bytes(tmp_path / "file" / "below", b"")


def test_json_without_a_standard_spelling_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"iou": float("nan")})
    write_json(tmp_path / "a.json", {"iou": 0.5})
    assert json.loads((tmp_path / "a.json").read_text()) == {"iou": 0.5}


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # the standard's own example, FIPS 180-2 appendix B.1
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
