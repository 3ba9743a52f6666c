"""The preview page, spoken to over real HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from printed_card import printed_face, view_of_card

pytest.importorskip("aiohttp", reason="the page needs aiohttp: pip install 'unetlite[serve]'")

from unetlite.edge.capture import preview
from unetlite.edge.capture.address import address_for_others, is_loopback, parse_address
from unetlite.edge.capture.figures import Figures
from unetlite.edge.capture.loop import View
from unetlite.edge.capture.page_picture import encode_view
from unetlite.edge.capture.preview import Preview
from unetlite.edge.capture.states import State, Step
from unetlite.edge.capture.store import CaptureStore, StoreSettings
from unetlite.vision.errors import SettingsError

PICTURE, QUAD = view_of_card(printed_face(0))
FIGURES = Figures(12.5, {"invoke": 3.0, "cycle": 7.0}, 4, 0, 1, 51.0, ())


def view(state: State = State.HOLD_STILL, sentence: str = "Hold still.", trouble: str | None = None) -> View:
    return View(PICTURE, QUAD, Step(state, sentence, progress=0.5), trouble, FIGURES)


@pytest.fixture
def store(tmp_path: Path) -> CaptureStore:
    return CaptureStore(tmp_path / "captures", StoreSettings())


@pytest.fixture
def page(store: CaptureStore) -> Iterator[Preview]:
    with Preview("127.0.0.1:0", store) as preview:
        yield preview


@pytest.fixture
def open_page(store: CaptureStore) -> Iterator[Preview]:
    """Served on every address, so that a token is needed."""
    with Preview("0.0.0.0:0", store) as preview:
        yield preview


CONNECTIONS: list[http.client.HTTPConnection] = []


@pytest.fixture(autouse=True)
def hang_up() -> Iterator[None]:
    """Closes what `ask` has opened."""
    yield
    while CONNECTIONS:
        CONNECTIONS.pop().close()


def ask(page: Preview, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
    CONNECTIONS.append(connection)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return connection.getresponse()


def read_pictures(answer: http.client.HTTPResponse, count: int) -> list[np.ndarray]:
    pictures = []
    for _ in range(count):
        length = 0
        while (line := answer.readline()) != b"\r\n" or not length:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        pictures.append(cv2.imdecode(np.frombuffer(answer.read(length), np.uint8), 1))
        answer.readline()
    return pictures


def test_the_page_needs_no_inline_script_or_style(page: Preview) -> None:
    answer = ask(page, "/")
    text = answer.read().decode()
    assert answer.status == 200
    assert "<style" not in text
    assert "style=" not in text
    assert text.count("<script") == text.count('<script src="/page.js"') == 1
    for name in ("/page.js", "/page.css"):
        assert ask(page, name).status == 200


def test_every_answer_carries_the_security_headers(page: Preview) -> None:
    for path in ("/", "/state.json", "/page.js", "/nothing", "/captures/none"):
        answer = ask(page, path)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Cache-Control"] == "no-store", path


def test_state_hint_and_figures_are_told(page: Preview) -> None:
    assert json.loads(ask(page, "/state.json").read())["state"] == "starting"
    page.show(view())
    told = json.loads(ask(page, "/state.json").read())
    assert (told["state"], told["sentence"], told["progress"]) == ("hold still", "Hold still.", 0.5)
    assert told["figures"]["latency_ms"]["invoke"] == 3.0
    page.show(view(trouble="The camera is away."))
    told = json.loads(ask(page, "/state.json").read())
    assert (told["sentence"], told["trouble"]) == ("The camera is away.", True)


def test_the_live_picture_shows_the_newest_view_with_its_outline(page: Preview) -> None:
    page.show(view())
    answer = ask(page, "/live.mjpg")
    assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace")
    first = read_pictures(answer, 1)[0]
    assert first.shape == PICTURE.shape
    x, y = QUAD[0].round().astype(int)
    assert np.abs(first[y, x + 60, ::-1].astype(int) - (70, 170, 255)).max() < 60
    page.show(View(np.full_like(PICTURE, 200), None, Step(State.SEARCHING, ""), None, FIGURES))
    assert abs(float(read_pictures(answer, 1)[0].mean()) - 200) < 3


def test_captures_are_listed_newest_first_and_shown(page: Preview, store: CaptureStore) -> None:
    names = [store.save(PICTURE[:50, :80], None, {}).name for _ in range(8)]
    told = json.loads(ask(page, "/state.json").read())
    assert told["captures"] == names[:1:-1]
    answer = ask(page, f"/captures/{names[-1]}")
    assert answer.headers["Content-Type"] == "image/png"
    assert cv2.imdecode(np.frombuffer(answer.read(), np.uint8), 1).shape == (50, 80, 3)


@pytest.mark.parametrize("path", ["/captures/../secret", "/captures/%2e%2e%2fsecret", "/captures/x", "/etc/passwd"])
def test_nothing_else_is_served(page: Preview, path: str) -> None:
    assert ask(page, path).status == 404


def test_the_trigger_needs_its_header_so_that_other_pages_cannot_press_it(page: Preview) -> None:
    pressed: list[int] = []
    page.on_trigger = lambda: pressed.append(1)
    assert ask(page, "/trigger").status == 405
    assert ask(page, "/trigger", "POST").status == 403
    assert pressed == []
    assert ask(page, "/trigger", "POST", X_Unet_Capture="1").status == 204
    assert pressed == [1]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "10.0.0.1:8080"])
def test_a_name_pointed_at_the_loopback_address_is_refused(page: Preview, host: str) -> None:
    assert ask(page, "/state.json", Host=host).status == 403
    assert ask(page, "/state.json", Host=f"localhost:{page.port}").status == 200


@pytest.mark.parametrize("path", ["/", "/state.json", "/live.mjpg", "/page.js", "/captures/x", "/?token=", "/?token=é"])
def test_beyond_loopback_nothing_is_told_without_the_token(open_page: Preview, path: str) -> None:
    assert ask(open_page, path.replace("é", "%C3%A9")).status == 401
    assert ask(open_page, path.replace("é", "x"), Cookie="unet_capture=guess").status == 401
    assert ask(open_page, "/trigger", "POST", X_Unet_Capture="1").status == 401


def test_the_token_is_traded_for_a_cookie_that_scripts_cannot_read(open_page: Preview) -> None:
    answer = ask(open_page, "/?" + open_page.url.partition("?")[2])
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert ask(open_page, "/state.json", Cookie=cookie.split(";")[0]).status == 200


def test_tokens_differ_from_start_to_start(store: CaptureStore) -> None:
    told: list[str] = []
    for _ in range(2):
        with Preview("0.0.0.0:0", store, tell=told.append):
            pass
    tokens = {line.partition("token=")[2].split()[0] for line in told}
    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 32


def test_a_viewer_that_reads_nothing_holds_up_neither_capture_nor_other_viewers(page: Preview) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (600, 800, 3), dtype=np.uint8)  # 500 kB a picture
    stuck = socket.create_connection(("127.0.0.1", page.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.sendall(f"GET /live.mjpg HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
    stopping = threading.Event()
    longest = []

    def show_on() -> None:
        while not stopping.is_set():
            begin = time.perf_counter()
            page.show(View(noise.copy(), None, Step(State.SEARCHING, ""), None, FIGURES))
            longest.append(time.perf_counter() - begin)
            time.sleep(0.01)

    showing = threading.Thread(target=show_on)
    showing.start()
    try:
        assert len(read_pictures(ask(page, "/live.mjpg"), 25)) == 25  # far beyond what buffers hold for the stuck one
        assert ask(page, "/state.json").status == 200
    finally:
        stopping.set()
        showing.join()
        stuck.close()
    assert len(longest) > 50


def test_too_many_viewers_are_turned_away(page: Preview) -> None:
    page.show(view())
    answers = [ask(page, "/live.mjpg") for _ in range(9)]
    assert sorted({a.status for a in answers}) == [200, 503]


def test_a_port_in_use_is_told(page: Preview, store: CaptureStore) -> None:
    with pytest.raises(SettingsError, match="could not be had"), Preview(f"127.0.0.1:{page.port}", store):
        pass


def test_addresses_are_parsed() -> None:
    assert parse_address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert parse_address("[::1]:8080") == ("::1", 8080)
    for wrong in ("8080", "host", "host:", "::1:80", "h:99999", ":80"):
        with pytest.raises(SettingsError, match="HOST:PORT"):
            parse_address(wrong)
    assert address_for_others("10.1.2.3") == "10.1.2.3"
    assert address_for_others("0.0.0.0") not in ("0.0.0.0", "")
    assert all(is_loopback(host) for host in ("localhost", "127.9.9.9", "::1"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "pi.local"))


def test_large_pictures_are_sent_small() -> None:
    large = View(np.zeros((1080, 1920, 3), np.uint8), None, Step(State.SEARCHING, ""), None, FIGURES)
    assert cv2.imdecode(np.frombuffer(encode_view(large.image, large), np.uint8), 1).shape == (450, 800, 3)


def raw(page: Preview, sent: bytes = b"", wait_s: float = 10.0) -> bytes:
    """What comes back on a connection of its own, until the server closes it."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=wait_s) as connection:
        got = b""
        with suppress(ConnectionError):
            connection.sendall(sent)
            while part := connection.recv(65536):
                got += part
        return got


