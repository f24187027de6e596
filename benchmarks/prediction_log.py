"""Time the prediction log: into the spool, from there into the embedded MongoDB, and its memory over a million events.

    python -m benchmarks.prediction_log                 # some minutes; writes benchmarks/prediction_log.md
    python -m benchmarks.prediction_log --events 20000 --memory_events 50000 --out /tmp/prediction_log.md

The embedded server and the shipper are real processes. The log must hold each event once, with its label.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from benchmarks import elec_events, script
from driftloop.cli import parsing
from driftloop.errors import DataError
from driftloop.system import processes
from monitoring.log.embedded_mongo import Embedded
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.records import events
from monitoring.spool import cursors
from monitoring.spool.writer import Spool

START = datetime(2020, 1, 1, tzinfo=UTC)
FEATURES = (0.123456,) * 6
REQUEST = 48  # rows per request, a day block of ELEC
WAIT_S = 1800.0


@dataclass(frozen=True)
class Result:
    """One measured step: events per second, by the wall clock and by the CPU time of the busiest process."""

    name: str
    rate: float
    target: float
    cpu_rate: float
    note: str = ""


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--events", type=parsing.whole(1000), default=50_000, help="events appended to the spool (default: %(default)s)")
    parser.add_argument("--shipped", type=parsing.whole(5000), default=20_000, help="events shipped to the embedded server (default: %(default)s)")
    parser.add_argument("--memory_events", type=parsing.whole(1000), default=1_000_000, help="events over which memory is measured (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """Run all steps and return the page."""
    with script.place() as folder:
        singly, slowest = into_spool(folder / "singly", args.events, rows=1)
        results = [singly, into_spool(folder / "blocks", args.events, rows=REQUEST)[0], out_of_spool(folder / "blocks", args.events)]
        with Embedded(folder / "mongodb") as server:
            results += shipped(folder, server, args.shipped)
        sizes = memory(folder / "million", args.memory_events)
    return page(results, slowest, sizes, args)


def predictions(count: int) -> Iterator[events.Prediction]:
    """Events like ELEC's, half an hour apart."""
    for number in range(count):
        yield elec_events.prediction(events.new_id(), events.time_text(START + timedelta(minutes=30 * number)), FEATURES, answer=1)


def into_spool(folder: Path, count: int, *, rows: int) -> tuple[Result, list[float]]:
    """Append events, `rows` per call like a request; also the seconds of each call, sorted."""
    waiting = [record.as_json() for record in predictions(count)]
    took: list[float] = []
    with clock() as clocked, Spool(folder) as spool:
        for first in range(0, count, rows):
            started = time.perf_counter()
            spool.append(waiting[first : first + rows])
            took.append(time.perf_counter() - started)
    name = "into the spool, one event per call" if rows == 1 else f"into the spool, {rows} events per call"
    return Result(name, count / clocked.seconds, 5000, count / clocked.cpu), sorted(took)


def out_of_spool(folder: Path, count: int) -> Result:
    """Read all events again in batches, writing the cursor after each."""
    reader = cursors.Reader(folder, "bench")
    with clock() as clocked:
        read = 0
        while batch := reader.read():
            reader.commit(batch)
            read += len(batch.records)
    _demand(read == count, f"{read} of {count} events were read from the spool")
    return Result("out of the spool, with checks and cursor", count / clocked.seconds, 5000, count / clocked.cpu)


