"""File locks; the kernel releases them when the process ends, however it ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, TextIO

from driftloop.errors import SettingsError


def take(file: int | IO[str], *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file or folder until it is closed; False when another process holds it.

    Args:
        file: the open file, or its descriptor.
        shared: others may hold a shared lock at the same time.
        wait: block until the lock is free.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def hold(path: Path, *, taken: str) -> TextIO:
    """The file, locked while it is open; not inherited by child processes.

    Args:
        path: created when absent.
        taken: error message when another process holds it.

    Raises:
        SettingsError: another process does.
        OSError: opening the file failed.
    """
    held = path.open("a", encoding="utf-8")
    if not take(held):
        held.close()
        raise SettingsError(taken)
    return held
