"""The taxi example: its data, its rules, its model, and a small month-by-month lifecycle through the real TorchServe."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from handler_context import FakeContext
from script_fixtures import Workshop, parent, role
from snapshot_fixtures import Snapshot, shape

from benchmarks import taxi_months
from driftloop.data import blocks
from driftloop.data.schema import schema_file
from driftloop.data.streams import Stream
from driftloop.errors import SettingsError
from driftloop.metrics import data_quality
from driftloop.serving import archive
from driftloop.settings import ROOT
from driftloop.tracking import mlflow_store
from driftloop.training import fitting, trained_model
from examples.nyc_taxi import cleaning, rivals, trips
from examples.nyc_taxi.learner import DEFAULTS, TAXI
from examples.nyc_taxi.trips import DATA
from handler import ElecHandler
from monitoring import stream_settings

LEARNER = "examples.nyc_taxi.learner:TAXI"
FIRST_OF_2020 = np.datetime64("2020-01-01")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every twentieth trip from June 2019 on, and the impossible one of November 2020."""
    frame = pd.read_parquet(DATA)
    kept = frame[(frame["file_month"] >= 201906) & ((frame.index % 20 == 0) | (frame["distance_miles"] > 10_000))]
    path = tmp_path_factory.mktemp("taxi") / "sample.parquet"
    kept.to_parquet(path, index=False)
    return path


@pytest.fixture(scope="session")
def stream(sample: Path) -> Stream:
    return trips.load(sample)


@pytest.fixture(scope="session")
def fitted(stream: Stream) -> fitting.Fitted:
    stop = int(np.searchsorted(stream.times, FIRST_OF_2020))
    return fitting.fit(TAXI, stream, TAXI.base_params, train=(0, stop), max_epochs=2, seed=7)


def november(stream: Stream) -> blocks.Block:
    cut = blocks.cut_calendar(stream.times, 0, len(stream), by="month")
    return next(block for block in cut if str(stream.times[block.start])[:7] == "2020-11")


# The data


def test_the_bundled_file_is_the_one_that_is_described() -> None:
    digest = hashlib.sha256(DATA.read_bytes()).hexdigest()
    assert digest in (ROOT / "data" / "README.md").read_text()
    assert DATA.stat().st_size < 5_000_000


def test_every_month_has_its_ten_thousand_trips_with_the_impossible_ones() -> None:
    frame = pd.read_parquet(DATA)
    assert frame["file_month"].value_counts().unique().tolist() == [10_000]
    assert frame["distance_miles"].max() > 46_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"duration_minutes": 0.9}, "duration_minutes under 1 (0.9)"),
        ({"duration_minutes": 60.5}, "duration_minutes over 60 (60.5)"),
        ({"distance_miles": 0.05}, "distance_miles under 0.1 (0.05)"),
        ({"distance_miles": -3.0}, "distance_miles under 0.1 (-3)"),
        ({"distance_miles": 133.0}, "distance_miles over 100 (133)"),
        ({"distance_miles": 20.0}, "miles an hour over 80 (120)"),
        ({"duration_minutes": 50.0, "distance_miles": 0.5}, "miles an hour under 1 (0.6)"),
        ({"pickup_zone": 264}, "pickup_zone over 263 (264)"),
        ({"dropoff_zone": 265}, "dropoff_zone over 263 (265)"),
        ({"pickup_time": pd.Timestamp("2008-12-31 23:00")}, "pickup_time outside its file's month (2008-12-31 23:00:00)"),
    ],
)
def test_an_implausible_trip_is_named_with_its_value(change: dict, reason: str) -> None:
    good = {"pickup_zone": 1, "dropoff_zone": 263, "distance_miles": 2.0, "duration_minutes": 10.0, "file_month": 202004}
    good |= {"pickup_time": pd.Timestamp("2020-04-30 23:59")}
    assert cleaning.faults(pd.DataFrame([good, good | change])) == {1: reason}


def test_the_jump_of_november_is_called_data_quality_and_nothing_else_is(stream: Stream) -> None:
    told = {
        str(stream.times[block.start])[:7]: data_quality.of_block(stream, block).message
        for block in blocks.cut_calendar(stream.times, 0, len(stream), by="month")
    }
    assert [month for month, words in told.items() if words] == ["2020-11"]
    assert re.search(r"distance_miles would be .* data quality, not drift", told["2020-11"])


# The model and what it is held against


def test_the_label_is_not_among_the_features() -> None:
    assert cleaning.TARGET not in cleaning.FEATURES and cleaning.TIME not in cleaning.FEATURES


