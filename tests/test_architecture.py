"""The house's rules, held over the syntax trees: arrows point down, and heavy packages stay where they belong."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ALLOWED = {
    "vision": {"vision"},
    "training": {"training", "vision"},
    "calibration": {"calibration", "vision"},
    "edge": {"edge", "vision"},
    "export": {"export", "calibration", "edge", "vision"},
}
TENSORFLOW = {"tensorflow", "keras", "tf_keras"}
FILES = [path for folder in ALLOWED for path in sorted((ROOT / folder).rglob("*.py"))]


def imports_of(tree: ast.AST) -> list[str]:
    """Every module that is imported anywhere below a node."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def top_level_imports_of(tree: ast.Module) -> list[str]:
    """The modules that are imported when the file itself is."""
    guarded = [node for node in tree.body if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return imports_of(ast.Module(body=[node for node in guarded if not _only_for_type_checkers(node)], type_ignores=[]))


def _only_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_only(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    tree = ast.parse(path.read_text())
    for name in imports_of(tree):
        parts = name.split(".")
        if parts[0] == "unetlite" and len(parts) > 1:
            assert parts[1] in ALLOWED[folder], f"{path} imports {name}"
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tensorflow_is_imported_in_training_and_export_alone(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    tree = ast.parse(path.read_text())
    anywhere = {name.split(".")[0] for name in imports_of(tree)} & TENSORFLOW
    if folder not in ("training", "export"):
        assert not anywhere
    if path.name == "cli.py":
        heavy = TENSORFLOW | {"numpy", "cv2"}
        assert not {name.split(".")[0] for name in top_level_imports_of(tree)} & heavy


def test_every_folder_is_packaged_and_linked_for_type_checkers() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {
        ".".join(("unetlite", *path.parent.relative_to(ROOT).parts)) for path in FILES if path.name == "__init__.py"
    }
    assert listed == found
    for folder in ALLOWED:
        assert (ROOT / "typings" / "unetlite" / folder).resolve() == ROOT / folder


def test_the_edge_package_imports_with_tensorflow_blocked() -> None:
    modules = [
        "unetlite." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in FILES
        if path.relative_to(ROOT).parts[0] in ("edge", "vision") and path.name != "__init__.py"
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {sorted(TENSORFLOW)!r}: sys.modules[name] = None\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
