"""A file that one process holds at a time: the kernel lets go of it when that process ends, however it ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

from driftloop.errors import SettingsError


def hold(path: Path, *, taken: str) -> TextIO:
    """The file, locked while it is open; no process that we start inherits it.

    Args:
        path: made when absent.
        taken: what to say when another process holds it.

    Raises:
        SettingsError: another process does.
        OSError: the file cannot be opened.
    """
    held = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        held.close()
        raise SettingsError(taken) from exc
    return held
