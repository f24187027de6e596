"""Time /predict with and without the monitoring path, in the same run, through a real gunicorn and a real TorchServe.

    python -m benchmarks.prediction_service                       # about 4 minutes; writes benchmarks/prediction_service.md
    python -m benchmarks.prediction_service --requests 400 --out /tmp/prediction_service.md

Two services predict with the same served model. One has a spool, shipped to the embedded MongoDB server and the monitor, all busy
on this machine; the other logs nothing. Blocks of requests go to the two in turn, at a fixed rate. The target: the monitoring path
adds at most 1 ms to the 99th percentile.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import scoring, script
from driftloop import settings
from driftloop.cli import parsing
from driftloop.errors import ServingError
from driftloop.report import wording
from driftloop.system.ports import free_ports

if TYPE_CHECKING:
    from driftloop.data.streams import Stream
    from driftloop.serving.torchserve import TorchServe

TARGET_MS = 1.0
BLOCK = 50  # requests to one service before it is the other's turn
START_S = 120.0
ROWS = (1, 48)  # per request


@dataclass(frozen=True, eq=False)
class Timing:
    """Milliseconds of each request, (blocks, BLOCK), without and with the monitoring path; blocks i of both are neighbours in time."""

    rows: int  # per request
    without: np.ndarray
    logged: np.ndarray

    def added(self, percentile: float) -> tuple[float, float, float]:
        """The increase of a percentile with its 95 % interval (bootstrap of pairs of blocks)."""

        def difference(blocks: np.ndarray | slice) -> float:
            return float(np.percentile(self.logged[blocks], percentile) - np.percentile(self.without[blocks], percentile))

        rng = np.random.default_rng(settings.SEED)
        count = len(self.logged)
        resampled = [difference(rng.integers(0, count, count)) for _ in range(1000)]
        low, high = np.percentile(resampled, [2.5, 97.5])
        return difference(slice(None)), float(low), float(high)


def build_parser() -> parsing.Parser:
    """The flags of the benchmark."""
    parser = script.parser(__file__, __doc__)
    parser.add_argument("--requests", type=parsing.whole(2 * BLOCK), default=3000, help="requests to each service (default: %(default)s)")
    parser.add_argument("--rate", type=parsing.whole(1, 1000), default=60, help="requests per second (default: %(default)s)")
    return parser


def measured(args: argparse.Namespace) -> str:
    """The page; every prediction must be the model's and every record shipped."""
    return page(measure(requests=args.requests, rate=args.rate), command=args.command, rate=args.rate)


