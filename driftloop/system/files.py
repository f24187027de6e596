"""Files that are whole or not there: written aside, made durable, renamed into place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Where to write what is to appear at `path`: made durable and renamed when the block ends well, deleted when not.

    Raises:
        OSError: it cannot be made durable or renamed; the old one stays.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def replace_file(path: Path, text: str) -> None:
    """Write a small file aside, make it durable, and rename it into place.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    with aside(path) as beside:
        beside.write_text(text, encoding="utf-8")