def shipped(folder: Path, server: Embedded, count: int) -> list[Result]:
    """Ship events, then their labels, into the embedded server with a shipper process; then read them."""
    kept = list(predictions(count))
    spool = Spool(folder / "shipped")
    spool.append([record.as_json() for record in kept])
    command = [sys.executable, "-m", "monitoring", "shipper", "--spool", str(spool.folder), "--mongodb_uri", server.uri]
    log = PredictionLog(Database(server.uri))
    with log, processes.Server(command, log=folder / "shipper.log", folder=script.ROOT) as shipper:
        watched = [psutil.Process(shipper.pid), psutil.Process(server.pid)]
        _until(lambda: spool.length("mongodb") < count, shipper)  # it has started and shipped the first batch
        results = [_emptying(spool, shipper, watched, "events shipped into the embedded server", 2000)]
        now = events.now()
        spool.append([events.Label(record.id, "elec", 1, now).as_json() for record in kept[: count // 10]])
        results.append(_emptying(spool, shipper, watched, "labels joined, one update each", math.nan))
        with clock() as clocked:
            rows = [(row["id"], row.get("label")) for row in log.read("elec")]
    expected = [(record.id, 1 if number < count // 10 else None) for number, record in enumerate(kept)]
    _demand(rows == expected, "the log does not hold each event once, in time order, with its label")
    spool.close()
    return [*results, Result("read from the log in time order", count / clocked.seconds, math.nan, math.nan)]


def _emptying(spool: Spool, shipper: processes.Server, watched: list[psutil.Process], name: str, target: float) -> Result:
    waiting = spool.length("mongodb")
    cpu = [sum(process.cpu_times()[:2]) for process in watched]
    started = time.perf_counter()
    _until(lambda: spool.length("mongodb") == 0, shipper)
    seconds = time.perf_counter() - started
    script.say(f"{name}: {waiting:,} in {seconds:.1f} s")
    used = [sum(process.cpu_times()[:2]) - before for process, before in zip(watched, cpu, strict=True)]
    note = f"CPU: shipper {1e6 * used[0] / waiting:.0f} µs, server {1e6 * used[1] / waiting:.0f} µs each"
    return Result(name, waiting / seconds, target, waiting / max(used), note)


def memory(folder: Path, count: int) -> tuple[float, float]:
    """MB of this process after a tenth of the events and after all, each written, read and deleted."""
    process = psutil.Process()
    sizes = []
    made, reader = predictions(count), cursors.Reader(folder, "bench")
    with Spool(folder) as spool:
        for number in range(10):
            part = itertools.islice(made, count // 10)
            while some := [record.as_json() for record in itertools.islice(part, 1000)]:
                spool.append(some)
            while batch := reader.read():
                for record in batch.records:
                    events.from_json(record)
                reader.commit(batch)
            cursors.sweep(folder, ["bench"])
            sizes.append(process.memory_info().rss / 1e6)
            script.say(f"memory: {number + 1}0 % of {count:,} events, {sizes[-1]:.0f} MB")
    return sizes[0], sizes[-1]


@dataclass
class Clock:
    """Seconds of the wall clock and of this process's CPU."""

    seconds: float = 0.0
    cpu: float = 0.0


@contextmanager
def clock() -> Iterator[Clock]:
    """Measure a block."""
    clocked, started, cpu = Clock(), time.perf_counter(), time.process_time()
    yield clocked
    clocked.seconds, clocked.cpu = time.perf_counter() - started, time.process_time() - cpu


def _until(done: Callable[[], bool], shipper: processes.Server) -> None:
    script.wait_until(done, servers={"shipper": shipper}, within_s=WAIT_S)


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise DataError(message)


def page(results: list[Result], took: list[float], sizes: tuple[float, float], args: argparse.Namespace) -> str:
    """The figures as Markdown."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    busy = ": other work took most of the time, so look at the second column" if load > 2 * cores else ""
    return script.page(
        "The prediction log",
        f"Written by `{args.command}`, on {cores} cores with a load average of {load:.1f} at the end{busy}. "
        f"An event is a prediction of ELEC with six features. {args.events:,} go into the spool and out of it, {args.shipped:,} into the embedded "
        "server, with one index, each write flushed to disk before it counts. The first rate is by the wall clock; the second is what the busiest "
        "process would reach with a core of its own, from its CPU time, without waiting for the disk.",
        script.table(" | per second: | with a core of its own: | target: | ", map(_row, results)),
        f"A call that appends one event took {1e6 * took[len(took) // 2]:.0f} µs in the median and {1e6 * took[int(0.99 * len(took))]:.0f} µs at the 99th "
        "percentile, while another thread called fsync.",
        f"Memory: {args.memory_events:,} events were written, read, checked and their segments deleted in one process. It used {sizes[0]:.0f} MB "
        f"after the first tenth and {sizes[1]:.0f} MB at the end: {'flat' if sizes[1] <= 1.1 * sizes[0] else '**it grew**'}.",
    )


def _row(one: Result) -> list[str]:
    reached = "" if math.isnan(one.target) else "reached" if one.rate >= one.target else "**missed**"
    own, target = ("" if math.isnan(value) else f"{value:,.0f}" for value in (one.cpu_rate, one.target))
    return [one.name, f"{one.rate:,.0f}", own, target, "; ".join(filter(None, [reached, one.note]))]


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
