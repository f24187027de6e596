"""Checks output paths before the work starts: a folder, a full disk, no permission."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path
from typing import Final

from driftloop.errors import PlaceError

ROOM: Final = 1 << 20  # bytes written as a test: a report of a thousand blocks is half as large
TEMPORARY_ROOM: Final = 16 << 20  # archives, artifacts in transfer, TorchServe's folder
LONGEST_NAME: Final = 255  # bytes
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def unwritable(path: Path) -> str | None:
    """Why no file of `ROOM` bytes can be written there, or None. Leaves nothing behind; does not create missing folders.

    >>> unwritable(Path("/dev/null/report.html"))
    '/dev/null is not a writable folder'
    """
    if max(len(os.fsencode(part)) for part in path.absolute().parts) > LONGEST_NAME:
        return os.strerror(errno.ENAMETOOLONG)
    try:
        if path.is_dir():
            return "it is a folder"
        nearest = next(folder for folder in path.absolute().parents if folder.exists())
    except OSError as exc:  # no permission to enter a parent folder
        return exc.strerror
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        return f"{nearest} is not a writable folder"
    # The name is that of the temporary file that is renamed in the end, so a name that is too long is detected as well.
    return _tried(nearest / f".{path.name}.{os.getpid()}", ROOM)


def check_temporary() -> None:
    """Reject an unusable or full folder for temporary files.

    Python itself would silently choose another one, but the programs that it starts would not.

    Raises:
        PlaceError: it is.
    """
    name = next((name for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), "")
    try:
        folder = Path(os.environ[name] if name else tempfile.gettempdir())
    except FileNotFoundError as exc:
        raise PlaceError("there is no folder for temporary files: set TMPDIR to one with room") from exc
    why = _tried(folder / f".driftloop.{os.getpid()}", TEMPORARY_ROOM) if os.access(folder, os.X_OK) else "it is not an accessible folder"
    if why:
        shown = f"{name}={folder}" if name else str(folder)
        raise PlaceError(f"the folder for temporary files, {shown}, cannot be used: {why}; make room ({TEMPORARY_ROOM >> 20} MB), or set TMPDIR to another")


def check_current() -> None:
    """Reject a current folder that has been removed: libraries fail in it with obscure errors.

    Raises:
        PlaceError: it is.
    """
    try:
        Path.cwd()
    except FileNotFoundError as exc:
        raise PlaceError("the current folder has been removed: change to another one") from exc


def failed(exc: OSError) -> PlaceError | None:
    """A full disk during the work, as our error; None for other errors."""
    if exc.errno not in FULL:
        return None
    where = f" ({exc.filename})" if exc.filename else ""
    return PlaceError(f"no space is left on the disk{where}: make room in the folder for temporary files, {tempfile.gettempdir()}, and where results go")


def _tried(path: Path, room: int) -> str | None:
    try:
        try:
            path.write_bytes(bytes(room))
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    return None
