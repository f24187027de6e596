"""A stream whose file names only its model: texts, truths and missing values go through the service, its log and its fallback as they are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import described_stream
import numpy as np
import pytest
from described_stream import ROW, YAML
from flask import Flask
from prediction_fixtures import StandIn, logged, running, wait_for

from driftloop.errors import SettingsError
from driftloop.metrics.row_kpis import ClassKpi
from monitoring import described, fallback, stream_settings
from monitoring.log.prediction_log import PredictionLog
from monitoring.records import events
from monitoring.stream_settings import StreamConfig
from prediction_service import fallback_tables, openapi
from prediction_service.app import create_app
from prediction_service.service_settings import Settings


class Listening(StandIn):
    """A model server that keeps the requests for several rows; the service's own probes are of one."""

    def predict(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        if len(body["instances"]) > 1:
            self.rows = body["instances"]
        return super().predict(path, body)


@pytest.fixture
def cars(tmp_path: Path) -> StreamConfig:
    return described_stream.some_stream(tmp_path)


@pytest.fixture
def model() -> Iterator[Listening]:
    made = Listening()
    yield made
    made.close()


@pytest.fixture
def app(cars: StreamConfig, model: Listening, tmp_path: Path) -> Iterator[Flask]:
    table = fallback_tables.read(cars, tmp_path / "references")
    made = create_app(Settings(streams={"cars": cars}, fallbacks={"cars": table}, torchserve_url=model.url, spool=tmp_path / "spool", look_every_s=60))
    yield made
    made.extensions["close"]()


def features(**changes: Any) -> dict[str, Any]:
    return {"features": {**ROW, **{name.replace("fuel", "fuel type"): value for name, value in changes.items()}}}


def test_a_stream_takes_its_features_labels_and_task_from_its_model(cars: StreamConfig) -> None:
    assert (cars.feature_names, cars.labels, cars.task) == (tuple(ROW), (0, 1), "classification")
    assert [(one.texts, one.boolean, one.required) for one in cars.features] == [
        ((), False, False),
        (("diesel", "gas", "7"), False, False),
        ((), True, False),
        (("no", "yes"), True, False),
    ]
    assert math.isinf(cars.features[0].high)


@pytest.mark.parametrize("labels", [("50k", "$50k"), ("a\x1b", "b"), ("a", "b\n"), ("a", "b" * 201), (0, 2**63), (math.nan, 1.0)])
def test_labels_that_the_log_would_refuse_are_named_before_a_service_starts(tmp_path: Path, labels: tuple[Any, Any]) -> None:
    known = described_stream.some_reference()
    known = replace(known, about=replace(known.about, labels=labels))
    with pytest.raises(SettingsError, match=r"label .* cannot be recorded: make it a whole number, or a text of at most 200 characters") as caught:
        described_stream.some_stream(tmp_path, known=known)
    assert "\n" not in str(caught.value) and str(caught.value).isprintable()


def test_labels_may_be_any_text_that_the_log_takes(tmp_path: Path) -> None:
    known = described_stream.some_reference()
    stream = described_stream.some_stream(tmp_path, known=replace(known, about=replace(known.about, labels=("", "é{}.$ " * 33))))
    assert stream.labels == ("", "é{}.$ " * 33)


@pytest.mark.parametrize(
    ("low", "high", "example"),
    [
        (None, None, 0.0),
        (0, 50_000, 25_000.0),
        (-1.7e308, 1.7e308, 0.0),
        (1.797e308, 1.7976e308, 1.7976e308),
        (-1.7976e308, -1.79e308, -1.79e308),
        (1_234_567, 1_234_569, 1_234_567.0),
        (5e-324, 5e-324, 5e-324),
    ],
)
def test_the_example_of_a_number_is_a_finite_one_in_its_range(tmp_path: Path, low: float | None, high: float | None, example: float) -> None:
    columns = (replace(described_stream.COLUMNS[0], low=low, high=high), *described_stream.COLUMNS[1:])
    stream = described_stream.some_stream(tmp_path, known=described_stream.some_reference(columns))
    assert (stream.features[0].plain, stream.features[0].fault(stream.features[0].plain)) == (example, "")


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        (YAML.replace("accuracy", "mae"), "kpi 'mae' is of a regression, its model 'cars_model' is for classification"),
        (YAML.replace("fuel type", "fuel"), "fallback_by has 'fuel', which is no feature"),
        (YAML.replace("kpi", "labels: [1, 0], kpi"), "has labels 1, 0, its model has 0, 1"),
    ],
)
def test_settings_that_are_not_the_models_are_named(tmp_path: Path, yaml: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        described_stream.some_stream(tmp_path, yaml)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        (YAML.replace("accuracy", "cost"), "kpi cost needs cost"),
        (YAML.replace("accuracy", 'cost, cost: "good:bad=5"'), r"cost: 'good:bad=5' is not true:predicted=cost with labels of this table \(0, 1\)"),
        (YAML.replace("accuracy", 'cost, cost: "1:0=0.5"'), "threshold 0.9 must be below 0.5 for the cost per row"),
        (YAML.replace("accuracy", "brier").replace("0.9", "1.5"), "threshold 1.5 must be below 1 for the Brier score"),
        (YAML.replace("accuracy", "rmse"), "kpi 'rmse' is of a regression, its model 'cars_model' is for classification"),
    ],
)
def test_a_kpi_that_does_not_fit_the_model_is_named(tmp_path: Path, yaml: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        described_stream.some_stream(tmp_path, yaml)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kpi", ["balanced_accuracy", "f1", "roc_auc", "average_precision"])
@pytest.mark.parametrize("logged_shares", [(0.8, 0.2), ()])
def test_the_class_shares_are_those_of_the_training_rows(tmp_path: Path, kpi: str, logged_shares: tuple[float, ...]) -> None:
    known = described_stream.some_reference()
    known = replace(known, about=replace(known.about, shares=logged_shares))
    stream = described_stream.some_stream(tmp_path, YAML.replace("accuracy", kpi).replace("0.9", "0.7"), known=known)
    expected = logged_shares or (float(np.mean(known.labels == 0)), float(np.mean(known.labels == 1)))
    assert stream.shares == pytest.approx(expected)
    assert isinstance(stream.measured_by, ClassKpi) and stream.measured_by.shares.tolist() == pytest.approx(expected)


def test_a_stream_with_features_reads_the_class_shares_where_it_is_judged(tmp_path: Path) -> None:
    path, references = described_stream.write(tmp_path)
    features = "labels: [0, 1], task: classification, features: {car_value: {low: 0, high: 50000}, new: {boolean: true}}"
    path.write_text(f"cars: {{model: cars_model, kpi: f1, threshold: 0.7, block_size: 20, fallback_by: [], {features}}}", encoding="utf-8")
    given = stream_settings.load(path)
    answers, judges = (described.complete(given, folder=references, judged=judged)["cars"] for judged in (False, True))
    assert answers == given["cars"]  # the prediction service needs nothing of the model
    assert judges.features == given["cars"].features and sum(judges.shares) == pytest.approx(1)


def test_values_go_to_the_model_and_to_the_log_as_they_are(app: Flask, model: Listening, tmp_path: Path) -> None:
    given = [ROW, {**ROW, "car_value": 1e12, "fuel type": "coal, €", "new": None, "paid ✓": None}, {**ROW, "car_value": None, "fuel type": 7, "new": 0}]
    answer = app.test_client().post("/predict", json=[{"id": f"r{at}", "features": row} for at, row in enumerate(given)])
    assert [one["fallback"] for one in answer.json["predictions"]] == [""] * 3
    assert [[type(value) for value in row] for row in model.rows] == [[type(value) for value in row.values()] for row in given[:2]] + [
        [type(None), int, float, str]  # 0 is a number where true and false are written as such
    ]
    assert model.rows == [list(row.values()) for row in given]
    assert [record["features"] for record in logged(tmp_path)] == given


def unseen(app: Flask) -> dict[str, float]:
    """How many texts the models never saw, by feature."""
    lines = [line for line in app.test_client().get("/metrics").text.splitlines() if line.startswith("driftloop_unseen_values_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_texts_are_new_to_the_version_that_answers_not_to_the_champion_of_the_start(app: Flask, model: Listening) -> None:
    client, rows = app.test_client(), [features(fuel=fuel) for fuel in ("coal", "gas", None, 7, 8)]
    model.about["unseen"] = {"fuel type": 2, "another": 5}
    client.post("/predict", json=rows)
    assert unseen(app) == {"fuel type": 2, "paid ✓": 0}
    del model.about["unseen"]  # a version that was trained since on all of them
    client.post("/predict", json=rows)
    assert unseen(app) == {"fuel type": 2, "paid ✓": 0}


def test_texts_that_the_fallback_answers_are_not_new_to_a_model(app: Flask, model: Listening) -> None:
    model.mode = "error"
    answer = app.test_client().post("/predict", json=[features(fuel=fuel) for fuel in ("coal", "gas")])
    assert {one["fallback"] for one in answer.json["predictions"]} == {"model_unavailable"}
    assert unseen(app) == {"fuel type": 0, "paid ✓": 0}


@pytest.mark.parametrize("wrong", [{"fuel type": -1}, {"fuel type": math.inf}, {"fuel type": "many"}, {"fuel type": None}, 5, [1], "fuel"])
def test_numbers_of_new_texts_that_cannot_be_are_no_answer_of_a_model(app: Flask, model: Listening, wrong: Any) -> None:
    model.about["unseen"] = wrong
    answer = app.test_client().post("/predict", json=[features(), features()])
    assert (answer.status_code, {one["fallback"] for one in answer.json["predictions"]}) == (200, {"model_unavailable"})


def test_columns_that_the_model_does_not_know_are_ignored_and_absent_ones_are_named(app: Flask, tmp_path: Path) -> None:
    client = app.test_client()
    assert client.post("/predict", json={"features": {**ROW, "colour": {"of": ["any", "kind"]}}}).status_code == 200
    assert logged(tmp_path)[0]["features"] == ROW
    for name in ROW:
        answer = client.post("/predict", json={"features": {key: value for key, value in ROW.items() if key != name}})
        said = f"row 0: feature {name} is missing: give it, null where it has no value"
        assert (answer.status_code, answer.json["error"]) == (422, {"code": "missing", "message": said})


HOSTILE: list[tuple[str, Any, str]] = [
    *(("car_value", value, "not_a_number") for value in ("1", True, [1], {"$gt": 0})),
    *(("fuel type", value, "not_a_text") for value in ("g" * 201, ["gas"], {"gas": 1}, [[[[[]]]]])),
    *(("new", value, "not_a_boolean") for value in ("true", 2, -1, 0.5, [True], {})),
    ("paid ✓", ["no"], "not_a_text"),
]


@pytest.mark.parametrize(("name", "value", "code"), HOSTILE)
def test_a_value_of_another_kind_is_refused_in_one_line(app: Flask, tmp_path: Path, name: str, value: Any, code: str) -> None:
    answer = app.test_client().post("/predict", data=json.dumps({"features": {**ROW, name: value}}), content_type="application/json")
    error = answer.json["error"]
    assert answer.status_code == 422 and error["code"] == code and name in error["message"] and len(error["message"]) < 200
    (record,) = logged(tmp_path)
    assert record["kind"] == "rejected" and record["reason"] == code
    assert {key: kept for key, kept in ROW.items() if key != name}.items() <= record["features"].items()


@pytest.mark.parametrize("text", ["NaN", "1e999", "9" * 400, "Infinity", '"\\ud800"'])
def test_what_is_no_value_in_json_is_refused(app: Flask, text: str) -> None:
    body = json.dumps({"features": ROW}).replace('"gas"', text)
    assert app.test_client().post("/predict", data=body, content_type="application/json").status_code in {400, 422}


def test_the_fallback_answers_by_the_text_however_it_is_written(app: Flask, model: Listening) -> None:
    model.mode = "error"
    answer = app.test_client().post("/predict", json=[features(fuel=fuel) for fuel in ("gas", "diesel", 7, "7", "coal", None)])
    assert [(one["prediction"], one["fallback"]) for one in answer.json["predictions"]] == [(label, "model_unavailable") for label in (1, 0, 0, 0, 0, 0)]


def test_a_table_by_texts_has_a_cell_for_what_is_missing() -> None:
    columns = {"fuel": [0.0] * 100 + [math.nan] * 100}
    table = fallback.build(columns, [5.0] * 100 + [9.0] * 100, by=["fuel"], classification=False, texts={"fuel": ("gas",)})
    assert table.predict({"fuel": None}) > table.predict({"fuel": "coal"}) == 7 > table.predict({"fuel": "gas"})


def test_the_document_says_what_the_service_takes(cars: StreamConfig, app: Flask) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is in requirements-dev.txt")
    schema = openapi.document([cars], max_rows=10)["components"]["schemas"]["features_cars"]
    assert schema["properties"]["fuel type"]["examples"] == ["diesel", "gas", "7"] and schema["required"] == list(ROW)
    client = app.test_client()
    rows = [ROW, {**ROW, "more": 1}, {"car_value": 1}, *({**ROW, name: value} for name in ROW for value in (None, "x", True, 1, 2, 0.5, [1], "x" * 201))]
    for row in rows:
        allowed = not list(jsonschema.Draft202012Validator(schema).iter_errors(row))
        assert (client.post("/predict", json={"features": row}).status_code == 200) == allowed, row


def test_the_root_page_shows_a_row_that_is_taken(app: Flask, cars: StreamConfig) -> None:
    assert {one.name: one.plain for one in cars.features} == {"car_value": 25_000.0, "fuel type": "diesel", "new": False, "paid ✓": "no"}
    assert app.test_client().get("/").status_code == 200


def test_the_database_keeps_texts_truths_and_nulls(log: PredictionLog) -> None:
    given = {**ROW, "car_value": None, "fuel type": "$5 or\nmore", "more": 3}
    now = "2020-04-01T07:30:00.000Z"
    log.ready()
    log.add([events.Prediction("a", "cars", now, now, "m", "1", given, 1, 0.5, None, baseline=0, fallback="", latency_ms=1.0)])
    (document,) = log.database.find("predictions", {})
    assert document["features"] == given and [type(value) for value in document["features"].values()] == [type(None), str, bool, str, int]


def test_the_service_as_a_process_reads_the_features_from_a_folder(tmp_path: Path, model: Listening) -> None:
    import requests

    streams_file, _ = described_stream.write(tmp_path)
    with running(model.url, tmp_path, "--streams_file", str(streams_file), streams="cars") as (url, _):
        wait_for(lambda: requests.get(f"{url}/ready", timeout=5).json()["streams"]["cars"]["answers"] == "model", what="the model's first answer")
        answer = requests.post(f"{url}/predict", json=[features(fuel="coal")] * 2, timeout=10)
    assert answer.json()["predictions"][0]["fallback"] == "" and model.rows == [[39811.5, "coal", True, "no"]] * 2
