"""A window is measured by every KPI as the watch scores the same rows, and its report names it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import kpi_streams
import numpy as np
import pytest
from kpi_streams import ROWS, Answered
from mongo_fixtures import Mongo, needs_mongodb
from monitor_records import when

from driftloop.drift.rules import catalogue
from driftloop.metrics.kpi_names import KPIS
from driftloop.metrics.row_kpis import ChosenKpi
from driftloop.training.reference import Reference
from monitoring.batch import history, publish, window
from monitoring.batch.measures import measure, window_measures
from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import index, measure_words, window_report
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PredictionLog
from monitoring.records import events
from monitoring.stream_settings import StreamConfig

CASES = [(name, classes) for name, kpi in KPIS.items() for classes in ((2, 3) if kpi.task == "classification" else (0,))]
BLOCKS = 16

pytestmark = needs_mongodb


class Known:
    def __init__(self, found: Reference) -> None:
        self._found = found

    def find(self, stream: str, model: str, version: str) -> Reference:
        return self._found

    def champion(self, model: str) -> str:
        return ""


@pytest.fixture
def log(mongo: Mongo) -> Iterator[PredictionLog]:
    with PredictionLog(Database(mongo.fresh_uri())) as opened:
        opened.ready()
        yield opened


def measured(log: PredictionLog, config: StreamConfig, rows: Answered, **changed: Any) -> Measures:
    records: list[Any] = [events.from_json(record) for record in kpi_streams.records(config, rows, **changed)]
    log.add_labelled(list(zip(records[::2], records[1::2], strict=True)))
    wanted = window.parse(f"{when(0)}..{when(len(rows))}", newest=log.newest_time(config.name))
    return measure.measure(log, config, wanted, references=Known(kpi_streams.reference(config)))  # type: ignore[arg-type]


def worsening(classes: int) -> Answered:
    good, bad = kpi_streams.answered(8 * ROWS, classes=classes, seed=1), kpi_streams.answered((BLOCKS - 8) * ROWS, classes=classes, worse=0.9, seed=2)
    return Answered(np.concatenate([good.labels, bad.labels]), np.concatenate([good.outputs, bad.outputs]))


@pytest.mark.parametrize(("kpi", "classes"), CASES)
def test_the_windows_kpi_blocks_and_verdict_are_those_of_the_watch(log: PredictionLog, kpi: str, classes: int) -> None:
    config, rows = kpi_streams.stream(kpi, classes), worsening(classes)
    found, doing = measured(log, config, rows), kpi_streams.doing(kpi, classes)
    losses = kpi_streams.losses(kpi, rows, classes)
    expected = doing.value(losses), *doing.interval(losses), len(rows)
    np.testing.assert_allclose((found.kpi.value, found.kpi.lower, found.kpi.upper, found.kpi.rows), expected, rtol=0, atol=1e-9)
    rule = catalogue.for_goal("significant", kpi_streams.goal(kpi, classes))
    rule.prepare(kpi_streams.losses(kpi, kpi_streams.BEFORE[classes], classes)[-kpi_streams.REFERENCE_BLOCKS * ROWS :], block_size=ROWS)
    verdicts = [rule.update(losses[block * ROWS : (block + 1) * ROWS]) for block in range(BLOCKS)]
    first = next((at for at, verdict in enumerate(verdicts) if verdict.drift), None)
    assert [block.drift for block in found.blocks] == [first is not None and at >= first for at in range(BLOCKS)]
    told = verdicts[-1 if first is None else first].message
    assert told in found.verdict.kpi_message
    np.testing.assert_allclose(
        [block.kpi.value for block in found.blocks], [doing.value(losses[at * ROWS : (at + 1) * ROWS]) for at in range(BLOCKS)], atol=1e-9
    )
    assert found.standing.health == ("drifted" if first is not None else found.answer.health)
    if isinstance(doing, ChosenKpi):
        name, outputs = doing.baseline(len(rows))
        assert found.baselines[name].value == pytest.approx(doing.value(doing.losses_of(rows.labels, outputs)), abs=1e-9)
    assert math.isnan(found.kappa_temporal) is (classes == 0)


@pytest.mark.parametrize(("kpi", "classes"), CASES)
def test_a_good_window_is_better_than_its_threshold_whichever_way_that_is(log: PredictionLog, kpi: str, classes: int) -> None:
    config = kpi_streams.stream(kpi, classes)
    value = kpi_streams.doing(kpi, classes).value(kpi_streams.losses(kpi, kpi_streams.BEFORE[classes], classes))
    easy = replace(config, threshold=value * (0.5 if KPIS[kpi].higher else 2.0))
    found = measured(log, easy, kpi_streams.answered(6 * ROWS, classes=classes, seed=1))
    assert found.answer.health == "good" and not found.verdict.kpi_drift
    assert "better than the threshold" in found.verdict.sentence and KPIS[kpi].words in found.verdict.sentence
    again = window_measures.from_json(found.as_json())
    assert again.answer == found.answer and again.as_json() == found.as_json()


@pytest.mark.parametrize(("kpi", "classes"), [("brier", 2), ("cost", 3), ("balanced_accuracy", 2), ("roc_auc", 3), ("rmse", 0), ("accuracy", 2), ("mae", 0)])
def test_report_history_and_lists_name_the_kpi_and_which_way_is_better(log: PredictionLog, kpi: str, classes: int) -> None:
    unit = "EUR" if kpi in {"cost", "rmse", "mae"} else ""
    found = measured(log, kpi_streams.stream(kpi, classes, unit=unit), worsening(classes))
    words = KPIS[kpi].words
    page = window_report.html(found)
    heading = f"{words[:1].upper()}{words[1:]} by block, {'higher' if KPIS[kpi].higher else 'lower'} is better"
    assert heading in page and heading.replace("by block", "by window") in history.page(found.stream, [found])
    assert kpi == "accuracy" or f"{words}, EUR" in page or not unit
    figure = measure_words.kpi(found).value(found.kpi.value, digits=2)
    assert figure in page and figure in history.text([found]) and figure in index.html(found.stream, [found], {})
    assert publish.figures(found)[kpi] == found.kpi.value
    if found.verdict.kpi_drift and math.isfinite(found.verdict.rest):
        changes = {"brier": "Brier score", "cost": "cost per row", "balanced_accuracy": "balanced error", "roc_auc": "accuracy", "rmse": "mean squared error"}
        sign = "minus" if kpi in {"accuracy", "roc_auc"} else "plus"
        assert re.search(rf"change of the {changes.get(kpi, 'KPI')}</th><th class=\"n\">{sign} is worse", page)


def test_rows_without_the_probabilities_that_a_kpi_needs_are_left_out_and_noted(log: PredictionLog) -> None:
    rows = kpi_streams.answered(4 * ROWS, classes=2, seed=1)
    found = measured(log, kpi_streams.stream("brier", 2), rows, sure=False)
    assert found.kpi.rows == 0 and math.isnan(found.kpi.value) and found.blocks == ()
    assert f"{len(rows):,} labelled rows have no probabilities, which the KPI brier needs: they are left out." in found.notes


@pytest.mark.parametrize(("kpi", "classes"), [("f1", 2), ("rmse", 0)])
def test_what_cannot_be_forecast_or_estimated_is_said(log: PredictionLog, kpi: str, classes: int) -> None:
    found = measured(log, kpi_streams.stream(kpi, classes), kpi_streams.answered(4 * ROWS, classes=classes, seed=1))
    assert found.forecast.message == f"no forecast for the KPI {kpi}"
    assert found.estimate.startswith("Cannot tell: there is no estimate of the ")
