"""Time POST /log through a real gunicorn, and kill the service under load: nothing that it acknowledged may be lost.

    python -m benchmarks.log_service                     # half a minute; writes benchmarks/log_service.md
    python -m benchmarks.log_service --batches 50 --out /tmp/log_service.md

The service is started as the project starts it; its one stream is served elsewhere: no TorchServe, no registry. One client sends batches of
1,000 records on one connection, each batch after the answer to the one before; the bodies are written before the clock starts. Then a client
sends batches while the service is killed (SIGKILL of all its processes) and started again; it repeats a batch that was not answered, as a
client must. In the end the records of the spool are joined by id, as the prediction log does. The target: 20,000 records a second, none lost.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import script
from driftloop import settings
from driftloop.cli import parsing
from driftloop.errors import ServingError
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server

TARGET = 20_000  # records a second
BATCH = 1000  # records per request
START_S = 120.0
STREAM = {
    "served": "elsewhere",
    "kpi": "accuracy",
    "labels": ["no", "yes"],
    "block_size": 100,
    "threshold": 0.8,
    "features": {
        **{name: {"low": 0, "high": 1} for name in ("age", "balance", "usage", "tenure")},
        "zone": {"low": 1, "high": 265, "categorical": True},
        "plan": {"texts": ["free", "paid"]},
    },
}


@dataclass(frozen=True)
class Killed:
    """The outcome of the kills: batches acknowledged, their records in the log, and those there more or less than once."""

    kills: int
    acknowledged: int  # records
    lost: int  # acknowledged, and not in the log
    torn: int  # batches that are there in part
    repeated: int  # records that the spool has twice, of batches that were sent again: the log keeps one


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--batches", type=parsing.whole(10), default=100, help="batches that are timed (default: %(default)s)")
    parser.add_argument("--kills", type=parsing.whole(1, 50), default=5, help="times that the service is killed (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page."""
    with script.place() as folder:
        (folder / "streams.yaml").write_text(json.dumps({"churn": STREAM}), encoding="utf-8")  # JSON is YAML
        script.say(f"{args.batches} batches of {BATCH:,} records")
        times, size = time_batches(folder, batches=args.batches)
        script.say(f"{args.kills} kills under load")
        return page(times, size, kill(folder, kills=args.kills), command=args.command)


@contextlib.contextmanager
def started(folder: Path, port: int, *, spool: str) -> Iterator[Server]:
    """The service, ready."""
    command = [sys.executable, "-m", "prediction_service", "--streams", "churn", "--streams_file", "streams.yaml", "--port", str(port), "--spool", spool]
    with Server(command, log=folder / "service.log", folder=folder, env={"PYTHONPATH": str(script.ROOT)}) as server:
        script.wait_until(partial(script.answers, f"http://127.0.0.1:{port}/ready"), servers={"service": server}, within_s=START_S)
        yield server


def body(first: int) -> bytes:
    """A batch whose ids are numbers from `first` on."""
    rng = np.random.default_rng([settings.SEED, first])
    numbers, begin = rng.random((BATCH, 5)).round(6).tolist(), datetime(2020, 1, 1, tzinfo=UTC)
    records = [_record(first + at, row, begin) for at, row in enumerate(numbers)]
    return json.dumps({"version": "7", "records": records}).encode()


