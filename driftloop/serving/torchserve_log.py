"""Find in TorchServe's log the one line that tells why something failed."""

from __future__ import annotations

import re
from pathlib import Path

TAIL_BYTES = 500_000
ERROR = re.compile(r"(?:[\w.$]+\.)?\w*(?:Error|Exception)\b.*")
SHUTDOWN = re.compile(r'Exception in thread "Thread-')  # of the hook that runs when the start failed already
# Raised around the worker's own error, which stands above it.
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
    """The root error of the newest worker of a model version that died; empty when none is found."""
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
    """The most telling line of a server that ended by itself: the innermost cause, an error, or its last words."""
    lines = [line.strip() for log in logs for line in tail(log) if line.strip() and not SHUTDOWN.match(line)]
    for marker in ("Caused by: ", "Invalid ", "Exception", "Error"):
        found = [line for line in reversed(lines) if marker in line]
        if found:
            return found[0][:300]
    return lines[-1][:300] if lines else "it said nothing"
