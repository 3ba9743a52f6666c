"""The worker that gives damaged files to the project's readers, one after another, and says what came of each.

Stands apart as a process of its own, because a decoder or runtime may end it: the last case that it named did.
Started by `hostile.py`: `hostile_trials.py KIND SEED FIRST LAST STEP SEEDS...`; a JSON line before and after each case.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from unetlite.vision.errors import UnetliteError

MAX_ADDRESS_BYTES = 6 << 30  # beyond what any case may take, so that a runaway one does not take the machine along
Trial = Callable[[int], tuple[Callable[[], None], str]]


def picture_trials(folder: Path, seed: int, _: list[Path]) -> Trial:
    """Each picture as a photograph and as a mask."""
    from hostile_pictures import picture_case

    from unetlite.vision.image import MAX_PIXELS, read_image, read_levels

    def trial(number: int) -> tuple[Callable[[], None], str]:
        name, content, what = picture_case(seed, number)
        path = folder / name
        path.write_bytes(content)

        def run() -> None:
            if number % 4 == 3:
                levels = read_levels(path)
                assert levels.ndim == 2 and levels.dtype in (np.uint8, np.uint16) and levels.size
                return
            image = read_image(path)
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
            assert 0 < image.shape[0] * image.shape[1] <= MAX_PIXELS

        return run, what

    return trial


def model_trials(folder: Path, seed: int, seeds: list[Path]) -> Trial:
    """Each model loaded and run on one picture, by either runtime in turn."""
    from hostile_models import model_case

    from unetlite.edge.segmenter import load_segmenter

    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)

    def trial(number: int) -> tuple[Callable[[], None], str]:
        content, what = model_case(seeds, seed, number)
        path = folder / "m.tflite"
        path.write_bytes(content)
        runtime = ("ai-edge-litert", "tflite-runtime")[number % 2]

        def run() -> None:
            answer = load_segmenter(path, runtime=runtime)(picture)
            assert answer.probability.min() >= -0.02 and answer.probability.max() <= 1.02
            assert answer.finding.quad is None or np.isfinite(answer.finding.quad).all()

        return run, f"{what} ({runtime})"

    return trial


def file_trials(folder: Path, seed: int, _: list[Path]) -> Trial:
    """Each text file given to the reader that it is meant for, and to what uses its answer."""
    from hostile_files import mutate_text
    from hostile_readers import READERS, good_files

    good = good_files(folder)
    names = list(good)

    def trial(number: int) -> tuple[Callable[[], None], str]:
        rng = np.random.default_rng([seed, number])
        name = names[number % len(names)]
        content = good[name]
        for _ in range(int(rng.integers(1, 3))):
            content = mutate_text(rng, content)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return (lambda: READERS[name](path)), name

    return trial


TRIALS: dict[str, Callable[[Path, int, list[Path]], Trial]] = {
    "pictures": picture_trials,
    "models": model_trials,
    "files": file_trials,
}


def outcome(run: Callable[[], None]) -> tuple[str, str]:
    """"answer", "refused" with the sentence, or "wrong exception" with where it came from."""
    try:
        run()
    except UnetliteError as error:
        sentence = str(error)
        whole = len(sentence) < 2000 and "\n" not in sentence
        return ("refused", sentence[:300]) if whole else ("wrong exception", f"no sentence: {sentence[:300]!r}")
    except Exception as error:  # whatever else comes out of a reader is the finding
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        return "wrong exception", f"{type(error).__name__} at {place}: {str(error)[:200]}"
    return "answer", ""


def _peak_mb(reset: bool = False) -> float:
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
        return 0.0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    return 0.0


def main() -> None:
    """Run the cases that the arguments name."""
    import resource

    kind, seed, first, last, step, *seeds = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # decoders and runtimes write where they like

    def say(**told: Any) -> None:
        answers.write(json.dumps(told) + "\n")

    with tempfile.TemporaryDirectory() as folder:
        trial = TRIALS[kind](Path(folder), int(seed), [Path(path) for path in seeds])
        for number in range(int(first), int(last), int(step)):
            run, what = trial(number)
            say(case=number, what=what)
            _peak_mb(reset=True)
            begin = time.process_time()
            ended, why = outcome(run)
            say(case=number, outcome=ended, why=why, s=time.process_time() - begin, mb=_peak_mb())


if __name__ == "__main__":
    main()
