"""What the tests of the prediction service share: references, a real service process, and stand-ins for what can fail.

The stand-ins are HTTP servers that answer as TorchServe's handler and as the monitor do, and that can be told to fail in
ways in which the real ones cannot be made to fail at will.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from flask import Flask

from driftloop.settings import ROOT
from driftloop.system.ports import free_ports
from driftloop.system.processes import Server
from driftloop.training import reference
from monitoring import stream_settings
from monitoring.records import events
from monitoring.spool.cursors import Reader
from monitoring.stream_settings import StreamConfig
from prediction_service import fallback_tables
from prediction_service.app import create_app
from prediction_service.service_settings import Settings

STREAMS = stream_settings.load()
ELEC = {"period": 0.5, "nswprice": 0.06, "nswdemand": 0.4, "vicprice": 0.003, "vicdemand": 0.4, "transfer": 0.4}
TAXI = {"pickup_zone": 132, "dropoff_zone": 161, "distance_miles": 17.5, "hour": 8, "weekday": 2}
FEATURES = {"elec": ELEC, "taxi": TAXI}


class StandIn:
    """An HTTP server on a free port of this machine; `mode` says how it answers from now on."""

    def __init__(self) -> None:
        self.mode = "well"  # well | error | slow | garbage | list | endless | nan | bad_label
        self.version = "1"
        self.about: dict[str, Any] = {"history": 0}  # what the answer says besides its predictions
        self.verdict: dict[str, Any] = {"acceptable": True, "version": "1"}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(self.path)
                self.answer(*outer.predict(self.path, body))

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.answer(200, json.dumps(outer.verdict))

            def answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # who asked waits no longer
                    self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def predict(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        if self.mode == "error":
            return 503, json.dumps({"code": 503, "type": "ServiceUnavailableException", "message": "no worker"})
        if self.mode == "slow":
            time.sleep(5)
        if self.mode in {"garbage", "list"}:
            return 200, "<html>" if self.mode == "garbage" else "[1]"
        if self.mode == "endless":
            self.about["history"] = float("inf")
        if path.endswith(STREAMS["taxi"].model):
            one: dict[str, Any] = {"value": 21.5, "version": self.version}
        else:
            one = {"label": 1, "probability": 0.75, "probabilities": [0.25, 0.75], "version": self.version}
        if self.mode == "nan":
            one = {**one, "value": float("nan"), "probability": float("nan")}
        if self.mode == "bad_label":
            one = {**one, "label": "UP", "value": None}
        return 200, json.dumps({**self.about, "predictions": [one] * len(body["instances"])})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def some_reference(stream: StreamConfig) -> reference.Reference:
    """400 rows whose label depends on the first feature the fallback groups by."""
    rng = np.random.default_rng(3)
    rows = np.column_stack(
        [rng.integers(int(one.low), 3 + int(one.low), 400) if one.categorical else rng.uniform(one.low, one.high, 400).round(1) for one in stream.features]
    ).astype(float)
    lead = rows[:, stream.feature_names.index(stream.fallback_by[0])]
    labels = (lead > 0.5).astype(int) if stream.task == "classification" else lead * 10.0
    times = np.datetime64("2020-01-01", "ns") + np.arange(400) * np.timedelta64(30, "m")
    about = reference.About(stream.name, stream.task, stream.feature_names, stream.labels, "run", (0, 400))
    return reference.Reference(about, rows, labels, labels, np.full(400, 0.9), times)


def write_references(folder: Path) -> Path:
    for stream in STREAMS.values():
        (folder / stream.name).mkdir(parents=True)
        reference.write(some_reference(stream), folder / stream.name)
    return folder


def some_settings(url: str, *, spool: Path | None, streams: tuple[str, ...] = ("elec", "taxi"), **changes: Any) -> Settings:
    served = {name: STREAMS[name] for name in streams}
    fallbacks = {name: fallback_tables.table(some_reference(stream), stream, version="1") for name, stream in served.items()}
    return Settings(**{"streams": served, "fallbacks": fallbacks, "torchserve_url": url, "spool": spool, "look_every_s": 0.1, **changes})


@pytest.fixture
def served_model() -> Iterator[StandIn]:
    """A model server for one test."""
    made = StandIn()
    yield made
    made.close()


@pytest.fixture
def service(served_model: StandIn, tmp_path: Path) -> Iterator[Flask]:
    """A prediction service in this process, with its spool in tmp_path/spool."""
    made = create_app(some_settings(served_model.url, spool=tmp_path / "spool"))
    yield made
    made.extensions["close"]()


def logged(folder: Path) -> list[dict[str, Any]]:
    """The records in folder/spool; each must be one that the log takes."""
    records = Reader(folder / "spool", "mongodb").read().records
    for record in records:
        events.from_json(record)
    return records


def row(stream: str = "elec", **changes: Any) -> dict[str, Any]:
    """A valid row; keyword arguments replace its keys."""
    return {"stream": stream, "features": FEATURES[stream], **changes}


@contextlib.contextmanager
def running(torchserve_url: str, folder: Path, *more: str, streams: str = "elec,taxi") -> Iterator[tuple[str, Server]]:
    """A real service: gunicorn in a process of its own, with its spool in `folder`/spool. Gives its address and its process."""
    references_folder = folder / "references"
    if not references_folder.exists():
        write_references(references_folder)
    port = free_ports()[0]
    command = [sys.executable, "-m", "prediction_service", "--streams", streams, "--torchserve_url", torchserve_url, "--port", str(port)]
    command += ["--reference", str(references_folder), "--look_every_ms", "100", "--spool", str(folder / "spool"), *more]
    with Server(command, log=folder / "service.log", folder=ROOT) as server:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url, server), what=f"the service at {url}", timeout_s=120)  # on a busy machine the imports alone take long
        yield url, server


def _answers(url: str, server: Server) -> bool:
    assert server.code is None, server.log.read_text()
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def wait_for(met: Any, *, what: str, timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not met():
        assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
        time.sleep(0.02)
