"""A command's call, and its flags as a dataclass."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from driftloop import settings

Read = TypeVar("Read")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Call:
    """The arguments of a call, its start time, and its script."""

    argv: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)
    prog: str = ""  # the script's name


def flag(default: Value, text: str, **how: Any) -> Value:
    """A field that is a flag with this default and help; `how`: further arguments of `add_argument`. A boolean default makes it a switch."""
    made: Value = field(metadata={"default": default, "help": text, **how})
    return made


def required(text: str, **how: Any) -> Any:
    """A field that is a required flag."""
    return field(metadata={"required": True, "help": text, **how})


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Flags of every command. Each command adds its own: a field has the name and type of its flag's value."""

    call: Call = Call()
    json: bool


@dataclass(frozen=True, kw_only=True)
class LearnerFlags(Flags):
    """Flags of a command that works for any learner."""

    learner: str = flag(
        "",
        "what learns: a Learner in a module of the current folder or of the project; --help with it shows its own defaults; "
        f"empty: {settings.ELEC_LEARNER}, or the table learner for a --data_path",
        metavar="MODULE:NAME",
    )


def read(kind: Callable[..., Read], args: argparse.Namespace) -> Read:
    """Parsed flags as a dataclass; flags and fields must match one to one.

    >>> read(Flags, argparse.Namespace(json=True)).json
    True

    Raises:
        TypeError: the parser's flags differ from the dataclass's fields.
    """
    return kind(**vars(args))
