"""The page in a real browser: Chromium driven by its WebDriver, over plain HTTP."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from printed_card import printed_face, view_of_card

pytest.importorskip("aiohttp", reason="the page needs aiohttp: pip install 'unetlite[serve]'")

from unetlite.edge.capture.figures import Figures
from unetlite.edge.capture.loop import View
from unetlite.edge.capture.preview import Preview
from unetlite.edge.capture.states import State, Step
from unetlite.edge.capture.store import CaptureStore, StoreSettings

PHONE_WH, DESK_WH = (412, 915), (1366, 768)


class Browser:
    """A WebDriver session."""

    def __init__(self, port: int, profile: Path) -> None:
        self._root = f"http://127.0.0.1:{port}"
        flags = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
        flags += f"--disable-component-update --disable-sync --user-data-dir={profile} "
        flags += f"--window-size={PHONE_WH[0]},{PHONE_WH[1]}"
        chromium = {"binary": shutil.which("chromium"), "args": flags.split()}
        wanted = {"goog:chromeOptions": chromium, "goog:loggingPrefs": {"browser": "ALL"}, "pageLoadStrategy": "none"}
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._root += f"/session/{session['sessionId']}"

    def _call(self, method: str, path: str, content: dict | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._root + path, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def run(self, script: str) -> Any:
        return self._call("POST", "/execute/sync", {"script": f"return {script}", "args": []})

    def wait_for(self, script: str) -> None:
        deadline = time.monotonic() + 30
        while not self.run(script):
            assert time.monotonic() < deadline, f"never true within 30 s: {script}"
            time.sleep(0.1)

    def resize(self, size_wh: tuple[int, int]) -> None:
        """Show the page as a screen of this size would; a window cannot be as narrow as a phone."""
        metrics = {"width": size_wh[0], "height": size_wh[1], "deviceScaleFactor": 1, "mobile": False}
        content = {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}
        self._call("POST", "/goog/cdp/execute", content)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        entries = self._call("POST", "/se/log", {"type": "browser"})
        return [e["message"] for e in entries if "favicon.ico" not in e["message"]]

    def close(self) -> None:
        self._call("DELETE", "")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs a browser: apt install chromium chromium-driver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "chromedriver did not start within 30 s"
            time.sleep(0.1)
        session = Browser(port, tmp_path / "profile")
        yield session
        session.close()
    finally:
        driver.terminate()
        driver.wait(10)


def test_a_phone_sees_picture_state_captures_and_can_trigger(browser: Browser, tmp_path: Path) -> None:
    picture, quad = view_of_card(printed_face(1), tilt_deg=8.0)
    figures = Figures(12.5, {"invoke": 3.1, "cycle": 7.4}, 4, 0, 2, 51.0, ())
    store = CaptureStore(tmp_path / "captures", StoreSettings())
    for number in range(2):
        store.save(printed_face(number)[::2, ::2], None, {})
    pressed: list[int] = []
    show: Callable[[Step], View] = lambda step: View(picture, quad, step, None, figures)  # noqa: E731
    with Preview("0.0.0.0:0", store) as page:  # the address that needs a token
        page.on_trigger = lambda: pressed.append(1)
        page.show(show(Step(State.ADJUSTING, "Turn the card a little: light is reflected.")))
        browser.resize(PHONE_WH)
        browser.open(f"http://127.0.0.1:{page.port}/?{page.url.partition('?')[2]}")
        browser.wait_for("document.readyState !== 'loading' && document.body.dataset.state === 'adjusting'")
        browser.wait_for("document.getElementById('live').naturalWidth === 640")
        assert "token" not in browser.run("location.href")
        assert browser.run("document.getElementById('sentence').textContent").startswith("Turn the card")
        assert "12.5 frames/s" in browser.run("document.getElementById('figures').textContent")
        browser.wait_for("[...document.querySelectorAll('#captures img')].filter(i => i.naturalWidth > 0).length === 2")
        links = browser.run("[...document.querySelectorAll('#captures a')].map(a => new URL(a.href).pathname)")
        assert links == [f"/captures/{name}" for name in reversed(store.names())]  # in full size, at a touch
        assert "Invalid" not in browser.run("document.getElementById('captures').textContent")
        # Letters of 5 mm on a phone 70 mm wide can be read from a metre.
        letters_px = browser.run("parseFloat(getComputedStyle(document.getElementById('sentence')).fontSize)")
        assert letters_px / browser.run("innerWidth") >= 5 / 70
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        browser.run("document.getElementById('trigger').click()")
        page.show(show(Step(State.REMOVE, "Remove the card.", progress=1.0)))
        browser.wait_for("document.body.dataset.state === 'remove the card'")
        assert pressed == [1]
        # The stream reached the screen: something bright where the picture is.
        assert browser.run("document.getElementById('live').clientHeight") > 100
        keep = Path(os.environ.get("UNETLITE_SCREENSHOTS", tmp_path))
        for name, size_wh in (("phone", PHONE_WH), ("desk", DESK_WH)):
            browser.resize(size_wh)
            assert browser.run("[innerWidth, innerHeight]") == list(size_wh)
            assert browser.run("document.documentElement.scrollWidth <= innerWidth")
            # What the person must see without scrolling: what to do, and the picture.
            assert browser.run("document.getElementById('live').getBoundingClientRect().bottom <= innerHeight")
            browser.screenshot(keep / f"page-{name}.png")
            assert (keep / f"page-{name}.png").stat().st_size > 10_000
        assert browser.complaints() == []
    browser.wait_for("document.body.dataset.state === 'trouble'")
    assert "No connection" in browser.run("document.getElementById('sentence').textContent")
