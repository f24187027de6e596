"""Write the tables of the README that are made from the code: flags and exit codes.

    python -m docs.readme

A block stands between two marks and is replaced whole; a test fails when it is not what this would write.
`benchmarks.figures` puts its figures in by the same means.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from driftloop import errors

README = Path(__file__).resolve().parent.parent / "README.md"
SCRIPTS = ("base_model", "deploy_model", "retrain_model", "lifecycle", "backtest")


def with_block(text: str, name: str, block: str) -> str:
    """The text with the block of that name replaced.

    >>> with_block("<!-- a -->\\nold\\n<!-- end of a -->\\nrest", "a", "new\\n")
    '<!-- a -->\\nnew\\n<!-- end of a -->\\nrest'

    Raises:
        DriftloopError: the marks are missing.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise errors.DriftloopError(f"the text has no place for the {name}: it needs the lines {start.strip()} and {end.strip()}")
    return before + start + block + end + after


def flags_table() -> str:
    """Every flag of every script with its default there, and what it means."""
    flags: dict[str, dict[str, argparse.Action]] = {}
    for script in SCRIPTS:
        for action in importlib.import_module(script).build_parser()._actions:
            if not isinstance(action, argparse._HelpAction):
                flags.setdefault(action.option_strings[-1], {})[script] = action
    lines = ["| flag | " + " | ".join(f"`{script}`" for script in SCRIPTS) + " | meaning |", "|---|" + "---|" * len(SCRIPTS) + "---|"]
    for flag, by_script in flags.items():
        defaults = (_default(by_script[script].default) if script in by_script else "" for script in SCRIPTS)
        lines.append(f"| `{flag}` | {' | '.join(defaults)} | {_meaning(by_script)} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "empty" if value == "" else str(value)


def _meaning(by_script: dict[str, argparse.Action]) -> str:
    texts: dict[str, list[str]] = {}
    for script, action in by_script.items():
        texts.setdefault(str(action.help).replace("%%", "%"), []).append(f"`{script}`")
    words = [text if len(texts) == 1 else f"{', '.join(scripts)}: {text}" for text, scripts in texts.items()]
    choices = next((action.choices for action in by_script.values() if action.choices), None)
    named = f" (one of {', '.join(f'`{choice}`' for choice in choices)})" if choices else ""
    return "; ".join(words).replace("|", "\\|") + named


def exit_codes_table() -> str:
    """Every exit code of the scripts and what it means, from the tree of errors."""
    meanings = {0: "It worked; with drift found, too, unless `--fail_on_drift` is given."}
    meanings |= {kind.exit_code: str(kind.__doc__).splitlines()[0] for kind in _kinds(errors.DriftloopError)}
    meanings[errors.DriftloopError.exit_code] = "Something else failed; the message says what."
    meanings |= {
        errors.EXIT_DRIFT: "Drift was found and `--fail_on_drift` was given.",
        errors.EXIT_INTERRUPTED: "Ctrl-C; runs are closed and servers ended.",
        errors.EXIT_TERMINATED: "SIGTERM; the same.",
    }
    return "\n".join(["| code | meaning |", "|---:|---|", *(f"| {code} | {meanings[code]} |" for code in sorted(meanings))]) + "\n"


def _kinds(kind: type[errors.DriftloopError]) -> Iterator[type[errors.DriftloopError]]:
    yield kind
    for narrower in kind.__subclasses__():
        if narrower.__module__ == errors.__name__:  # elsewhere a class only tells its base's cases apart
            yield from _kinds(narrower)


def main() -> int:
    """Write both tables into the README."""
    text = README.read_text(encoding="utf-8")
    for name, block in {"flags": flags_table(), "exit codes": exit_codes_table()}.items():
        text = with_block(text, name, block)
    README.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
