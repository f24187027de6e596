"""Atomic file writes: to a temporary file, synced, renamed into place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that its names survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """The temporary path to write to: synced and renamed to `path` when the block succeeds, deleted when it fails.

    Raises:
        OSError: syncing or renaming failed; the old file stays.
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
    """Write a small file atomically.

    Raises:
        OSError: writing failed; the old file stays.
    """
    with aside(path) as beside:
        beside.write_text(text, encoding="utf-8")
