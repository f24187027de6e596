"""Time the monitor's ingest over HTTP, and watch its memory over a million events.

    python -m benchmarks.monitor                    # 1,000,000 events, about 3 minutes; writes benchmarks/monitor.md
    python -m benchmarks.monitor --events 100000 --out /tmp/monitor.md

A real monitor is started as a process of its own. Rows of ELEC are sent in batches, each with its label a day later, as a shipper
sends them; the labels make blocks, which are judged on the way, and a training reference is at hand, with which features are compared.
The resident memory (RSS) of the monitor's processes is read after each 100,000 events. The known answer: the monitor has counted every event once.
"""

from __future__ import annotations

import itertools
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from benchmarks import script
from driftloop import settings
from driftloop.cli import parsing
from driftloop.data import streams
from driftloop.data.streams import Stream
from driftloop.errors import ServingError
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from driftloop.training import reference
from driftloop.training.reference import About, Reference
from monitoring import stream_settings
from monitoring.records import events

ROOT = Path(__file__).resolve().parent.parent
STEP = 100_000  # events between two looks at the memory
BATCH = 1000  # records a request
DAY = 48  # rows after which the label comes
TARGET_RATE = 5000  # events a second
FLAT = 1.1  # memory after all events, of that after the first 200,000
START = datetime(2024, 1, 1, tzinfo=UTC)
REFERENCE_ROWS = 20_000
START_SECONDS = 120.0
ANSWER_SECONDS = 600.0  # a machine that others use may starve the monitor for minutes


@dataclass(frozen=True)
class Look:
    """The monitor after so many events."""

    events: int
    seconds: float  # since the first
    cpu_seconds: float  # of the monitor's processes
    rss_mb: float


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--events", type=parsing.whole(STEP), default=1_000_000, help="events to send (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; 0 when every event was counted once."""
    return script.run(build_parser(), lambda args, given: page(measure(args.events), command=given), argv)


def measure(events_wanted: int) -> list[Look]:
    """Start a monitor, send it events, look at it on the way.

    Raises:
        ServingError: it did not start, refused events, or has counted other than were sent.
    """
    with tempfile.TemporaryDirectory(prefix="driftloop-bench-") as made:
        folder = Path(made)
        (folder / "elec").mkdir()
        stream = streams.load(None)
        reference.write(some_reference(stream), folder / "elec")
        port = free_ports()[0]
        command = [sys.executable, "-m", "monitoring", "monitor", "--port", str(port), "--streams", "elec", "--reference", str(folder), "--mongodb_uri", ""]
        with Server(command, log=folder / "monitor.log", folder=ROOT) as server:
            url = f"http://127.0.0.1:{port}"
            wait(url, server)
            looks = send(url, server.pid, records(stream), events_wanted)
            counted = sum(float(value) for value in re.findall(r"driftloop_monitor_records_total\{.*\} (.*)", requests.get(f"{url}/metrics", timeout=60).text))
    if counted != events_wanted:
        raise ServingError(f"{events_wanted} events were sent and {counted:.0f} counted")
    return looks


def some_reference(stream: Stream) -> Reference:
    """ELEC's rows up to 70 %, as if a model had been right on 9 of 10."""
    stop = int(settings.TRAIN_SHARE * len(stream))
    newest = slice(stop - REFERENCE_ROWS, stop)
    labels = stream.labels[newest]
    wrong = np.random.default_rng(settings.SEED).random(REFERENCE_ROWS) < 0.1
    about = About("elec", "classification", stream.features, stream.label_names, "benchmark", (0, stop))
    answers = np.where(wrong, 1 - labels, labels)
    return Reference(about, stream.rows[newest], labels, answers, np.full(REFERENCE_ROWS, 0.9), stream.times[newest])


def records(stream: Stream) -> Iterator[dict[str, Any]]:
    """Predictions of ELEC's rows without end, every one followed by the label of the row a day before; one in ten is wrong."""
    names = stream_settings.load()["elec"].feature_names
    rng = np.random.default_rng(settings.SEED)
    for number in itertools.count():
        row = number % len(stream)
        truth = int(stream.labels[row])
        answer = truth if rng.random() < 0.9 else 1 - truth
        when = events.time_text(START + timedelta(minutes=number))
        yield {
            "kind": "prediction",
            "id": f"{number:032x}",
            "stream": "elec",
            "time": when,
            "served_at": when,
            "model": "drift_model",
            "version": "1",
            "features": dict(zip(names, map(float, stream.rows[row]), strict=True)),
            "prediction": answer,
            "probability": 0.9,
            "probabilities": [0.9, 0.1] if answer == 0 else [0.1, 0.9],
            "baseline": 0,
            "fallback": "",
            "latency_ms": 3.0,
        }
        if number >= DAY:
            label = int(stream.labels[(number - DAY) % len(stream)])
            yield {"kind": "label", "id": f"{number - DAY:032x}", "stream": "elec", "label": label, "labelled_at": when}


def send(url: str, pid: int, source: Iterator[dict[str, Any]], wanted: int) -> list[Look]:
    """Send events in batches; the time in which they are made is not counted."""
    process = psutil.Process(pid)
    looks, sent, seconds, cpu_before = [], 0, 0.0, figures(process)[0]
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
                looks.append(Look(sent, seconds, cpu - cpu_before, rss))
                print(f"{sent:,} events, {sent / seconds:,.0f} a second, {rss:.0f} MB", file=sys.stderr)
    return looks


def figures(process: psutil.Process) -> tuple[float, float]:
    """CPU seconds and resident megabytes of a process and those below it."""
    family = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in family), sum(one.memory_info().rss for one in family) / 1e6


def wait(url: str, server: Server) -> None:
    """Wait until the monitor answers.

    Raises:
        ServingError: it does not, or it ended.
    """
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.code is None:
        try:
            if requests.get(f"{url}/ready", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise ServingError(f"the monitor did not start: {server.log.read_text(encoding='utf-8')[-300:]}")


def page(looks: list[Look], *, command: str) -> str:
    """The figures as Markdown."""
    last = looks[-1]
    early = looks[min(1, len(looks) - 1)]
    rate, growth = last.events / last.seconds, last.rss_mb / early.rss_mb
    lines = [
        "# The monitor's ingest",
        "",
        f"Written by `{command}`, on two cores that other work shared: rates are of that machine in that hour, the figures per CPU second travel better.",
        f"Batches of {BATCH:,} records over HTTP from one client, predictions and labels by turns; every block of 48 labelled rows is judged on the way, the",
        "features are compared with a training reference of 20,000 rows all along.",
        "",
        "| | seen | target | |",
        "|---|---:|---:|---|",
        f"| events a second, waited for | {rate:,.0f} | ≥ {TARGET_RATE:,} | {told(rate >= TARGET_RATE)} |",
        f"| events a CPU second of the monitor, all its threads | {last.events / last.cpu_seconds:,.0f} | | |",
        f"| memory after {last.events:,} events, of that after {early.events:,} | {growth:.2f} | ≤ {FLAT:g} | {told(growth <= FLAT)} |",
        "",
        "The windows and the ids that are remembered are full after about 100,000 events; memory is to be flat from then on.",
        "",
        "| events | events a second so far | resident memory of all its processes, MB |",
        "|---:|---:|---:|",
        *(f"| {look.events:,} | {look.events / look.seconds:,.0f} | {look.rss_mb:.0f} |" for look in looks),
        "",
    ]
    return "\n".join(lines)


def told(met: bool) -> str:
    """Whether a target was met, in a word."""
    return "met" if met else "missed"


if __name__ == "__main__":
    sys.exit(main())
