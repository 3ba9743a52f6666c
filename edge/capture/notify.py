"""Telling systemd that the capture has started, is alive, and ends.

Stands apart because it is nothing where no service manager listens, and needs no package where one does.

Source: sd_notify(3); systemd.service(5), Type=notify and WatchdogSec.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Speaks to the service manager that started this program; silent where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read what the service manager wants.

        Args:
            environment: NOTIFY_SOCKET is where to speak, WATCHDOG_USEC how long silence is taken for life.
        """
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # a name that is not in the file system
            self._address = "\0" + self._address[1:]
        meant = environment.get("WATCHDOG_PID") in (None, str(os.getpid()))
        microseconds = environment.get("WATCHDOG_USEC", "") if meant else ""
        # Three times within the limit, so that one lost or late word does no harm.
        self._every_s = int(microseconds) / 3e6 if microseconds.isdecimal() and int(microseconds) else None
        self._said_s = float("-inf")

    def ready(self) -> None:
        """The start is over: pictures are being looked at."""
        self._say("READY=1")

    def alive(self) -> None:
        """The work goes on. Cheap: to be called as often as it is true."""
        if self._every_s is not None and time.monotonic() - self._said_s >= self._every_s:
            self._said_s = time.monotonic()
            self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._say("STOPPING=1")

    def _say(self, words: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.setblocking(False)  # a service manager that does not read must not hold up the capture
            to.sendto(words.encode(), self._address)
