"""Coverage-guided search of the readers that are written in Python, with atheris where it is installed.

Stands apart because atheris instruments what it tries while that is imported, which needs a process of its own:
`python hostile_guided.py TARGET -runs=...` is that process. Decoders and runtimes are native code, which this cannot
see into; `hostile.py` gives them damaged files by the thousand instead.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def _picture_header(content: bytes) -> None:
    from unetlite.vision.picture_header import HeaderError, read_header

    with contextlib.suppress(HeaderError):
        read_header(content)


def _model(content: bytes) -> None:
    from unetlite.edge.tflite_doubt import doubt
    from unetlite.edge.tflite_graph import read_graphs
    from unetlite.vision.contract import check_is_tflite

    check_is_tflite(content, "m")
    doubt(read_graphs(content, "m"))


def _metadata(content: bytes) -> None:
    from unetlite.edge.tflite_metadata import parse_tflite_metadata

    parse_tflite_metadata(content, "m")


def _packed_files(content: bytes) -> None:
    from unetlite.vision.contract import contract_of

    contract_of(content, "m")


def _contract(content: bytes) -> None:
    from unetlite.vision.contract import parse_contract

    parse_contract(content.decode("utf-8", "replace"), "m")


def _report(content: bytes) -> None:
    from hostile_readers import READERS

    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        Path(file.name).write_bytes(content)
        READERS["report.json"](Path(file.name))


TARGETS: dict[str, tuple[Callable[[bytes], None], str]] = {
    "picture headers": (_picture_header, "pictures"),
    "model graphs": (_model, "models"),
    "model metadata": (_metadata, "models"),
    "files packed with a model": (_packed_files, "models"),
    "contracts": (_contract, "contract.json"),
    "reports": (_report, "report.json"),
}


def guided_tables(python: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Search each reader for so long; one row each, or one that says why there was no search.

    Args:
        python: an interpreter that has atheris, NumPy, OpenCV and click; it finds this project by itself.
        seconds: for each reader.
        seed: of the search.
    """
    from tables import table  # not above: it imports half of what the search must instrument first

    title, columns = "Coverage-guided (atheris)", ["reader", "inputs", "coverage", "other exceptions"]
    if not python.exists() or subprocess.run([python, "-c", "import atheris"], capture_output=True).returncode:
        return table(title, columns, [[f"none: no atheris in {python.name}", 0, 0, 0]])
    found = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent / "typings"), str(HERE)])}
    rows: list[list[Any]] = []
    for name in TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            _write_corpus(name, Path(folder))
            command = [str(python), str(HERE / "hostile_guided.py"), name, f"-max_total_time={seconds:g}",
                       f"-seed={seed}", "-max_len=30000", f"-artifact_prefix={folder}/", folder]  # fmt: skip
            result = subprocess.run(command, capture_output=True, text=True, check=False, env=found)
        inputs = [int(number) for number in re.findall(r"^#(\d+)", result.stderr, re.MULTILINE)]
        coverage = [int(number) for number in re.findall(r"cov: (\d+)", result.stderr)]
        if not inputs:
            raise RuntimeError(f"{name}: the search did not start: {result.stderr[-2000:]}")
        rows.append([name, inputs[-1], coverage[-1] if coverage else 0, int(result.returncode != 0)])
        if result.returncode:
            print(result.stderr[-3000:], file=sys.stderr)
    return table(title, columns, rows)


def _write_corpus(target: str, folder: Path) -> None:
    """Good files to begin with; models as small as they come."""
    from unetlite.edge.segmenter import shipped_model
    from unetlite.export.op_cost import cut_out
    from unetlite.vision.contract import CONTRACT_FILE, Contract

    kind = TARGETS[target][1]
    if kind == "pictures":
        from hostile_pictures import SEEDS

        files = list(SEEDS.values())
    elif kind == "models":
        from hostile_models import join_file

        packed = {CONTRACT_FILE: Contract().to_json().encode(), "labels.txt": b"document\n"}
        whole = shipped_model().read_bytes()
        files = [join_file(cut_out(whole, range(first, first + 3)), packed) for first in (0, 30, 54)]
    else:
        from hostile_readers import good_files

        files = [good_files(folder / "good")[kind]]
    for number, content in enumerate(files):
        (folder / f"{number}").write_bytes(content)


def main() -> None:
    """Search the target that the first argument names; atheris reads the others."""
    import atheris

    from unetlite.vision.errors import UnetliteError

    target, _ = TARGETS[sys.argv[1]]
    with atheris.instrument_imports(include=["unetlite"]):
        import unetlite.edge.compare.page
        import unetlite.edge.tflite_doubt
        import unetlite.edge.tflite_metadata
        import unetlite.vision.contract
        import unetlite.vision.picture_header  # noqa: F401

    def one(content: bytes) -> None:
        with contextlib.suppress(UnetliteError):
            target(content)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
