"""Time the monitor's ingest over HTTP, and track its memory over a million events.

    python -m benchmarks.monitor                    # 1,000,000 events, about 3 minutes; writes benchmarks/monitor.md
    python -m benchmarks.monitor --events 100000 --out /tmp/monitor.md

A real monitor is started in a process of its own. It gets rows of ELEC in batches, each with its label a day later, as a shipper
sends them; the labels complete blocks, which are judged on arrival, and features are compared with a training reference.
The resident memory (RSS) of the monitor's processes is read after each 100,000 events. The monitor must have counted every event once.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psutil
import requests

from benchmarks import elec_events, script
from driftloop import settings
from driftloop.cli import parsing
from driftloop.data import streams
from driftloop.data.streams import Stream
from driftloop.errors import ServingError
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from driftloop.training import reference
from driftloop.training.reference import About, Reference
from monitoring.records import events

STEP = 100_000  # events between two readings of the memory
BATCH = 1000  # records per request
DAY = 48  # rows until the label arrives
TARGET_RATE = 5000  # events a second
FLAT = 1.1  # memory after all events, relative to that after the first 200,000
START = datetime(2024, 1, 1, tzinfo=UTC)
REFERENCE_ROWS = 20_000
START_SECONDS = 120.0
ANSWER_SECONDS = 600.0  # on a busy machine the monitor may starve for minutes


@dataclass(frozen=True)
class Reading:
    """The state of the monitor after this many events."""

    events: int
    seconds: float  # of the requests
    cpu_seconds: float  # of the monitor's processes
    rss_mb: float


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--events", type=parsing.whole(STEP), default=1_000_000, help="events to send (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page."""
    readings = measure(args.events)
    last, early = readings[-1], readings[min(1, len(readings) - 1)]
    rate, growth = last.events / last.seconds, last.rss_mb / early.rss_mb
    return script.page(
        "The monitor's ingest",
        f"Written by `{args.command}`, on two cores shared with other work: rates depend on that machine at that time, figures per CPU second less so. "
        f"Batches of {BATCH:,} records over HTTP from one client, predictions and labels alternating; every block of 48 labelled rows is judged on "
        "arrival, and the features are compared with a training reference of 20,000 rows.",
        script.table(
            " | measured: | target: | ",
            [
                ["events per second", f"{rate:,.0f}", f"≥ {TARGET_RATE:,}", "met" if rate >= TARGET_RATE else "missed"],
                ["events per CPU second of the monitor, all its threads", f"{last.events / last.cpu_seconds:,.0f}", "", ""],
                [
                    f"memory after {last.events:,} events, relative to that after {early.events:,}",
                    f"{growth:.2f}",
                    f"≤ {FLAT:g}",
                    "met" if growth <= FLAT else "missed",
                ],
            ],
        ),
        "The windows and the remembered ids are full after about 100,000 events; from then on memory must be flat.",
        script.table(
            "events: | events per second so far: | resident memory of all its processes, MB:",
            ([f"{one.events:,}", f"{one.events / one.seconds:,.0f}", f"{one.rss_mb:.0f}"] for one in readings),
        ),
    )


def measure(events_wanted: int) -> list[Reading]:
    """Start a monitor, send it events, read its memory meanwhile.

    Raises:
        ServingError: it did not start, refused events, or counted a different number.
    """
    with script.place() as folder:
        (folder / "elec").mkdir()
        stream = streams.load(None)
        reference.write(some_reference(stream), folder / "elec")
        port = free_ports()[0]
        command = [sys.executable, "-m", "monitoring", "monitor", "--port", str(port), "--streams", "elec", "--reference", str(folder), "--mongodb_uri", ""]
        with Server(command, log=folder / "monitor.log", folder=script.ROOT) as server:
            url = f"http://127.0.0.1:{port}"
            script.wait_until(lambda: script.answers(f"{url}/ready"), servers={"monitor": server}, within_s=START_SECONDS)
            readings = send(url, server.pid, records(stream), events_wanted)
            counted = sum(float(value) for value in re.findall(r"driftloop_monitor_records_total\{.*\} (.*)", requests.get(f"{url}/metrics", timeout=60).text))
    if counted != events_wanted:
        raise ServingError(f"{events_wanted} events were sent, {counted:.0f} counted")
    return readings


def some_reference(stream: Stream) -> Reference:
    """The newest of ELEC's oldest 70 % of rows, with a model that is right on 9 of 10."""
    stop = int(settings.TRAIN_SHARE * len(stream))
    newest = slice(stop - REFERENCE_ROWS, stop)
    labels = stream.labels[newest]
    wrong = np.random.default_rng(settings.SEED).random(REFERENCE_ROWS) < 0.1
    about = About("elec", "classification", stream.features, stream.label_names, "benchmark", (0, stop))
    answers = np.where(wrong, 1 - labels, labels)
    return Reference(about, stream.rows[newest], labels, answers, np.full(REFERENCE_ROWS, 0.9), stream.times[newest])


def records(stream: Stream) -> Iterator[dict[str, Any]]:
    """Endless predictions of ELEC's rows, each followed by the label of the row a day before; one in ten is wrong."""
    rng = np.random.default_rng(settings.SEED)
    for number in itertools.count():
        row = number % len(stream)
        truth = int(stream.labels[row])
        when = events.time_text(START + timedelta(minutes=number))
        yield elec_events.prediction(f"{number:032x}", when, stream.rows[row], answer=truth if rng.random() < 0.9 else 1 - truth).as_json()
        if number >= DAY:
            yield events.Label(f"{number - DAY:032x}", "elec", int(stream.labels[(number - DAY) % len(stream)]), when).as_json()


def send(url: str, pid: int, source: Iterator[dict[str, Any]], wanted: int) -> list[Reading]:
    """Send events in batches; the time to create them does not count."""
    process = psutil.Process(pid)
    readings, sent, seconds, cpu_before = [], 0, 0.0, figures(process)[0]
    with requests.Session() as session:
        while sent < wanted:
            batch = list(itertools.islice(source, min(BATCH, wanted - sent)))
            started = time.perf_counter()
            try:
                response = session.post(f"{url}/ingest/elec", json={"records": batch}, timeout=ANSWER_SECONDS)
            except requests.RequestException as exc:
                raise ServingError(f"the monitor did not answer after {sent:,} events: {type(exc).__name__}") from exc
            seconds += time.perf_counter() - started
            if response.status_code != 200:
                raise ServingError(f"the monitor refused events: {response.text}")
            sent += len(batch)
            if sent % STEP == 0 or sent == wanted:
                cpu, rss = figures(process)
                readings.append(Reading(sent, seconds, cpu - cpu_before, rss))
                script.say(f"{sent:,} events, {sent / seconds:,.0f} per second, {rss:.0f} MB")
    return readings


def figures(process: psutil.Process) -> tuple[float, float]:
    """CPU seconds and resident megabytes of a process and its children."""
    family = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in family), sum(one.memory_info().rss for one in family) / 1e6


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
