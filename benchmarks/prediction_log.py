"""Time the prediction log: into the spool, out of it into the embedded MongoDB, and memory over a million events.

    python -m benchmarks.prediction_log                 # some minutes; writes benchmarks/prediction_log.md
    python -m benchmarks.prediction_log --events 20000 --memory_events 50000 --out /tmp/prediction_log.md

The embedded server and the shipper are real processes; every figure is of this run. The known answer: the log holds
each event once, and each has its label.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from benchmarks import script
from driftloop.cli import parsing
from driftloop.errors import DataError
from driftloop.system import processes
from monitoring.log.embedded_mongo import Embedded
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.records import events
from monitoring.spool import cursors
from monitoring.spool.writer import Spool

ROOT = Path(__file__).resolve().parent.parent
START = datetime(2020, 1, 1, tzinfo=UTC)
FEATURES = ("period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
REQUEST = 48  # rows of one request, the day block of ELEC
WAIT_S = 1800.0


@dataclass(frozen=True)
class Result:
    """One measured way: events a second, of the wall clock and of the busiest process's own CPU time."""

    name: str
    rate: float
    target: float
    cpu_rate: float
    note: str = ""


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--events", type=parsing.whole(1000), default=50_000, help="events put into the spool (default: %(default)s)")
    parser.add_argument("--shipped", type=parsing.whole(1000), default=20_000, help="events shipped to the embedded server (default: %(default)s)")
    parser.add_argument("--memory_events", type=parsing.whole(1000), default=1_000_000, help="events over which memory is measured (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; 0 when every event arrived once."""
    return script.run(build_parser(), lambda args, given: measure(args, command=given), argv)


def measure(args: argparse.Namespace, *, command: str) -> str:
    """Run all parts and give the page."""
    with tempfile.TemporaryDirectory(prefix="driftloop-bench-") as name:
        folder = Path(name)
        singly, slowest = into_spool(folder / "singly", args.events, rows=1)
        say("into the spool: measured once")
        results = [singly, into_spool(folder / "blocks", args.events, rows=REQUEST)[0], out_of_spool(folder / "blocks", args.events)]
        with Embedded(folder / "mongodb") as server:
            results += shipped(folder, server, args.shipped)
        first, last = memory(folder / "million", args.memory_events)
    return page(results, slowest, (first, last), args, command=command)


def predictions(count: int) -> Iterator[events.Prediction]:
    """So many events as ELEC's are, half an hour apart."""
    made = events.Prediction(
        id="",
        stream="elec",
        time="",
        served_at=events.now(),
        model="drift_model",
        version="3",
        features=dict.fromkeys(FEATURES, 0.123456),
        prediction=1,
        probability=0.61,
        probabilities=[0.39, 0.61],
        baseline=0,
        fallback="",
        latency_ms=3.25,
    )
    for number in range(count):
        yield replace(made, id=events.new_id(), time=events.time_text(START + timedelta(minutes=30 * number)))


def into_spool(folder: Path, count: int, *, rows: int) -> tuple[Result, list[float]]:
    """Append events, `rows` a call as one request does; also what a call took, sorted, in seconds."""
    waiting = [record.as_json() for record in predictions(count)]
    took: list[float] = []
    with clock() as clocked, Spool(folder) as spool:
        for first in range(0, count, rows):
            started = time.perf_counter()
            spool.append(waiting[first : first + rows])
            took.append(time.perf_counter() - started)
    name = "into the spool, one event a call" if rows == 1 else f"into the spool, {rows} events a call"
    return Result(name, count / clocked.seconds, 5000, count / clocked.cpu), sorted(took)


def out_of_spool(folder: Path, count: int) -> Result:
    """Read all events again, batch by batch, with the cursor written after each."""
    reader = cursors.Reader(folder, "bench")
    with clock() as clocked:
        read = 0
        while batch := reader.read():
            reader.commit(batch)
            read += len(batch.records)
    _demand(read == count, f"{read} of {count} events were read from the spool")
    return Result("out of the spool, checked and with its cursor", count / clocked.seconds, 5000, count / clocked.cpu)


def shipped(folder: Path, server: Embedded, count: int) -> list[Result]:
    """Let a shipper process bring events, and then their labels, into the embedded server; then read them."""
    kept = list(predictions(count))
    spool = Spool(folder / "shipped")
    spool.append([record.as_json() for record in kept])
    command = [sys.executable, "-m", "monitoring", "shipper", "--spool", str(spool.folder), "--mongodb_uri", server.uri]
    log = PredictionLog(Database(server.uri))
    with log, processes.Server(command, log=folder / "shipper.log", folder=ROOT) as shipper:
        watched = [psutil.Process(shipper.pid), psutil.Process(server.pid)]
        _until(lambda: spool.length("mongodb") < count)  # started, and the first batch through
        results = [_emptying(spool, watched, "events shipped into the embedded server", 2000)]
        now = events.now()
        spool.append([events.Label(record.id, "elec", 1, now).as_json() for record in kept[: count // 10]])
        results.append(_emptying(spool, watched, "labels joined there, each an update", float("nan")))
        with clock() as clocked:
            rows = [(row["id"], row.get("label")) for row in log.read("elec")]
    expected = [(record.id, 1 if number < count // 10 else None) for number, record in enumerate(kept)]
    _demand(rows == expected, "the log does not hold each event once, in the order of time, with its label")
    spool.close()
    return [*results, Result("read from the log in the order of time", count / clocked.seconds, float("nan"), float("nan"))]


def _emptying(spool: Spool, watched: list[psutil.Process], name: str, target: float) -> Result:
    waiting = spool.length("mongodb")
    cpu = [sum(process.cpu_times()[:2]) for process in watched]
    started = time.perf_counter()
    _until(lambda: spool.length("mongodb") == 0)
    seconds = time.perf_counter() - started
    say(f"{name}: {waiting:,} in {seconds:.1f} s")
    used = [sum(process.cpu_times()[:2]) - before for process, before in zip(watched, cpu, strict=True)]
    note = f"CPU: shipper {1e6 * used[0] / waiting:.0f} µs, server {1e6 * used[1] / waiting:.0f} µs each"
    return Result(name, waiting / seconds, target, waiting / max(used), note)


def memory(folder: Path, count: int) -> tuple[float, float]:
    """MB of this process after a tenth of the events and after all, each written, read and swept away."""
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
            say(f"memory: {number + 1}0 % of {count:,} events, {sizes[-1]:.0f} MB")
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


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def _until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not what():
        _demand(time.monotonic() < end, "the shipper did not come to its end; see its log")
        time.sleep(0.02)


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise DataError(message)


def page(results: list[Result], took: list[float], sizes: tuple[float, float], args: argparse.Namespace, *, command: str) -> str:
    """The figures as Markdown."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    lines = [
        "# The prediction log",
        "",
        f"Written by `{command}`, on {cores} cores with a load average of {load:.1f} at the end"
        f"{': other work took most of the time, so look at the second column' if load > 2 * cores else ''}.",
        f"An event is a prediction of ELEC with six features. {args.events:,} go into the spool and out of it, {args.shipped:,} into the embedded",
        "server, with one index, each write on the disk before it counts. The first rate is of the wall clock, the second what the busiest process",
        "would reach with a core of its own, from its CPU time; waiting for the disk is in the first alone.",
        "",
        "| | a second | with a core of its own | target | |",
        "|---|---:|---:|---:|---|",
    ]
    for one in results:
        reached = "" if one.target != one.target else "reached" if one.rate >= one.target else "**missed**"
        target = "" if one.target != one.target else f"{one.target:,.0f}"
        own = "" if one.cpu_rate != one.cpu_rate else f"{one.cpu_rate:,.0f}"
        lines.append(f"| {one.name} | {one.rate:,.0f} | {own} | {target} | {' '.join(filter(None, [reached, one.note]))} |")
    lines += [
        "",
        f"A call that appends one event took {1e6 * took[len(took) // 2]:.0f} µs in the median and {1e6 * took[int(0.99 * len(took))]:.0f} µs at the 99th",
        "percentile, while another thread called fsync.",
        "",
        f"Memory: {args.memory_events:,} events were written, read, checked and their segments deleted in one process. It held {sizes[0]:.0f} MB",
        f"after the first tenth and {sizes[1]:.0f} MB at the end: {'flat' if sizes[1] <= 1.1 * sizes[0] else '**it grew**'}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
