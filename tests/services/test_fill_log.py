"""The log filled from a table is what a service would have logged: every row once with its label, and those set aside as refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mongo_fixtures import needs_mongodb

from driftloop.data.streams import Stream
from driftloop.training import trained_model
from driftloop.training.fitting import fit
from driftloop.training.trained_model import KnownModel
from examples.nyc_taxi import trips
from examples.nyc_taxi.learner import TAXI as LEARNER
from monitoring import stream_settings
from monitoring.fallback import Fallback
from monitoring.local import fill
from monitoring.log.prediction_log import REJECTED, PredictionLog

TAXI = stream_settings.load()["taxi"]
ROWS = (100, 400)

pytestmark = needs_mongodb


@pytest.fixture(scope="module")
def stream() -> Stream:
    return trips.load()


@pytest.fixture(scope="module")
def model(stream: Stream) -> Any:
    return fit(LEARNER, stream, LEARNER.base_params, train=(0, 100), max_epochs=1, seed=0).model


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """The trips as they are in the file."""
    return pd.read_parquet(trips.DATA)


def filled(log: PredictionLog, stream: Stream, model: Any, rows: tuple[int, int] = ROWS) -> tuple[int, int]:
    """How many records were new, and how many were there."""
    known = KnownModel(model, {}, (0, 10), 5.0, {}, "run", "", "3")
    added = fill.fill(log, stream, known, TAXI, fallback=Fallback(TAXI.fallback_by, {}, 9.0, version="3"), rows=rows, label_hours=2.0)
    return added.new, added.already


def test_each_row_is_there_once_with_its_label_as_the_model_answers_it(log: PredictionLog, stream: Stream, model: Any, table: pd.DataFrame) -> None:
    filled(log, stream, model)
    found = {row["id"]: row for row in log.read("taxi")}
    assert set(found) == {f"row-{row}" for row in range(*ROWS)}
    assert [found[f"row-{row}"]["prediction"] for row in range(*ROWS)] == pytest.approx(trained_model.predict(model, stream, *ROWS).tolist())
    one = found["row-250"]
    assert one["time"] == one["served_at"] == f"{stream.times[250].astype('datetime64[ms]')}Z"
    assert (one["label"], one["version"], one["baseline"]) == (pytest.approx(float(stream.labels[250])), "3", 9.0)
    (trip,) = table[table["pickup_time"] == stream.times[250]][list(stream.features)].to_dict("records")
    assert one["features"] == pytest.approx(trip) and type(one["features"]["pickup_zone"]) is int  # a zone is a number, as its callers send it
    assert np.datetime64(one["labelled_at"][:-1]) - np.datetime64(one["time"][:-1]) == np.timedelta64(2, "h")


def test_rows_set_aside_are_refused_rows_with_what_they_held(log: PredictionLog, stream: Stream, model: Any, table: pd.DataFrame) -> None:
    filled(log, stream, model)
    between = [at for at, before in enumerate(stream.aside.before) if ROWS[0] <= before < ROWS[1]]
    refused = {row["id"]: row for row in log.read("taxi", collection=REJECTED)}
    assert len(refused) == len(between) > 0
    assert {row["reason"] for row in refused.values()} <= {"out_of_range", "unknown_category", "missing", "not_a_number", "schema"}
    for line in (stream.set_aside[at][0] for at in between):
        assert refused[f"bad-{line}"]["features"] == pytest.approx(table.loc[line - 1, list(stream.features)].to_dict())
    assert any(row["features"]["dropoff_zone"] > 263 for row in refused.values())


def test_filling_again_or_on_changes_nothing_that_is_there(log: PredictionLog, stream: Stream, model: Any) -> None:
    new, already = filled(log, stream, model)
    assert (new > ROWS[1] - ROWS[0], already) == (True, 0)
    assert filled(log, stream, model) == (0, new)
    more, before = filled(log, stream, model, (ROWS[0], ROWS[1] + 50))
    assert (more >= 50, before) == (True, new)
