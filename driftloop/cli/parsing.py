"""Argument parsers with one-line errors, and flag types for counts and switches."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import Field, fields
from typing import Any, Final, NoReturn

from driftloop.cli import printed_commands
from driftloop.cli.flag_types import mongodb_uri
from driftloop.errors import SettingsError

AUTO = "auto"


class Parser(argparse.ArgumentParser):
    """An argument parser with one-line errors, like all of ours; `prepare` may set defaults from the arguments before they are parsed."""

    prepare: Callable[[Parser, list[str]], list[str]] | None = None

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Call `prepare`, then parse."""
        words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(self.prepare(self, words) if self.prepare else words, namespace)

    def error(self, message: str) -> NoReturn:
        """Report wrong flags and exit."""
        raise SettingsError(f"{message}; see {printed_commands.of_prog(self.prog)} --help")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Shows the default of each flag that has one; the help explains empty defaults, and MongoDB URIs are hidden: they may contain a password."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if not action.option_strings or action.required or action.default in (None, "", argparse.SUPPRESS) or action.type is mongodb_uri:
            return action.help
        return f"{action.help} (default: {str(action.default).lower() if isinstance(action.default, bool) else '%(default)s'})"


def parser(prog: str, description: str | None, *kinds: type, result: bool = True) -> Parser:
    """A parser that shows each flag's default.

    Args:
        prog: the script's name.
        description: its docstring.
        kinds: as in `add_flags`.
        result: whether the script prints a result, and so has --json.
    """
    made = Parser(prog=prog, description=description, formatter_class=_Formatter, allow_abbrev=False)
    if result:
        made.add_argument("--json", **SWITCH, default=False, help="print the result as one JSON object on the last line of stdout, all else on stderr")
    else:
        made.set_defaults(json=False)
    add_flags(made, *kinds)
    return made


def add_flags(to: argparse.ArgumentParser, *kinds: type, title: str = "", only: Collection[str] | None = None, **changed: Any) -> None:
    """Add the flags that these dataclasses declare themselves, without those of their bases.

    Args:
        to: the parser.
        kinds: dataclasses with fields made by `call.flag` or `call.required`; other fields are not added.
        title: the flags get a group of that title in --help.
        only: the names of the flags to add; None: all.
        changed: another default for the flag of that name, or a `call.flag` with another default and help.
    """
    group = to.add_argument_group(title) if title else to
    declared = ({one.name: one for one in fields(kind)}[name] for kind in kinds for name in inspect.get_annotations(kind))
    for one in (one for one in declared if one.metadata and (only is None or one.name in only)):
        how, change = dict(one.metadata), changed.get(one.name, one)
        how |= change.metadata if isinstance(change, Field) else {"default": change}
        if isinstance(how.get("default"), bool):
            how |= SWITCH
        group.add_argument(f"--{one.name}", **how)


def whole(low: int, high: int = 10_000_000) -> Callable[[str], int]:
    """A flag's type: a whole number in low..high."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not in {low}..{high}")
        return value

    return convert


def history(text: str) -> int | str:
    """A flag's type: rows of history, or "auto"."""
    return AUTO if text == AUTO else whole(0, 10_000)(text)


def switch(text: str) -> bool:
    """A flag's type: true or false, as MLproject passes it."""
    if text.lower() not in {"true", "false"}:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


SWITCH: Final[dict[str, Any]] = {"type": switch, "nargs": "?", "const": True, "metavar": "true|false"}  # on when named alone; MLproject passes a value
