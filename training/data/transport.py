"""Open a remote file at an offset, over FTP or HTTP(S), and sort what goes wrong by whether a new attempt may help.

Stands apart so that fetch.py, which resumes and retries, sees both protocols as one: a `Body` that begins either
where the partial file ends or, wherever the server cannot or must not go on from there, at 0.

Passwords in an address go to that server only and are never shown. TLS certificates are verified against the
system's store (`SSL_CERT_FILE` adds a private one), and a redirect never leaves HTTPS. TIMEOUT_S: the archives'
FTP server is slow, and a minute without a byte is no longer slowness.
"""

from __future__ import annotations

import base64
import ftplib  # nosec B402
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from unetlite.vision.errors import DownloadError

TIMEOUT_S = 60.0
BLOCK_BYTES = 256 << 10
SCHEMES = ("ftp", "http", "https")
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class NotFoundError(DownloadError):
    """The server answered, and has no such file."""


class BrokenError(Exception):
    """The connection failed in a way that another attempt may mend; `refused` if there was no server at all."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True)
class Partial:
    """The first `have` bytes of a remote file of `size` bytes, in the version that `validator` names."""

    have: int
    size: int | None
    validator: str | None


@dataclass(frozen=True)
class Body:
    """An open transfer: the bytes of a remote file of `size` bytes from `start` on, until `read` returns b"".

    `validator` is an ETag or Last-Modified over HTTP, the time of the last change over FTP. `confirm`, for use
    where `size` is None, raises BrokenError unless the server says that it sent everything.
    """

    start: int
    size: int | None
    validator: str | None
    read: Callable[[], bytes]
    confirm: Callable[[], None]


def open_remote(url: str, partial: Partial) -> AbstractContextManager[Body]:
    """Open `url` to go on after `partial`, or from the beginning where that does not fit what is there now.

    Raises (also from `read`): BrokenError, NotFoundError, or DownloadError for what no further attempt will mend.
    """
    return _open_ftp(url, partial) if urlsplit(url).scheme == "ftp" else _open_http(url, partial)


def shown(url: str) -> str:
    """`url` as it may be shown and recorded: without user name, password, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@contextmanager
def _open_ftp(url: str, partial: Partial) -> Iterator[Body]:
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    # MIDV is published over FTP alone; the archives that come are judged as a stranger's (archive.py).
    ftp = ftplib.FTP(timeout=TIMEOUT_S)  # nosec B321
    try:
        with _network(url):
            ftp.connect(parts.hostname or "", parts.port or ftplib.FTP_PORT)
            ftp.login(unquote(parts.username or "anonymous"), unquote(parts.password or "anonymous@"))
            ftp.voidcmd("TYPE I")  # many servers refuse SIZE in the ASCII mode that a session begins with
            size, modified = _ftp_size(ftp, path), _ftp_modified(ftp, path)
            same = size is not None and (size, modified) == (partial.size, partial.validator)
            start = partial.have if same else 0
            try:
                connection, _ = ftp.ntransfercmd(f"RETR {path}", rest=start or None)
            except (ftplib.error_perm, ftplib.error_reply):
                if start == 0:
                    raise
                start = 0  # no REST there; RETR alone says whether it was that
                connection, _ = ftp.ntransfercmd(f"RETR {path}")

        def read() -> bytes:
            with _network(url):
                return connection.recv(BLOCK_BYTES)

        def confirm() -> None:
            # Only where SIZE is missing: else the size decides, and a control connection that a firewall closed
            # during a long transfer must not spoil it.
            with _network(url):
                ftp.voidresp()

        with closing(connection):
            yield Body(start, size, modified, read, confirm)
    finally:
        ftp.close()


def _ftp_size(ftp: ftplib.FTP, path: str) -> int | None:
    try:
        return ftp.size(path)
    except ftplib.error_perm as error:
        if str(error).startswith("550"):
            raise
        return None


