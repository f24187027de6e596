"""The prediction service in this process: answers, records, labels, the fallback, and what stands behind /ready and /metrics."""

from __future__ import annotations

import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prediction_fixtures import ELEC, FEATURES, STREAMS, StandIn, logged, row, some_settings, wait_for

from driftloop.errors import DataError, TrackingError
from driftloop.system.ports import free_ports
from monitoring.fallback import Fallback
from monitoring.stream_settings import StreamConfig
from prediction_service import __main__ as script
from prediction_service.answering import ServedStream
from prediction_service.app import create_app
from prediction_service.background import Background
from prediction_service.served_model import FAILURES, ServedModel

ANSWER = {"id", "stream", "prediction", "probability", "model", "version", "fallback", "context_rows", "context_needed"}
TOLD_ALONE = {"context_rows", "context_needed"}  # and not logged


@pytest.fixture
def monitor() -> Iterator[StandIn]:
    judged = StandIn()
    yield judged
    judged.close()


@pytest.fixture
def client(service: Flask) -> FlaskClient:
    return service.test_client()


def ready(client: FlaskClient, stream: str = "elec") -> dict[str, Any]:
    return client.get("/ready").json["streams"][stream]


@pytest.mark.parametrize(("stream", "prediction", "probability"), [("elec", 1, 0.75), ("taxi", 21.5, None)])
def test_one_row_gets_one_answer(client: FlaskClient, stream: str, prediction: float, probability: float | None) -> None:
    answer = client.post("/predict", json=row(stream, id="a1"))
    assert answer.status_code == 200
    assert answer.json == {
        "id": "a1",
        "stream": stream,
        "prediction": prediction,
        "probability": probability,
        "model": STREAMS[stream].model,
        "version": "1",
        "fallback": "",
        "context_rows": 0,
        "context_needed": 0,
    }


def test_several_rows_are_answered_in_their_order_and_without_ids_get_new_ones(client: FlaskClient) -> None:
    answers = client.post("/predict", json=[row(id="b"), row(), row(id="a"), row()]).json["predictions"]
    assert [answers[0]["id"], answers[2]["id"]] == ["b", "a"]
    assert len({answer["id"] for answer in answers}) == 4
    assert all(set(answer) == ANSWER for answer in answers)


def test_a_list_of_one_row_is_answered_as_a_list(client: FlaskClient) -> None:
    assert len(client.post("/predict", json=[row()]).json["predictions"]) == 1


