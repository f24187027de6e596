"""The spool's writer: buffers records in files, so that none is lost while MongoDB is unreachable.

    spool = Spool(Path("spool"))
    spool.append([{"kind": "label", ...}])       # written when this returns: SIGKILL of the process loses nothing
    spool.sync()                                 # on the disk: a power loss loses nothing either

A thread calls fsync within `sync_s` seconds or `sync_records` records of a write. Each process writes its own
segments, so that writers cannot harm one another; `monitoring.spool.cursors` reads them. A spool made before a fork
is safe: the child starts its own segment.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from driftloop.errors import SpoolError
from monitoring.spool import segments
from monitoring.spool.cursors import Backlog

SEGMENT_BYTES = 16 << 20
SYNC_S = 0.2
SYNC_RECORDS = 1000


class Spool:
    """The writer's side of a spool; safe to use from several threads.

    Args:
        folder: created if missing.
        segment_bytes: size at which a new segment starts.
        sync_s: maximum seconds from a write to the start of its fsync.
        sync_records: number of waiting records that starts fsync at once.

    Raises:
        SpoolError: the folder cannot be created.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, sync_s: float = SYNC_S, sync_records: int = SYNC_RECORDS) -> None:
        self.folder = Path(folder)
        self._segment_bytes, self._sync_s, self._sync_records = segment_bytes, sync_s, sync_records
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as exc:
            raise SpoolError(f"{self.folder}: the spool cannot be created: {exc.strerror}") from exc
        self._begin()

    def _begin(self) -> None:
        """Start without a segment: at first, and in a child after a fork, which must not write to its parent's file."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._syncing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._file, self._size, self._waiting, self._made = -1, 0, 0, 0
        self._retired: list[int] = []
        self._closing = False
        self._failure = ""
        self._backlog = Backlog(self.folder)

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write records, all or none; they are in the file when this returns.

        Raises:
            DataError: a record is not JSON or too long; nothing was written.
            SpoolError: the disk is full or failing; nothing was written.
        """
        stamp = time.time_ns() // 1_000_000
        data = b"".join([segments.encode(record, milliseconds=stamp) for record in records])
        if not data:
            return
        if os.getpid() != self._pid:
            if self._file >= 0:
                os.close(self._file)  # the child's copy: the parent's stays open and locked
            self._begin()
        with self._lock:
            self._raise_failure()
            try:
                self._write(data)
            except OSError as exc:
                raise SpoolError(f"{self.folder}: {len(records)} records could not be written to the spool: {exc.strerror}; free some space") from exc
            self._waiting += len(records)
            if self._waiting == len(records) or self._waiting >= self._sync_records:
                self._wake.notify()

    def sync(self) -> None:
        """Return when all appended records are on disk.

        Raises:
            SpoolError: fsync failed; records since the last sync may not survive a power loss.
        """
        if os.getpid() == self._pid:
            self._sync()
            with self._lock:
                self._raise_failure()

    def close(self) -> None:
        """Sync and close; a later `append` starts a new segment.

        Raises:
            SpoolError: as for `sync`.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closing = True
            self._retire()
            self._wake.notify()
            thread = self._thread
        if thread:
            thread.join()
        with self._lock:
            self._thread, self._closing = None, False
            self._raise_failure()

    def length(self, consumer: str) -> int:
        """Records that a consumer (`mongodb`, `monitor`) has not passed yet."""
        return self._backlog.length(consumer)

    def oldest_s(self, consumer: str) -> float:
        """Age of the oldest record that a consumer has not passed, in seconds; 0 without one."""
        return self._backlog.oldest_s(consumer)

    def size_bytes(self) -> int:
        """Size of all segments."""
        return self._backlog.size_bytes()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        if self._file >= 0 and self._size >= self._segment_bytes:
            self._retire()
        if self._file < 0:
            self._file, self._size = segments.create(self.folder, self._next_name()), 0
            if not self._thread:
                self._thread = threading.Thread(target=self._sync_in_groups, name="spool-sync", daemon=True)
                self._thread.start()
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            self._cut()
            raise
        self._size += len(data)

    def _cut(self) -> None:
        """Undo a partial write; if that fails too, abandon the file: readers skip its torn end."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._retire()

    def _next_name(self) -> str:
        self._made += 1
        return f"{time.time_ns():020d}-{self._pid}-{self._made}-{os.urandom(4).hex()}{segments.SUFFIX}"

    def _retire(self) -> None:
        """Write no more to the segment; the thread syncs and closes it, which unlocks it."""
        if self._file >= 0:
            self._retired.append(self._file)
            self._file = -1
            self._wake.notify()

    def _sync_in_groups(self) -> None:
        while True:
            with self._lock:
                while not (self._waiting or self._retired or self._closing):
                    self._wake.wait()
                end = time.monotonic() + self._sync_s
                while not (self._closing or self._waiting >= self._sync_records) and (left := end - time.monotonic()) > 0:
                    self._wake.wait(left)
                closing = self._closing
            self._sync()
            if closing:
                return

    def _sync(self) -> None:
        with self._syncing:
            with self._lock:
                # A duplicate: the file may be retired and closed during this sync.
                current = os.dup(self._file) if self._file >= 0 and self._waiting else -1
                retired, self._retired, self._waiting = self._retired, [], 0
            for descriptor in [*retired, *([current] if current >= 0 else [])]:
                try:
                    os.fsync(descriptor)
                except OSError as exc:
                    with self._lock:
                        self._failure = f"{self.folder}: the spool could not be made durable: {exc.strerror}; check the disk"
                        self._retire()
                with contextlib.suppress(OSError):
                    os.close(descriptor)

    def _raise_failure(self) -> None:
        if self._failure:
            message, self._failure = self._failure, ""
            raise SpoolError(message)
