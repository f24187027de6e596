"""A command as it was started: the call itself, and its flags as a dataclass of the command's own."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Read = TypeVar("Read")


@dataclass(frozen=True)
class Call:
    """The words of a call, and when it began."""

    argv: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What every command is given. Each command adds its own flags: a field has the name and the type that the flag's value has."""

    call: Call = Call()
    json: bool


@dataclass(frozen=True)
class LearnerFlags(Flags):
    """What a command is given that works for any learner."""

    learner: str


def read(kind: Callable[..., Read], args: argparse.Namespace) -> Read:
    """Parsed flags as a dataclass: each flag is a field, and each field a flag.

    >>> read(Flags, argparse.Namespace(json=True)).json
    True

    Raises:
        TypeError: the parser has another flag than the dataclass, or lacks one.
    """
    return kind(**vars(args))
