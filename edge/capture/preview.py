"""The page that shows the live picture: for a phone beside a device without a screen.

Stands apart, in a thread of its own with aiohttp, because a viewer may be slow, gone or hostile, and the capture must
not notice: it only leaves its newest view here. aiohttp is imported when a page is asked for.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetlite.edge.capture.address import address_for_others, is_loopback, parse_address
from unetlite.edge.capture.door import Door
from unetlite.edge.capture.loop import View
from unetlite.edge.capture.page_picture import encode_view
from unetlite.edge.capture.store import CaptureStore
from unetlite.vision.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from aiohttp import web

_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_PERIOD_S = 0.1  # pictures sent at most this often
_REPEAT_S = 1.0  # without a new one, the last is sent again
_WRITE_S = 10.0  # a viewer that takes nothing for so long has gone
_MOST_VIEWERS = 8
_MOST_CONNECTIONS = 64  # each is an open file, and the capture needs some of those that the process may have
_REQUEST_S = 20.0  # a connection without a whole request for so long is closed; phones are slow at times
_IDLE_S = 15.0  # and one without a further request
_LATEST = 6  # captures shown
_LIST_S = 1.0  # the folder is listed at most this often: it may hold thousands
_COOKIE = "unet_capture"
_TRIGGER_HEADER = "X-Unet-Capture"  # no page of another origin can send it
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STREAM = {**_HEADERS, "Content-Type": "multipart/x-mixed-replace; boundary=frame"}



def _logger() -> logging.Logger:
    """aiohttp's own, without a traceback for each request that is no HTTP: a stranger must not fill the log."""
    from aiohttp.http_exceptions import HttpProcessingError

    def is_ours(record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)

    logger = logging.getLogger("unetlite.preview")
    logger.filters = [is_ours]
    return logger


_Handler = Callable[["web.Request"], Awaitable["web.StreamResponse"]]


