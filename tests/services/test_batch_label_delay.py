"""The batch flow on a stream with `label_delay`: early labels are not judged, late ones are, corrected ones count, few are enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from batch_records import DAY, ELEC, Known, reference, rows, when
from mongo_fixtures import Mongo, needs_mongodb

from monitoring.batch import flow, publish, window
from monitoring.batch.measures import measure, window_measures
from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import window_report
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.records import events
from monitoring.records.events import Label, Prediction

pytestmark = needs_mongodb
WEEK = 7 * DAY
DELAYED = replace(ELEC, label_delay=timedelta(days=7))
EARLY = "early labels are seldom like the others"
Rows = list[tuple[Prediction, Label]]


@pytest.fixture
def log(mongo: Mongo) -> Iterator[PredictionLog]:
    with PredictionLog(Database(mongo.fresh_uri())) as opened:
        opened.ready()
        yield opened


def add(log: PredictionLog, some: Rows, *, known: np.ndarray | None = None) -> None:
    """Rows, and the labels that are known of them."""
    log.add([prediction for prediction, _ in some])
    log.join_labels([label for (_, label), has in zip(some, np.ones(len(some)) if known is None else known, strict=True) if has])


def wrong(some: Rows) -> np.ndarray:
    return np.array([prediction.prediction != label.label for prediction, label in some])


def measured(log: PredictionLog, start: int, stop: int, *, delayed: bool = True) -> Measures:
    of = window.parse(f"{when(start)}..{when(stop)}", newest=log.newest_time("elec"))
    found = measure.measure(log, DELAYED if delayed else ELEC, of, references=Known(v1=reference()))  # type: ignore[arg-type]
    assert window_measures.from_json(found.as_json()).as_json() == found.as_json()
    return found


def test_a_window_whose_early_labels_are_biased_alarms_without_the_delay_and_not_with_it(log: PredictionLog) -> None:
    """Of the newest two weeks only the wrong answers are known."""
    add(log, rows(range(2 * WEEK), right=0.9))
    newest = rows(range(2 * WEEK, 3 * WEEK), right=0.9)
    add(log, newest, known=wrong(newest))
    assert measured(log, 0, 3 * WEEK, delayed=False).verdict.kpi_drift
    found = measured(log, 0, 3 * WEEK)
    assert not found.verdict.kpi_drift and found.answer.health == "good"
    old = 2 * WEEK  # the newest row is half an hour before the end of the third week
    assert (found.labels.rows, found.labels.labelled, found.labels.immature, found.labels.early) == (3 * WEEK, old, WEEK, wrong(newest).sum())
    assert found.labels.coverage == publish.figures(found)["label_coverage"] == 1.0
    assert found.blocks[-1].last_time == when(2 * WEEK - 1)
    assert [note.count(EARLY) for note in found.notes if EARLY in note] == [1]
    assert f"{WEEK} rows not judged yet: labels are mature 7 days after their row" in " ".join(found.notes)
    assert found.next_step == f"Measure again when {WEEK} rows that are younger than label_delay are mature: until then they are not judged."
    assert f"{WEEK} rows without labels" in found.estimate
    page = window_report.html(found)
    assert page.count(EARLY) == 1 and "672 of 672 rows old enough" in page
    assert f"{WEEK} too young to be judged" in flow.line(found)


def test_a_window_without_a_mature_row_has_no_verdict_on_the_kpi(log: PredictionLog) -> None:
    add(log, rows(range(WEEK), right=0.1))
    found = measured(log, 0, WEEK)
    assert (found.answer.health, found.blocks, found.kpi.rows) == ("no labels", (), 0)
    assert np.isnan(found.labels.coverage) and "label_coverage" not in publish.figures(found)
    assert "no row answered by a model has a mature label" in found.verdict.sentence
    assert "no row answered by a model has a mature label" in found.verdict.kpi_message
    assert "younger than label_delay" in found.next_step
    window_report.html(found)


def test_a_drift_is_found_as_soon_as_its_labels_are_mature(log: PredictionLog) -> None:
    add(log, rows(range(WEEK), right=0.95) + rows(range(WEEK, 2 * WEEK), right=0.5))
    assert not measured(log, 0, 2 * WEEK).verdict.kpi_drift
    add(log, rows(range(2 * WEEK, 3 * WEEK + 1)))
    assert measured(log, 0, 2 * WEEK).as_json()["verdict"]["kpi_drift"]
    assert measured(log, 0, 2 * WEEK).labels.immature == 0
    assert measured(log, 0, 2 * WEEK).blocks == measured(log, 0, 2 * WEEK, delayed=False).blocks


def test_labels_of_a_tenth_are_judged_and_the_share_is_reported(log: PredictionLog) -> None:
    some = rows(range(6 * WEEK), right=0.95) + rows(range(6 * WEEK, 12 * WEEK), right=0.4)
    add(log, some, known=np.random.default_rng(1).random(len(some)) < 0.1)
    found = measured(log, 0, 12 * WEEK)
    assert found.verdict.kpi_drift
    assert found.labels.coverage == pytest.approx(0.1, abs=0.02)
    assert found.labels.labelled == found.kpi.rows == sum(block.kpi.rows for block in found.blocks)
    steady = measured(log, 0, 6 * WEEK)
    assert not steady.verdict.kpi_drift and "have no label yet" in " ".join(steady.notes)


def test_a_label_that_is_corrected_before_the_window_is_measured_counts(log: PredictionLog) -> None:
    some = rows(range(2 * WEEK), right=0.95)
    add(log, some)
    before = measured(log, 0, WEEK)
    log.join_labels([Label(label.id, "elec", 1 - int(label.label), events.now()) for _, label in some[:WEEK]])
    after = measured(log, 0, WEEK)
    assert after.kpi.value == pytest.approx(1 - before.kpi.value)
    assert not before.verdict.kpi_drift and after.verdict.kpi_drift


def test_one_row_far_ahead_makes_no_label_mature(log: PredictionLog) -> None:
    add(log, rows(range(2 * WEEK)))
    before = measured(log, 0, 2 * WEEK).labels.immature
    add(log, rows(range(50 * WEEK, 50 * WEEK + 1)))
    assert measured(log, 0, 2 * WEEK).labels.immature == before > 0


def test_a_stream_without_a_delay_is_measured_as_before(log: PredictionLog) -> None:
    add(log, rows(range(WEEK)))
    found = measured(log, 0, WEEK, delayed=False)
    assert (found.labels.delay_seconds, found.labels.immature, found.labels.early, found.labels.due) == (0.0, 0, 0, WEEK)
    assert "old enough" not in window_report.html(found)
