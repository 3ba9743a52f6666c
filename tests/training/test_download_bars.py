"""What a person sees of a download, on a small emulated screen and on a plain stream."""

from __future__ import annotations

import io
import re

import pytest

from unetlite.training.data import bars
from unetlite.training.data.bars import Bars
from unetlite.training.data.download import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(written: str, columns: int) -> list[str]:
    """The lines that a terminal shows of `written`: text, newline, return, up, clear to the end."""
    lines, row, column = [""], 0, 0
    for piece in re.findall(r"\x1b\[\d*[AJ]|[\n\r]|[^\n\r\x1b]+", written):
        if piece == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        elif piece == "\r":
            column = 0
        elif piece.endswith("A") and piece.startswith("\x1b"):
            row -= int(piece[2:-1])
        elif piece.endswith("J") and piece.startswith("\x1b"):
            lines[row:] = [lines[row][:column]]
        else:
            assert len(piece) < columns, "a wrapped line would break the count of lines"
            lines[row] = lines[row][:column] + piece
            column += len(piece)
    return [line for line in lines if line]


@pytest.fixture(autouse=True)
def _draw_at_once(monkeypatch):
    monkeypatch.setattr(bars, "REDRAW_S", 0)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")


def test_each_archive_under_way_has_a_bar_and_finished_ones_stay_above():
    terminal = Terminal()
    with Bars(terminal) as show:
        show(Progress("01_alb_id", "fetch", 0, 2_000_000))
        show(Progress("02_aut_drvlic_new", "fetch", 0, 1_000_000))
        show(Progress("01_alb_id", "fetch", 500_000, 2_000_000))
        show(Progress("02_aut_drvlic_new", "wait", 0, 1_000_000, "connection reset by peer; trying again in 2 s"))
        assert screen(terminal.getvalue(), 80) == [
            "01_alb_id               fetch  [#######-----------------------]  25% 0.5/2.0 MB",
            "02_aut_drvlic_new       wait   connection reset by peer; trying again in 2 s",
        ]
        show(Progress("01_alb_id", "done", 9, 9, "604 files, 1.9 MB unpacked"))
        assert screen(terminal.getvalue(), 80) == [
            "01_alb_id: 604 files, 1.9 MB unpacked",
            "02_aut_drvlic_new       wait   connection reset by peer; trying again in 2 s",
        ]
        show(Progress("03_aut_id_old", "fetch", 700_000, None))
        assert screen(terminal.getvalue(), 80)[-1] == "03_aut_id_old           fetch  0.7 MB"
    assert screen(terminal.getvalue(), 80) == ["01_alb_id: 604 files, 1.9 MB unpacked"]


def test_rate_and_time_left_count_this_run_alone(monkeypatch):
    now = iter([100.0, 102.0])
    monkeypatch.setattr(bars.time, "monotonic", lambda: next(now))
    terminal = Terminal()
    show = Bars(terminal)
    show(Progress("01_alb_id", "fetch", 500_000_000, 1_000_000_000))
    show(Progress("01_alb_id", "fetch", 500_200_000, 1_000_000_000))
    assert screen(terminal.getvalue(), 80) == [
        "01_alb_id               fetch  [###----]  50% 500.2/1000.0 MB 0.10 MB/s 1:23:18"
    ]


def test_bars_keep_within_the_terminals_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    terminal = Terminal()
    show = Bars(terminal)
    show(Progress("39_rus_internalpassport", "fetch", 1, 2))
    show(Progress("39_rus_internalpassport", "fetch", 2, 2))
    assert screen(terminal.getvalue(), 30) == ["39_rus_internalpassport fetch"]


@pytest.mark.parametrize("kind", ["file", "dumb terminal"])
def test_elsewhere_there_is_one_plain_line_for_each_finished_archive(kind, monkeypatch):
    stream = io.StringIO() if kind == "file" else Terminal()
    monkeypatch.setenv("TERM", "dumb" if kind == "dumb terminal" else "xterm")
    with Bars(stream) as show:
        show(Progress("01_alb_id", "present", note="already there"))
        show(Progress("02_aut_drvlic_new", "fetch", 1, 2))
        show(Progress("02_aut_drvlic_new", "wait", 1, 2, "reset"))
        show(Progress("02_aut_drvlic_new", "done", note="604 files, 1.9 MB unpacked"))
        show(Progress("03_aut_id_old", "failed", note="the server answers 403"))
    assert stream.getvalue() == (
        "01_alb_id: already there\n"
        "02_aut_drvlic_new: 604 files, 1.9 MB unpacked\n"
        "03_aut_id_old: failed: the server answers 403\n"
    )
