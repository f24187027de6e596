"""The spool's files: the line format of records, the list of segments, and whether a segment has an active writer.

A line is `crc32 milliseconds json`: the checksum of the rest in eight hexadecimal digits, the time of writing in
milliseconds since 1970 in thirteen digits, and one JSON object. A truncated line (SIGKILL or a power loss during
the write) is recognised anywhere by its checksum.

A segment's writer locks it (flock) while it may write more; the lock ends with the process.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from driftloop.errors import DataError, SpoolError
from driftloop.system import lock
from driftloop.system.files import sync_folder

SUFFIX = ".jsonl"
LONGEST_LINE = 1 << 20  # bytes; a record is a row, not a document
_PREFIX = 8 + 1 + 13 + 1
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))  # made once: json.dumps with these settings makes one per call


def encode(record: Mapping[str, Any], *, milliseconds: int) -> bytes:
    """The line of a record, with its newline.

    Raises:
        DataError: the record is not JSON (nan or infinity, for example), or longer than LONGEST_LINE.

    >>> encode({"id": "a"}, milliseconds=1585726200000)
    b'4215aeb0 1585726200000 {"id":"a"}\\n'
    """
    try:
        text = _JSON.encode(record)
    except (TypeError, ValueError, RecursionError) as exc:
        raise DataError(f"a record for the spool is not JSON: {exc}") from exc
    rest = f"{milliseconds:013d} {text}".encode("ascii")
    if len(rest) + 10 > LONGEST_LINE:
        raise DataError(f"a record for the spool has {len(rest):,} bytes; the maximum is {LONGEST_LINE:,}")
    return b"%08x %b\n" % (zlib.crc32(rest), rest)


def decode(line: bytes) -> tuple[int, dict[str, Any]] | None:
    """Milliseconds and record of a line without its newline; None for a damaged line.

    >>> decode(b'4215aeb0 1585726200000 {"id":"a"}')
    (1585726200000, {'id': 'a'})
    >>> decode(b'4215aeb0 1585726200000 {"id":"')
    """
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]) or line[8:9] != b" ":
            return None
        return int(line[9:22]), json.loads(line[_PREFIX:])
    except ValueError:
        return None


def listed(folder: Path) -> list[Path]:
    """The segments of a spool, oldest first."""
    try:
        return sorted((path for path in folder.iterdir() if path.name.endswith(SUFFIX) and path.name[:1].isdigit()), key=lambda path: path.name)
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise SpoolError(f"{folder}: the spool cannot be read: {exc.strerror}") from exc


def create(folder: Path, name: str) -> int:
    """Create a segment, open for appending; it gets its name only when it is locked.

    Raises:
        OSError: it cannot be created.
    """
    hidden = folder / f".{name}"
    descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        lock.take(descriptor)
        hidden.rename(folder / name)
        sync_folder(folder)
    except BaseException:
        os.close(descriptor)
        hidden.unlink(missing_ok=True)
        raise
    return descriptor


def has_writer(path: Path) -> bool:
    """True while a process may append to the segment."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not lock.take(descriptor, shared=True)
    finally:
        os.close(descriptor)