def _record(number: int, row: Sequence[float], begin: datetime) -> dict[str, Any]:
    features = dict(zip(("age", "balance", "usage", "tenure"), row, strict=False)) | {"zone": 1 + number % 265, "plan": "paid" if number % 3 else "free"}
    when = (begin + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
    share = round(row[4], 6)
    return {"id": f"r{number}", "time": when, "features": features, "prediction": "yes", "probabilities": [round(1 - share, 6), share]}


def time_batches(folder: Path, *, batches: int) -> tuple[np.ndarray, int]:
    """Seconds of each batch, and the bytes of one; the first ten warm up.

    Raises:
        ServingError: a batch was not taken.
    """
    (port,) = free_ports(1)
    bodies = [body(at * BATCH) for at in range(batches + 10)]
    with started(folder, port, spool="timed"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        times = [_sent(connection, one) for one in bodies]
    if (found := len(logged(folder / "timed"))) != len(bodies) * BATCH:
        raise ServingError(f"the spool has {found:,} of {len(bodies) * BATCH:,} records")
    return np.array(times[10:]), len(bodies[0])


def _sent(connection: http.client.HTTPConnection, one: bytes) -> float:
    begun = time.perf_counter()
    connection.request("POST", "/log", one, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    if response.status != 202:
        raise ServingError(f"POST /log: HTTP {response.status}: {text[:200]!r}")
    return time.perf_counter() - begun


def kill(folder: Path, *, kills: int) -> Killed:
    """Kill the service while a client sends, several times."""
    (port,) = free_ports(1)
    acknowledged: list[int] = []
    stop = threading.Event()
    client = threading.Thread(target=_send_on, args=(port, acknowledged, stop), daemon=True)
    rng = np.random.default_rng(settings.SEED)
    try:
        for at in range(kills):
            with started(folder, port, spool="killed") as server:
                if not at:
                    client.start()
                script.wait_until(partial(_more, acknowledged, len(acknowledged) + 10), servers={"service": server}, within_s=START_S)
                time.sleep(rng.uniform(0, 0.1))  # anywhere in a request
                os.killpg(server.pid, signal.SIGKILL)
                while server.code is None:
                    time.sleep(0.01)
    finally:
        stop.set()
    client.join(30)
    there = logged(folder / "killed")
    rows = Counter(number // BATCH for number in there)
    lost = sum(first + at not in there for first in acknowledged for at in range(BATCH))
    return Killed(kills, len(acknowledged) * BATCH, lost, sum(count != BATCH for count in rows.values()), sum(there.values()) - len(there))


def _more(acknowledged: Sequence[int], than: int) -> bool:
    return len(acknowledged) > than


def _send_on(port: int, acknowledged: list[int], stop: threading.Event) -> None:
    """Send batches, each until it is acknowledged."""
    first = 0
    one = body(first)
    while not stop.is_set():
        try:
            _sent(http.client.HTTPConnection("127.0.0.1", port, timeout=30), one)
        except (OSError, http.client.HTTPException):
            stop.wait(0.02)
            continue
        acknowledged.append(first)
        first += BATCH
        one = body(first)


def logged(spool: Path) -> Counter[int]:
    """How often each record is in a spool."""
    from monitoring.spool.cursors import Reader

    reader, found = Reader(spool, "mongodb"), Counter[int]()
    while batch := reader.read():
        found.update(int(record["id"][1:]) for record in batch.records)
        reader.commit(batch)
    return found


def page(times: np.ndarray, size: int, killed: Killed, *, command: str) -> str:
    """The figures as Markdown."""
    rate = BATCH * len(times) / times.sum()
    p50, p99 = (1000 * np.percentile(times, which) for which in (50, 99))
    return script.page(
        "Predictions of another system: POST /log",
        f"Written by `{command}`, on two cores, with the client on the same machine. One client sends batches of {BATCH:,} records with six features, a time, "
        f"an id and two probabilities ({size:,} bytes a batch) to a real gunicorn on one connection, each after the answer to the one before. A batch is "
        "validated whole, appended to the spool in one write, and acknowledged; another thread calls fsync.",
        script.table("batches: | records a second: | p50 of a batch (ms): | p99 (ms):", [[len(times), f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}"]]),
        f"The service was then killed {killed.kills} times (SIGKILL) under such a client, which repeats a batch that was not answered:",
        script.table(
            "kills: | acknowledged records: | of these lost: | batches in part: | in the spool twice:",
            [[killed.kills, f"{killed.acknowledged:,}", killed.lost, killed.torn, f"{killed.repeated:,}"]],
        ),
        "A batch is in the spool twice where the service died between its write and its answer. The log joins by id and keeps each record once.",
        script.targets(
            [
                (f"{TARGET:,} records a second", bool(rate >= TARGET)),
                ("nothing acknowledged is lost, no batch is taken in part", not killed.lost and not killed.torn),
            ]
        ),
    )


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
