"""Chatter is held back, kept, and over when the block is."""

from __future__ import annotations

import os
import sys
import warnings

import pytest

from unetlite.export.quiet import hushed


def chatter() -> None:
    print("from Python")
    print("to stderr", file=sys.stderr)
    os.write(1, b"from native code\n")
    os.write(2, b"loc: error: 'tf.Odd' op is unknown\nloc: error: 'tf.Odd' op is unknown\n")
    warnings.warn("old habits", DeprecationWarning, stacklevel=1)


def test_nothing_reaches_the_terminal_and_all_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with hushed() as said:
        chatter()
    assert capfd.readouterr() == ("", "")
    for part in ("from Python", "to stderr", "from native code"):
        assert part in said.text
    assert said.complaints() == ["loc: error: 'tf.Odd' op is unknown"]


def test_after_an_error_everything_is_heard_again(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), hushed():
        raise RuntimeError
    os.write(1, b"heard\n")
    print("heard, too")
    assert capfd.readouterr().out == "heard\nheard, too\n"
