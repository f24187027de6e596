"""The monitor over HTTP, as a process of its own: records in, metrics out, hostile requests refused, a restart that forgets nothing."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hostile import HOSTILE, RAW, Hostile
from mongo_fixtures import needs_mongodb
from monitor_records import ELEC, label, labelled, prediction, rejected
from monitor_sample import Kept, feed, some_reference, told

from driftloop.errors import DriftloopError, SettingsError
from driftloop.settings import ROOT
from driftloop.system.processes import Server
from driftloop.training import reference
from monitoring import stream_settings
from monitoring.log.embedded_mongo import Embedded
from monitoring.log.prediction_log import PredictionLog, open_log
from monitoring.online import api
from monitoring.online.monitor import Monitor
from monitoring.records import events

SECONDS = 120.0  # on a busy machine the imports alone take long


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(met: Any, *, what: str) -> None:
    end = time.monotonic() + SECONDS
    while not met():
        assert time.monotonic() < end, f"waited {SECONDS} s for {what}"
        time.sleep(0.05)


def answers(url: str, server: Server) -> bool:
    assert server.code is None, server.log.read_text()
    try:
        return requests.get(f"{url}/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real monitor with a reference for elec; its address."""
    folder, port = tmp_path_factory.mktemp("monitor"), free_port()
    (folder / "references" / "elec").mkdir(parents=True)
    reference.write(some_reference(), folder / "references" / "elec")
    command = [sys.executable, "-m", "monitoring", "monitor", "--port", str(port), "--reference", str(folder / "references"), "--mongodb_uri", ""]
    with Server(command, log=folder / "monitor.log", folder=ROOT) as server:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url, server), what="the monitor")
        yield url
        assert "Traceback" not in server.log.read_text()


def send(url: str, records: list[dict[str, Any]], stream: str = "elec") -> requests.Response:
    return requests.post(f"{url}/ingest/{stream}", json={"records": records}, timeout=30)


def test_records_that_are_sent_are_seen_in_the_json_and_in_the_metrics(running: str) -> None:
    records = labelled(range(3 * ELEC.block_size), share_right=0.9)
    assert send(running, records).json() == {"taken": len(records)}
    assert send(running, records).json() == {"taken": 0}
    wait_for(lambda: requests.get(f"{running}/streams/elec", timeout=5).json()["features"], what="the features to be compared")
    known = requests.get(f"{running}/streams/elec", timeout=5).json()
    assert (known["version"], known["blocks"], known["coverage"], known["acceptable"]) == ("1", 3, 1.0, True)
    text = requests.get(f"{running}/metrics", timeout=5).text
    for line in (
        'driftloop_monitor_records_total{kind="label",stream="elec"} 144.0',
        'driftloop_blocks_total{stream="elec"} 3.0',
        'driftloop_latency_seconds_count{stream="elec"} 144.0',
        'driftloop_model_version{stream="elec",version="1"} 1.0',
        f'driftloop_kpi{{kpi="accuracy",stream="elec",version="1"}} {known["kpi"]["value"]}',
        'driftloop_drift{kind="data",stream="elec"} 0.0',
    ):
        assert line in text.splitlines()


def test_health_ready_and_the_streams_are_told(running: str) -> None:
    assert requests.get(f"{running}/health", timeout=5).json() == {"status": "ok", "refilled": True}
    assert requests.get(f"{running}/ready", timeout=5).json() == {"ready": True, "refilled": True}
    assert requests.get(f"{running}/streams", timeout=5).json() == {"streams": ["elec", "taxi"]}


def assert_refused(response: requests.Response) -> None:
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert set(response.json()["error"]) == {"code", "message"}


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: one.name)
def test_a_hostile_body_is_refused_with_json(running: str, hostile: Hostile) -> None:
    assert_refused(requests.post(f"{running}/ingest/elec", data=hostile.body, headers=hostile.headers, timeout=30))


@pytest.mark.parametrize("name", RAW)
def test_what_is_hardly_http_is_refused_with_json_or_the_connection_is_closed(running: str, name: str) -> None:
    with socket.create_connection(("127.0.0.1", int(running.rpartition(":")[2])), timeout=5) as one:
        one.sendall(RAW[name].replace(b"{path}", b"/ingest/elec"))
        one.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: one.recv(65536), b""))
    if answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 4"), answer
        assert body == b"" or "error" in json.loads(body)
    assert requests.get(f"{running}/health", timeout=5).ok


