"""Each policy through the real TorchServe: when it retrains, what it serves, what it leaves in MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ran_fixtures import RETRAIN, ended_well
from script_fixtures import KNOWN, ROWS, Ran, Workshop, data_flags, role

from driftloop.data import streams
from driftloop.tracking import mlflow_store, runs
from driftloop.training import trained_model
from learner import ELEC

BLOCKS = ("--block_size", 20, "--threshold_accuracy", 0.7, "--drift_rule", "threshold", "--max_epochs", 2)


def cycled(workshop: Workshop, place: Path, name: str, *more: Any) -> Ran:
    flags = (*data_flags(place), *BLOCKS, *RETRAIN, "--register_model_name", name, "--mlflow_experiment_name", name)
    return ended_well(workshop.run("lifecycle", *flags, *more, "--json"))


@pytest.fixture(scope="module")
def updated(workshop: Workshop, drifting_csv: Path) -> Ran:
    return cycled(workshop, drifting_csv, "updated", "--policy", "continuous", "--history", 0)


def test_a_continuous_version_is_updated_after_each_block_and_gains_by_it(updated: Ran) -> None:
    result = updated.result
    assert result["updates"] == result["blocks"] == -(-(ROWS - KNOWN) // 20)
    assert result["accuracy"] > result["accuracy_without_retraining"]
    assert {version["version"] for version in result["versions"] if version["rows"]} == {"1"}  # no swap but the last


def test_what_was_served_is_what_the_local_network_answers(updated: Ran, workshop: Workshop) -> None:
    (deployment,) = [run for run in workshop.runs("updated") if role(run) == "deployment"]
    assert deployment.data.metrics["served_minus_local"] < 1e-6
    assert deployment.data.metrics["updates"] == updated.result["updates"] and deployment.data.params["policy"] == "continuous"


def test_the_network_at_the_end_is_one_version_more_that_can_be_restored(updated: Ran, workshop: Workshop, drifting_csv: Path) -> None:
    (record,) = updated.result["retrains"]
    assert (record["policy"], record["promoted"], record["version"]) == ("continuous", True, "2")
    assert updated.result["served_version"] == "2" and len(workshop.client.search_model_versions("name = 'updated'")) == 2
    stream = streams.load(drifting_csv)
    with workshop.entered():
        store = mlflow_store.open_store("updated")
        known, first = (
            trained_model.restore(store, run_id, learner=ELEC, stream=stream) for run_id in (record["run_id"], runs.parent_of(store, record["run_id"]) or "")
        )
    assert known.trained[1] == ROWS
    assert np.abs(trained_model.predict(known.model, stream, KNOWN, ROWS) - trained_model.predict(first.model, stream, KNOWN, ROWS)).max() > 0.01


def test_of_the_versions_registered_on_the_way_two_stay(workshop: Workshop, drifting_csv: Path) -> None:
    result = cycled(workshop, drifting_csv, "often", "--policy", "continuous", "--every", 3, "--history", 0).result
    found = sorted(int(version.version) for version in workshop.client.search_model_versions("name = 'often'"))
    made = [record["version"] for record in result["retrains"]]
    assert len(made) >= 3 and found == [1, *map(int, made[-2:])]
    assert str(workshop.client.get_model_version_by_alias("often", "champion").version) == made[-1]
    assert str(workshop.client.get_model_version_by_alias("often", "previous").version) == made[-2]


def test_a_periodic_watch_retrains_by_its_period_whatever_the_alarm_says(workshop: Workshop, drifting_csv: Path) -> None:
    result = cycled(workshop, drifting_csv, "planned", "--policy", "periodic", "--every", 4, "--drift_rule", "never").result
    assert not result["drift"]
    assert [record["block"] for record in result["retrains"]] == list(range(3, result["blocks"], 4))
    assert {(record["reason"], record["policy"]) for record in result["retrains"]} == {("planned: every 4 blocks", "periodic")}


def test_an_alarm_is_reported_but_money_is_spent_only_when_it_pays(workshop: Workshop, drifting_csv: Path) -> None:
    dear = cycled(workshop, drifting_csv, "dear", "--policy", "cost", "--retrain_cost", 100_000).result
    assert dear["drift"] and dear["retrains"] == []
    cheap = cycled(workshop, drifting_csv, "cheap", "--policy", "cost", "--retrain_cost", 5).result
    assert len(cheap["retrains"]) >= 3 and {record["policy"] for record in cheap["retrains"]} == {"cost"}
    assert "points × blocks of the KPI were lost" in cheap["retrains"][0]["reason"]
