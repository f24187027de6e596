"""What a served model says of itself and the prediction service holds its rows and streams file against: its history, and the order of its labels."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prediction_fixtures import ELEC, STREAMS, StandIn, logged, row, some_settings, write_references

from driftloop.errors import DataError
from driftloop.system.ports import free_ports
from monitoring import stream_settings
from prediction_service import __main__ as script
from prediction_service.app import create_app
from prediction_service.served_model import read_answer


@pytest.fixture
def client(service: Flask) -> FlaskClient:
    return service.test_client()


def test_each_answer_says_how_much_of_the_context_that_the_model_wants_was_there(client: FlaskClient, served_model: StandIn) -> None:
    served_model.about = {"history": 3, "labels": [0, 1]}
    body = {"stream": "elec", "rows": [{"features": ELEC}] * 4, "context": [ELEC]}
    answers = client.post("/predict", json=body).json["predictions"]
    assert [(one["context_rows"], one["context_needed"]) for one in answers] == [(1, 3), (2, 3), (3, 3), (3, 3)]
    assert 'driftloop_rows_without_context_total{stream="elec",version="1"} 2.0' in client.get("/metrics").text
    alone = client.post("/predict", json=row()).json
    assert (alone["context_rows"], alone["context_needed"], alone["fallback"]) == (0, 3, "")
    assert 'driftloop_rows_without_context_total{stream="elec",version="1"} 3.0' in client.get("/metrics").text


def test_a_model_without_history_needs_no_context_and_an_old_archive_does_not_say(client: FlaskClient, served_model: StandIn) -> None:
    body = {"stream": "elec", "rows": [{"features": ELEC}], "context": [ELEC]}
    (answer,) = client.post("/predict", json=body).json["predictions"]
    assert (answer["context_rows"], answer["context_needed"]) == (0, 0)
    served_model.about = {}
    (answer,) = client.post("/predict", json=body).json["predictions"]
    assert (answer["context_rows"], answer["context_needed"]) == (1, None)
    assert 'driftloop_rows_without_context_total{stream="elec",version="1"} 0.0' in client.get("/metrics").text


def test_labels_in_another_order_than_the_models_bring_in_the_fallback_and_the_log_names_both(
    served_model: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served_model.about = {"history": 0, "labels": [1, 0]}
    app = create_app(some_settings(served_model.url, spool=tmp_path / "spool", streams=("elec",)))
    try:
        assert app.test_client().post("/predict", json=row()).json["fallback"] == "model_unavailable"
    finally:
        app.extensions["close"]()
    assert "stream 'elec' has labels 0, 1, its model has 1, 0, in this order: use the model's in the streams file" in caplog.text
    assert logged(tmp_path)[0]["probabilities"] is None


@pytest.mark.parametrize("probabilities", [[0.75, 0.25], [0.75], [0.0, 0.25, 0.75]])
def test_probabilities_that_are_not_where_the_labels_are_are_no_answer(probabilities: list[float]) -> None:
    one = {"label": 1, "probability": 0.75, "probabilities": probabilities, "version": "1"}
    with pytest.raises(ValueError, match=r"probability of label 1 is not at its place"):
        read_answer(one, STREAMS["elec"])


def test_a_streams_file_with_the_labels_in_another_order_is_one_line_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_references(tmp_path / "references")
    bundled = stream_settings.BUNDLED.read_text(encoding="utf-8")
    assert "labels: [0, 1]" in bundled
    (tmp_path / "streams.yaml").write_text(bundled.replace("labels: [0, 1]", "labels: [1, 0]"), encoding="utf-8")
    flags = ["--streams_file", str(tmp_path / "streams.yaml"), "--reference", str(tmp_path / "references"), "--port", str(free_ports()[0])]
    assert script.main(flags) == DataError.exit_code
    (line,) = capsys.readouterr().err.splitlines()
    assert "stream 'elec' has labels 1, 0, its model has 0, 1, in this order: use the model's in the streams file" in line