def test_the_model_beats_both_rivals_fitted_on_the_same_trips(stream: Stream, fitted: fitting.Fitted) -> None:
    start, stop = fitted.trained[1], fitted.trained[1] + 900  # the two months after
    known = slice(*fitted.trained)
    own = trained_model.losses(fitted.model, stream, start, stop).mean()
    for rival in TAXI.rivals.values():
        guess = rival(stream.rows[known], stream.labels[known])(stream.rows[start:stop])
        assert own < np.abs(guess - stream.labels[start:stop]).mean()


def test_a_rival_answers_for_zones_that_it_never_saw() -> None:
    rows = np.array([[1, 2, 3.0, 4, 5], [1, 2, 3.0, 9, 5]], np.float32)
    asked = np.array([[1, 2, 3.0, 4, 5], [1, 2, 3.0, 7, 5], [8, 9, 3.0, 4, 5]], np.float32)
    guess = rivals.mean_by_zones_and_hour(rows, np.array([10.0, 20.0]))
    assert guess(asked).tolist() == [10.0, 15.0, 15.0]
    assert np.isfinite(rivals.linear_regression(rows, np.array([10.0, 20.0]))(asked)).all()


def test_a_rival_refuses_trips_of_other_columns_in_one_line() -> None:
    for rival in TAXI.rivals.values():
        with pytest.raises(SettingsError, match="need the features pickup_zone, dropoff_zone, distance_miles, hour, weekday: omit --features"):
            rival(np.ones((3, 2)), np.array([10.0, 20.0, 30.0]))


def test_answers_are_minutes_over_zero_whatever_the_trip(fitted: fitting.Fitted) -> None:
    wild = np.array([[0, 0, 0, 0, 0], [265, 265, 1e4, 23, 6], [1, 1, 0.1, 0, 0], [1e6, -5, 2.0, 99, -1], [np.nan] * 5])
    answers = fitted.model.values(wild)
    assert answers.shape == (5,) and (answers > 0).all() and np.isfinite(answers).all()


def test_zones_are_categories_that_keep_their_codes_whichever_trips_are_learned(sample: Path, stream: Stream) -> None:
    assert [column.kind for column in stream.columns] == ["category", "category", "number", "category", "category"]
    assert len(stream.schema["pickup_zone"].categories) == 263  # not the unknown places of trips that are set aside
    frame = pd.read_parquet(sample)
    few = trips.load(sample, trained=lambda times: 60)
    for loaded in (stream, few):
        zones = frame.loc[~frame.index.isin([line - 1 for line, _ in loaded.set_aside]), "pickup_zone"]
        assert (loaded.rows[:, 0] + 1 == zones.to_numpy()).all()


def test_the_learner_and_the_streams_file_have_the_same_zones() -> None:
    told = {feature.name: feature.categories for feature in stream_settings.load()["taxi"].features if feature.categorical}
    named = {name: one.categories for name, one in schema_file.read(trips.SCHEMA).columns.items()}
    assert named == {name: tuple(map(str, categories)) for name, categories in told.items()}
    assert (min(told["pickup_zone"]), max(told["pickup_zone"])) == cleaning.ZONES


def test_the_handler_answers_values_with_the_version(tmp_path: Path, stream: Stream, fitted: fitting.Fitted) -> None:
    model = fitted.model
    told = trained_model.card_of(fitted, learner=TAXI, stream=stream)
    card = {key: told[key] for key in (archive.CARD_KEYS | {"task", "columns"}) - {"version"}} | {"version": "2"}
    mar = archive.build_mar(
        name="taxi", version="2", card=card, state_dict=model.state_dict(), model_file=TAXI.model_file, handler_file=TAXI.handler_file, store=tmp_path
    )
    with zipfile.ZipFile(mar) as packed:
        packed.extractall(tmp_path / "unpacked")
    served, context = ElecHandler(), FakeContext(tmp_path / "unpacked")
    served.initialize(context)
    rides = np.array([[1, 2, 3.5, 8, 0], [100, 200, 1.25, 23, 6]])
    bad = dict.fromkeys(cleaning.FEATURES, 1.0) | {"distance_miles": "far"}
    answers = served.handle([{"body": {"instances": rides.tolist()}}, {"body": {"instances": [bad]}}], context)
    found = json.loads(answers[0])["predictions"]
    assert [sorted(one) for one in found] == [["value", "version"]] * 2
    assert [one["value"] for one in found] == model.values(rides - [1, 1, 0, 0, 0]).tolist()
    assert context.status == {1: 400}


# The lifecycle


def run(workshop: Workshop, *flags: object) -> dict:
    done = workshop.run("lifecycle", "--learner", LEARNER, "--json", *flags)
    assert done.code == 0, done.err
    return done.result


