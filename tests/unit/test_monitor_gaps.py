"""The monitor on a stream of texts, booleans and missing values: what it compares, in whose codes, and what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import coded_records as cars
import numpy as np
import pytest
from monitor_sample import Kept

from driftloop.errors import DataError, TrackingError
from driftloop.training.reference import Reference
from monitoring.online.monitor import Monitor

DAYS = 48 * 10


def monitor(found: Reference | None) -> Monitor:
    def find(version: str) -> Reference:
        if found is None:
            raise TrackingError("there is none")
        return found

    return Monitor({"cars": cars.CARS}, references=Kept(find))  # type: ignore[arg-type]


def told(records: list[dict[str, Any]], found: Reference | None) -> dict[str, Any]:
    made = monitor(found)
    for start in range(0, len(records), 500):
        made.ingest("cars", records[start : start + 500])
    made.watchers["cars"].think()
    known = made.watchers["cars"].known()
    lines = made.metrics.text().decode().splitlines()
    return known.as_json() | {"series": {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line.startswith("driftloop"))}}


def moved(known: dict[str, Any]) -> dict[str, str]:
    return {test["feature"]: test["message"] for test in known["features"] if test["moved"]}


def test_what_is_as_in_training_has_not_moved_and_no_missing_value_is_a_fault() -> None:
    known = told(cars.records(range(DAYS)), cars.reference())
    assert (moved(known), known["kinds"]["data"], known["kinds"]["quality"], known["invalid"]["value"]) == ({}, False, False, 0.0)
    assert [test["statistic"] for test in known["features"]] == ["ks", "tv", "tv", "tv"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"shares": (0.15, 0.45, 0.4)}, r"fuel: .*(diesel 4\d[.\d]* % → 1\d[.\d]* %|electric [12]\d[.\d]* % → 4\d[.\d]* %)"),
        ({"missing": 0.2}, r"fuel: .*missing [12][.\d]* % → [12]\d[.\d]* %"),
        ({"new": 0.2}, r"fuel: .*% of values are new: new\d, new\d, new\d"),
    ],
)
def test_each_change_of_a_category_is_told_in_its_own_words(changed: dict[str, Any], said: str) -> None:
    known = told(cars.records(range(DAYS), **changed), cars.reference())
    found = moved(known)
    assert set(found) == {"fuel"}
    assert re.search(said, found["fuel"])
    assert known["kinds"]["data"]


def test_the_codes_are_those_of_the_model_that_answers_and_not_of_the_stream() -> None:
    other = ("petrol", "electric", "coal", "diesel")
    columns = (cars.COLUMNS[0], replace(cars.COLUMNS[1], categories=other), *cars.COLUMNS[2:])
    known = told(cars.records(range(DAYS)), cars.reference(columns=columns))
    assert moved(known) == {}


def test_the_shares_of_missing_and_new_values_are_series_of_each_feature() -> None:
    known = told(cars.records(range(DAYS), missing=0.2, new=0.1), cars.reference())
    gaps = {gap["feature"]: gap for gap in known["gaps"]}
    newest = [cars.values(row, missing=0.2, new=0.1) for row in range(DAYS - 7 * 48, DAYS)]
    there = [row["fuel"] for row in newest if row["fuel"] is not None]
    assert gaps["fuel"]["missing"] == pytest.approx(1 - len(there) / len(newest))
    assert gaps["fuel"]["unseen"] == pytest.approx(np.mean([text not in cars.FUELS for text in there]))
    assert gaps["power"]["unseen"] is None
    assert known["series"]['driftloop_feature_missing_share{feature="fuel",stream="cars"}'] == gaps["fuel"]["missing"]
    assert known["series"]['driftloop_feature_unseen_share{feature="fuel",stream="cars"}'] == gaps["fuel"]["unseen"]
    assert not any("new0" in name or "diesel" in name for name in known["series"])
    assert not any("unseen" in name and ("power" in name or "automatic" in name) for name in known["series"])


def test_without_a_reference_the_gaps_are_told_by_what_the_stream_knows() -> None:
    known = told(cars.records(range(DAYS), new=0.2), None)
    assert known["features"] == []
    assert {gap["feature"]: gap for gap in known["gaps"]}["fuel"]["unseen"] > 0.1


def test_the_kind_of_a_drift_is_tested_on_texts_and_on_rows_with_missing_values() -> None:
    made = monitor(cars.reference())
    watched = made.watchers["cars"]
    made.ingest("cars", cars.records(range(30 * 48)))
    for day in range(30, 42):
        made.ingest("cars", cars.records(range(day * 48, (day + 1) * 48), right=0.1))
        watched.think()
    known = watched.known().as_json()
    assert (known["kinds"]["performance"], known["kind"]) == (True, "concept")
    assert known["kind_message"].startswith("Concept drift: ")


@pytest.mark.parametrize("value", ["90 kW", True])
def test_a_text_or_a_boolean_in_the_place_of_a_number_is_refused(value: object) -> None:
    made = monitor(None)
    first, *others = cars.records(range(3))
    first["features"] |= {"power": value}
    with pytest.raises(DataError, match="record 'car-0': feature 'power' must be a number or null"):
        made.ingest("cars", [first, *others])
    assert made.watchers["cars"].known().version == ""


def test_a_code_of_a_category_may_be_written_as_a_number_and_an_impossible_value_is_a_fault() -> None:
    records = cars.records(range(100))
    for record in records[::2]:
        record["features"] |= {"fuel": 161.0, "automatic": "perhaps"}
    known = told(records, None)
    gaps = {gap["feature"]: gap for gap in known["gaps"]}
    assert (gaps["fuel"]["unseen"], gaps["automatic"]["missing"], known["invalid"]["value"]) == (1.0, 1.0, 1.0)
