"""The comparison page: what it shows, that it needs nothing else, and that no report can make it run anything."""

from __future__ import annotations

import base64
import shutil
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from reports import report, run

from unetlite.edge.compare.choice import Budget
from unetlite.edge.compare.page import html_page
from unetlite.edge.compare.report import ReportError

_, JPEG = cv2.imencode(".jpg", np.full((60, 90, 3), 200, np.uint8))
PICTURE = base64.b64encode(JPEG.tobytes()).decode()


def scores(name, value, **changes):
    return {"condition": name, "value": value, "images": 3, "iou_mean": 0.9, "quad_iou_mean": 0.92,
            "quad_iou_ge_90": 0.67, **changes}  # fmt: skip


def full_report(device, word="", *, slower=1.0):
    """A report with every section's fields; `word` is put into every text of it."""
    levels = {"float32": (40.0, 0.96), "float16": (42.0, 0.96), "int8": (11.0, 0.951)}
    runs = [
        run(level, ms * slower, iou_mean=iou, model=f"{word}edge.{level}.tflite", spread=0.02, threads=1,
            conditions=[scores("cut" + word, "0" + word), scores("cut" + word, "1" + word)])
        for level, (ms, iou) in levels.items()
    ]  # fmt: skip
    answers = [{"model": r["model"], "iou": 0.4, "quad_iou": 0.5, "jpeg": PICTURE} for r in runs]
    content = report(device + word, runs)
    content["device"].update(os=word, kernel=word, governor=word)
    return {**content, "version": 2, "worst": [{"image": f"images/a{word}.jpg", "models": answers}], "date": word}


class Page(HTMLParser):
    """What a page is made of; every element that could fetch or run something is refused."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "href"
            assert name != "src" or value.startswith("data:image/jpeg;base64,")

    def handle_data(self, text):
        self.text.append(text)


def test_the_page_shows_every_section():
    page = html_page([("a.json", full_report("Pi 5")), ("b.json", full_report("Pi 4", slower=3))], Budget(50, 0.95))
    text = " ".join(Page(page).text)
    for words in ("IoU against latency", "All runs", "What a level loses", "By condition", "cut = 1",
                  "Worst pictures", "images/a.jpg", "Devices", "Pi 4", "Pi 5",
                  "Pi 5: edge.float32.tflite with 1 thread for at most 50 ms"):  # fmt: skip
        assert words in text
    assert page.count("<img ") == 6
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("class='front'") == 2


def test_a_page_of_little_leaves_out_what_it_does_not_know():
    page = html_page([("a.json", report("Pi", [run("int8", 5.0)]))])
    for words in ("What a level loses", "By condition", "Worst pictures"):
        assert words not in page
    assert "All runs" in page


def test_emulated_devices_are_not_in_the_chart():
    counts = {stage: {"p50": 10**6, "min": 1, "max": 1} for stage in ("preprocess", "invoke", "postprocess", "total")}
    emulated = {**report("Pi 5", [run("int8", 1.0, latency_ms=None, instructions=counts)]), "emulated": True}
    page = html_page([("e.json", emulated)], Budget(50, None))
    assert "IoU against latency" not in page
    assert "Emulated devices" in page
    assert "instructions are no latency" in page


@pytest.mark.parametrize("jpeg", ["x' onerror='alert(1)", "PHN2Zz4=", "/9j/\n<script>", 3])
def test_a_picture_that_is_no_jpeg_is_refused(jpeg):
    content = full_report("Pi")
    content["worst"][0]["models"][0]["jpeg"] = jpeg
    with pytest.raises(ReportError, match=r"^r\.json: .*'jpeg'"):
        html_page([("r.json", content)])


SCRIPT = "document.title='pwned'"
HOSTILE = (
    f"<script>{SCRIPT}</script><img src=x onerror=\"{SCRIPT}\">' onmouseover='{SCRIPT}' autofocus onfocus='{SCRIPT}"
    f"</title></style><svg onload={SCRIPT}>--><iframe srcdoc='<script>parent.{SCRIPT}</script>'>\u202e\x1b[2J"
)


def test_hostile_strings_stay_text():
    page = html_page([(HOSTILE, full_report("Pi", HOSTILE)), ("b", full_report("Pi", HOSTILE))], Budget(50, 0.9))
    seen = Page(page)
    assert seen.tags.count("script") == 1
    assert not {"iframe", "link", "object", "embed"} & set(seen.tags)
    assert any(f"<script>{SCRIPT}</script>" in text for text in seen.text)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def dom(page, tmp_path):
    """The page's document after a real browser has run what it runs."""
    if CHROMIUM is None:
        pytest.skip("needs a browser: apt install chromium")
    (tmp_path / "page.html").write_text(page, "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
             "--virtual-time-budget=2000", "--dump-dom"]  # fmt: skip
    command = [CHROMIUM, *flags, f"file://{tmp_path / 'page.html'}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=250).stdout


def test_hostile_strings_do_not_run_in_a_browser(tmp_path):
    page = html_page([(HOSTILE, full_report("Pi", HOSTILE))], Budget(50, 0.9))
    seen = dom(page, tmp_path)
    assert "<title>unetlite benchmark</title>" in seen
    # The same without escaping: the page's own policy still lets nothing run.
    leaky = page.replace("<h1>", HOSTILE.replace("</title></style>", "") + "<h1>")
    assert "<title>unetlite benchmark</title>" in dom(leaky, tmp_path)
    # And without the policy it would: the test can fail.
    start, end = leaky.index("<meta http-equiv"), leaky.index("<meta name=")
    assert "<title>pwned</title>" in dom(leaky[:start] + leaky[end:], tmp_path)


def test_the_filter_hides_a_device_and_a_level_in_a_browser(tmp_path):
    page = html_page([("a.json", full_report("Pi 5")), ("b.json", full_report("Pi 4"))])
    # What a click does, done by the page's own event: the box of the first device and of int8 unticked.
    boxes = page.replace("data-kind='d' value='0' checked", "data-kind='d' value='0'")
    boxes = boxes.replace("data-kind='l' value='2' checked", "data-kind='l' value='2'")
    rows = [line for line in dom(boxes, tmp_path).splitlines() if line.startswith("<tr class=") and "MB" in line]
    shown = [line for line in rows if 'class="off"' not in line and " off" not in line.split(">")[0]]
    assert len(rows) == 6
    assert len(shown) == 2
    assert all("Pi 4" in line and "int8" not in line for line in shown)