GOOD = prediction(900_000)
WRONG_RECORDS: dict[str, Any] = {
    "null": None,
    "a text": "prediction",
    "a list": [],
    "no kind": {key: value for key, value in GOOD.items() if key != "kind"},
    "an unknown kind": GOOD | {"kind": "drop"},
    "a kind that is a list": GOOD | {"kind": ["label"]},
    "an unknown key": GOOD | {"$set": {"label": 1}},
    "a missing key": {key: value for key, value in GOOD.items() if key != "latency_ms"},
    "another stream": GOOD | {"stream": "taxi"},
    "a stream that is an operator": GOOD | {"stream": {"$ne": 1}},
    "an id that is an operator": GOOD | {"id": {"$gt": ""}},
    "an id with a slash": GOOD | {"id": "elec/1"},
    "an id of 101 letters": GOOD | {"id": "a" * 101},
    "a time that is none": GOOD | {"time": "yesterday"},
    "a version that is an operator": GOOD | {"version": "$where"},
    "a version that is a number": GOOD | {"version": 1},
    "a feature named as an operator": GOOD | {"features": {"$where": 1}},
    "a feature that is a text": GOOD | {"features": {"period": "0.5"}},
    "a feature that is an operator": GOOD | {"features": {"period": {"$gt": 0}}},
    "a prediction that is an object": GOOD | {"prediction": {"$inc": 1}},
    "a prediction that is true": GOOD | {"prediction": True},
    "a probability of 2": GOOD | {"probability": 2},
    "probabilities that are texts": GOOD | {"probabilities": ["a"]},
    "a latency below 0": GOOD | {"latency_ms": -1},
    "a label of another class": label(900_000, label=2),
    "a label that is an operator": label(900_000, label={"$gt": 0}),
    "a label that is a text": label(900_000, label="1"),
    "a reason of its own": rejected(900_000, reason="because"),
}


@pytest.mark.parametrize("name", WRONG_RECORDS)
def test_one_wrong_record_is_named_and_nothing_of_its_batch_is_taken(running: str, name: str) -> None:
    fine = prediction(800_000 + list(WRONG_RECORDS).index(name))
    response = send(running, [fine, WRONG_RECORDS[name]])
    assert_refused(response)
    assert response.status_code == 400
    assert send(running, [fine]).json() == {"taken": 1}


def test_a_stream_path_or_method_that_is_not_there_is_refused(running: str) -> None:
    for stream in ("wind", "%24where", "elec%00", "a" * 1000, "..%2felec", "ELEC", "elec/"):
        assert send(running, [], stream).status_code == 404
        assert requests.get(f"{running}/streams/{stream}", timeout=5).status_code == 404
    assert_refused(send(running, [], "a" * 5000))
    assert_refused(requests.get(f"{running}/ingest/elec", timeout=5))
    assert_refused(requests.delete(f"{running}/streams/elec", timeout=5))
    assert_refused(requests.get(f"{running}/nowhere", timeout=5))
    assert_refused(send(running, [label(row) for row in range(1001)]))
    assert send(running, []).json() == {"taken": 0}


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--streams", "wind"], "wind"),
        (["--streams_file", "none.yaml"], "none.yaml"),
        (["--reference", "no-such-folder"], "no-such-folder"),
        (["--reference", ".", "--tracking_uri", "sqlite:///a.db"], "--tracking_uri"),
        (["--port", "0"], "--port"),
    ],
)
def test_a_wrong_flag_is_one_line(flags: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert api.main(flags) == SettingsError.exit_code
    complaint = capsys.readouterr().err
    assert named in complaint
    assert complaint.count("\n") == 1


def test_a_restart_knows_what_was_known_and_takes_nothing_twice(log: PredictionLog) -> None:
    block = ELEC.block_size
    records = labelled(range(4 * block), share_right=0.9)
    records += labelled(range(4 * block, 9 * block), share_right=0.3, version="2") + [rejected(row) for row in range(30)]
    records += [prediction(row, version="2") for row in range(9 * block, 9 * block + 20)]
    before = Monitor(stream_settings.load(), references=Kept(lambda _: some_reference()))
    feed(before, records)
    for start in range(0, len(records), 100):
        log.add([events.from_json(record) for record in records[start : start + 100]])
    after = Monitor(stream_settings.load(), references=Kept(lambda _: some_reference()), log=log)
    after.refill()
    known = told(after)
    assert known == told(before)
    assert (known["version"], known["kinds"]["performance"], known["invalid"]["value"] > 0) == ("2", True, True)
    for start in range(0, len(records), 500):
        assert after.ingest("elec", records[start : start + 500]) == 0
    assert told(after) == known


@needs_mongodb
def test_a_log_that_is_away_at_the_start_is_read_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    made = Monitor(stream_settings.load(), log=open_log(f"mongodb://127.0.0.1:{port}/driftloop"))
    with pytest.raises(DriftloopError):
        made.refill()
    feed(made, [prediction(500)])
    with Embedded(tmp_path, port=port) as server, open_log(server.uri) as opened:
        opened.ready()
        opened.add([events.from_json(record) for record in labelled(range(10))])
        made.refill()
    known = told(made)
    assert (made.refilled, known["kpi"]["rows"]) == (True, 10)
