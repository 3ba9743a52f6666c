"""Load and run a doubtful model in a process of its own, which it may end.

Stands apart because no check of a file foresees all that native code does with it; models that `tflite_doubt` can
judge are spared the second that this takes.
"""

from __future__ import annotations

import select
import subprocess
import sys
from typing import Any

from unetlite.vision.errors import ModelError

TRIAL_SECONDS = 8  # of processor time for loading and one picture: who needs longer is of no use for pictures
_WALL_SECONDS = 60.0  # a busy machine lets it wait
TRIAL_BYTES = 768 << 20  # of memory beyond what the runtime itself takes
_START_SECONDS = 120.0  # TensorFlow's import takes a minute from a Pi's card
_READY = b"ready\n"


def try_model(content: bytes, where: str, runtime: str, why: str) -> None:
    """Pass a model that a process of its own could load and run once.

    Args:
        content: the bytes of a `.tflite` file.
        where: what to call it in an error.
        runtime: a key of `runtime.RUNTIMES`.
        why: what of the model made the trial necessary.

    Raises:
        ModelError: the process was ended by the model, did not end, or said why it cannot run it.
    """
    command = [sys.executable, "-m", "unetlite.edge.trial", runtime]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",  # -m looks for modules where it runs: not in a folder of a stranger's files
    ) as process:
        assert process.stdout is not None
        try:
            ready = select.select([process.stdout], [], [], _START_SECONDS)[0] and process.stdout.readline() == _READY
            said, _ = process.communicate(content if ready else b"", timeout=_WALL_SECONDS)
        except subprocess.TimeoutExpired:
            said, ready = f"it did not answer within {_WALL_SECONDS:g} s".encode(), False
        finally:
            process.kill()
    if process.returncode == 0:
        return
    reason = said.decode("utf-8", "replace").strip()
    if not reason:
        ended = process.returncode
        reason = f"it ended the process with {f'signal {-ended}' if ended < 0 else f'exit status {ended}'}"
    raise ModelError(
        f"{where}: {runtime} cannot run this model ({why}), as a trial in a process of its own showed: {reason}; "
        f"copy the file again, or export it again with unet-export"
    )


def main() -> None:
    """Load the model on stdin and run it once on zeros; exit status 0, or 1 and the reason on stdout."""
    import numpy as np

    from unetlite.edge.runtime import load_runtime
    from unetlite.vision.limits import limit_process

    interpreter_class: Any = load_runtime(sys.argv[1])[0]
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()
    content = sys.stdin.buffer.read()
    limit_process(more_bytes=TRIAL_BYTES, more_seconds=TRIAL_SECONDS)
    try:
        interpreter = interpreter_class(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        for details in interpreter.get_input_details():
            interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
        interpreter.invoke()
        for details in interpreter.get_output_details():
            interpreter.get_tensor(details["index"])
    except Exception as error:  # whatever the runtime raises is the finding
        print(" ".join(f"{error}".split())[:200] or type(error).__name__)
        sys.exit(1)


if __name__ == "__main__":
    main()