def measure(*, requests: int, rate: int) -> list[Timing]:
    """Train and serve a model of ELEC, start both services, time them.

    Raises:
        ServingError: something did not start, or a prediction was a fallback.
    """
    from driftloop.data import streams
    from driftloop.serving.torchserve import TorchServe

    stream = streams.load(None)
    with script.place() as folder, TorchServe(folder / "store") as torchserve:
        deploy(torchserve, stream, folder)
        with started(torchserve.client.inference_url, folder) as (without, logged):
            return [time_both(without, logged, stream, rows=rows, blocks=-(-requests // BLOCK), rate=rate) for rows in ROWS]


def deploy(torchserve: TorchServe, stream: Stream, folder: Path) -> None:
    """Serve a model with the documented defaults, and write its training reference to folder/references/elec."""
    from driftloop.training import reference, trained_model
    from driftloop.training.base import base_span
    from driftloop.training.fitting import fit
    from learner import ELEC
    from monitoring import stream_settings

    span = base_span(stream)
    fitted = fit(ELEC, stream, settings.DEFAULT_PARAMS, train=span, max_epochs=3, seed=settings.SEED)
    name = stream_settings.load()["elec"].model
    mar = scoring.archive_of(fitted, stream, name=name, version="1", store=torchserve.model_store)
    torchserve.client.register(mar, name=name, version="1")
    torchserve.client.wait_ready(name=name, version="1")
    newest = trained_model.predict(fitted.model, stream, reference.first_row(fitted.trained), fitted.trained[1])
    (folder / "references" / "elec").mkdir(parents=True)
    reference.write(reference.of_model(stream, fitted.trained, newest, run_id="benchmark"), folder / "references" / "elec")


@contextlib.contextmanager
def started(torchserve_url: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Both services, the shipper and the monitor; yields the ports of the services."""
    from driftloop.system.processes import Server

    monitor, without, logged = free_ports(3)
    service = ["prediction_service", "--streams", "elec", "--torchserve_url", torchserve_url, "--reference", "references"]
    commands = {
        "monitor": ["monitoring", "monitor", "--port", str(monitor), "--reference", "references"],
        "without": [*service, "--port", str(without), "--spool", ""],
        "logged": [*service, "--port", str(logged), "--spool", "spool", "--monitor_url", f"http://127.0.0.1:{monitor}"],
        "shipper": ["monitoring", "shipper", "--spool", "spool", "--monitor_url", f"http://127.0.0.1:{monitor}"],
    }
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, command in commands.items():
            server = Server([sys.executable, "-m", *command], log=folder / f"{name}.log", folder=folder, env={"PYTHONPATH": str(script.ROOT)})
            servers[name] = stack.enter_context(server)
        for port in (monitor, without, logged):
            script.wait_until(partial(_ready, port), servers=servers, within_s=START_S)
        yield without, logged
        script.wait_until(lambda: _shipped(logged), servers=servers, within_s=START_S)


def time_both(without: int, logged: int, stream: Stream, *, rows: int, blocks: int, rate: int) -> Timing:
    """Blocks of requests in turn, in alternating order, one client; each request has the stream's next rows."""
    bodies = itertools.cycle(_bodies(stream, rows=rows))
    times: dict[int, list[list[float]]] = {without: [], logged: []}
    connections = {port: http.client.HTTPConnection("127.0.0.1", port, timeout=30) for port in times}
    script.say(f"{rows} rows per request: {blocks} blocks each")
    for at in range(blocks + 1):  # the first block warms up
        for port in (without, logged) if at % 2 else (logged, without):
            times[port].append([_ask(connections[port], next(bodies), rate=rate) for _ in range(BLOCK)])
    return Timing(rows, np.array(times[without][1:]), np.array(times[logged][1:]))


def _bodies(stream: Stream, *, rows: int) -> list[bytes]:
    features = [dict(zip(stream.features, row, strict=True)) for row in stream.rows[-4800:].astype(float).round(6).clip(0, 1).tolist()]
    return [json.dumps([{"features": one} for one in features[at : at + rows]]).encode() for at in range(0, len(features), rows)]


def _ask(connection: http.client.HTTPConnection, body: bytes, *, rate: int) -> float:
    """Milliseconds of one request, followed by a pause so that `rate` requests per second are sent."""
    begun = time.perf_counter()
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    took = time.perf_counter() - begun
    if response.status != 200 or any(one["fallback"] for one in json.loads(text)["predictions"]):
        raise ServingError(f"HTTP {response.status}, or a prediction by a fallback: {text[:200]!r}")
    time.sleep(max(0.0, 1 / rate - took))
    return took * 1000


def _ready(port: int) -> bool:
    """Whether the service is ready, with a model: without one, its fallback would be timed."""
    try:
        ready = json.loads(_text(port, "/ready"))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return bool(ready) and not ready.get("streams", {}).get("elec", {}).get("fallback")


def _shipped(port: int) -> bool:
    """Whether the spool is empty: the path was complete and kept up."""
    return all(line.endswith(" 0.0") for line in _text(port, "/metrics").splitlines() if line.startswith("driftloop_spool_records"))


def _text(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def page(timings: list[Timing], *, command: str, rate: int) -> str:
    """The figures as Markdown."""
    undecided = [one.rows for one in timings if one.added(99)[1] <= TARGET_MS < one.added(99)[2]]
    several = " and ".join(wording.count(rows, "row") for rows in undecided)
    return script.page(
        "What the monitoring path adds to a prediction",
        f"Written by `{command}`, on two cores. Two services under gunicorn predict with one ELEC model in a real TorchServe with one worker. "
        "One of them logs: each record is appended to its spool before the response, and the shipper, the embedded MongoDB server and the monitor "
        f"work on the same two cores at the same time. One client sends {rate} requests per second, {BLOCK} to each service in turn. "
        "Times in milliseconds as the client sees them; the interval is from 1,000 bootstrap samples of pairs of neighbouring blocks.",
        script.table(
            "rows per request: | requests each: | percentile: | without: | with: | added: | 95 % interval: | target:",
            (_row(one, percentile) for one in timings for percentile in (50, 99)),
        ),
        f"At {several} per request the interval contains the target: this run alone does not decide it." if undecided else "",
        "Every prediction was the model's, and at the end every record had left the spool for both destinations.",
    )


def _row(one: Timing, percentile: int) -> list[object]:
    added, low, high = one.added(percentile)
    before, after = np.percentile(one.without, percentile), np.percentile(one.logged, percentile)
    sure = "" if high <= TARGET_MS or low > TARGET_MS else ", not certain"
    target = f"≤ {TARGET_MS:g}: {'met' if added <= TARGET_MS else 'missed'}{sure}" if percentile == 99 else ""
    figures = f"{before:.2f}", f"{after:.2f}", f"{added:+.2f}", f"{low:+.2f} to {high:+.2f}"
    return [one.rows, f"{one.logged.size:,}", percentile, *figures, target]


if __name__ == "__main__":
    sys.exit(script.run(build_parser(), measured))
