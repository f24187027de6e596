"""Finds the line in TorchServe's log that explains a failure."""

from __future__ import annotations

import re
from pathlib import Path

TAIL_BYTES = 500_000
ERROR = re.compile(r"(?:[\w.$]+\.)?\w*(?:Error|Exception)\b.*")
SHUTDOWN = re.compile(r'Exception in thread "Thread-')  # from the shutdown hook after a failed start
# Wraps the worker's error, which is above it.
WRAPPED = re.compile(r"RuntimeError: \d+ - ")


def tail(log: Path) -> list[str]:
    """The last lines of a log; none when there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def worker_error(log: Path | None, *, name: str, version: str) -> str:
    """The root error of the newest dead worker of a model version; "" when none is found."""
    if log is None:
        return ""
    line_of = re.compile(rf" W-\d+-{re.escape(name)}_{re.escape(version)}-std(?:out|err) - (.*)")
    lines = [found[1].strip() for found in map(line_of.search, tail(log)) if found]
    starts = [at for at, line in enumerate(lines) if line == "Torch worker started."]
    newest = lines[starts[-1] if starts else 0 :]
    for at, line in enumerate(newest):
        if ERROR.match(line) and not WRAPPED.match(line):
            return f"{line} {newest[at + 1]}" if line.endswith(":") and at + 1 < len(newest) else line
    return ""


def server_error(*logs: Path) -> str:
    """The most informative line of a server that exited: the innermost cause, an error, or the last line."""
    lines = [line.strip() for log in logs for line in tail(log) if line.strip() and not SHUTDOWN.match(line)]
    for marker in ("Caused by: ", "Invalid ", "Exception", "Error"):
        found = [line for line in reversed(lines) if marker in line]
        if found:
            return found[0][:300]
    return lines[-1][:300] if lines else "no output"