def test_a_capture_is_for_those_with_the_token_alone(open_page: Preview, store: CaptureStore) -> None:
    name = store.save(PICTURE[:50, :80], None, {}).name
    assert ask(open_page, f"/captures/{name}").status == 401
    assert ask(open_page, f"/captures/{name}", Cookie="unet_capture=\xff").status == 401
    token = open_page.url.partition("token=")[2]
    answer = ask(open_page, f"/captures/{name}", Cookie=f"unet_capture={token}")
    assert (answer.status, len(answer.read()) > 100) == (200, True)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(b"X%d: 1\r\n" % n for n in range(500)) + b"\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    ],
    ids=["long header", "many headers", "long path", "not HTTP"],
)
def test_requests_beyond_all_measure_are_refused_and_the_page_goes_on(
    page: Preview, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert raw(page, sent).split(b" ")[1] == b"400"
    assert ask(page, "/state.json").status == 200
    assert caplog.text == ""  # a stranger must not fill the log


def test_a_large_body_is_not_read(page: Preview) -> None:
    sent = b"POST /trigger HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 100_000
    assert raw(page, sent).startswith(b"HTTP/1.1 403 ")
    assert ask(page, "/state.json").status == 200


def test_connections_that_say_nothing_are_closed_and_more_than_allowed_are_not_taken(
    store: CaptureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "_REQUEST_S", 3.0)
    monkeypatch.setattr(preview, "_MOST_CONNECTIONS", 4)
    with Preview("127.0.0.1:0", store) as page:
        silent = [socket.create_connection(("127.0.0.1", page.port), timeout=10) for _ in range(4)]
        silent[0].sendall(b"GET / HTTP/1.1\r\nHo")  # and never the rest
        assert raw(page, b"GET /state.json HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n") == b""
        for connection in silent:
            with suppress(ConnectionError):
                assert connection.recv(1) == b""
            connection.close()
        assert ask(page, "/state.json").status == 200