def test_the_rows_before_reach_the_model_as_context(client: FlaskClient, served_model: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[dict[str, Any]] = []
    plain = served_model.predict
    monkeypatch.setattr(served_model, "predict", lambda path, body: bodies.append(body) or plain(path, body))
    before = [{**ELEC, "period": 0.25}, {**ELEC, "period": 0.375}]
    assert client.post("/predict", json={"stream": "elec", "rows": [{"features": ELEC}], "context": before}).status_code == 200
    asked = next(body for body in bodies if body["context"])
    assert [values[0] for values in asked["context"]] == [0.25, 0.375]
    assert asked["instances"] == [list(ELEC.values())]


def test_the_record_says_what_the_client_was_told_and_what_the_fallback_would_have_said(client: FlaskClient, tmp_path: Path) -> None:
    answer = client.post("/predict", json=row(time="2020-04-01T09:30:00.1234+02:00", features={**ELEC, "period": 0.2})).json
    (record,) = logged(tmp_path)
    assert {name: record[name] for name in ANSWER - TOLD_ALONE} == {name: answer[name] for name in ANSWER - TOLD_ALONE}
    assert record["time"] == "2020-04-01T07:30:00.123Z"
    assert record["features"] == {**ELEC, "period": 0.2}
    assert (record["baseline"], record["probabilities"]) == (0, [0.25, 0.75])
    assert record["latency_ms"] > 0


def test_a_row_without_a_time_has_that_of_its_answer(client: FlaskClient, tmp_path: Path) -> None:
    client.post("/predict", json=row())
    (record,) = logged(tmp_path)
    assert record["time"] == record["served_at"]


def test_of_a_request_with_one_bad_row_only_the_refusal_is_logged(client: FlaskClient, tmp_path: Path) -> None:
    bad = row(id="bad", features={**ELEC, "transfer": 1.5})
    answer = client.post("/predict", json=[row(), bad, row(features={})])
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "out_of_range")
    assert "row 1: feature transfer" in answer.json["error"]["message"]
    records = logged(tmp_path)
    assert [(record["kind"], record["reason"]) for record in records] == [("rejected", "out_of_range"), ("rejected", "missing")]
    assert records[0]["id"] == "bad"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"features": {}}, "missing"),
        ({"features": {**ELEC, "period": None}}, "missing"),
        ({"features": {**ELEC, "period": True}}, "not_a_number"),
        ({"features": {**ELEC, "period": "1"}}, "not_a_number"),
        ({"features": {**ELEC, "period": 2}}, "out_of_range"),
        ({"stream": "taxi", "features": {**FEATURES["taxi"], "hour": 24}}, "unknown_category"),
        ({"features": {**ELEC, "wind": 1}}, "schema"),
        ({"time": "yesterday"}, "schema"),
    ],
)
def test_a_refused_row_is_counted_and_logged_by_its_reason(client: FlaskClient, tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    assert client.post("/predict", json=row(**changes)).status_code == 422
    (record,) = logged(tmp_path)
    assert record["reason"] == reason
    assert f'driftloop_rejected_rows_total{{reason="{reason}",stream="{record["stream"]}"}} 1.0' in client.get("/metrics").text


def test_a_refused_row_keeps_its_time_and_those_of_its_features_that_are_known_and_numbers(client: FlaskClient, tmp_path: Path) -> None:
    given = {**ELEC, "period": 46_826.2, "transfer": "0.5", "vicprice": None, "$where": 1, "wind": 3}
    assert client.post("/predict", json=row(time="2020-11-03T09:30:00+02:00", features=given)).status_code == 422
    (record,) = logged(tmp_path)
    assert record["time"] == "2020-11-03T07:30:00.000Z"
    assert record["features"] == {"period": 46_826.2, **{name: ELEC[name] for name in ("nswprice", "nswdemand", "vicdemand")}}
    client.post("/predict", json=row(time="yesterday", features=[1]))
    later = logged(tmp_path)[-1]
    assert (later["time"], later["features"]) == (later["served_at"], {})


@pytest.mark.parametrize(
    ("label", "shown"), [(7, "7"), ("7", "'7'"), ("up\n", "'up\\n'"), (None, "null, a list or an object"), ([1], "null, a list or an object")]
)
def test_a_refused_label_is_named_with_those_that_there_are(client: FlaskClient, label: object, shown: str) -> None:
    refused = client.post("/labels", json={"stream": "elec", "id": "a", "label": label})
    assert (refused.status_code, refused.json["error"]["message"]) == (422, f"label 0: {shown} is not a label of this stream: 0, 1")


def test_labels_are_acknowledged_when_they_are_in_the_spool(client: FlaskClient, tmp_path: Path) -> None:
    several = client.post("/labels", json={"stream": "elec", "labels": [{"id": "a", "label": 1}, {"id": "b", "label": 0.0}]})
    one = client.post("/labels", json={"stream": "taxi", "id": "c", "label": 12.5})
    assert (several.status_code, several.json, one.json) == (202, {"accepted": 2}, {"accepted": 1})
    assert [(record["kind"], record["stream"], record["id"], record["label"]) for record in logged(tmp_path)] == [
        ("label", "elec", "a", 1),
        ("label", "elec", "b", 0),
        ("label", "taxi", "c", 12.5),
    ]


def test_where_one_stream_is_served_its_name_may_be_left_out(served_model: StandIn, tmp_path: Path) -> None:
    app = create_app(some_settings(served_model.url, spool=tmp_path / "spool", streams=("elec",)))
    try:
        assert app.test_client().post("/predict", json={"features": ELEC}).json["stream"] == "elec"
        assert app.test_client().post("/labels", json={"id": "a", "label": 1}).status_code == 202
        assert app.test_client().post("/predict", json=row("taxi")).status_code == 422
    finally:
        app.extensions["close"]()


@pytest.mark.parametrize("mode", ["error", "garbage", "list", "endless", "nan", "bad_label", "slow"])
def test_whatever_ails_the_model_the_fallback_answers_and_says_so(served_model: StandIn, tmp_path: Path, mode: str) -> None:
    served_model.mode = mode
    app = create_app(some_settings(served_model.url, spool=tmp_path / "spool", model_timeout_s=0.2))
    try:
        client = app.test_client()
        elec, taxi = client.post("/predict", json=row()).json, client.post("/predict", json=row("taxi")).json
        assert [elec["fallback"], taxi["fallback"]] == ["model_unavailable"] * 2
        assert [elec["version"], elec["probability"]] == ["", None]
        first, second = logged(tmp_path)
        assert (first["prediction"], second["prediction"]) == (first["baseline"], second["baseline"]) == (elec["prediction"], taxi["prediction"])
        assert first["fallback"] == "model_unavailable"
        text = client.get("/metrics").text
        assert 'driftloop_predictions_total{source="fallback",stream="elec",version=""} 1.0' in text
        assert 'driftloop_model_up{stream="elec"} 0.0' in text
        assert ready(client)["answers"] == "fallback"
    finally:
        app.extensions["close"]()


def test_a_port_where_nobody_listens_brings_in_the_fallback(tmp_path: Path) -> None:
    app = create_app(some_settings(f"http://127.0.0.1:{free_ports()[0]}", spool=tmp_path / "spool"))
    assert app.test_client().post("/predict", json=row()).json["fallback"] == "model_unavailable"
    app.extensions["close"]()


def test_after_some_failures_requests_do_not_ask_the_model_until_a_probe_was_answered(served_model: StandIn, tmp_path: Path) -> None:
    served_model.mode = "error"
    app = create_app(some_settings(served_model.url, spool=tmp_path / "spool", streams=("elec",), look_every_s=600))
    client = app.test_client()
    try:
        wait_for(lambda: served_model.asked, what="the first probe")
        for _ in range(20):
            assert client.post("/predict", json={"features": ELEC}).json["fallback"] == "model_unavailable"
        assert len(served_model.asked) <= FAILURES
    finally:
        app.extensions["close"]()


def test_a_model_that_is_back_answers_again(client: FlaskClient, served_model: StandIn) -> None:
    served_model.mode = "error"
    for _ in range(FAILURES):
        client.post("/predict", json=row())
    assert client.post("/predict", json=row()).json["fallback"] == "model_unavailable"
    served_model.mode = "well"
    wait_for(lambda: ready(client)["answers"] == "model", what="a probe")
    assert client.post("/predict", json=row()).json["fallback"] == ""


def test_a_version_that_the_monitor_finds_unacceptable_gives_way_until_another_serves(served_model: StandIn, monitor: StandIn, tmp_path: Path) -> None:
    app = create_app(some_settings(served_model.url, spool=tmp_path / "spool", monitor_url=monitor.url))
    client = app.test_client()
    try:
        assert client.post("/predict", json=row()).json["fallback"] == ""
        monitor.verdict = {"acceptable": False, "version": "1", "reason": "worse"}
        wait_for(lambda: ready(client)["fallback"] == "model_unacceptable", what="the verdict")
        assert client.post("/predict", json=row()).json["fallback"] == "model_unacceptable"
        served_model.version = "2"
        wait_for(lambda: ready(client)["answers"] == "model", what="the new version")
        assert client.post("/predict", json=row()).json["version"] == "2"
    finally:
        app.extensions["close"]()


def test_a_monitor_that_went_away_changes_nothing(served_model: StandIn, monitor: StandIn, tmp_path: Path) -> None:
    stream = watched(served_model)
    watcher = Background([stream], monitor_url=monitor.url, fetch=None, every_s=0)
    monitor.verdict = {"acceptable": False, "version": "1"}
    watcher.look()
    monitor.close()
    watcher.look()
    assert stream.why_fallback == "model_unacceptable"


@pytest.mark.parametrize("verdict", [[], {}, {"acceptable": "no"}, {"acceptable": None}, "no", 7])
def test_what_is_no_verdict_does_not_bring_in_the_fallback(served_model: StandIn, monitor: StandIn, verdict: Any) -> None:
    monitor.verdict = verdict
    stream = watched(served_model)
    Background([stream], monitor_url=monitor.url, fetch=None, every_s=0).look()
    assert stream.why_fallback == ""


def test_a_monitor_that_never_answers_is_not_waited_for(served_model: StandIn, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        app = create_app(some_settings(served_model.url, spool=tmp_path / "spool", monitor_url=url))
        assert app.test_client().post("/predict", json=row()).json["fallback"] == ""
        app.extensions["close"]()


def watched(served_model: StandIn, fallback: Fallback | None = None) -> ServedStream:
    config = STREAMS["elec"]
    return ServedStream(config, ServedModel(served_model.url, config, timeout_s=5), fallback or Fallback((), {}, 0, "1"))


def test_the_table_follows_the_version_that_serves(served_model: StandIn) -> None:
    asked: list[str] = []

    def fetch(_: StreamConfig, version: str) -> Fallback:
        asked.append(version)
        return Fallback((), {}, 1, version)

    stream = watched(served_model)
    watcher = Background([stream], monitor_url="", fetch=fetch, every_s=0)
    watcher.look()
    assert asked == []  # the table is version 1's already
    served_model.version = "2"
    watcher.look()
    watcher.look()
    assert (asked, stream.fallback.version, stream.fallback.overall) == (["2"], "2", 1)


def test_a_table_that_cannot_be_had_leaves_the_one_before(served_model: StandIn) -> None:
    asked: list[str] = []

    def fetch(_: StreamConfig, version: str) -> Fallback:
        asked.append(version)
        raise TrackingError("the store is unreachable")

    served_model.version = "2"
    stream = watched(served_model)
    watcher = Background([stream], monitor_url="", fetch=fetch, every_s=0)
    watcher.look()
    watcher.look()
    assert asked == ["2"]  # not at every look
    assert stream.fallback.version == "1"


def test_a_full_disk_does_not_stop_predictions_but_labels_are_not_acknowledged(client: FlaskClient, tmp_path: Path) -> None:
    assert client.post("/predict", json=row()).status_code == 200
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # as a full disk: write(2) fails
        assert client.post("/predict", json=[row(), row()]).status_code == 200
        assert client.post("/labels", json={"stream": "elec", "id": "a", "label": 1}).status_code == 503
        health = client.get("/health").json
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert (health["status"], health["log"]["lost_records"]) == ("degraded", 3)
    assert "driftloop_lost_records_total 3.0" in client.get("/metrics").text
    assert client.post("/predict", json=row()).status_code == 200
    assert client.get("/health").json["status"] == "ok"
    assert len(logged(tmp_path)) == 2


def test_without_a_spool_predictions_are_answered_and_labels_refused(served_model: StandIn) -> None:
    app = create_app(some_settings(served_model.url, spool=None))
    assert app.test_client().post("/predict", json=row()).status_code == 200
    assert app.test_client().post("/labels", json={"stream": "elec", "id": "a", "label": 1}).status_code == 503
    app.extensions["close"]()


def test_the_metrics_tell_requests_predictions_and_what_waits_in_the_spool(client: FlaskClient) -> None:
    client.post("/predict", json=[row(), row()])
    client.get("/no/such/path")
    text = client.get("/metrics").text
    assert 'driftloop_requests_total{route="/predict",status="200"} 1.0' in text
    assert 'driftloop_requests_total{route="other",status="404"} 1.0' in text
    assert 'driftloop_request_seconds_count{route="/predict"} 1.0' in text
    assert 'driftloop_predictions_total{source="model",stream="elec",version="1"} 2.0' in text
    assert 'driftloop_spool_records{consumer="mongodb"} 2.0' in text
    assert "driftloop_spool_bytes" in text


def test_ready_says_who_answers_for_each_stream(client: FlaskClient) -> None:
    wait_for(lambda: ready(client)["answers"] == "model", what="the first probe")
    assert ready(client) == {"answers": "model", "version": "1", "fallback": "", "model_error": ""}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--streams", "wind"], 2, "unknown wind"),
        (["--streams", ""], 2, "known are elec, taxi"),
        (["--torchserve_url", "ftp://a"], 2, "--torchserve_url"),
        (["--monitor_url", "127.0.0.1:8010"], 2, "--monitor_url"),
        (["--reference", "/nowhere"], DataError.exit_code, "/nowhere"),
        (["--port", "0"], 2, "--port"),
        (["--streams_file", "/nowhere.yaml"], 2, "/nowhere.yaml"),
    ],
)
def test_a_wrong_flag_is_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str) -> None:
    assert script.main(arguments) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
