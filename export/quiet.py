"""TensorFlow's chatter kept from people, without hiding what went wrong.

Stands apart because it touches the process: environment, file descriptors and warning filters. Nothing here runs at
import.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


def quiet_tensorflow() -> None:
    """Ask TensorFlow for errors only; takes effect where it is not imported yet."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its notice, and results that differ between machines


class Hushed:
    """What was said meanwhile; complete once the block has ended."""

    text = ""

    def complaints(self) -> list[str]:
        """The lines that look like errors, each once, in order."""
        lines = (line.strip() for line in self.text.splitlines())
        return list(dict.fromkeys(line for line in lines if "error:" in line.lower()))


@contextlib.contextmanager
def hushed() -> Iterator[Hushed]:
    """Hold back all that Python and native code print in this block, warnings too.

    The converter prints its graph and its diagnostics from C++, past `sys.stderr`; hence the descriptors.
    """
    said = Hushed()
    python_side = io.StringIO()
    with tempfile.TemporaryFile() as native_side:
        sys.stdout.flush()
        sys.stderr.flush()
        kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        try:
            for descriptor, _ in kept:
                os.dup2(native_side.fileno(), descriptor)
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stdout(python_side),
                contextlib.redirect_stderr(python_side),
            ):
                warnings.simplefilter("ignore")
                yield said
        finally:
            for descriptor, copy in kept:
                os.dup2(copy, descriptor)
                os.close(copy)
            native_side.seek(0)
            said.text = python_side.getvalue() + native_side.read().decode("utf-8", "replace")
