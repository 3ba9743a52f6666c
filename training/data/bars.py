"""Show a download on a terminal, one bar for each archive under way; elsewhere one line for each that is finished.

Stands apart because `download` must not know where its progress goes. Written here and not taken from a library:
click draws a single bar, and the base install has no other; all it takes is to move up and draw again.
"""

from __future__ import annotations

import os
import shutil
import time
from types import TracebackType
from typing import TextIO

from unetlite.training.data.download import Progress

REDRAW_S = 0.1
BAR_COLUMNS = 30


class Bars:
    """A `report` for `download`, to be used in a `with` block so that unfinished bars are taken off at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._current: dict[str, Progress] = {}
        self._began: dict[str, tuple[float, int]] = {}  # per archive and stage: when, and with how many bytes
        self._drawn = 0
        self._drawn_at = 0.0

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._draw([], [])

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        before = self._current.get(progress.name)
        if progress.stage in ("done", "present", "failed"):
            self._current.pop(progress.name, None)
            mark = "failed: " if progress.stage == "failed" else ""
            self._draw([f"{progress.name}: {mark}{progress.note}"], self._lines(now))
            return
        moved_on = before is None or before.stage != progress.stage
        if moved_on:
            self._began[progress.name] = (now, progress.done)
        self._current[progress.name] = progress
        if moved_on or now - self._drawn_at >= REDRAW_S:
            self._drawn_at = now
            self._draw([], self._lines(now))

    def _draw(self, finished: list[str], bars: list[str]) -> None:
        """Put `finished` above the bars for good, and `bars` in the place of those drawn last."""
        if not self._live:
            text = "".join(f"{line}\n" for line in finished)
        else:
            up = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
            text = up + "".join(f"{line}\n" for line in (*finished, *bars))
            self._drawn = len(bars)
        if text:
            self._stream.write(text)
            self._stream.flush()

    def _lines(self, now: float) -> list[str]:
        if not self._live:
            return []
        # A line that wrapped would throw off the count of lines to go up by.
        columns = shutil.get_terminal_size().columns - 1
        return [self._line(progress, now, columns)[:columns] for progress in self._current.values()]

    def _line(self, progress: Progress, now: float, columns: int) -> str:
        head = f"{progress.name:<23} {progress.stage:<6} "
        if progress.stage == "wait":
            return head + progress.note
        if progress.total is None:
            return f"{head}{progress.done / 1e6:.1f} MB"
        share = progress.done / progress.total if progress.total else 1.0
        tail = f"{share:4.0%} {progress.done / 1e6:.1f}/{progress.total / 1e6:.1f} MB"
        began, had = self._began[progress.name]
        if now - began >= 1 and progress.done > had:
            rate = (progress.done - had) / (now - began)  # bytes/s, without what an earlier run fetched
            left = int((progress.total - progress.done) / rate)
            tail += f" {rate / 1e6:.2f} MB/s {left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
        room = min(columns - len(head) - len(tail) - 3, BAR_COLUMNS)
        filled = int(share * max(room, 0))
        bar = f"[{'#' * filled}{'-' * (room - filled)}] " if room > 0 else ""
        return head + bar + tail
