"""Write the generated blocks of the README and the command reference: results, flags and exit codes.

    python -m docs.tables

A block is between two marks and is replaced as a whole; a test fails if it is out of date.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from docs.results import results_table
from driftloop import errors
from monitoring.__main__ import COMMANDS

ROOT: Final = Path(__file__).resolve().parent.parent
README: Final = ROOT / "README.md"
REFERENCE: Final = ROOT / "docs" / "reference.md"
SCRIPTS: Final = ("base_model", "deploy_model", "retrain_model", "lifecycle", "rollback_model", "backtest", "watch_table")
SHARED_BY: Final = 4  # a flag that is the same in this many commands is listed once for all
HEAD: Final = "| flag | default | meaning |\n|---|---|---|\n"

Flags = dict[str, tuple[str, str]]  # flag: default, meaning


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
        raise errors.DriftloopError(f"the text has no place for the {name}: add the lines {start.strip()} and {end.strip()}")
    return before + start + block + end + after


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of every command: the scripts at the root, `python -m monitoring …`, the prediction service."""
    modules = {f"python {script}.py": script for script in SCRIPTS}
    modules |= {f"python -m monitoring {name}": module for name, (module, _) in COMMANDS.items()}
    modules |= {"python -m prediction_service": "prediction_service.__main__"}
    return {command: importlib.import_module(module).build_parser() for command, module in modules.items()}


def flags_by_command() -> dict[str, Flags]:
    """The flags of every command."""
    return {command: _flags(parser) for command, parser in parsers().items()}


def _flags(parser: argparse.ArgumentParser) -> Flags:
    """Flag: default and meaning; of a flag that only some subcommands have, also their names."""
    flags: Flags = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parts = {name: _flags(part) for name, part in action.choices.items()}
            for flag, found in [each for part in parts.values() for each in part.items()]:
                having = [name for name, part in parts.items() if flag in part]
                only = "" if len(having) == len(parts) else f"{', '.join(f'`{name}`' for name in having)}: "
                flags[flag] = found[0], only + found[1]
        elif not isinstance(action, argparse._HelpAction):
            flags[action.option_strings[-1]] = "required" if action.required else _default(action.default), _meaning(action)
    return flags


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in ("", None, argparse.SUPPRESS) else f"`{value}`"


def _meaning(action: argparse.Action) -> str:
    text = str(action.help).replace(" (default: %(default)s)", "").replace("%%", "%").replace("|", "\\|").replace("<", "&lt;")
    named = action.metavar is not None  # its choices are named in the text
    return text + (f" (one of {', '.join(f'`{choice}`' for choice in action.choices)})" if action.choices and not named else "")


def flags_tables() -> str:
    """A table of the flags shared by many commands, then one for each command with the rest."""
    commands = flags_by_command()
    shared: Flags = {}
    for (flag, found), times in Counter(each for flags in commands.values() for each in flags.items()).most_common():
        if times >= SHARED_BY:
            shared.setdefault(flag, found)
    about = {f"python -m monitoring {name}": what for name, (_, what) in COMMANDS.items()}
    parts = ["## Flags of many commands\n", _table(shared)]
    for command, flags in commands.items():
        alike = [f"`{flag}`" for flag, found in flags.items() if shared.get(flag) == found]
        own = {flag: found for flag, found in flags.items() if shared.get(flag) != found}
        parts.append(f"## {command}\n")
        parts += [f"{what[0].upper()}{what[1:]}.\n"] if (what := about.get(command)) else []
        parts += [f"Of the shared flags: {', '.join(alike)}.\n"] if alike else []
        parts += [_table(own)] if own else []
    return "\n".join(parts)


def _table(flags: Mapping[str, tuple[str, str]]) -> str:
    return HEAD + "".join(f"| `{flag}` | {default} | {meaning} |\n" for flag, (default, meaning) in flags.items())


def exit_codes_table() -> str:
    """Every exit code and what it means, from the tree of errors."""
    meanings = {0: "Success, also when drift was found, unless `--fail_on_drift` is given."}
    meanings |= {kind.exit_code: str(kind.__doc__).splitlines()[0] for kind in _kinds(errors.DriftloopError)}
    meanings[errors.DriftloopError.exit_code] = "Any other failure; the message says which."
    meanings |= {
        errors.EXIT_DRIFT: "Drift was found and `--fail_on_drift` was given.",
        errors.EXIT_INTERRUPTED: "Ctrl-C; runs are closed and servers stopped.",
        errors.EXIT_TERMINATED: "SIGTERM; the same.",
    }
    return "\n".join(["| code | meaning |", "|---:|---|", *(f"| {code} | {meanings[code]} |" for code in sorted(meanings))]) + "\n"


def _kinds(kind: type[errors.DriftloopError]) -> Iterator[type[errors.DriftloopError]]:
    yield kind
    for narrower in kind.__subclasses__():
        if narrower.__module__ == errors.__name__:  # a class elsewhere only distinguishes cases of its base
            yield from _kinds(narrower)


def main(argv: list[str] | None = None) -> int:
    """Write all blocks."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(argv)
    for page, name, block in ((README, "results", results_table), (REFERENCE, "flags", flags_tables), (REFERENCE, "exit codes", exit_codes_table)):
        page.write_text(with_block(page.read_text(encoding="utf-8"), name, block()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
