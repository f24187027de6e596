"""Errors are answered alike by all three services: a body that is too large, a path or a method that is not there, a port that is taken."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from prediction_fixtures import STREAMS, some_settings
from werkzeug.test import TestResponse

from driftloop.errors import DriftloopError
from driftloop.system.ports import free_ports
from monitoring.http.answers import CODES
from monitoring.online import api
from monitoring.online.monitor import Monitor
from monitoring.retrain import webhook
from monitoring.retrain.commands import Command
from monitoring.retrain.retrains import Retrains
from prediction_service import __main__ as prediction_service
from prediction_service.app import create_app

POSTED = {"prediction_service": "/predict", "monitoring": "/ingest/elec", "retrain_hook": "/alerts"}
TOO_LARGE = {
    "prediction_service": "the body is over 1,000,000 bytes: send at most 1,000 rows per request",
    "monitoring": "the body is over 8,388,608 bytes: send at most 1,000 records per request",
    "retrain_hook": "the body is over 1,000,000 bytes: send at most 100 alerts per request",
}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Flask]]:
    served = create_app(some_settings(f"http://127.0.0.1:{free_ports()[0]}", spool=None))
    retrains = Retrains(tmp_path_factory.mktemp("retrains"), command=lambda *_: Command(()), until=lambda _: "", cool_down_s=0)
    monitor = Monitor(STREAMS, references=None, log=None)
    yield {"prediction_service": served, "monitoring": api.build_app(monitor), "retrain_hook": webhook.build_app(retrains, list(STREAMS))}
    served.extensions["close"]()
    retrains.close()


def error_of(response: TestResponse) -> tuple[int, str, str]:
    assert response.content_type == "application/json"
    assert response.json is not None
    return response.status_code, response.json["error"]["code"], response.json["error"]["message"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("name", POSTED)
def test_a_body_that_is_too_large_is_413_and_says_what_is_not(apps: dict[str, Flask], name: str, chunked: bool) -> None:
    body = b" " * 10_000_000
    client = apps[name].test_client()
    if chunked:  # what gunicorn makes of Transfer-Encoding: chunked
        told = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
        response = client.post(POSTED[name], headers=JSON, environ_overrides=told)
    else:
        response = client.post(POSTED[name], headers=JSON, data=body)
    assert error_of(response) == (413, "too_large", TOO_LARGE[name])
    assert response.headers["Connection"] == "close"


@pytest.mark.parametrize("name", POSTED)
def test_a_path_that_is_not_there_is_404_and_says_what_is(apps: dict[str, Flask], name: str) -> None:
    status, code, message = error_of(apps[name].test_client().get("/no/such%0A%C3%A9" + "x" * 1000))
    assert (status, code) == (404, CODES[404])
    assert message.startswith("no route GET /no/such\\n\\xe9xxx")
    assert f"POST {POSTED[name].replace('elec', '<stream>')}" in message
    assert "GET /health" in message
    assert len(message) < 300


@pytest.mark.parametrize("name", POSTED)
def test_a_method_that_is_not_there_is_405_and_says_which_is(apps: dict[str, Flask], name: str) -> None:
    response = apps[name].test_client().delete(POSTED[name])
    assert error_of(response) == (405, CODES[405], f"no route DELETE {POSTED[name]}: use POST")
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize("name", POSTED)
def test_a_mistake_of_our_own_is_500_and_says_nothing_of_it(apps: dict[str, Flask], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(apps[name].view_functions, "health", lambda: 1 / 0)
    assert error_of(apps[name].test_client().get("/health"))[:2] == (500, "internal")


@pytest.mark.parametrize("main", [prediction_service.main, api.main, webhook.main])
def test_a_port_that_is_taken_is_one_line_and_the_same_exit_code(main, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hook = ["--torchserve_url", "http://127.0.0.1:8080", "--monitor_url", "http://127.0.0.1:8010", "--state", str(tmp_path)]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = main(["--port", str(port), *(hook if main is webhook.main else [])])
    assert code == DriftloopError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.partition(": error: ")[2] == f"port {port} of 127.0.0.1 is taken: stop what listens there, or choose another --port\n"
