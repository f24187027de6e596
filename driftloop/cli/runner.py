"""Runs a script: one-line errors, exit codes, Ctrl-C, and `--json`."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from driftloop import settings
from driftloop.cli.call import Call, Read, read
from driftloop.cli.parsing import Parser
from driftloop.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, DriftloopError
from driftloop.system import environment, output, places, signals
from driftloop.system.json_values import plain


def run(main: Callable[[Read], tuple[dict[str, Any], int]], made: Parser, argv: list[str] | None, kind: Callable[..., Read]) -> int:
    """Parse the flags, run `main`, and return the exit code.

    `main` takes the flags as `kind`, and returns the result as JSON values and the exit code. A user's mistake is one line on stderr; Ctrl-C and
    SIGTERM unwind like errors, so runs are closed and servers stopped.
    """
    settings.quiet_environment()
    output.lenient()
    called = Call(tuple(sys.argv[1:] if argv is None else argv), prog=made.prog)
    try:
        places.check_current()
        arguments = made.parse_args(argv, argparse.Namespace(call=called))
        with signals.signals_unwind(), _stdout_for_json(arguments.json) as out:
            for name in ("mlflow", "alembic", "ax", "pytorch_lightning"):
                logging.getLogger(name).setLevel(logging.ERROR)
            logging.getLogger("ax.storage.sqa_store.with_db_settings_base").disabled = True  # it prints while it is imported
            result, code = main(read(kind, arguments))
            if arguments.json:
                print(json.dumps(plain(result), allow_nan=False), file=out)
            out.flush()  # a full disk is reported here, not at Python's exit
            return code
    except DriftloopError as exc:
        print(f"{made.prog}: error: {one_line(str(exc))}", file=sys.stderr)
        return exc.exit_code
    except ModuleNotFoundError as exc:
        line = environment.missing(exc)
        if not line:
            raise
        print(f"{made.prog}: error: {line}", file=sys.stderr)
        return DriftloopError.exit_code
    except OSError as exc:
        full = places.failed(exc)
        if full is None:
            raise
        print(f"{made.prog}: error: {full}", file=sys.stderr)
        return full.exit_code
    except KeyboardInterrupt:
        print(f"{made.prog}: interrupted; runs are closed and servers stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except signals.Terminated:
        print(f"{made.prog}: terminated; runs are closed and servers stopped", file=sys.stderr)
        return EXIT_TERMINATED


def one_line(text: str) -> str:
    r"""A message on one line; spaces within a line stay, because it may contain a command to paste.

    >>> one_line("no such\n  table: a  b.csv ")
    'no such table: a  b.csv'
    """
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


@contextlib.contextmanager
def _stdout_for_json(wanted: bool) -> Iterator[Any]:
    """With --json redirect all printed text to stderr, and yield the real stdout for the JSON line."""
    out = sys.stdout
    if not wanted:
        yield out
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield out


def on_terminal() -> bool:
    """True when a user can answer a question."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() and "CI" not in os.environ


def confirm(question: str) -> bool:
    """Ask the user; no answer means no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        return input().strip().lower() in {"y", "yes"}
    except EOFError:
        return False