def _ftp_modified(ftp: ftplib.FTP, path: str) -> str | None:
    try:
        return ftp.sendcmd(f"MDTM {path}")[3:].strip()
    except ftplib.error_perm:
        return None


@contextmanager
def _open_http(url: str, partial: Partial) -> Iterator[Body]:
    response = _http_response(url, partial)
    start, size = 0, None
    if response.status == 206:
        if (size := _continued_size(response, partial)) is not None:
            start = partial.have
        else:
            response.close()
            response = _http_response(url, None)
    with closing(response):
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError(f"{shown(url)}: expected the file as it is, the server encodes it; try another mirror")
        length = response.headers.get("Content-Length", "")
        if start == 0 and length.isdigit():
            size = int(length)

        def read() -> bytes:
            with _network(url):
                return response.read1(BLOCK_BYTES)

        yield Body(start, size, _validator(response), read, confirm=lambda: None)


def _http_response(url: str, partial: Partial | None) -> http.client.HTTPResponse:
    """Ask for the file, or only for what `partial` lacks; a server that will not do the latter sends it whole."""
    parts = urlsplit(url)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    request = urllib.request.Request(plain, headers={"User-Agent": "unetlite"})
    if parts.username is not None:
        account = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        token = base64.b64encode(account.encode()).decode("ascii")
        request.add_unredirected_header("Authorization", f"Basic {token}")
    ranged = partial is not None and partial.have > 0
    if partial is not None and ranged:
        request.add_header("Range", f"bytes={partial.have}-")
        if partial.validator:
            request.add_header("If-Range", partial.validator)
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=ssl.create_default_context()), _StrictRedirects()
    )
    with _network(url):
        try:
            return opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            if not ranged or error.code != 416:
                raise
            error.close()
    return _http_response(url, None)  # 416: the file is shorter now than what we hold of it


def _continued_size(response: http.client.HTTPResponse, partial: Partial) -> int | None:
    """The size of the whole file, if a 206 answer is the rest of just the version that `partial` begins; else None."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != partial.have or _validator(response) != partial.validator:
        return None
    size = int(found[2])
    known = partial.size == size or (partial.size is None and partial.validator is not None)
    return size if known else None


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What names this version of the file: a strong ETag, or else the time of its last change (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


class _StrictRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within HTTP, and never from HTTPS to plain HTTP."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in allowed:
            fp.close()
            raise DownloadError(f"{req.full_url}: redirects to {newurl}, which is not {' or '.join(allowed)}; refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _network(url: str) -> Iterator[None]:
    """Sort what the network raises into what another attempt may mend (BrokenError) and what it will not."""
    try:
        yield
    except DownloadError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"the server answers {error.code} {_printable(error.reason)}"
        if error.code in _RETRIED_STATUSES:
            raise BrokenError(answer) from error
        kind = NotFoundError if error.code in (404, 410) else DownloadError
        raise kind(f"{shown(url)}: expected the file, {answer}") from error
    except ftplib.error_perm as error:
        kind = NotFoundError if str(error).startswith("550") else DownloadError
        raise kind(f"{shown(url)}: expected the file, the server answers {_printable(error)}") from error
    except (ftplib.Error, EOFError, http.client.HTTPException, OSError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{shown(url)}: expected a certificate that this machine trusts, got one that fails "
                f"({cause.verify_message}); SSL_CERT_FILE names the certificate of a private mirror"
            ) from error
        lost = isinstance(cause, ConnectionRefusedError | socket.gaierror)
        raise BrokenError(_reason(cause), refused=lost) from error
    except ValueError as error:  # a host name that cannot be encoded, or an answer that cannot be parsed
        raise DownloadError(f"{shown(url)}: expected a usable address and answer, got {_printable(error)}") from error


def _reason(cause: object) -> str:
    if isinstance(cause, TimeoutError):
        return f"nothing came for {TIMEOUT_S:g} s"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return _printable(cause) or "the server closed the connection"


def _printable(said: object) -> str:
    """A server's words as they may be put on a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in str(said))[:200].strip()
