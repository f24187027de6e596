"""A tracking server that does not answer for a while: at which pace it is asked again, how long, and what is reported."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.utils import request_utils
from store_fixtures import FaultyServer
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError
from urllib3.response import HTTPResponse

from driftloop import settings
from driftloop.errors import TrackingError
from driftloop.tracking import patience, retries
from driftloop.tracking.translate import translated

POOL = HTTPConnectionPool("127.0.0.1", 5000)
FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"error": NewConnectionError(None, "Connection refused")},  # type: ignore[arg-type]
    "reset": {"error": ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))},
    **{str(status): {"response": HTTPResponse(status=status)} for status in (429, 500, 502, 503, 504)},
    "503 for an hour": {"response": HTTPResponse(status=503, headers={"Retry-After": "3600"})},
}


class Clock:
    """Time that passes in sleep only."""

    def __init__(self) -> None:
        self.now, self.pauses = 1000.0, [0.0]

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The full patience, nothing reported yet, the environment of our scripts, and sessions of this test's own."""
    monkeypatch.setattr(patience, "_state", {"told": -patience.TOLD_AGAIN_S, "budget": patience.WAIT_S})
    for name in ("MAX_RETRIES", "BACKOFF_FACTOR", "TIMEOUT"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)
    settings.quiet_environment()
    retries.pace()
    request_utils._cached_get_request_session.cache_clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "sleep", made.sleep)
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    return made


def asked_in_vain(*, total: int = settings.RETRIES, **fault: Any) -> None:
    """Repeat one request as urllib3 does, until the error."""
    adapter = request_utils._get_request_session(total, 1, 1.0, (429, 500, 502, 503, 504), True, True).get_adapter("http://")
    left = adapter.max_retries
    with pytest.raises(MaxRetryError):
        while True:
            left = left.increment("POST", "/api/2.0/mlflow/runs/create", _pool=POOL, **fault)
            left.sleep(fault.get("response"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_is_asked_every_few_seconds_for_two_minutes_and_if_it_is_broken_for_one(clock: Clock, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    asked_in_vain(**FAULTS[fault])
    whole = retries.BROKEN_S if fault == "500" else patience.WAIT_S
    assert max(clock.pauses) <= retries.PAUSE_S
    assert whole <= sum(clock.pauses) <= whole + retries.PAUSE_S
    (told,) = capsys.readouterr().err.splitlines()
    assert told == f"MLflow server http://127.0.0.1:5000: {f'answers {fault[:3]}' if fault[0].isdigit() else 'no answer'}; waiting up to {whole:.0f} s"


def test_after_a_wait_in_vain_the_next_is_short_until_the_server_answers_again(clock: Clock) -> None:
    asked_in_vain(**FAULTS["refused"])
    began = clock.now
    asked_in_vain(**FAULTS["500"])
    assert patience.GIVEN_UP_S <= clock.now - began <= patience.GIVEN_UP_S + retries.PAUSE_S
    assert not request_utils.Retry(total=settings.RETRIES, status_forcelist=(500,)).is_retry("GET", 200)
    began = clock.now
    asked_in_vain(**FAULTS["refused"])
    assert clock.now - began >= patience.WAIT_S


@pytest.mark.parametrize("total", [0, 1, 3])
def test_fewer_retries_that_someone_has_set_are_kept(clock: Clock, total: int) -> None:
    asked_in_vain(total=total, **FAULTS["refused"])
    assert len(clock.pauses) <= max(total, 1)  # no pause before the first retry


@pytest.fixture
def stub() -> Iterator[Any]:
    made: list[FaultyServer] = []

    def make(fault: str, times: int) -> FaultyServer:
        made.append(FaultyServer(fault, times))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.mark.parametrize("fault", ["reset", "cut off", "429", "500", "502", "503", "504"])
def test_a_real_request_is_repeated_until_it_is_answered(stub: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str) -> None:
    monkeypatch.setattr(retries, "PAUSE_S", 0.1)
    assert list(MlflowClient(stub(fault, 4).uri).search_experiments()) == []
    assert capsys.readouterr().err.count("waiting up to") == 1


@pytest.mark.parametrize(("fault", "said"), [("500", "HTTP 500"), ("503", "HTTP 503"), ("reset", "does not answer"), ("cut off", "does not answer")])
def test_a_server_that_stays_broken_is_one_line(stub: Any, monkeypatch: pytest.MonkeyPatch, fault: str, said: str) -> None:
    monkeypatch.setattr(retries, "PAUSE_S", 0.1)
    monkeypatch.setattr(patience, "WAIT_S", 1.0)
    monkeypatch.setattr(retries, "BROKEN_S", 1.0)
    with pytest.raises(TrackingError, match=said) as told, translated("MLflow"):
        MlflowClient(stub(fault, 10_000).uri).search_experiments()
    assert "\n" not in str(told.value)
