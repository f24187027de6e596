"""Run a script: one line an error, exit codes, Ctrl-C, and `--json`."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from driftloop import settings
from driftloop.cli import printed_commands
from driftloop.cli.parsing import Parser
from driftloop.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, DriftloopError
from driftloop.system import environment, output, places, signals


def run(main: Callable[[argparse.Namespace], tuple[dict[str, Any], int]], made: Parser, argv: list[str] | None) -> int:
    """Parse, work, and turn whatever happens into an exit code.

    `main` gives the result as JSON values and the exit code. A mistake is one line on stderr; Ctrl-C and SIGTERM
    unwind as errors do, so runs are closed and servers ended.
    """
    settings.quiet_environment()
    output.lenient()
    called = printed_commands.Call(tuple(sys.argv[1:] if argv is None else argv))
    try:
        places.check_current()
        arguments = made.parse_args(argv, argparse.Namespace(call=called))
        with signals.signals_unwind(), _stdout_for_json(arguments.json) as out:
            for name in ("mlflow", "alembic", "ax", "pytorch_lightning"):
                logging.getLogger(name).setLevel(logging.ERROR)
            logging.getLogger("ax.storage.sqa_store.with_db_settings_base").disabled = True  # it speaks while it is imported
            result, code = main(arguments)
            if arguments.json:
                print(json.dumps(_plain(result), allow_nan=False), file=out)
            out.flush()  # a full disk is told here, not when Python ends
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
        print(f"{made.prog}: interrupted; runs are closed and servers ended", file=sys.stderr)
        return EXIT_INTERRUPTED
    except signals.Terminated:
        print(f"{made.prog}: terminated; runs are closed and servers ended", file=sys.stderr)
        return EXIT_TERMINATED


def one_line(text: str) -> str:
    r"""A message on one line; spaces within a line stay, for it may hold a command to paste.

    >>> one_line("no such\n  table: a  b.csv ")
    'no such table: a  b.csv'
    """
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


@contextlib.contextmanager
def _stdout_for_json(wanted: bool) -> Iterator[Any]:
    """With --json everything printed goes to stderr, and the real stdout is given back for the one line."""
    out = sys.stdout
    if not wanted:
        yield out
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield out


def _plain(value: Any) -> Any:
    """JSON values: undefined figures (nan) become null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value.item() if hasattr(value, "item") else value


def on_terminal() -> bool:
    """True when a person can answer a question."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() and "CI" not in os.environ


def confirm(question: str) -> bool:
    """Ask a person; no answer means no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        return input().strip().lower() in {"y", "yes"}
    except EOFError:
        return False
