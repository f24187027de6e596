"""What a window says of the KPI without labels, of a regression as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftloop.drift.forecast import crossing, error_scores
from monitoring import stream_settings
from monitoring.batch.measures import kpis
from monitoring.batch.measures.kpis import JudgedVersion
from monitoring.batch.measures.window_rows import WindowRows

ROWS, LABELLED = 12_000, 10_000


@pytest.fixture
def rides() -> WindowRows:
    """Trips of the taxi stream; the error of a prediction is about a tenth of the distance, and the newest trips have no label."""
    rng, config = np.random.default_rng(1), stream_settings.load()["taxi"]
    features = np.tile([feature.low for feature in config.features], (ROWS, 1)).astype(float)
    distance = features[:, config.feature_names.index("distance_miles")]
    distance[:] = np.where(np.arange(ROWS) < LABELLED, 1 + 9 * rng.random(ROWS), 8.0)
    labels = 4 * distance + 0.1 * distance * rng.choice([-1.0, 1.0], ROWS)
    times = np.datetime64("2020-01-01", "ms") + np.arange(ROWS) * np.timedelta64(1, "m")
    return WindowRows(
        features=features,
        faults=np.zeros(features.shape, np.uint8),
        times=times,
        predictions=4 * distance,
        labels=np.where(np.arange(ROWS) < LABELLED, labels, np.nan),
        baselines=np.full(ROWS, np.nan),
        probabilities=np.full((ROWS, 0), np.nan),
        versions=np.full(ROWS, "1", object),
        by_model=np.ones(ROWS, bool),
        latency_ms=np.zeros(ROWS),
        labelled_at=times,
    )


def test_the_mae_of_trips_without_labels_is_estimated_from_their_values(rides: WindowRows) -> None:
    judged = JudgedVersion("1", np.arange(LABELLED), (), None, drift=False, in_sample=False)
    told = kpis.estimate(rides, stream_settings.load()["taxi"], judged)
    assert told.startswith("2,000 rows without labels: estimated MAE 0.")
    figure = float(told.split("estimated MAE ")[1].split()[0])
    assert figure == pytest.approx(0.8, abs=0.05)
    assert "minutes without labels; " in told


def test_without_a_judged_version_nothing_is_claimed(rides: WindowRows) -> None:
    told = kpis.estimate(rides, stream_settings.load()["taxi"], None)
    assert told.endswith("cannot tell: no rows.")


def test_a_windows_forecast_of_a_regression_is_that_of_its_blocks_errors(rides: WindowRows) -> None:
    config = stream_settings.load()["taxi"]
    drifts = replace(rides, predictions=rides.labels + np.repeat(np.linspace(2.0, 3.2, 20), ROWS // 20) + np.tile([0.5, -0.5], ROWS // 2))
    judged = kpis.judge(drifts, "1", config, None, {}, alpha=0.05)
    found = kpis.forecast(drifts, [judged], config, "2020-01-09T00:00:00Z")
    blocks = np.split(kpis.errors(drifts, config)[judged.rows], np.cumsum([block.kpi.rows for block in judged.blocks])[:-1])
    expected = crossing.predict(*error_scores.scores(blocks, threshold=3.5), threshold=error_scores.LEVEL)
    assert (found.early, found.middle, found.late) == (expected.early, expected.middle, expected.late)
    assert 1 <= found.early <= found.late
    assert found.message.startswith("the true MAE rises above 3.5 minutes in ")
    assert found.early_date >= "2020-01-09"
    earlier = replace(judged, blocks=tuple(replace(block, kpi=replace(block.kpi, value=4.0)) for block in judged.blocks))
    assert kpis.forecast(drifts, [earlier, judged], config, "2020-01-09T00:00:00Z").early == found.early
    assert kpis.forecast(drifts, [replace(judged, blocks=())], config, "2020-01-09T00:00:00Z").message == "no forecast: no labelled blocks"
