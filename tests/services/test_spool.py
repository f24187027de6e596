"""What was appended is read again, whole and once, whatever ends the writer or fills the disk."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from driftloop.errors import DataError, SpoolError
from driftloop.settings import ROOT
from driftloop.system import processes
from monitoring.spool import cursors, segments
from monitoring.spool.cursors import Reader, sweep
from monitoring.spool.writer import Spool

WRITER = """
import sys
from pathlib import Path
from monitoring.spool.writer import Spool
spool, number = Spool(Path(sys.argv[1]), segment_bytes=20_000), 0
while number < int(sys.argv[3]):
    spool.append([{"writer": sys.argv[2], "number": number}])
    number += 1
    print(number, flush=True)
"""


def rows(first: int, stop: int) -> list[dict[str, int]]:
    return [{"number": number} for number in range(first, stop)]


def read_all(reader: Reader, *, records: int = 1000) -> list[dict[str, int]]:
    """All that is left, committed batch by batch."""
    found = []
    while batch := reader.read(records=records):
        assert len(batch.records) <= records
        found += batch.records
        reader.commit(batch)
    return found


def writer(folder: Path, name: str, log: Path, *, records: int = 10**9) -> processes.Server:
    return processes.Server([sys.executable, "-c", WRITER, folder, name, str(records)], log=log, folder=ROOT)


def wait_for(what, *, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


def test_records_come_back_in_order_over_many_segments_and_batches(tmp_path):
    with Spool(tmp_path, segment_bytes=500) as spool:
        for first in range(0, 300, 3):
            spool.append(rows(first, first + 3))
        assert len(segments.listed(tmp_path)) > 10
        assert read_all(Reader(tmp_path, "mongodb"), records=7) == rows(0, 300)


def test_a_record_is_in_the_file_when_append_returns_and_read_while_the_writer_goes_on(tmp_path):
    reader = Reader(tmp_path, "mongodb")
    with Spool(tmp_path) as spool:
        for number in range(5):
            spool.append(rows(number, number + 1))
            assert read_all(reader) == rows(number, number + 1)
        assert not reader.read()


def test_reading_without_commit_gives_the_same_again_also_to_a_new_reader(tmp_path):
    with Spool(tmp_path) as spool:
        spool.append(rows(0, 10))
    reader = Reader(tmp_path, "mongodb")
    first = reader.read(records=4)
    assert reader.read(records=4) == first == Reader(tmp_path, "mongodb").read(records=4)
    reader.commit(first)
    assert read_all(Reader(tmp_path, "mongodb")) == rows(4, 10)


def test_two_consumers_go_at_their_own_pace_and_a_segment_goes_when_both_have_passed(tmp_path):
    with Spool(tmp_path, segment_bytes=300) as spool:
        for number in range(50):
            spool.append(rows(number, number + 1))
        assert read_all(Reader(tmp_path, "mongodb")) == rows(0, 50)
        assert sweep(tmp_path, ["mongodb", "monitor"]) == 0
        assert (spool.length("mongodb"), spool.length("monitor")) == (0, 50)
        assert read_all(Reader(tmp_path, "monitor")) == rows(0, 50)
        wait_for(lambda: sweep(tmp_path, ["mongodb", "monitor"]) == 0 and len(segments.listed(tmp_path)) == 1)
        spool.append(rows(50, 51))  # the writer's own segment has stayed
        assert read_all(Reader(tmp_path, "mongodb")) == rows(50, 51)
    assert read_all(Reader(tmp_path, "monitor")) == rows(50, 51)
    assert sweep(tmp_path, ["mongodb", "monitor"]) == 1
    assert segments.listed(tmp_path) == []


def test_length_and_age_are_those_of_what_a_consumer_has_not_passed(tmp_path):
    with Spool(tmp_path) as spool:
        assert (spool.length("mongodb"), spool.oldest_s("mongodb"), spool.size_bytes()) == (0, 0, 0)
        spool.append(rows(0, 5))
        time.sleep(0.05)
        spool.append(rows(5, 7))
        assert spool.length("mongodb") == 7 and 0.05 <= spool.oldest_s("mongodb") < 30
        reader = Reader(tmp_path, "mongodb")
        reader.commit(reader.read(records=6))
        assert spool.length("mongodb") == 1 and spool.length("monitor") == 7
        assert spool.oldest_s("mongodb") < spool.oldest_s("monitor")
        assert spool.size_bytes() == sum(path.stat().st_size for path in segments.listed(tmp_path))


@pytest.mark.parametrize("cut", [1, 5, 20, 30])
def test_a_last_line_that_was_cut_short_is_skipped_and_counted_once_its_writer_is_gone(tmp_path, cut):
    with Spool(tmp_path) as spool:
        spool.append(rows(0, 3))
    (path,) = segments.listed(tmp_path)
    os.truncate(path, path.stat().st_size - cut)
    reader = Reader(tmp_path, "mongodb")
    batch = reader.read()
    assert (batch.records, batch.damaged) == (rows(0, 2), 0)
    reader.commit(batch)
    torn = reader.read()
    assert (torn.records, torn.damaged) == ([], 1)
    reader.commit(torn)
    assert not reader.read() and sweep(tmp_path, ["mongodb"]) == 1


def test_a_line_that_is_being_written_is_waited_for(tmp_path):
    name = f"{time.time_ns():020d}-1-1-abcd{segments.SUFFIX}"
    line = segments.encode({"number": 0}, milliseconds=1)
    file = segments.create(tmp_path, name)
    reader = Reader(tmp_path, "mongodb")
    os.write(file, line[:20])
    assert not reader.read()
    os.write(file, line[20:])
    assert reader.read().records == rows(0, 1)
    os.close(file)


@pytest.mark.parametrize("garbage", [b"\0" * 3000, b"\n\n\n", b"\xff\xfe\n", b'00000000 0000000000001 {"number": 9}\n', b"x" * 2_500_000 + b"\n"])
def test_what_a_power_loss_leaves_in_a_file_is_skipped_and_what_follows_is_read(tmp_path, garbage):
    file = segments.create(tmp_path, f"{1:020d}-1-1-abcd{segments.SUFFIX}")
    for part in (segments.encode({"number": 0}, milliseconds=1), garbage):
        left = memoryview(part)
        while left:
            left = left[os.write(file, left) :]
    os.close(file)
    with Spool(tmp_path) as spool:
        spool.append(rows(1, 3))
    reader, damaged, found = Reader(tmp_path, "mongodb"), 0, []
    while batch := reader.read():
        damaged, found = damaged + batch.damaged, found + batch.records
        reader.commit(batch)
    assert found == rows(0, 3) and damaged >= 1
    assert sweep(tmp_path, ["mongodb"]) == 2


def test_a_cursor_that_cannot_be_read_delivers_again_and_loses_nothing(tmp_path):
    with Spool(tmp_path) as spool:
        spool.append(rows(0, 5))
    read_all(Reader(tmp_path, "mongodb"))
    for text in ("", "[1]", '{"a": 1}', '{"a": [1]}', "\0"):
        cursors.cursor_file(tmp_path, "mongodb").write_text(text)
        assert Reader(tmp_path, "mongodb").read().records == rows(0, 5)


@pytest.mark.parametrize("bad", [float("nan"), {1, 2}, float("inf"), "x" * (1 << 20)])
def test_a_record_that_is_not_json_or_too_long_is_refused_with_all_beside_it(tmp_path, bad):
    with Spool(tmp_path) as spool:
        with pytest.raises(DataError, match="record for the spool"):
            spool.append([{"number": 0}, {"number": bad}])
        assert spool.length("mongodb") == 0


def test_a_full_disk_is_one_clear_error_and_leaves_nothing_half_written(tmp_path):
    """A limit on the size of files gives the same as a full disk: part of the bytes are written, then none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with Spool(tmp_path) as spool:
            spool.append(rows(0, 2))
            (path,) = segments.listed(tmp_path)
            size = path.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, hard))
            with pytest.raises(SpoolError, match="3 records could not be written to the spool: File too large"):
                spool.append(rows(2, 5))
            assert path.stat().st_size == size
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            spool.append(rows(5, 6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert read_all(Reader(tmp_path, "mongodb")) == [*rows(0, 2), *rows(5, 6)]


def test_an_fsync_that_fails_is_told_by_sync_and_by_the_next_append_and_writing_goes_on(tmp_path, monkeypatch):
    with Spool(tmp_path, sync_s=60) as spool:
        spool.append(rows(0, 1))
        real = os.fsync

        def broken(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(SpoolError, match="could not be made durable: Input/output error"):
            spool.sync()
        monkeypatch.setattr(os, "fsync", real)
        spool.append(rows(1, 2))
        spool.sync()
    assert read_all(Reader(tmp_path, "mongodb")) == rows(0, 2)
    assert len(json.loads(cursors.cursor_file(tmp_path, "mongodb").read_text())) == 2  # a file whose fsync failed gets no more


def test_many_records_are_synced_together_and_none_waits_longer_than_it_may(tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def counted(descriptor: int) -> None:
        calls.append(time.monotonic())
        real(descriptor)

    with Spool(tmp_path, sync_s=0.2) as spool:
        spool.append(rows(0, 1))
        spool.sync()
        monkeypatch.setattr(os, "fsync", counted)
        for number in range(200):
            spool.append(rows(number, number + 1))
        wait_for(lambda: calls)
        assert len(calls) < 20
    monkeypatch.setattr(os, "fsync", real)


def test_so_many_records_are_not_left_waiting_for_the_time_to_pass(tmp_path, monkeypatch):
    real, synced = os.fsync, threading.Event()

    def told(descriptor: int) -> None:
        real(descriptor)
        synced.set()

    spool = Spool(tmp_path, sync_s=3600, sync_records=10)
    spool.append(rows(0, 1))
    monkeypatch.setattr(os, "fsync", told)
    spool.append(rows(1, 11))
    assert synced.wait(20)
    spool.close()


def test_a_killed_writer_loses_nothing_that_it_had_appended(tmp_path):
    folder, log = tmp_path / "spool", tmp_path / "log"
    with writer(folder, "a", log) as server:
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) > 300)
        os.kill(server.pid, signal.SIGKILL)
    acknowledged = int(log.read_text().splitlines()[-1])
    found = [record["number"] for record in read_all(Reader(folder, "mongodb"))]
    assert found == list(range(len(found))) and len(found) >= acknowledged
    assert sweep(folder, ["mongodb"]) > 0 and segments.listed(folder) == []


def test_several_processes_and_threads_write_one_spool_and_all_of_it_is_read_once(tmp_path):
    folder = tmp_path / "spool"
    servers = [writer(folder, str(name), tmp_path / f"log{name}", records=400) for name in range(3)]
    spool, reader, found = Spool(folder, segment_bytes=20_000), Reader(folder, "mongodb"), []
    threads = [threading.Thread(target=lambda name=name: [spool.append([{"writer": name, "number": number}]) for number in range(400)]) for name in ("x", "y")]
    for thread in threads:
        thread.start()
    while any(server.code is None for server in servers) or any(thread.is_alive() for thread in threads):
        found += read_all(reader)
        sweep(folder, ["mongodb"])
    spool.close()
    for server in servers:
        server.stop()
    found += read_all(reader)
    assert sorted((record["writer"], record["number"]) for record in found) == [(name, number) for name in "012xy" for number in range(400)]


def test_a_spool_made_before_a_fork_writes_a_segment_of_its_own_in_the_child(tmp_path):
    spool = Spool(tmp_path)
    spool.append(rows(0, 1))
    child = os.fork()
    if child == 0:
        spool.append(rows(1, 2))
        spool.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    spool.append(rows(2, 3))
    spool.close()
    assert len(segments.listed(tmp_path)) == 2
    assert sorted(record["number"] for record in read_all(Reader(tmp_path, "mongodb"))) == [0, 1, 2]


def test_a_segment_appears_only_once_it_is_locked(tmp_path):
    with Spool(tmp_path) as spool:
        spool.append(rows(0, 1))
        (path,) = segments.listed(tmp_path)
        assert segments.has_writer(path)
        with path.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert not segments.has_writer(path)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="the spool cannot be created: Not a directory"):
        Spool(tmp_path / "file" / "spool")
