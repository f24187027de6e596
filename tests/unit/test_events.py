"""Records hold what they may, say what is wrong, and come back from JSON as they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from driftloop.errors import DataError
from monitoring.records import checks, events

PREDICTION = {
    "kind": "prediction",
    "id": "a-1.b:2_c",
    "stream": "elec",
    "time": "2020-04-01T07:30:00.000Z",
    "served_at": "2020-04-01T07:31:02.123Z",
    "model": "drift_model",
    "version": "3",
    "features": {"period": 0.5, "nswprice": None},
    "prediction": 1,
    "probability": 0.61,
    "probabilities": [0.39, 0.61],
    "baseline": 0,
    "fallback": "",
    "latency_ms": 3.25,
}
LABEL = {"kind": "label", "id": "a1", "stream": "taxi", "label": 12.5, "labelled_at": "2020-04-01T07:30:00.000Z"}
REJECTED = {
    "kind": "rejected",
    "id": "a1",
    "stream": "taxi",
    "served_at": "2020-04-01T07:30:00.000Z",
    "reason": "missing",
    "time": "2020-03-31T23:10:00.000Z",
    "features": {"distance_miles": 46826.2},
}

HOSTILE = [
    ("id", "a/b"),
    ("id", ""),
    ("id", "x" * 101),
    ("id", "a\n"),
    ("id", {"$ne": 1}),
    ("id", 7),
    ("stream", "a.b"),
    ("stream", "$cmd"),
    ("stream", "a b"),
    ("stream", "../x"),
    ("time", "2020-04-01"),
    ("time", "2020-04-01T07:30:00"),
    ("time", "2020-02-30T07:30:00Z"),
    ("time", "0001-01-01T00:00:00+23:00"),
    ("time", "1899-12-31T23:59:59Z"),
    ("time", "9999-12-31T23:59:59.999Z"),
    ("time", 1585726200),
    ("model", "$where"),
    ("model", "a\x00b"),
    ("model", "\ud800"),
    ("model", "m" * 201),
    ("version", 3),
    ("features", [1, 2]),
    ("features", {"$where": 1}),
    ("features", {"a.b": 1}),
    ("features", {"a\x00": 1}),
    ("features", {"\udc00": 1}),
    ("features", {"": 1}),
    ("features", {"a": {"$gt": 0}}),
    ("features", {"a": "x" * 201}),
    ("features", {"a": "\ud800"}),
    ("features", {"a": ["x"]}),
    ("features", {"a": float("nan")}),
    ("features", {"a": float("inf")}),
    ("features", {"a": 2**63}),
    ("features", {f"f{number}": 1 for number in range(1001)}),
    ("prediction", {"$gt": ""}),
    ("prediction", "$where"),
    ("prediction", None),
    ("prediction", True),
    ("prediction", [1]),
    ("prediction", float("-inf")),
    ("probability", 1.01),
    ("probability", -0.01),
    ("probability", "0.5"),
    ("probabilities", [0.5, 2]),
    ("probabilities", {"a": 1}),
    ("baseline", {"a": 1}),
    ("fallback", None),
    ("fallback", "\udfff"),
    ("latency_ms", -1),
    ("latency_ms", None),
]


@pytest.mark.parametrize("value", [PREDICTION, LABEL, REJECTED], ids=lambda value: value["kind"])
def test_a_record_comes_back_from_json_as_it_was(value):
    record = events.from_json(json.loads(json.dumps(value)))
    assert record.as_json() == value
    assert events.from_json(record.as_json()) == record
    assert record.key == f"{value['stream']}/{value['id']}"


def test_features_are_kept_as_they_were_given():
    given = {"a": "$1,000 or \n more", "b": True, "c": None, "d e": 1.5, "é😀": 0, "f": ""}
    kept = events.from_json(json.loads(json.dumps(PREDICTION | {"features": given}))).features
    assert kept == given and [type(value) for value in kept.values()] == [str, bool, type(None), float, float, str]


@pytest.mark.parametrize(("field", "value"), HOSTILE, ids=[f"{field}-{number}" for number, (field, _) in enumerate(HOSTILE)])
def test_what_a_field_must_not_hold_is_refused_in_one_plain_line(field, value):
    with pytest.raises(DataError) as caught:
        events.from_json(PREDICTION | {field: value})
    message = str(caught.value)
    assert field in message and "\n" not in message and len(message) < 400
    message.encode()  # a lone surrogate in the message could not be answered or printed


@pytest.mark.parametrize(("field", "value"), [("label", {"$ne": 0}), ("label", None), ("label", "a\x00"), ("labelled_at", "now")])
def test_a_label_is_checked_as_well(field, value):
    with pytest.raises(DataError, match=field):
        events.from_json(LABEL | {field: value})


def test_the_reasons_of_a_rejection_are_few_and_fixed():
    for reason in checks.REASONS:
        assert events.from_json(REJECTED | {"reason": reason}).reason == reason
    with pytest.raises(DataError, match="reason must be one of"):
        events.from_json(REJECTED | {"reason": "because"})


@pytest.mark.parametrize("value", [None, [], "x", 1, {}, {"kind": "other"}, {"kind": ["label"]}, {"kind": None}])
def test_what_is_no_record_is_refused(value):
    with pytest.raises(DataError, match="record"):
        events.from_json(value)


@pytest.mark.parametrize("name", [name for name in PREDICTION if name != "kind"])
def test_a_missing_field_is_named(name):
    with pytest.raises(DataError, match=f"missing '{name}'"):
        events.from_json({key: value for key, value in PREDICTION.items() if key != name})


def test_an_unknown_field_is_named_even_when_its_name_is_hostile():
    with pytest.raises(DataError, match=r"unknown '\$where'"):
        events.from_json(PREDICTION | {"$where": "1"})
    with pytest.raises(DataError) as caught:
        events.from_json(PREDICTION | {"\ud800": 1, 5: 2})
    str(caught.value).encode()


def test_a_time_of_any_offset_becomes_utc_with_milliseconds():
    for text in ("2020-04-01T09:30:00+02:00", "2020-04-01 07:30:00.0009Z", "2020-04-01t07:30:00z", "2020-04-01T02:00:00-05:30"):
        assert events.from_json(PREDICTION | {"time": text}).time == "2020-04-01T07:30:00.000Z"
    there = datetime(2020, 4, 1, 9, 30, tzinfo=timezone(timedelta(hours=2)))
    assert events.time_text(there) == "2020-04-01T07:30:00.000Z"
    assert events.parse_time("2020-04-01T09:30:00+02:00") == datetime(2020, 4, 1, 7, 30, tzinfo=UTC)


def test_times_as_text_sort_as_the_times_do():
    texts = [events.time_text(datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) for year in (1900, 1969, 1970, 2020, 2199)]
    assert texts == sorted(texts) and {len(text) for text in texts} == {24}
    assert [events.time_text(events.parse_time(text)) for text in texts] == texts


def test_new_ids_are_ids_and_differ():
    made = [events.new_id() for _ in range(100)]
    assert len(set(made)) == 100
    assert all(events.from_json(LABEL | {"id": one}).id == one for one in made)


def test_an_id_is_refused_with_what_it_must_be():
    with pytest.raises(DataError, match="id must be 1 to 100 characters"):
        events.from_json(LABEL | {"id": "a b"})


def test_a_refused_row_of_an_earlier_version_has_the_time_of_its_service_and_no_features() -> None:
    old = {name: value for name, value in REJECTED.items() if name not in {"time", "features"}}
    record = events.from_json(old)
    assert (record.time, record.features) == (old["served_at"], {})
