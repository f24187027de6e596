"""Locks on files, which the kernel lets go of when the process that holds one ends, however it ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, TextIO

from driftloop.errors import SettingsError


def take(file: int | IO[str], *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file or folder as long as it is open; False when another process holds it.

    Args:
        file: what is open, or its descriptor.
        shared: others may hold it as well, if shared, too.
        wait: until nobody else holds it.

    Raises:
        OSError: its file system has no locks.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


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
    if not take(held):
        held.close()
        raise SettingsError(taken)
    return held
