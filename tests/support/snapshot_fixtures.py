"""Committed snapshots of what must stay the same: a test hands in what is so today, and the failure names what differs.

`pytest tests/end_to_end/test_unchanged.py --snapshot-update` writes the snapshots again from the code as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent / "snapshots"
UPDATE = "--snapshot-update"
LINE = 200  # letters that a line of a snapshot may hold
Snapshot = Callable[[str, Any], None]


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every value by its path; a name in a list by itself, wherever it stands there: {"a.b[0].c": 1, "required[id]": "listed"}."""
    below: Iterator[tuple[str, Any]]
    if isinstance(value, dict) and value:
        below = ((f"{path}.{key}" if path else str(key), one) for key, one in value.items())
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        below = ((f"{path}[{number}]", one) for number, one in enumerate(value))
    elif isinstance(value, list) and value:
        return {f"{path}[{one}]": "listed" for one in value}
    else:
        return {path: value}
    return {place: leaf for key, one in below for place, leaf in leaves(one, key).items()}


def difference(before: Any, now: Any) -> list[str]:
    """One line for every path that was added or removed, or that holds another value."""
    old, new = leaves(before), leaves(now)
    lines = [f"removed {path}: {shown(old[path])}" for path in old.keys() - new.keys()]
    lines += [f"added   {path}: {shown(new[path])}" for path in new.keys() - old.keys()]
    changed = {path for path in old.keys() & new.keys() if shown(old[path]) != shown(new[path])}  # as text: to Python 1, 1.0 and True are one
    lines += [f"changed {path}: {shown(old[path])} -> {shown(new[path])}" for path in changed]
    return sorted(lines, key=lambda line: line[8:])


def written(value: Any, indent: str = "") -> str:
    """JSON with sorted keys; what fits a line stands on one: a flag, a parameter, a metric."""
    line = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if (indent and len(indent + line) < LINE) or not isinstance(value, dict | list):
        return line
    below, (start, end) = indent + " ", "{}" if isinstance(value, dict) else "[]"
    parts = [f"{json.dumps(key)}: {written(value[key], below)}" for key in sorted(value)] if isinstance(value, dict) else [written(one, below) for one in value]
    return f"{start}\n" + ",\n".join(below + part for part in parts) + f"\n{indent}{end}"


def shown(leaf: Any) -> str:
    return json.dumps(leaf, ensure_ascii=False)


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    """Compare with the snapshot of a name, or write it where pytest was called with --snapshot-update."""

    def compare(name: str, now: Any) -> None:
        path = FOLDER / f"{name}.json"
        if request.config.getoption(UPDATE):
            path.write_text(written(now) + "\n", encoding="utf-8")
            return
        lines = difference(json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(now)))
        assert not lines, f"{path.name} is no longer so; where that is meant, call pytest with {UPDATE}:\n" + "\n".join(lines)

    return compare


# What is compared of a thing whose values vary


def shape(value: Any) -> dict[str, str]:
    """The paths of a JSON value with the types found there: {"retrains[].params.lr": "number"}."""
    found: dict[str, set[str]] = {}
    for path, kind in _kinds(value, ""):
        found.setdefault(path, set()).add(kind)
    return {path: " or ".join(sorted(kinds)) for path, kinds in sorted(found.items())}


def _kinds(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield from (pair for key, one in value.items() for pair in _kinds(one, f"{path}.{key}" if path else key))
    elif isinstance(value, list):
        yield from (pair for one in value for pair in _kinds(one, f"{path}[]"))
    if isinstance(value, dict | list) and not value:
        yield path, f"empty {'object' if isinstance(value, dict) else 'list'}"
    elif not isinstance(value, dict | list):
        yield path, _kind(value)


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "string" if isinstance(value, str) else "number"


def numbers_left_out(names: Any) -> list[str]:
    """The names, each once, with N for every number in them: how many blocks or trials there are is not compared."""
    return sorted({re.sub(r"\d+", "N", name) for name in names})
