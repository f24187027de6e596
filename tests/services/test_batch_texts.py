"""Windows of a log that holds texts, true and false, and nulls: measured, and reported in the words of each kind."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import coded_records as cars
import pytest
from batch_records import DAY, Known, when
from mongo_fixtures import Mongo, needs_mongodb
from pages import Page

from monitoring.batch import window
from monitoring.batch.measures import measure, window_measures
from monitoring.batch.measures.window_measures import FeatureMeasure, Measures
from monitoring.batch.report import measure_words, window_report
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.online.monitor import Monitor
from monitoring.records.events import Rejected

pytestmark = needs_mongodb
WEEK = 7 * DAY
KNOWN = Known(v1=cars.reference())
OTHER_FUELS = ("petrol", "electric", "coal", "diesel")
OTHER = cars.reference(columns=(cars.COLUMNS[0], replace(cars.COLUMNS[1], categories=OTHER_FUELS), *cars.COLUMNS[2:]))


@pytest.fixture(scope="module")
def filled(mongo: Mongo) -> Iterator[PredictionLog]:
    """A calm week; one of other fuels; one of missing ones; one of new ones; one in which the model errs on rows with gaps too."""
    with PredictionLog(Database(mongo.fresh_uri())) as log:
        log.ready()
        weeks: list[dict[str, Any]] = [{}, {"shares": (0.08, 0.52, 0.4)}, {"missing": 0.3}, {"new": 0.2}, {"right": 0.5}]
        for number, changed in enumerate(weeks):
            log.add_labelled(cars.rows(range(number * WEEK, (number + 1) * WEEK), **changed))
        log.add([Rejected("bad-1", "cars", when(0), "not_a_text", when(0), {"power": 90.0, "automatic": True})])
        yield log


def measured(log: PredictionLog, number: int, references: Known | None = KNOWN) -> Measures:
    of = window.parse(f"{when(number * WEEK)}..{when((number + 1) * WEEK)}", newest=log.newest_time("cars"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure.measure(log, cars.CARS, of, references=references)  # type: ignore[arg-type]
    assert window_measures.from_json(found.as_json()).as_json() == found.as_json()
    return found


def fuel(found: Measures) -> FeatureMeasure:
    return measure_words.by_name(found)["fuel"]


def test_a_calm_week_is_no_drift_and_missing_values_are_no_fault(filled: PredictionLog) -> None:
    found = measured(filled, 0)
    assert (found.verdict.drift, found.moved, found.quality.bad) == (False, (), False)
    assert found.quality.reasons == {"not_a_text": 1}
    given = [cars.values(row)["fuel"] for row in range(WEEK)]
    one = fuel(found)
    assert (one.missing, one.unseen, one.new) == (given.count(None), 0, ())
    assert one.missing_now == pytest.approx(given.count(None) / WEEK)
    assert set(one.names) == set(cars.FUELS)
    assert dict(zip(one.names, one.current, strict=True)) == pytest.approx({name: given.count(name) / (WEEK - given.count(None)) for name in cars.FUELS})
    assert {name: one.names for name, one in measure_words.by_name(found).items() if name != "fuel"} == {
        "power": (),
        "automatic": ("false", "true"),
        "checked": ("yes", "no"),
    }


@pytest.mark.parametrize(
    ("week", "words"),
    [
        (1, r"(diesel [34]\d(\.\d)? % → \d\d?(\.\d)? %, electric|electric [12]\d(\.\d)? % → [45]\d(\.\d)? %, diesel)"),
        (2, r"missing [12](\.\d)? % → [23]\d(\.\d)? %"),
        (3, r"[12]\d(\.\d)? % of values are new: new\d, new\d, new\d"),
    ],
)
def test_what_moved_is_told_in_the_words_of_its_kind_in_the_verdict_and_in_the_report(filled: PredictionLog, week: int, words: str) -> None:
    found = measured(filled, week)
    assert found.moved == ("fuel",)
    assert re.search(words, fuel(found).words)
    assert f"1 of 4 features has moved (fuel: {fuel(found).words})" in found.verdict.sentence
    assert found.verdict.data_message.startswith(f"The inputs moved: fuel: {fuel(found).words}; at most 5 %")
    page = Page(window_report.html(found))
    assert page.text.count(fuel(found).words) >= 3
    assert found.next_step.startswith("Check the data source: fuel moved")


def test_the_quality_counts_missing_and_new_values_by_feature_and_the_bars_are_those_of_the_shares(filled: PredictionLog) -> None:
    found = measured(filled, 3)
    one, page = fuel(found), Page(window_report.html(found))
    gaps = {row[0]: row[1:] for row in page.table("feature with gaps")}
    assert set(gaps) == {"power", "fuel", "automatic", "checked"}
    assert gaps["fuel"][3] == str(one.unseen)
    assert one.unseen == sum(str(cars.values(row, new=0.2)["fuel"]).startswith("new") for row in range(3 * WEEK, 4 * WEEK))
    assert set(gaps["fuel"][4].split(", ")) == {"new0", "new1", "new2"}
    at = [feature.feature for feature in found.features].index("fuel") + 1
    figure = page.plots[f"plot-feature-{at}"]
    assert figure["layout"]["yaxis"]["ticktext"][-1] == "missing"
    assert {name for name in figure["layout"]["yaxis"]["ticktext"] if name.endswith("(new)")} == {"new0 (new)", "new1 (new)", "new2 (new)"}
    assert figure["data"][1]["x"] == [*(100 * share for share in one.current), 100 * one.missing_now]
    both = [before + now for before, now in zip(one.reference, one.current, strict=True)]
    assert both == sorted(both, reverse=True)


def test_a_window_is_compared_in_the_codes_of_the_model_that_answered_it(filled: PredictionLog) -> None:
    found = measured(filled, 0, Known(v1=OTHER))
    assert found.moved == ()
    assert set(fuel(found).names) >= set(cars.FUELS)
    assert fuel(found).unseen == 0


def test_the_kind_of_a_fallen_kpi_is_tested_on_rows_with_gaps_too(filled: PredictionLog) -> None:
    found = measured(filled, 4)
    assert found.verdict.kpi_drift
    assert f"{WEEK:,} rows of the window" in found.verdict.kind_message


def test_without_a_reference_missing_and_new_values_are_still_counted(filled: PredictionLog) -> None:
    found = measured(filled, 3, None)
    assert fuel(found).unseen > 0.1 * WEEK
    assert not re.search(r"\bnan\b|None", Page(window_report.html(found)).text)


def test_a_monitor_that_starts_takes_texts_and_nulls_from_the_log(filled: PredictionLog) -> None:
    made = Monitor({"cars": cars.CARS}, log=filled)
    made.refill()
    watched = made.watchers["cars"]
    watched.think()
    known = watched.known()
    assert (known.kpi.rows, known.invalid.rows) == (WEEK, 1000)
    assert {gap.feature for gap in known.gaps} == set(cars.CARS.feature_names)


def test_an_early_document_without_names_and_gaps_is_still_read(filled: PredictionLog) -> None:
    document = measured(filled, 0).as_json()
    for one in document["features"]:
        for name in ("names", "words", "missing_before", "missing_now", "unseen", "new"):
            del one[name]
    assert [one.names for one in window_measures.from_json(document).features] == [()] * 4
