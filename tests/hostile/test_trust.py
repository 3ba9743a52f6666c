"""What the source never does with a stranger's file, and where it asks what time it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("vision", "training", "calibration", "export", "edge")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "torch"}
# A date that is told or that names a capture; nothing else may depend on a clock that can be set back.
WALL_CLOCK = {"export/cli.py", "edge/benchmark/report.py", "edge/capture/store.py"}


def calls(path: Path) -> list[tuple[str, ast.Call]]:
    """Every call in a file, with the name that is called, dotted."""
    tree = ast.parse(path.read_text("utf-8"))
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_unpickled_or_evaluated(folder):
    for path in FILES:
        if path.relative_to(ROOT).parts[0] != folder:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not UNPICKLERS & {name.split(".")[0] for name in names}, path
        for name, call in calls(path):
            assert name not in ("eval", "exec"), f"{path}: {name}"
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if name.rpartition(".")[2] in ("load", "fromfile") and name.startswith(("np.", "numpy.")):
                assert getattr(given.get("allow_pickle"), "value", False) is False, path
            if name.endswith("load_model"):
                assert getattr(given.get("safe_mode"), "value", True) is True, path
            assert "shell" not in given, f"{path}: a command for a shell"


def test_the_wall_clock_is_asked_for_dates_alone():
    clocks = ("time.time", "time.time_ns", "time.ctime", "time.localtime", "datetime.now", "datetime.utcnow")
    asking = {str(path.relative_to(ROOT)) for path in FILES for name, _ in calls(path) if name.endswith(clocks)}
    assert asking == WALL_CLOCK


def test_a_module_beside_a_strangers_picture_is_not_run(tmp_path, monkeypatch):
    from unetlite.vision.decode_apart import decode_apart

    (tmp_path / "cv2.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    monkeypatch.chdir(tmp_path)
    assert decode_apart(b"no picture", -1, "a.jp2") is None
    assert not (tmp_path / "ran").exists()
