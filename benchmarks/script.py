"""Shared by all benchmarks: flags, reusable results, progress, Markdown, writing the page."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from driftloop import settings
from driftloop.cli import parsing
from driftloop.errors import DriftloopError, ServingError
from driftloop.system import files, output
from driftloop.system.processes import Server

ROOT = Path(__file__).resolve().parent.parent


def page_of(file: str | None) -> Path:
    """The page of a benchmark, next to its script.

    >>> page_of("benchmarks/scoring.py").name
    'scoring.md'
    """
    return Path(file or "").with_suffix(".md")


def parser(file: str, description: str | None, *, reusable: bool = False) -> parsing.Parser:
    """A parser with `--out`; `reusable` adds `--folder` and `--reuse`, for long runs."""
    made = parsing.Parser(prog=f"benchmarks.{Path(file).stem}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path, default=page_of(file), help="Markdown file to write")
    if reusable:
        made.add_argument("--folder", type=Path, help="folder for stores and results; default: a temporary one")
        made.add_argument("--reuse", action="store_true", help="reuse the results in --folder instead of running again")
    return made


def run(flags: parsing.Parser, measured: Callable[[argparse.Namespace], str]) -> int:
    """Measure, write the page and print it.

    Args:
        flags: made by `parser`.
        measured: returns the page as Markdown, from the flags and `command`, the command line.

    Returns:
        0, or the exit code of the failure; then nothing is written.
    """
    settings.quiet_environment()
    output.lenient()
    try:
        args = flags.parse_args(namespace=argparse.Namespace(command=" ".join([f"python -m {flags.prog}", *sys.argv[1:]])))
        text = measured(args)
    except DriftloopError as exc:
        print(f"{flags.prog}: error: {exc}", file=sys.stderr)
        return exc.exit_code
    except subprocess.CalledProcessError as exc:
        print(f"{flags.prog}: error: {' '.join(map(str, exc.cmd))} ended with exit code {exc.returncode}", file=sys.stderr)
        return exc.returncode
    files.replace_file(args.out, text)
    print(text)
    return 0


@contextlib.contextmanager
def place(folder: Path | None = None) -> Iterator[Path]:
    """The folder, created if missing; a temporary one for None."""
    with contextlib.nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="driftloop-bench-") as name:
        found = Path(name).resolve()
        found.mkdir(parents=True, exist_ok=True)
        yield found


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in the folder, with its MLflow store, whose artifact paths are relative to it."""
    before = os.environ.copy()
    with contextlib.chdir(folder):
        os.environ |= store_in(folder)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def store_in(folder: Path) -> dict[str, str]:
    """The environment variables for an MLflow store in the folder."""
    return {"MLFLOW_TRACKING_URI": store_uri(folder), "PYTHONPATH": str(ROOT)}


def store_uri(folder: Path) -> str:
    """The URI of the MLflow store in the folder."""
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"


def kept(path: Path, make: Callable[[], Any], *, reuse: bool) -> Any:
    """The JSON result in `path`; `make` computes it if it is missing or not to be reused."""
    if not (reuse and path.exists()):
        say(f"measuring for {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(make()), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def result_of(script: str, flags: Sequence[str], *, folder: Path) -> dict[str, Any]:
    """The `--json` result of a script of the project, run in the folder with a store of its own.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / script), *flags, "--json"]
    done = subprocess.run(command, cwd=folder, env=os.environ | store_in(folder), stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def environment(folder: Path, pins: Sequence[str]) -> Path:
    """Python of an environment with a peer's packages, built unless it stands.

    Raises:
        subprocess.CalledProcessError: it could not be built.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *pins], check=True, stderr=subprocess.DEVNULL)
    return python


def wait_until(done: Callable[[], bool], *, servers: Mapping[str, Server], within_s: float) -> None:
    """Wait for a condition.

    Raises:
        ServingError: it is not met in time, or a server has ended.
    """
    end = time.monotonic() + within_s
    while not done():
        ended = [f"{name} has ended: {server.log.read_text(encoding='utf-8')[-300:]}" for name, server in servers.items() if server.code is not None]
        if ended or time.monotonic() > end:
            raise ServingError(f"{', '.join(servers)}: not ready after {within_s:.0f} s" if not ended else "; ".join(ended))
        time.sleep(0.02)


def answers(url: str) -> bool:
    """Whether a GET request succeeds."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def say(text: str) -> None:
    """Report progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def page(title: str, *parts: str) -> str:
    """A page of paragraphs, tables and sections; empty parts are left out."""
    return f"{section(title, *parts)[1:]}\n"


def section(title: str, *parts: str) -> str:
    """A section of a page."""
    return "\n\n".join([f"## {title}", *filter(None, parts)])


def table(titles: str, rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; a title that ends with a colon makes its column right-aligned.

    >>> print(table("way | seconds:", [["ours", 3]]))
    | way | seconds |
    |---|---:|
    | ours | 3 |
    """
    heads = [title.strip() for title in titles.split("|")]
    line = "|".join("---:" if head.endswith(":") else "---" for head in heads)
    cells = [[head.removesuffix(":") for head in heads], *rows]
    first, *others = (f"| {' | '.join(map(str, row))} |".replace("  |", " |") for row in cells)
    return "\n".join([first, f"|{line}|", *others])


def bullets(items: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {item}" for item in items)


def targets(met: Iterable[tuple[str, bool]]) -> str:
    """A list of targets, each with whether it is met."""
    return bullets(f"{'met' if yes else '**missed**'}: {words}" for words, yes in met)


def share(count: int, total: int) -> str:
    """A share in percent with its 95 % interval (Wilson).

    >>> share(5, 100)
    '5.0 (2.2 to 11.2)'
    """
    from driftloop.metrics import kpi  # loads scipy: benchmarks measure their memory

    lower, upper = kpi.wilson_interval(count, total)
    return f"{100 * count / total:.1f} ({100 * lower:.1f} to {100 * upper:.1f})"
