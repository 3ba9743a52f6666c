"""Where the page is served: addresses read, judged and told.

Stands apart because it is text and names alone, and decides whether a token is needed.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from unetlite.vision.errors import SettingsError

_ELSEWHERE = ("192.0.2.1", 9)  # reserved for examples; nothing is sent there, the system only chooses a route


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT"; IPv6 in brackets.

    Raises:
        SettingsError: something else.
    """
    match = re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^:\[\]]+):(\d{1,5})", address)
    if match is None or int(match[2]) > 65535:
        raise SettingsError(f"--serve: expected HOST:PORT such as 127.0.0.1:8080, got {address!r}")
    return match[1].strip("[]"), int(match[2])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host's address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_for_others(host: str) -> str:
    """What another machine can type to reach a server on `host`: of "every address" one that leads outside."""
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            return host
    except ValueError:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            return str(probe.getsockname()[0])
        except OSError:  # no network yet
            return socket.gethostname()