class Preview:
    """The server; use it in a `with` statement.

    Attributes:
        url: where the page is, with the token where one is needed.
        port: that it listens on.
        on_trigger: called when somebody presses the button.
    """

    def __init__(self, address: str, store: CaptureStore, *, tell: Callable[[str], object] = lambda text: None) -> None:
        """Prepare a page at "HOST:PORT"; port 0 takes a free one.

        Raises:
            SettingsError: no such address.
            MissingExtraError: aiohttp is not installed.
        """
        try:
            from aiohttp import web
        except ImportError as error:
            raise MissingExtraError(
                "--serve needs aiohttp, which is not installed; install it with: pip install 'unetlite[serve]'"
            ) from error
        self._web = web
        self._host, self._port = parse_address(address)
        # Kept in memory alone: a new one each time the program starts.
        self._token = None if is_loopback(self._host) else secrets.token_urlsafe(24)
        self._store, self._tell = store, tell
        self.on_trigger: Callable[[], object] = lambda: None
        self.url = ""
        self.port = self._port
        self._view: View | None = None
        self._view_s = 0.0
        self._viewers = 0
        self._jpeg = b""
        self._jpeg_number = 0
        self._names: list[str] = []
        self._names_s = float("-inf")
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def show(self, view: View) -> None:
        """Leave the newest view; from any thread, returns at once."""
        self._view, self._view_s = view, time.monotonic()

    def __enter__(self) -> Preview:
        """Start to serve. Raises SettingsError where the address cannot be had."""
        started = threading.Event()
        failures: list[OSError] = []
        self._thread = threading.Thread(target=self._serve, args=(started, failures), name="preview", daemon=True)
        self._thread.start()
        started.wait()
        if failures:
            raise SettingsError(
                f"--serve: {self._host}:{self._port} could not be had: {failures[0].strerror}; choose another port"
            ) from failures[0]
        self._tell(f"page: {self.url}" + ("" if self._token is None else " (shown once; it opens the page for anyone)"))
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._thread is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(1.0)

    def _serve(self, started: threading.Event, failures: list[OSError]) -> None:
        try:
            asyncio.run(self._run(started))
        except OSError as error:
            failures.append(error)
        finally:
            started.set()

    async def _run(self, started: threading.Event) -> None:
        web = self._web
        self._loop, self._stopping, self._fresh = asyncio.get_running_loop(), asyncio.Event(), asyncio.Condition()

        @web.middleware
        async def guard(request: Any, handler: Any) -> Any:
            return await self._guard(request, handler)

        application = web.Application(middlewares=[guard], client_max_size=1024)
        application.add_routes(
            [
                *(web.get(path, self._page) for path in ("/", "/page.js", "/page.css")),
                web.get("/live.mjpg", self._live),
                web.get("/state.json", self._state),
                web.post("/trigger", self._trigger),
                web.get("/captures/{name}", self._capture),
            ]
        )
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=_logger(),
            shutdown_timeout=0.2,
            keepalive_timeout=_IDLE_S,
            lingering_time=1.0,  # for the rest of a request that has been answered already
        )
        await runner.setup()
        # Not by a TCPSite of aiohttp: it takes every connection, for as long as it likes to say nothing.
        self._door = Door(runner.server, _MOST_CONNECTIONS, _REQUEST_S)
        tasks = []
        server = None
        try:
            server = await self._loop.create_server(self._door, self._host, self._port)
            self.port = server.sockets[0].getsockname()[1]
            self.url = self._url()
            started.set()
            tasks = [asyncio.create_task(work) for work in (self._encode_on(), self._door.watch())]
            await self._stopping.wait()
        finally:
            for task in tasks:
                task.cancel()
            if server is not None:
                server.close()
            await runner.cleanup()

    def _url(self) -> str:
        if self._token is None:
            host, query = self._host, ""
        else:
            host, query = address_for_others(self._host), f"?token={self._token}"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/{query}"

    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        self._door.has_asked(request.protocol)
        try:
            response = self._admit(request) or await handler(request)
        except self._web.HTTPException as refusal:
            refusal.headers.update(_HEADERS)
            refusal.force_close()  # whoever may not come in does not stay at the door
            raise
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    def _admit(self, request: web.Request) -> web.StreamResponse | None:
        """None for those who may pass, the answer for those who may not yet."""
        if self._token is None:
            # A page elsewhere can point its own name at this address; that name then stands in the request.
            name = re.sub(r":\d+$", "", request.host)
            if not is_loopback(name.strip("[]")):
                raise self._web.HTTPForbidden(text="This page answers on this machine's own address alone.\n")
            return None
        if self._is_token(request.cookies.get(_COOKIE, "")):
            return None
        if not self._is_token(request.query.get("token", "")):
            raise self._web.HTTPUnauthorized(text="Open the address that unet-capture showed when it started.\n")
        response = self._web.Response(status=303, headers={"Location": "/"})  # it does not stay in the address bar
        response.set_cookie(_COOKIE, self._token, httponly=True, samesite="Lax", path="/")
        return response

    def _is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(
            given.encode("utf-8", "surrogateescape"), self._token.encode()
        )

    async def _page(self, request: web.Request) -> web.StreamResponse:
        path = _STATIC / (request.path.strip("/") or "page.html")
        return self._web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8")

    async def _state(self, request: web.Request) -> web.StreamResponse:
        view = self._view
        content: dict[str, Any] = {"state": "starting", "sentence": "The camera is starting."}
        if view is not None:
            content = {
                "state": view.step.state.value,
                "sentence": view.trouble or view.step.sentence,
                "trouble": view.trouble is not None,
                "progress": round(view.step.progress, 2),
                "age_s": round(time.monotonic() - self._view_s, 1),
                "figures": asdict(view.figures),
            }
        if time.monotonic() - self._names_s > _LIST_S:
            self._names_s = time.monotonic()
            self._names = (await asyncio.to_thread(self._store.names))[: -_LATEST - 1 : -1]
        return self._web.json_response({**content, "captures": self._names})

    async def _trigger(self, request: web.Request) -> web.StreamResponse:
        if _TRIGGER_HEADER not in request.headers:
            raise self._web.HTTPForbidden(text=f"Expected the header {_TRIGGER_HEADER}.\n")
        self.on_trigger()
        return self._web.Response(status=204)

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        path = self._store.crop_path(request.match_info["name"])
        if path is None:
            raise self._web.HTTPNotFound(text="There is no such capture.\n")
        return self._web.FileResponse(path, headers=_HEADERS)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self._viewers >= _MOST_VIEWERS:
            raise self._web.HTTPServiceUnavailable(text=f"{_MOST_VIEWERS} viewers are watching already.\n")
        response = self._web.StreamResponse(headers=_STREAM)
        # The first one's picture is not made yet: what is there is left over from the viewer before.
        seen, shown = 0 if self._viewers else self._jpeg_number, False
        self._viewers += 1
        try:
            await response.prepare(request)
            await response.write(b"--frame\r\n")
            while not self._stopping.is_set():
                if not await self._is_newer(seen) and not shown:
                    continue
                jpeg, seen, shown = self._jpeg, self._jpeg_number, True  # what a slow viewer missed stays missed
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                # With the boundary that ends it: browsers show a picture no sooner.
                await asyncio.wait_for(response.write(head + jpeg + b"\r\n--frame\r\n"), _WRITE_S)
        except (ConnectionError, asyncio.TimeoutError):
            if request.transport is not None:
                request.transport.abort()  # gone, or as good as gone: nothing is waited for any more
        finally:
            self._viewers -= 1
        return response

    async def _is_newer(self, seen: int) -> bool:
        """Wait for a picture after number `seen`; not for ever.

        The last one is then sent again: Chromium shows the first picture when the second begins, and a viewer that
        has gone is noticed by writing alone.
        """
        async with self._fresh:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._fresh.wait_for(lambda: self._jpeg_number != seen), _REPEAT_S)
            return self._jpeg_number != seen

    async def _encode_on(self) -> None:
        """Encode the newest view while anyone watches, once for all of them."""
        done: View | None = None
        with ThreadPoolExecutor(1, "preview-jpeg") as worker:
            while True:
                await asyncio.sleep(_PERIOD_S)
                view = self._view
                if not self._viewers:
                    done = None
                if view is None or view.image is None or view is done or not self._viewers:
                    continue
                jpeg = await asyncio.get_running_loop().run_in_executor(worker, encode_view, view.image, view)
                async with self._fresh:
                    done, self._jpeg, self._jpeg_number = view, jpeg, self._jpeg_number + 1
                    self._fresh.notify_all()
