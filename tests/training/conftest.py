"""Mirrors to download from, on the loopback."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from mirrors import NAME, FtpMirror, HttpMirror, midv_archive


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands between a test and the loopback."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)


@pytest.fixture
def http_mirror(direct):
    mirror = HttpMirror()
    mirror.files[f"/{NAME}.zip"] = midv_archive()
    yield mirror
    mirror.close()


@pytest.fixture
def ftp_mirror(direct, tmp_path: Path):
    root = tmp_path / "ftp"
    root.mkdir()
    (root / f"{NAME}.zip").write_bytes(midv_archive())
    mirror = FtpMirror(root)
    yield mirror
    mirror.close()
