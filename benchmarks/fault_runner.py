"""Runs one of the project's commands again and again, each time in a fork that may be killed.

Stands apart because a command's imports take longer than its work: they are done once, before the first fork.
Started by `faults.py`: `fault_runner.py MODULE NAME`; a JSON list of arguments a line on stdin, answered by the
child's number and then by its status and what it said last.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from typing import Any


def run_once(command: Any, arguments: list[str], said: int) -> None:
    """The command in this process, which ends with its status."""
    os.dup2(said, 1)
    os.dup2(said, 2)
    status = 1
    try:
        command(args=arguments, standalone_mode=True)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """Answer the lines on stdin."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    module, name, *more = sys.argv[1:]
    command = getattr(importlib.import_module(module), name)
    for heavy in more:  # what the command would import on its way
        importlib.import_module(heavy)
    print("ready", flush=True)
    for line in sys.stdin:
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                run_once(command, json.loads(line), said.fileno())
            print(json.dumps(child), flush=True)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            said.seek(0)
            print(json.dumps([status, said.read().decode("utf-8", "replace")[-2000:]]), flush=True)


if __name__ == "__main__":
    main()