def scores(workshop: Workshop, experiment: str) -> list[dict[str, str]]:
    (deployment,) = [found for found in workshop.runs(experiment) if role(found) == "deployment"]
    with workshop.entered():
        path = workshop.client.download_artifacts(deployment.info.run_id, "blocks.csv")
    with Path(path).open() as file:
        return list(csv.DictReader(file))


def months(workshop: Workshop, experiment: str, result: dict, stream: Stream) -> dict[str, dict]:
    """What a lifecycle reached by month, answered again by the versions that MLflow holds."""
    table = scores(workshop, experiment)
    with workshop.entered():
        answers = taxi_months.answered(mlflow_store.open_store(experiment), stream, result, table)
    return {month["month"]: month for month in taxi_months.by_month(stream, answers, table)}


def test_a_small_stream_goes_through_the_whole_lifecycle(workshop: Workshop, sample: Path, stream: Stream, tmp_path: Path, snapshot: Snapshot) -> None:
    report = tmp_path / "taxi.html"
    small = ("--max_epochs", 4, "--total_trials", 1, "--judge_rows", 150, "--validation_rows", 100)
    result = run(workshop, "--data_path", sample, "--mlflow_experiment_name", "small taxi", "--report", report, *small)
    assert result["kpi"] == {"name": "mae", "value": result["mae"], "higher_is_better": False}
    assert (result["task"], result["unit"], result["blocks"], result["accuracy"]) == ("regression", "minutes", 53, None)
    assert set(TAXI.rivals) < set(result["baselines"])
    first, *later = result["retrains"]
    assert first["promoted"] and "2020-04" <= first["timestamp"][:7] <= "2020-05"  # with a twentieth of the trips the proof may take weeks longer
    assert any(record["follow_up"] for record in later)
    assert any("Data quality, block 47 (2020-11-23)" in words for words in result["findings"])
    page = report.read_text()
    assert "MAE by block, lower is better" in page and "minutes" in page and "accuracy" not in page.lower()
    (base,) = [found for found in workshop.runs("small taxi") if parent(found) is None]
    assert base.data.metrics["watch_mae"] == pytest.approx(result["mae"])
    told = months(workshop, "small taxi", result, stream)
    assert list(told) == [f"2020-{month:02d}" for month in range(1, 13)]
    assert sum(month["rows"] * month["maes"]["model"] for month in told.values()) / result["rows"] == pytest.approx(result["mae"])
    assert [month for month, one in told.items() if one["quality"]] == ["2020-11"]
    snapshot("json_lifecycle_of_a_regression", shape(result))


def test_rules_for_rights_and_wrongs_are_refused_before_anything_is_trained(workshop: Workshop, sample: Path) -> None:
    done = workshop.run("lifecycle", "--learner", LEARNER, "--data_path", sample, "--drift_rule", "ddm", "--mlflow_experiment_name", "refused taxi")
    assert done.code == SettingsError.exit_code
    assert "takes 0/1 errors only" in done.err
    assert workshop.runs("refused taxi") == []


def test_the_root_scripts_refuse_a_regression_with_their_own_model(workshop: Workshop, sample: Path) -> None:
    flags = [f"--task={TAXI.task}", *(f"--{name}={DEFAULTS[name]}" for name in ("target", "time_column", "features", "bad_rows"))]
    done = workshop.run("base_model", "--learner", "learner:ELEC", "--data_path", sample, *flags)
    assert done.code == SettingsError.exit_code
    assert "ElecModel is a model for classification" in done.complaint("base_model")


@pytest.mark.slow
def test_the_drift_of_april_is_found_and_the_model_is_ahead_of_every_baseline_in_every_month(workshop: Workshop) -> None:
    result = run(workshop, "--mlflow_experiment_name", "taxi")
    told = months(workshop, "taxi", result, trips.load())
    drifted = [day for month in told.values() for day in month["drift"]]
    assert drifted[0] == "2020-04-06"  # the first week that lies wholly in April
    assert told["2020-04"]["drift"]["2020-04-06"] == "both"
    assert told["2020-05"]["maes"]["model"] < told["2020-03"]["maes"]["model"] + 0.2
    for month, one in told.items():
        own, never = one["maes"].pop("model"), one["maes"].pop("never retrained")
        assert len(one["maes"]) == 4 and own < min(one["maes"].values()) - 0.1, month
        if month > "2020-04":
            assert own < never - 0.1 and own < DEFAULTS["threshold_mae"], month
    assert [month for month, one in told.items() if one["quality"]] == ["2020-11"]
    assert not told["2020-11"]["drift"]
    assert result["mae"] < result["mae_without_retraining"] - 0.5
