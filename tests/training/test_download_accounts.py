"""Accounts, certificates and redirects of mirrors."""

from __future__ import annotations

import base64
import contextlib
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from mirrors import NAME, OTHER, HttpMirror, expected_files, files_in, get, midv_archive, visible

from unetlite.training.data.download import download
from unetlite.vision.errors import DownloadError


def test_an_ftp_account_is_used_and_not_shown(ftp_mirror, tmp_path):
    address = ftp_mirror.url.replace("://", "://ann:s3cret@")
    download("midv500", tmp_path / "data", only=[NAME], mirror=address)
    assert ftp_mirror.commands("USER", "PASS") == ["USER ann", "PASS s3cret"]
    assert "s3cret" not in (tmp_path / "data" / "download.json").read_text()
    with pytest.raises(DownloadError) as raised:
        download("midv500", tmp_path / "data", only=[OTHER], mirror=address)
    assert "s3cret" not in str(raised.value)


def test_an_http_account_is_used_and_not_shown(http_mirror, tmp_path):
    download("midv500", tmp_path, only=[NAME], mirror=http_mirror.url.replace("://", "://ann:s3%20cret@"))
    assert http_mirror.log[0][2] == "Basic " + base64.b64encode(b"ann:s3 cret").decode()
    assert "cret" not in (tmp_path / "download.json").read_text()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate: apt install openssl")
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        + ["-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=127.0.0.1"]
        + ["-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return key, certificate


@pytest.fixture
def https_mirror(direct, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    mirror = HttpMirror(context)
    mirror.files[f"/{NAME}.zip"] = midv_archive()
    yield mirror
    mirror.close()


def test_a_certificate_nobody_vouches_for_is_refused(https_mirror, tmp_path):
    with pytest.raises(DownloadError, match="expected a certificate that this machine trusts"):
        get(https_mirror, tmp_path)
    assert visible(tmp_path) == set()
    assert https_mirror.log == []


def test_a_private_mirror_is_trusted_through_ssl_cert_file(https_mirror, tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    https_mirror.announces = "length"
    get(https_mirror, tmp_path)
    assert files_in(tmp_path / NAME) == expected_files()


def test_a_redirect_from_https_to_http_is_refused(https_mirror, http_mirror, tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    https_mirror.redirect = http_mirror.url
    with pytest.raises(DownloadError, match="which is not https; refused"):
        get(https_mirror, tmp_path)
    assert http_mirror.log == []


def test_a_redirect_within_http_is_followed_and_resumed(http_mirror, tmp_path):
    front = HttpMirror()
    front.redirect = http_mirror.url
    http_mirror.cuts = [50_000]
    with contextlib.closing(front):
        get(front, tmp_path)
    assert files_in(tmp_path / NAME) == expected_files()
    assert http_mirror.sent == len(midv_archive())
