"""The page that shows the live picture: for a phone beside a device without a screen.

Stands apart, in a thread of its own with aiohttp, because a viewer may be slow, gone or hostile, and the capture must
not notice: it only leaves its newest view here.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from unetlite.edge.capture.loop import View
from unetlite.edge.capture.states import State
from unetlite.edge.capture.store import CaptureStore
from unetlite.vision.errors import MissingExtraError, SettingsError

try:
    from aiohttp import web
except ImportError as error:
    raise MissingExtraError("--serve needs aiohttp, which is not installed: pip install 'unetlite[serve]'") from error

_STATIC = Path(__file__).parent / "static"
_WIDTH = 800  # pixels of the picture sent: enough for a phone, a tenth of a camera's bytes
_PERIOD_S = 0.1  # pictures sent at most this often
_JPEG_QUALITY = 70
_WRITE_S = 10.0  # a viewer that takes nothing for so long has gone
_MOST_VIEWERS = 8
_LATEST = 6  # captures shown
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
_COLOURS = {  # RGB, the page's own
    State.SEARCHING: (160, 160, 160),
    State.ADJUSTING: (255, 170, 40),
    State.HOLD_STILL: (70, 170, 255),
    State.CAPTURED: (60, 220, 100),
    State.REMOVE: (60, 220, 100),
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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


class Preview:
    """The server; use it in a `with` statement.

    Attributes:
        url: where the page is, with the token where one is needed.
        on_trigger: called when somebody presses the button.
    """

    def __init__(self, address: str, store: CaptureStore, *, tell: Callable[[str], object] = lambda text: None) -> None:
        self._host, self._port = parse_address(address)
        self._local = is_loopback(self._host)
        # Kept in memory alone: a new one each time the program starts.
        self._token = None if self._local else secrets.token_urlsafe(24)
        self._store, self._tell = store, tell
        self.on_trigger: Callable[[], object] = lambda: None
        self.url = ""
        self._view: View | None = None
        self._view_s = 0.0
        self._viewers = 0
        self._jpeg = b""
        self._jpeg_number = 0
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
        self._loop, self._stopping, self._fresh = asyncio.get_running_loop(), asyncio.Event(), asyncio.Condition()
        application = web.Application(middlewares=[self._guard], client_max_size=1024)
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/live.mjpg", self._live),
                web.get("/state.json", self._state),
                web.post("/trigger", self._trigger),
                web.get("/captures/{name}", self._capture),
                *(web.get(f"/{name}", self._page) for name in ("page.js", "page.css")),
            ]
        )
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        encoder = None
        try:
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
            port = runner.addresses[0][1]
            host = f"[{self._host}]" if ":" in self._host else self._host
            self.url = f"http://{host}:{port}/" + ("" if self._token is None else f"?token={self._token}")
            started.set()
            encoder = asyncio.create_task(self._encode_on())
            await self._stopping.wait()
        finally:
            if encoder is not None:
                encoder.cancel()
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            response = await self._admit(request) or await handler(request)
        except web.HTTPException as refusal:
            refusal.headers.update(_HEADERS)
            raise
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _admit(self, request: web.Request) -> web.StreamResponse | None:
        """None for those who may pass, the answer for those who may not yet."""
        if self._token is None:
            # A page elsewhere can point its own name at this address; that name then stands in the request.
            name = re.sub(r":\d+$", "", request.host)
            if not is_loopback(name.strip("[]")):
                raise web.HTTPForbidden(text="This page answers on this machine's own address alone.\n")
            return None
        if self._is_token(request.cookies.get(_COOKIE, "")):
            return None
        if not self._is_token(request.query.get("token", "")):
            raise web.HTTPUnauthorized(text="Open the address that unet-capture showed when it started.\n")
        response = web.Response(status=303, headers={"Location": "/"})  # the token does not stay in the address bar
        response.set_cookie(_COOKIE, self._token, httponly=True, samesite="Lax", path="/")
        return response

    def _is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())

    async def _page(self, request: web.Request) -> web.StreamResponse:
        name = request.path.strip("/") or "page.html"
        kind = {"html": "text/html", "js": "text/javascript", "css": "text/css"}[name.rpartition(".")[2]]
        return web.Response(body=(_STATIC / name).read_bytes(), content_type=kind, charset="utf-8")

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
        names = await asyncio.to_thread(self._store.names)
        return web.json_response({**content, "captures": names[: -_LATEST - 1 : -1]})

    async def _trigger(self, request: web.Request) -> web.StreamResponse:
        if _TRIGGER_HEADER not in request.headers:
            raise web.HTTPForbidden(text=f"Expected the header {_TRIGGER_HEADER}.\n")
        self.on_trigger()
        return web.Response(status=204)

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        path = self._store.crop_path(request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound(text="There is no such capture.\n")
        return web.FileResponse(path, headers=_HEADERS)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self._viewers >= _MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(text=f"{_MOST_VIEWERS} viewers are watching already.\n")
        response = web.StreamResponse(
            headers={**_HEADERS, "Content-Type": "multipart/x-mixed-replace; boundary=frame"}
        )
        self._viewers += 1
        try:
            await response.prepare(request)
            seen = 0
            while not self._stopping.is_set():
                async with self._fresh:
                    await self._fresh.wait_for(lambda seen=seen: self._jpeg_number != seen)
                    jpeg, seen = self._jpeg, self._jpeg_number  # the newest: what a slow viewer missed stays missed
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                await asyncio.wait_for(response.write(head + jpeg + b"\r\n"), _WRITE_S)
        except (ConnectionError, asyncio.TimeoutError):
            pass  # gone, or as good as gone
        finally:
            self._viewers -= 1
        return response

    async def _encode_on(self) -> None:
        """Encode the newest view while anyone watches, once for all of them."""
        done: View | None = None
        with ThreadPoolExecutor(1, "preview-jpeg") as worker:
            while True:
                await asyncio.sleep(_PERIOD_S)
                view = self._view
                if view is None or view is done or not self._viewers:
                    continue
                jpeg = await asyncio.get_running_loop().run_in_executor(worker, encode_view, view)
                async with self._fresh:
                    done, self._jpeg, self._jpeg_number = view, jpeg, self._jpeg_number + 1
                    self._fresh.notify_all()


def encode_view(view: View) -> bytes:
    """The view as a JPEG, the card outlined in its state's colour."""
    height, width = view.image.shape[:2]
    scale = min(1.0, _WIDTH / width)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = cv2.resize(view.image, size_wh, interpolation=cv2.INTER_AREA)
    if view.quad is not None:
        points = (((view.quad + 0.5) * scale - 0.5) * 16).round().astype("int32")[:, None]
        for colour, line_width in (((0, 0, 0), 7), (_COLOURS[view.step.state], 4)):
            cv2.polylines(picture, [points], True, colour, line_width, cv2.LINE_AA, 4)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)[1].tobytes()
