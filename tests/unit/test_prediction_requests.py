"""What a request may hold follows from its stream alone: any names of features, optional ones, categories, and one sentence for each fault."""

from __future__ import annotations

import time
from typing import Any

import pytest

from monitoring.features import Feature
from monitoring.http.answers import RequestError
from monitoring.stream_settings import StreamConfig
from prediction_service.requests import read_labels, read_predict
from prediction_service.row_forms import RowsError

# Names that a class made of them would take for its own.
NAMED = (Feature("copy", 0, 1), Feature("model_config", 0, 1), Feature("json", 1, 3, categorical=True), Feature("wind", 0, 0.6, required=False))
STREAMS = {
    "sea": StreamConfig("sea", "classification", "accuracy", "m", NAMED, 10, 0.7, (), labels=(0, "up")),
    "air": StreamConfig("air", "regression", "mae", "m", NAMED[:1], 10, 0.7, ()),
}
GOOD: dict[str, Any] = {"copy": 0.5, "model_config": 1, "json": 2.0}


def predict(body: Any) -> Any:
    return read_predict(body, STREAMS, max_rows=10)


def row(**changes: Any) -> dict[str, Any]:
    return {"stream": "sea", "features": GOOD, **changes}


def test_features_come_in_the_models_order_and_an_optional_one_that_is_absent_is_null() -> None:
    (found,) = predict(row(features=dict(reversed(GOOD.items())))).rows
    assert list(found.features.items()) == [("copy", 0.5), ("model_config", 1), ("json", 2), ("wind", None)]
    (found,) = predict(row(features={**GOOD, "wind": None})).rows
    assert found.features["wind"] is None


def test_a_bound_of_float32_is_inside() -> None:
    assert predict(row(features={**GOOD, "wind": 0.60000002})).rows[0].features["wind"] == 0.60000002


@pytest.mark.parametrize(
    ("features", "code", "said"),
    [
        ({**GOOD, "json": 2.000000001}, "unknown_category", "row 0: feature json is not a whole number within the known categories 1..3"),
        ({**GOOD, "json": 4}, "unknown_category", "row 0: feature json is not a whole number within the known categories 1..3"),
        ({**GOOD, "copy": True}, "not_a_number", "row 0: feature copy is not a number: give one"),
        ({**GOOD, "copy": None}, "missing", "row 0: feature copy is missing: give a number"),
        ({**GOOD, "wind": 10**18}, "out_of_range", "row 0: feature wind is out of range 0..0.6"),
        ({**GOOD, "wind": 9, "storm": 1}, "schema", "row 0: unknown feature 'storm': give copy, model_config, json, wind"),
        ([0.5], "schema", "row 0: features is not an object: give numbers by name"),
    ],
)
def test_a_wrong_feature_is_named_with_what_it_must_be(features: Any, code: str, said: str) -> None:
    with pytest.raises(RowsError) as caught:
        predict(row(features=features))
    assert (caught.value.status, caught.value.code, caught.value.message) == (422, code, said)
    assert [bad.reason for bad in caught.value.bad] == [code]


MIXED = (Feature("fuel", texts=("diesel", "gas")), Feature("new", boolean=True), Feature("paid", texts=("no", "yes"), boolean=True), Feature("km", 0, 9))
CARS = {"cars": StreamConfig("cars", "regression", "mae", "m", MIXED, 10, 0.7, ())}
CAR: dict[str, Any] = {"fuel": "gas", "new": True, "paid": "no", "km": 3}


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({**CAR, name: None}, f"feature {name} is missing: give {what}")
        for name, what in zip(CAR, ("a text", "true or false", "a text", "a number"), strict=True)
    ]
    + [([0.5], "features is not an object: give values by name"), (None, "features is not an object: give values by name")],
)
def test_what_is_missing_is_asked_for_as_what_it_is(features: Any, said: str) -> None:
    with pytest.raises(RowsError) as caught:
        read_predict({"features": features}, CARS, max_rows=10)
    assert caught.value.message == f"row 0: {said}"


def test_each_bad_row_is_listed_and_the_first_is_told() -> None:
    with pytest.raises(RowsError, match="row 1: its stream is not the request") as caught:
        predict([row(), row(stream="air", id="a"), row(), row(features={})])
    assert [(bad.reason, bad.id == "a") for bad in caught.value.bad] == [("schema", True), ("missing", False)]


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ([GOOD, {}], "context row 1: feature copy is missing: give a number"),
        ([[1]], "context row 0: features is not an object: give numbers by name"),
        ([{**GOOD, "x": 1}], "context row 0: unknown feature 'x': give copy, model_config, json, wind"),
    ],
)
def test_a_bad_row_of_context_refuses_the_request_but_is_no_bad_row(context: Any, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        predict({"stream": "sea", "rows": [{"features": GOOD}], "context": context})
    assert caught.value.message == said and not isinstance(caught.value, RowsError)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"id": "a", "label": 1}, "label", "label 0: 1 is not a label of this stream: 0, up"),
        ({"id": "a", "label": False}, "label", "label 0: False is not a label of this stream: 0, up"),
        ({"id": "a"}, "schema", 'label 0: label is missing: give {"id": ..., "label": ...}, optionally with stream'),
        ({"labels": [{"id": "a", "label": 0}, 7]}, "schema", 'label 1: it is not an object: give {"id": ..., "label": ...}, optionally with stream'),
        ({"id": "a", "label": 0, "$set": 1}, "schema", 'label 0: unknown key \'$set\': give {"id": ..., "label": ...}, optionally with stream'),
        ({"labels": [{"id": "a", "label": 0}] * 2}, "duplicate_id", "two labels have the same id: give each once"),
    ],
)
def test_a_wrong_label_is_named_with_what_it_must_be(body: Any, code: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_labels({"stream": "sea", **body}, STREAMS, max_rows=10)
    assert (caught.value.code, caught.value.message) == (code, said)


def test_a_class_is_logged_as_the_stream_writes_it_and_a_number_as_it_came() -> None:
    labels = read_labels({"stream": "sea", "labels": [{"id": "a", "label": 0.0}, {"id": "b", "label": "up"}]}, STREAMS, max_rows=10).labels
    assert [(name, label, type(label)) for name, label in labels] == [("a", 0, int), ("b", "up", str)]
    assert type(read_labels({"stream": "air", "id": "a", "label": 12}, STREAMS, max_rows=10).labels[0][1]) is int


def test_a_megabyte_of_unknown_names_is_refused_without_much_work() -> None:
    started = time.process_time()
    with pytest.raises(RowsError, match="unknown feature"):
        predict(row(features={f"x{at}": 1 for at in range(100_000)}))
    assert time.process_time() - started < 2
