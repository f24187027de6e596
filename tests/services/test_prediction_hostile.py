"""Hostile requests to a real service: each gets a 4xx with a JSON error, none a 5xx, and the service answers as before."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from hostile import HOSTILE, JSON, RAW, Hostile
from prediction_fixtures import StandIn, row, running

POSTED = ("/predict", "/labels")
READ = ("/health", "/ready", "/metrics", "/openapi.json")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = StandIn()
    with running(model.url, tmp_path_factory.mktemp("hostile")) as (address, _):
        yield address
        answer = requests.post(f"{address}/predict", json=row(), timeout=10)
        assert answer.status_code == 200
        assert answer.json()["fallback"] == ""  # after all that it is still the model that answers
        assert 'status="5' not in requests.get(f"{address}/metrics", timeout=10).text
    model.close()


def refused(response: requests.Response) -> int:
    """The status, when it is a 4xx with an error as JSON."""
    assert 400 <= response.status_code < 500, response.text[:200]
    assert response.headers["Content-Type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"code", "message"}
    assert len(error["message"]) < 500
    return response.status_code


def test_there_are_at_least_90_different_bodies_and_headers() -> None:
    assert len({(one.body, *sorted(one.headers.items())) for one in HOSTILE}) >= 90


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: one.name)
def test_a_hostile_body_or_header_is_refused(url: str, path: str, hostile: Hostile) -> None:
    status = refused(requests.post(url + path, data=hostile.body, headers={"Content-Type": None, **hostile.headers}, timeout=10))
    assert status in ({hostile.status} if hostile.status else {409, 413, 422})


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize("name", RAW)
def test_what_is_hardly_http_is_refused(url: str, path: str, name: str) -> None:
    status, head, body = raw(url, RAW[name].replace(b"{path}", path.encode()))
    assert 400 <= status < 500
    assert b"content-type: application/json" in head.lower()
    assert set(json.loads(body)["error"]) == {"code", "message"}


def raw(url: str, sent: bytes) -> tuple[int, bytes, bytes]:
    """Send bytes as they are; the status, head and body of the answer."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as one:
        one.sendall(sent)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < _length(answer):
            got = one.recv(65536)
            if not got:
                break
            answer += got
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head, body


def _length(answer: bytes) -> int:
    lines = [line.split(b":")[1] for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lines[0]) if lines else 1 << 30


@pytest.mark.parametrize("path", POSTED)
def test_10_mb_in_chunks_are_413_as_10_mb_at_once_are(url: str, path: str) -> None:
    part = b" " * 100_000
    response = requests.post(url + path, data=(part for _ in range(100)), headers={"Content-Type": JSON}, timeout=10)
    assert refused(response) == 413
    assert response.json()["error"]["message"] == "the body is over 1,000,000 bytes: send at most 1,000 rows per request"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", POSTED)
def test_another_method_is_405_and_says_which_is_allowed(url: str, path: str, method: str) -> None:
    response = requests.request(method, url + path, timeout=10)
    assert (refused(response), response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("path", READ)
def test_what_is_read_cannot_be_posted_to(url: str, path: str) -> None:
    assert refused(requests.post(url + path, json={}, timeout=10)) == 405


@pytest.mark.parametrize(
    "path", ["/nowhere", "/predict/", "/predict//", "/Predict", "/predict/elec", "/admin", "/static/app.py", "/predict%00", "/%2e%2e/etc/passwd"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_404(url: str, path: str, method: str) -> None:
    assert refused(requests.request(method, url + path, json=row(), timeout=10, allow_redirects=False)) == 404


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Cookie", "Authorization", "X-HTTP-Method-Override", "Script-Name"])
def test_a_header_that_means_nothing_here_changes_nothing(url: str, header: str) -> None:
    response = requests.post(f"{url}/predict", json=row(), headers={header: "DELETE"}, timeout=10)
    assert response.status_code == 200


@pytest.mark.parametrize("content_type", [JSON, "Application/JSON", "application/json;charset=utf-8", 'application/json; charset="UTF-8"'])
def test_json_by_any_of_its_spellings_is_taken(url: str, content_type: str) -> None:
    response = requests.post(f"{url}/predict", data=json.dumps(row()), headers={"Content-Type": content_type}, timeout=10)
    assert response.status_code == 200


def test_a_refused_row_is_logged_with_its_reason_and_its_text_is_not(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    before = rejected(url)
    requests.post(f"{url}/predict", json=row(features={"period": "a word"}), timeout=10)
    assert rejected(url) == before + 1


def rejected(url: str) -> float:
    lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("driftloop_rejected_rows_total{"))
