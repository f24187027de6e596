"""A command as it was started: the call itself, and its flags as a dataclass of the command's own."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Read = TypeVar("Read")


@dataclass(frozen=True)
class Call:
    """A script as it was started: its file, the package it was started from with -m ("" by its path), and its words."""

    file: Path | None
    package: str
    argv: tuple[str, ...]
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, main: Callable[..., Any], argv: Sequence[str] | None) -> Call:
        """The call whose work `main` does; its module tells which script it is."""
        names: Mapping[str, Any] = getattr(main, "__globals__", {})
        path = names.get("__file__")
        return cls(Path(path).absolute() if path else None, names.get("__package__") or "", tuple(sys.argv[1:] if argv is None else argv))

    def beside(self, *names: str) -> str | None:
        """The first of these modules that lies beside the script, as it is imported; None when none does."""
        found = next((name for name in names if self.file and (self.file.parent / f"{name}.py").is_file()), None)
        return found and f"{self.package}.{found}".lstrip(".")


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What every command is given. Each command adds its own flags: a field has the name and the type that the flag's value has."""

    call: Call = Call(None, "", ())  # flags that no command has parsed are from nowhere
    json: bool


def read(kind: Callable[..., Read], args: argparse.Namespace) -> Read:
    """Parsed flags as a dataclass: each flag is a field, and each field a flag.

    >>> read(Flags, argparse.Namespace(json=True)).json
    True

    Raises:
        TypeError: the parser has another flag than the dataclass, or lacks one.
    """
    return kind(**vars(args))
