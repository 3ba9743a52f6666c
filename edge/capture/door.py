"""How many connections the preview page's server takes, and for how long one may say nothing.

Stands apart because it is about sockets alone: each is one of the files that the process may have open, and the
capture needs some of them, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

_LOOK_S = 1.0


class _Server(Protocol):
    """aiohttp's: called for each connection."""

    connections: Iterable[Any]

    def __call__(self) -> Any: ...


class Door:
    """Makes the protocol of each new connection, as `create_server` of an event loop wants it."""

    def __init__(self, server: Any, most: int, request_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Guard a server.

        Args:
            server: aiohttp's, of an AppRunner.
            most: connections at a time; more are broken off at once.
            request_s: within which a connection must have sent a whole request's head.
            clock: seconds.
        """
        self._server: _Server = server
        self._most, self._request_s, self._clock = most, request_s, clock
        self._silent: dict[Any, float] = {}  # since when

    def __call__(self) -> asyncio.BaseProtocol:
        # Those that say nothing count before the event loop has told aiohttp of them: many may come at once.
        if len(self._silent.keys() | set(self._server.connections)) >= self._most:
            return _BreakOff()
        protocol = self._server()
        self._silent[protocol] = self._clock()
        return protocol

    def has_asked(self, protocol: Any) -> None:
        """A whole request has come in on this connection."""
        self._silent.pop(protocol, None)

    async def watch(self) -> None:
        """Break off connections that say nothing, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            latest_s = self._clock() - self._request_s
            for protocol in [one for one, since_s in self._silent.items() if since_s < latest_s]:
                self._silent.pop(protocol, None)
                with suppress(AttributeError):  # it has gone by itself
                    protocol.transport.abort()


class _BreakOff(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()
