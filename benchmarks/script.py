"""Shared by all benchmarks: flags, and writing the page."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from driftloop import settings
from driftloop.cli import parsing
from driftloop.errors import DriftloopError
from driftloop.system import files, output


def page_of(file: str | None) -> Path:
    """Where the page of a benchmark stands: beside its script.

    >>> page_of("benchmarks/scoring.py").name
    'scoring.md'
    """
    return Path(file or "").with_suffix(".md")


def parser(file: str, description: str | None) -> parsing.Parser:
    """A parser with `--out`: the page that stands beside the script, unless told otherwise."""
    made = parsing.Parser(prog=f"benchmarks.{Path(file).stem}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, default=page_of(file), help="Markdown file to write")
    return made


@contextlib.contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    """That folder, made where it is not there; None: one for the time being."""
    with contextlib.nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="driftloop-bench-") as name:
        found = Path(name).resolve()
        found.mkdir(parents=True, exist_ok=True)
        yield found


def run(flags: parsing.Parser, measured: Callable[[argparse.Namespace, str], str], argv: list[str] | None) -> int:
    """Measure, write the page and print it.

    Args:
        flags: made by `parser`.
        measured: takes the flags and the command as it was given, gives the page as Markdown.
        argv: the flags given; None takes those of the process.

    Returns:
        0, or the exit code of what failed; nothing is written then.
    """
    settings.quiet_environment()
    output.lenient()
    given = sys.argv[1:] if argv is None else argv
    try:
        args = flags.parse_args(given)
        text = measured(args, " ".join([f"python -m {flags.prog}", *given]))
    except DriftloopError as exc:
        print(f"{flags.prog}: error: {exc}", file=sys.stderr)
        return exc.exit_code
    except subprocess.CalledProcessError as exc:
        print(f"{flags.prog}: error: {' '.join(map(str, exc.cmd))} ended with exit code {exc.returncode}", file=sys.stderr)
        return exc.returncode
    files.replace_file(args.out, text)
    print(text)
    return 0
