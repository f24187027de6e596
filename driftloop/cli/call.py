"""A command as it was started: the call itself, and its flags as a dataclass of the command's own."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Read = TypeVar("Read")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Call:
    """The words of a call, and when it began."""

    argv: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)


def flag(default: Value, text: str, **how: Any) -> Value:
    """A field that is a flag with this default and help; `how` is what else `add_argument` takes. Of a truth value it is a switch."""
    made: Value = field(metadata={"default": default, "help": text, **how})
    return made


def required(text: str, **how: Any) -> Any:
    """A field that is a flag which must be given."""
    return field(metadata={"required": True, "help": text, **how})


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What every command is given. Each command adds its own flags: a field has the name and the type that the flag's value has.

    A field made by `flag` or `required` says all of its flag; `parsing.add_flags` adds it to a parser.
    """

    call: Call = Call()
    json: bool


@dataclass(frozen=True, kw_only=True)
class LearnerFlags(Flags):
    """What a command is given that works for any learner."""

    learner: str = flag(
        "", "what learns: a Learner in a module of the current folder or of the project; --help with it shows its own defaults", metavar="MODULE:NAME"
    )


def read(kind: Callable[..., Read], args: argparse.Namespace) -> Read:
    """Parsed flags as a dataclass: each flag is a field, and each field a flag.

    >>> read(Flags, argparse.Namespace(json=True)).json
    True

    Raises:
        TypeError: the parser has another flag than the dataclass, or lacks one.
    """
    return kind(**vars(args))
