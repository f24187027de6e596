"""The batch flow on a stream with segments: the document and the report name the one that has become worse than in the version's first rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from batch_records import ELEC, rows, when
from mongo_fixtures import needs_mongodb

from monitoring.batch import flow, window
from monitoring.batch.measures import measure, window_measures
from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import window_report
from monitoring.features import Feature
from monitoring.log.prediction_log import PredictionLog
from monitoring.records.events import Label, Prediction
from monitoring.stream_settings import StreamConfig

FUEL = Feature("fuel", texts=("gas", "oil"), required=False)  # wind is new to the model
CONFIG = replace(ELEC, features=(*ELEC.features, FUEL), segments=("fuel",), block_size=100)
FIRST, FALL, END = 300, 2400, 3400  # rows: of version 1, from which wind is mostly wrong, and all

pytestmark = needs_mongodb


def of_fuel(numbers: range, *, version: str = "1") -> list[tuple[Prediction, Label]]:
    """Right in 9 of 10 rows; of fuel wind in 4 of 10 since the fall."""
    rng, found = np.random.default_rng(8), []
    for (prediction, label), row in zip(rows(numbers, right=1.0, version=version), numbers, strict=True):
        fuel = str(rng.choice(["gas", "oil", "wind"]))
        right = rng.random() < (0.4 if fuel == "wind" and row >= FALL else 0.9)
        answer = label.label if right else 1 - int(label.label)
        features = prediction.features | ({} if row % 50 == 0 else {"fuel": fuel})
        found.append((replace(prediction, features=features, prediction=answer, probabilities=None), label))
    return found


def measured(log: PredictionLog, first: int, *, config: StreamConfig = CONFIG) -> Measures:
    found = measure.measure(log, config, window.parse(f"{when(first)}..{when(END)}", newest=log.newest_time("elec")), references=None)
    assert window_measures.from_json(found.as_json()).as_json() == found.as_json()
    return found


@pytest.fixture
def filled(log: PredictionLog) -> PredictionLog:
    log.add_labelled(of_fuel(range(FIRST), version="0"))
    for start in (FIRST, 1300, 2300):
        log.add_labelled(of_fuel(range(start, min(start + 1000, END))))
    log.add_labelled(of_fuel(range(3300, END)))
    return log


def test_a_window_names_the_segment_that_is_worse_than_before_it_and_the_report_shows_it(filled: PredictionLog) -> None:
    found = measured(filled, FALL)
    assert [one.name for one in found.segments if one.drift] == ["fuel=wind"]
    worst = found.segments[0]
    assert (worst.name, worst.version) == ("fuel=wind", "1") and worst.kpi_before - worst.kpi > 0.3 and worst.e_value >= 20
    assert {one.name for one in found.segments} == {"fuel=gas", "fuel=oil", "fuel=wind", "fuel=missing"}
    assert sum(one.rows for one in found.segments) == END - FALL
    told = "1 segment is worse than in the first rows of the version (fuel=wind)"
    page = window_report.html(found)
    assert told in found.verdict.sentence and told in page and "1 of 3 judged segments is proven to be worse" in page
    assert "fuel=missing" in page and "not judged" in page
    assert "Segments: 1 with fewer than 50 rows in the reference period are too small to be judged." in found.notes
    assert flow.summary(found)


def test_without_older_rows_the_reference_period_is_the_beginning_of_the_window(filled: PredictionLog) -> None:
    found = measured(filled, FIRST)
    assert [one.name for one in found.segments if one.drift] == ["fuel=wind"]
    assert sum(one.rows for one in found.segments) == END - FIRST - 2000
    short = measured(filled, FIRST, config=replace(CONFIG, block_size=200))
    assert short.segments == () or not any(one.drift for one in short.segments if one.name != "fuel=wind")


def test_a_stream_without_segments_has_none_and_neither_has_its_report(filled: PredictionLog) -> None:
    found = measured(filled, FALL, config=replace(CONFIG, segments=()))
    assert found.segments == () and 'id="segments"' not in window_report.html(found)
