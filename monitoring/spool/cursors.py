"""Tracks how far each consumer has read a spool: the next batch, the backlog, and the segments that can be deleted.

A consumer's cursor file holds the bytes and lines it has passed in each segment. The file is replaced after a
batch has arrived: a crash before that delivers the batch again and never skips it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from driftloop.errors import SpoolError
from driftloop.system import files
from monitoring.spool import segments

BATCH_RECORDS = 1000
BATCH_BYTES = segments.LONGEST_LINE


@dataclass(frozen=True)
class Place:
    """A consumer's position in a segment: bytes and lines."""

    offset: int = 0
    lines: int = 0


@dataclass(frozen=True)
class Batch:
    """Records in each writer's order, and the consumer's places after them."""

    records: list[dict[str, Any]]
    damaged: int  # truncated lines, skipped
    places: dict[str, Place]
    full: bool = False  # more may follow; else the spool was read to its end

    def __bool__(self) -> bool:
        return bool(self.places)


def cursor_file(folder: Path, consumer: str) -> Path:
    """A consumer's cursor file."""
    return folder / f"cursor-{consumer}.json"


def load(folder: Path, consumer: str) -> dict[str, Place]:
    """A consumer's places by segment name. Without a readable cursor file it starts from the beginning."""
    try:
        stored = json.loads(cursor_file(folder, consumer).read_text(encoding="utf-8"))
        return {name: Place(int(offset), int(lines)) for name, (offset, lines) in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


class Reader:
    """Reads a spool for one consumer, which may have one reader at a time."""

    def __init__(self, folder: Path, consumer: str) -> None:
        self.folder, self.consumer = folder, consumer
        self._places = load(folder, consumer)

    def read(self, *, records: int = BATCH_RECORDS) -> Batch:
        """The next batch, at most `records` and BATCH_BYTES; without `commit` the next call returns the same.

        Raises:
            SpoolError: a segment cannot be read.
        """
        batch = Batch([], 0, {})
        for path in segments.listed(self.folder):
            batch, full = self._read_segment(path, batch, most=records)
            if full:
                return replace(batch, full=True)
        return batch

    def commit(self, batch: Batch) -> None:
        """The batch has arrived: continue after it.

        Raises:
            SpoolError: the cursor cannot be written.
        """
        there = {path.name for path in segments.listed(self.folder)}
        places = {name: place for name, place in (self._places | batch.places).items() if name in there}
        try:
            files.replace_file(cursor_file(self.folder, self.consumer), json.dumps({name: [place.offset, place.lines] for name, place in places.items()}))
        except OSError as exc:
            raise SpoolError(f"{self.folder}: the cursor of {self.consumer} cannot be written: {exc.strerror}; free some space") from exc
        self._places = places

    def _read_segment(self, path: Path, batch: Batch, *, most: int) -> tuple[Batch, bool]:
        """The batch with the segment's records added, and whether it is full."""
        place = self._places.get(path.name, Place())
        if _size(path) <= place.offset:
            return batch, False
        closed = not segments.has_writer(path)  # asked before reading, so that a line being added is not taken for a torn one
        data = _read(path, place.offset)
        lines = data.split(b"\n")
        rest = lines.pop()  # after the last newline: being written, torn, or longer than the bytes read
        lines = lines[: most - len(batch.records)]
        decoded = [segments.decode(line) for line in lines]
        offset = place.offset + sum(map(len, lines)) + len(lines)
        damaged = batch.damaged + decoded.count(None)
        if rest and not lines and (len(data) >= BATCH_BYTES or closed):
            offset, damaged = offset + len(rest), damaged + 1
        if offset == place.offset:
            return batch, False
        found = [one[1] for one in decoded if one is not None]
        grown = Batch(batch.records + found, damaged, batch.places | {path.name: Place(offset, place.lines + len(lines))})
        return grown, len(grown.records) >= most or len(data) >= BATCH_BYTES


class Backlog:
    """What consumers have not passed yet, for the writing process; cheap to ask repeatedly, and thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counted: dict[str, Place] = {}
        self._lock = threading.Lock()

    def length(self, consumer: str) -> int:
        """Records not passed yet."""
        passed = load(self._folder, consumer)
        with self._lock:
            paths = segments.listed(self._folder)
            self._counted = {path.name: _count(path, self._counted.get(path.name, Place())) for path in paths}
            return sum(max(0, counted.lines - passed.get(name, Place()).lines) for name, counted in self._counted.items())

    def oldest_s(self, consumer: str) -> float:
        """Age of the oldest record not passed yet, in seconds; 0 when there is none."""
        passed = load(self._folder, consumer)
        oldest_ms = now_ms = time.time_ns() // 1_000_000
        for path in segments.listed(self._folder):
            if _began_ms(path) >= oldest_ms:
                break  # this segment and all later ones are newer
            offset = passed.get(path.name, Place()).offset
            if _size(path) > offset:
                first = segments.decode(_read(path, offset).split(b"\n", 1)[0])
                oldest_ms = min(oldest_ms, first[0] if first else now_ms)
        return max(0, now_ms - oldest_ms) / 1000

    def size_bytes(self) -> int:
        """Size of all segments."""
        return sum(_size(path) for path in segments.listed(self._folder))


def sweep(folder: Path, consumers: Iterable[str]) -> int:
    """Delete the segments that all consumers have passed and no process writes to; return how many.

    Raises:
        SpoolError: one cannot be deleted.
    """
    passed = [load(folder, consumer) for consumer in consumers]
    deleted = 0
    for path in segments.listed(folder):
        if segments.has_writer(path) or any(places.get(path.name, Place()).offset < _size(path) for places in passed):
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise SpoolError(f"{path}: the segment cannot be deleted: {exc.strerror}") from exc
        deleted += 1
    return deleted


def _began_ms(path: Path) -> int:
    return int(path.name.split("-", 1)[0]) // 1_000_000


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(BATCH_BYTES)
    except FileNotFoundError:
        return b""
    except OSError as exc:
        raise SpoolError(f"{path}: the segment cannot be read: {exc.strerror}") from exc


def _count(path: Path, counted: Place) -> Place:
    """Count the newlines added since."""
    while data := _read(path, counted.offset):
        counted = Place(counted.offset + len(data), counted.lines + data.count(b"\n"))
    return counted
