"""Damaged text files of every kind that the project reads, each made from a good one by a seed and a number.

Stands apart because the same mutations serve JSON, TOML, CSV and the contract inside a model.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np

Rng = np.random.Generator

# What a hand, a broken disk or an attacker puts where something else was expected.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 1 << 31, 1 << 63, 10**400, -0.5, 1e308, float("nan"), float("inf"), "", "0",
    "x" * 300, "../../etc/passwd", "\0", "\ud800", "\x1b[2J", "<script>alert(1)</script>", [], [[]], [None], {},
    {"a": 1}, [0, 0], [[0, 0]] * 4, [[1e308, -1e308]] * 4, [1, 2, 3, 4], ["a", "b"],
)  # fmt: skip
TOKENS = (
    b"[" * 100_000, b"{\"a\":" * 50_000, b"9" * 5000, b"NaN", b"Infinity", b"1e999", b"-", b"\0", b"\xff\xfe",
    b"\xef\xbb\xbf", b"\xed\xa0\x80", b"null", b"{}", b"[]", b"\"\"", b"\n", b"\r", b",", b":", b"}", b"]", b"\"",
    b"\\u0000", b"\\ud800", b"\t", b";", b"=", b"[x]\n", b"[[x]]\n", b"#", b"'", b"1979-05-27T07:32:00Z",
)  # fmt: skip


def mutate_text(rng: Rng, content: bytes) -> bytes:
    """The same text, damaged: JSON by its values and keys, anything by its bytes."""
    kind = int(rng.integers(10))
    if kind < 5:
        try:
            tree = json.loads(content)
        except ValueError:
            tree = None
        if isinstance(tree, (dict, list)):
            for _ in range(int(rng.integers(1, 4))):
                tree = _mutate_tree(rng, tree)
            return json.dumps(tree).encode("utf-8", "surrogatepass")
    if kind < 6:
        return content[: int(rng.integers(len(content) + 1))]
    if kind < 8 and content:
        changed = bytearray(content)
        for _ in range(int(rng.integers(1, 9))):
            changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
        return bytes(changed)
    if kind < 9:
        lines = content.splitlines(keepends=True)
        if lines:
            a, b = (int(v) for v in rng.integers(0, len(lines), 2))
            lines[a] = lines[b] if rng.random() < 0.5 else b""
        return b"".join(lines)
    at = int(rng.integers(len(content) + 1))
    return content[:at] + TOKENS[int(rng.integers(len(TOKENS)))] + content[at:]


def _mutate_tree(rng: Rng, tree: Any) -> Any:
    """One node of a JSON tree replaced, removed, renamed or moved."""
    nodes: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in items:
            nodes.append((node, key))
            walk(value)

    walk(tree)
    if not nodes:
        return copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])
    owner, key = nodes[int(rng.integers(len(nodes)))]
    kind = int(rng.integers(10))
    if kind < 6:
        owner[key] = copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])
    elif kind < 8:
        del owner[key]
    elif kind < 9:
        other, other_key = nodes[int(rng.integers(len(nodes)))]
        owner[key] = json.loads(json.dumps(other[other_key]))
    elif isinstance(owner, dict):
        owner[str(VALUES[int(rng.integers(len(VALUES)))])[:40]] = owner.pop(key)
    else:
        owner.extend(copy.deepcopy(owner[:100]))
    return tree
