"""What another system may log follows from its stream alone: a batch is taken whole, or refused with the place and the fault of its first bad record."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from driftloop.drift.estimate import confidence
from monitoring.features import Feature
from monitoring.http.answers import RequestError
from monitoring.records import checks
from monitoring.stream_settings import StreamConfig
from prediction_service.log_requests import read_log
from prediction_service.requests import read_predict
from prediction_service.row_forms import RowsError

FEATURES = (Feature("age", 0, 120), Feature("plan", texts=("free", "paid"), required=False))
STREAMS = {
    "churn": StreamConfig("churn", "classification", "accuracy", "xgb", FEATURES, 10, 0.7, (), labels=("no", "yes"), served="elsewhere"),
    "three": StreamConfig("three", "classification", "accuracy", "three", (), 10, 0.7, (), labels=(0, 1, 2), served="elsewhere"),
    "price": StreamConfig("price", "regression", "mae", "price", (), 10, 0.7, (), served="elsewhere"),
}
GOOD: dict[str, Any] = {"version": "7", "features": {"age": 41, "plan": "paid"}, "prediction": "yes"}
THREE: dict[str, Any] = {"version": "7", "prediction": 1}
PRICE: dict[str, Any] = {"version": "7", "prediction": 12.5}


def read(given: Any, stream: str = "churn", **batch: Any) -> Any:
    return read_log({"stream": stream, **batch, "records": given}, STREAMS, max_rows=10)


def hours_ahead(hours: float) -> str:
    return checks.time_text(datetime.now(UTC) + timedelta(hours=hours))


def test_one_record_a_list_and_a_batch_are_the_same() -> None:
    one = {"stream": "churn", "id": "a", **GOOD}
    found = [read_log(body, STREAMS, max_rows=10) for body in (one, [one], {"stream": "churn", "records": [{"id": "a", **GOOD}]})]
    assert found[0] == found[1] == found[2]
    assert (found[0].rows[0].id, found[0].rows[0].version, found[0].rows[0].time) == ("a", "7", "")


def test_the_batchs_version_is_that_of_each_record_without_its_own() -> None:
    bare = {name: value for name, value in GOOD.items() if name != "version"}
    assert [row.version for row in read([bare, GOOD], model="xgb", version="8").rows] == ["8", "7"]


def test_each_record_without_an_id_gets_one_of_its_own() -> None:
    ids = [row.id for row in read([GOOD] * 10).rows]
    assert len(set(ids)) == 10


def test_a_feature_is_checked_as_for_a_prediction_and_an_unseen_text_is_taken() -> None:
    assert read([{**GOOD, "features": {"age": 41, "plan": "gold"}}]).rows[0].features == {"age": 41, "plan": "gold"}
    assert read([{**GOOD, "features": {"plan": None, "age": 41, "more": 1}}]).rows[0].features == {"age": 41, "plan": None}


@pytest.mark.parametrize(
    ("given", "stream", "probability", "probabilities"),
    [
        (GOOD, "churn", None, None),
        ({**GOOD, "probability": None, "probabilities": None}, "churn", None, None),
        ({**GOOD, "probability": 0.75}, "churn", 0.75, [0.25, 0.75]),
        ({**GOOD, "prediction": "no", "probability": 1}, "churn", 1.0, [1.0, 0.0]),
        ({**GOOD, "probabilities": [0.2504, 0.75]}, "churn", 0.75, [0.2504, 0.75]),
        ({**THREE, "probability": 0.75}, "three", 0.75, None),
        ({**THREE, "prediction": 2.0, "probabilities": [0.1, 0.6, 0.3]}, "three", 0.3, [0.1, 0.6, 0.3]),
        (PRICE, "price", None, None),
    ],
)
def test_probabilities_are_those_given_or_follow_from_the_one_of_two_labels(given: Any, stream: str, probability: Any, probabilities: Any) -> None:
    (row,) = read([given], stream).rows
    assert (row.probability, row.probabilities) == (probability, probabilities)


@pytest.mark.parametrize(
    ("given", "stream", "code", "said"),
    [
        ({**GOOD, "features": {"age": 41}}, "churn", "missing", "feature plan is missing: give it, null where it has no value"),
        ({**GOOD, "features": {"age": 200, "plan": None}}, "churn", "out_of_range", "feature age is out of range 0..120"),
        ({**GOOD, "features": {"age": "41", "plan": None}}, "churn", "not_a_number", "feature age is not a number: give one"),
        ({"version": "7", "prediction": "yes"}, "churn", "schema", "features is missing: give values by name"),
        ({**THREE, "features": {"age": 41}}, "three", "schema", "unknown feature 'age': give none, its stream declares none"),
        ({**GOOD, "prediction": "maybe"}, "churn", "prediction", "'maybe' is not a label of this stream: no, yes"),
        ({**THREE, "prediction": True}, "three", "prediction", "True is not a label of this stream: 0, 1, 2"),
        ({**PRICE, "prediction": "dear"}, "price", "prediction", "'dear' is not a number within ±1e+12"),
        ({**PRICE, "prediction": 1e13}, "price", "prediction", "10000000000000.0 is not a number within ±1e+12"),
        ({**PRICE, "prediction": {"$gt": 1}}, "price", "prediction", "null, a list or an object is not a number within ±1e+12"),
        ({**PRICE, "probability": 0.5}, "price", "probability", "its stream predicts numbers, which have no probability: leave it out"),
        ({**GOOD, "probabilities": [0.6, 0.6]}, "churn", "probability", "the probabilities sum to 1.2, not to 1: give those of all labels"),
        ({**GOOD, "probabilities": [0.25, 0.74]}, "churn", "probability", "the probabilities sum to 0.99, not to 1: give those of all labels"),
        ({**GOOD, "probabilities": [1.0]}, "churn", "probability", "1 probabilities for 2 labels: give one for each of no, yes, in this order"),
        (
            {**GOOD, "probability": 0.6, "probabilities": [0.6, 0.4]},
            "churn",
            "probability",
            "probability 0.6 is not that of the predicted label, 0.4: give it, or leave it out",
        ),
        ({**GOOD, "probability": 1.5}, "churn", "schema", "probability must be in 0..1"),
        ({**GOOD, "probabilities": [-0.5, 1.5]}, "churn", "schema", "probabilities must be null or a list of at most 1000 numbers in 0..1"),
        ({**GOOD, "probabilities": "0.5"}, "churn", "schema", "probabilities must be null or a list of at most 1000 numbers in 0..1"),
        ({**GOOD, "version": ""}, "churn", "version", "version is empty: give the version of the model that predicted"),
        ({**GOOD, "version": "$7"}, "churn", "schema", "version must be a text of at most 200 characters without control characters, not starting with $"),
        ({**GOOD, "model": "other"}, "churn", "schema", "model 'other' is not the model of its stream, 'xgb': log each model in a stream of its own"),
        ({**GOOD, "stream": "three"}, "churn", "schema", "its stream is not the request's: send one request per stream"),
        ({**GOOD, "id": "a b"}, "churn", "schema", "id must be 1 to 100 characters of A-Z a-z 0-9 . _ : -"),
        ({**GOOD, "$where": 1}, "churn", "schema", "unknown key '$where': give {"),
        (7, "churn", "schema", "it is not an object: give {"),
    ],
)
def test_a_bad_record_refuses_the_batch_with_its_place_and_its_fault(given: Any, stream: str, code: str, said: str) -> None:
    good = {"churn": GOOD, "three": THREE, "price": PRICE}[stream]
    with pytest.raises(RowsError) as caught:
        read([good, good, given], stream)
    assert (caught.value.status, caught.value.code) == (422, code)
    assert caught.value.message.startswith(f"record 2: {said}")
    assert [bad.reason in checks.REASONS for bad in caught.value.bad] == [True]


@pytest.mark.parametrize("time", ["2020-04-01T07:30:00", "2020-04-01", "yesterday", 1585726200, None, "1969-12-31T00:00:00Z", "ahead"])
def test_a_time_without_its_offset_or_in_the_future_is_refused(time: Any) -> None:
    with pytest.raises(RowsError, match=r"^record 1: time "):
        read([GOOD, {**GOOD, "time": hours_ahead(30) if time == "ahead" else time}])


def test_a_time_is_logged_in_utc_and_may_be_as_far_ahead_as_clocks_and_zones_differ() -> None:
    soon = hours_ahead(14)
    assert [row.time for row in read([{**GOOD, "time": "2020-04-01T09:30:00+02:00"}, {**GOOD, "time": soon}]).rows] == ["2020-04-01T07:30:00.000Z", soon]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"stream": "churn", "records": []}, 422, "there are no records: give at least one"),
        ([], 422, "stream is missing or not served here: give one of churn, three, price"),
        ({"stream": "churn", "records": {"a": 1}}, 422, "records is not a list: give the predictions"),
        ("yes", 422, "the body is neither a record nor a list of records"),
        ({"stream": "churn", "records": [GOOD] * 11}, 413, "11 records; at most 10 fit in a request: send several requests"),
        ({"stream": "churn", "records": [GOOD], "time": "now"}, 422, "unknown key 'time' in the body: give only records, stream, model, version"),
        ({"stream": "churn", "records": [GOOD], "version": 7}, 422, "the batch: version must be a text of"),
        ({"stream": "churn", "records": [GOOD], "model": "other"}, 422, "the batch: model 'other' is not the model of its stream, 'xgb'"),
        (
            {"stream": "churn", "records": [{**GOOD, "id": name} for name in "abca"]},
            409,
            "record 3: its id 'a' is that of record 0: give each its own, or none",
        ),
    ],
)
def test_a_body_of_a_wrong_form_is_refused_in_one_line(body: Any, status: int, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_log(body, STREAMS, max_rows=10)
    assert caught.value.status == status
    assert caught.value.message.startswith(said) and "\n" not in caught.value.message


def test_a_model_that_is_served_elsewhere_is_not_asked_here() -> None:
    with pytest.raises(RequestError, match="the model of stream three is served elsewhere: ask it there, and send its answers to POST /log"):
        read_predict({"stream": "three", "features": {}}, STREAMS, max_rows=10)


def test_a_sum_of_probabilities_that_is_taken_is_one_that_the_estimate_uses() -> None:
    assert checks.SUM_OFF == confidence.SUM_OFF


def test_the_first_bad_record_is_reported_and_all_are_listed() -> None:
    faults = [{**GOOD, "prediction": 3}, {**GOOD, "version": ""}, {}]
    for given in itertools.permutations(faults):
        with pytest.raises(RowsError, match=r"^record 1: ") as caught:
            read([GOOD, *given])
        assert len(caught.value.bad) == 3
