"""A command's call, and its flags as a dataclass of its own."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

Read = TypeVar("Read")


@dataclass(frozen=True)
class Call:
    """The arguments of a call, and its start time."""

    argv: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Flags of every command. Each command adds its own: a field has the name and type of its flag's value."""

    call: Call = Call()
    json: bool


@dataclass(frozen=True)
class LearnerFlags(Flags):
    """Flags of a command that works for any learner."""

    learner: str


def read(kind: Callable[..., Read], args: argparse.Namespace) -> Read:
    """Parsed flags as a dataclass; flags and fields must match one to one.

    >>> read(Flags, argparse.Namespace(json=True)).json
    True

    Raises:
        TypeError: the parser's flags differ from the dataclass's fields.
    """
    return kind(**vars(args))
