"""The scripts end to end, with a real SQLite store and the real TorchServe: what they do, log and print."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Run
from ran_fixtures import RETRAIN, WATCH, Deployed, ended_well, retrain_until_580
from script_fixtures import FLIP, KNOWN, ROWS, Ran, Workshop, data_flags, drifting_table, own_folders, parent, processes_below, role

from driftloop.data import streams


def metric(workshop: Workshop, run: Run, name: str) -> list[Any]:
    return workshop.client.get_metric_history(run.info.run_id, name)


def artifact(workshop: Workshop, run: Run, name: str) -> Path:
    with workshop.entered():
        return Path(workshop.client.download_artifacts(run.info.run_id, name))


def as_utc_ms(time: str) -> int:
    return int(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp() * 1000)


# The commands of the documents, on ELEC


class Documented:
    """What the documents' commands left in the store, run one after the other in one experiment."""

    def __init__(self, workshop: Workshop) -> None:
        here = ("--mlflow_experiment_name", "drift")
        asked = ("--test_data_rows", 100, "--block_size", 20, "--threshold_accuracy", ".55", "--register_model_name", "drift_model")
        self.workshop = workshop
        self.before = processes_below(), own_folders()
        self.base_ran = ended_well(workshop.run("base_model", "--max_epochs", 3, *here))
        self.deploy_ran = ended_well(workshop.run("deploy_model", "--max_epochs", 3, *asked, *here))
        self.retrain_ran = ended_well(workshop.run("retrain_model", "--max_epochs", 3, *here, "--total_trials", 2, "--json"))
        (self.base,) = [run for run in workshop.runs("drift") if parent(run) is None]
        children = workshop.children(self.base.info.run_id)
        (self.deployment,) = [run for run in children if role(run) == "deployment"]
        (self.retrain,) = [run for run in children if role(run) == "retrain"]
        self.trials = [run for run in workshop.children(self.retrain.info.run_id) if role(run) == "trial"]


@pytest.fixture(scope="module")
def documented(workshop: Workshop) -> Documented:
    return Documented(workshop)


def test_the_base_model_is_one_parent_run_with_its_parameters_figures_and_model(documented: Documented) -> None:
    data = documented.base.data
    assert (role(documented.base), data.params["max_epochs"], data.params["history"]) == ("base", "3", "0")
    assert data.params["train_stop"] == str(int(0.7 * 45312))
    assert {"test_accuracy", "test_kappa", "test_no_change", "test_same_time_yesterday", "test_majority", "val_accuracy"} <= set(data.metrics)
    assert data.tags["driftloop.from_trial"] == "trial-00"
    assert 0.5 < data.metrics["test_accuracy"] < 0.8


def test_the_deployment_scores_the_hundred_rows_after_the_training_rows_in_five_blocks(documented: Documented) -> None:
    with artifact(documented.workshop, documented.deployment, "blocks.csv").open() as file:
        blocks = list(csv.DictReader(file))
    first = int(0.7 * 45312)
    assert [(int(row["start"]), int(row["stop"])) for row in blocks] == [(first + 20 * i, first + 20 * (i + 1)) for i in range(5)]
    table = json.loads(artifact(documented.workshop, documented.deployment, "blocks.json").read_text())
    assert (len(table["data"]), table["columns"]) == (5, list(blocks[0]))
    times = streams.load().times
    for name in ("accuracy", "lower", "upper", "kappa", "no_change", "same_time_yesterday", "majority", "threshold", "drift"):
        history = metric(documented.workshop, documented.deployment, f"block/{name}")
        assert {point.step for point in history} <= set(range(5))
        assert all(point.timestamp == int(times[first + 20 * point.step].astype("datetime64[ms]").astype(int)) for point in history)
    logged = [point.value for point in metric(documented.workshop, documented.deployment, "block/accuracy")]
    assert logged == [pytest.approx(float(row["accuracy"])) for row in blocks]


def test_the_deployment_shows_its_blocks_and_its_report(documented: Documented) -> None:
    out = documented.deploy_ran.out
    assert "100 rows in 5 blocks of 20" in out
    report = artifact(documented.workshop, documented.deployment, "report.html").read_text()
    assert report.startswith("<!DOCTYPE html>") and "http://" not in report.replace("http://www.w3.org/", "")


def test_a_drifted_deployment_without_a_terminal_says_what_to_run(documented: Documented) -> None:
    drifted = documented.deployment.data.metrics["watch_drifted_blocks"] > 0
    assert ("retrain_model.py" in documented.deploy_ran.out) == drifted


def test_the_served_answers_are_the_local_models(documented: Documented) -> None:
    assert documented.deployment.data.metrics["served_minus_local"] <= 1e-6


def test_the_retrain_is_a_child_of_the_base_run_and_its_trials_are_its_children(documented: Documented) -> None:
    assert [run.info.run_name.partition(":")[0] for run in documented.trials] == ["trial-00", "trial-01"]
    for trial in documented.trials:
        assert {"history", "window", "lr", "momentum", "weight_decay", "nesterov", "width", "depth", "train_stop"} <= set(trial.data.params)
        assert {"val_accuracy", "val_loss", "train_loss"} <= set(trial.data.metrics)
    assert documented.retrain.data.tags["driftloop.from_trial"] in {"trial-00", "trial-01"}
    assert documented.retrain_ran.result["trials"] == 2


def test_the_retrain_learns_before_it_validates_and_validates_before_it_judges(documented: Documented) -> None:
    known = int(documented.base.data.params["train_stop"])
    result = documented.retrain_ran.result
    judged_from = result["row"] - result["judge_rows"]
    assert judged_from >= known
    for trial in documented.trials:
        assert int(trial.data.params["train_stop"]) <= judged_from - 336
    (challenger,) = [run for run in documented.workshop.children(documented.retrain.info.run_id) if role(run) == "challenger"]
    assert challenger.info.status == "FINISHED"


def test_the_decision_and_its_reason_are_written_down(documented: Documented) -> None:
    result = documented.retrain_ran.result
    assert documented.retrain.data.tags["driftloop.decision"] == result["decision"]
    assert result["decision"].startswith("promoted" if result["promoted"] else "not promoted")
    client = documented.workshop.client
    champion = client.get_model_version_by_alias("drift_model", "champion")
    assert champion.tags["driftloop.reason"] == (result["decision"] if result["promoted"] else "deployed")


def test_every_run_of_the_documents_commands_has_ended_and_nothing_is_left(documented: Documented) -> None:
    assert documented.workshop.statuses("drift") == {"FINISHED"}
    assert processes_below() <= documented.before[0]
    assert own_folders() <= documented.before[1]


# A small table that drifts


def test_the_lifecycle_prints_one_json_object_with_the_promised_keys(cycle: tuple[Ran, Path]) -> None:
    done, _ = cycle
    assert len(done.out.splitlines()) == 1
    result = done.result
    promised = {"rows", "blocks", "accuracy", "accuracy_without_retraining", "baselines", "retrains", "served_version", "seconds"}
    assert promised <= set(result)
    assert set(result["baselines"]) == {"no_change", "same_time_yesterday", "majority"}
    for record in result["retrains"]:
        assert {"block", "reason", "params", "accuracy_before", "accuracy_after", "seconds"} <= set(record)
    assert (result["rows"], result["blocks"]) == (ROWS - KNOWN, 5)
    assert "rows in 5 blocks" in done.err


def test_the_lifecycle_promotes_a_retrained_model_and_gains_by_it(cycle: tuple[Ran, Path]) -> None:
    result = cycle[0].result
    promoted = [record for record in result["retrains"] if record["promoted"]]
    assert promoted and promoted[0]["row"] > FLIP
    assert result["served_version"] == promoted[-1]["version"] != "1"
    assert result["accuracy"] > result["accuracy_without_retraining"] + 0.1


def test_a_promotion_moves_the_aliases_and_leaves_its_reason(cycle: tuple[Ran, Path], workshop: Workshop) -> None:
    result = cycle[0].result
    promoted = [record for record in result["retrains"] if record["promoted"]]
    champion = workshop.client.get_model_version_by_alias("cycled", "champion")
    assert champion.version == int(result["served_version"]) or str(champion.version) == result["served_version"]
    assert champion.tags["driftloop.reason"] == promoted[-1]["decision"]
    assert champion.run_id == promoted[-1]["run_id"]
    previous = workshop.client.get_model_version_by_alias("cycled", "previous")
    assert str(previous.version) == champion.tags["driftloop.replaced"]
    assert "challenger" not in workshop.client.get_registered_model("cycled").aliases


def test_the_lifecycle_is_one_tree_of_finished_runs(cycle: tuple[Ran, Path], workshop: Workshop) -> None:
    result = cycle[0].result
    runs = workshop.runs("cycle")
    assert {run.info.status for run in runs} == {"FINISHED"}
    (top,) = [run for run in runs if parent(run) is None]
    assert (role(top), top.info.run_id) == ("base", result["run_id"])
    roles = sorted(role(run) for run in workshop.children(top.info.run_id))
    assert roles == sorted(["trial", "deployment", *["retrain"] * len(result["retrains"])])
    for retrain in [run for run in runs if role(run) == "retrain"]:
        assert sorted(role(run) for run in workshop.children(retrain.info.run_id)) == ["challenger", "trial", "trial"]


def test_the_lifecycle_served_what_the_local_model_says_and_reports_it(cycle: tuple[Ran, Path], workshop: Workshop) -> None:
    done, place = cycle
    (deployment,) = [run for run in workshop.runs("cycle") if role(run) == "deployment"]
    assert deployment.data.metrics["served_minus_local"] <= 1e-6
    (top,) = [run for run in workshop.runs("cycle") if parent(run) is None]
    assert artifact(workshop, top, "report.html").read_text() == place.read_text()
    assert top.data.metrics["watch_accuracy"] == pytest.approx(done.result["accuracy"])


def test_every_retrain_ends_before_the_rows_it_must_not_see(cycle: tuple[Ran, Path], workshop: Workshop) -> None:
    for record in cycle[0].result["retrains"]:
        judged_from = record["row"] - record["judge_rows"]
        for run in workshop.children(record["run_id"]):
            if role(run) == "trial":
                assert int(run.data.params["train_stop"]) == judged_from - 10
        run = workshop.client.get_run(record["run_id"])
        if record["promoted"]:
            assert int(run.data.params["train_stop"]) == record["row"]


def test_the_lifecycle_says_what_the_statistics_say(cycle: tuple[Ran, Path], workshop: Workshop) -> None:
    done, place = cycle
    told = done.result["findings"]
    assert [words.partition(":")[0].partition(",")[0].partition(" first found ")[0] for words in told] == [
        "Drift rule threshold",
        "Kind of the drift",
        "Forecast",
        "Without labels",
    ]
    assert "Drift, forecast, estimate" in place.read_text()
    (deployment,) = [run for run in workshop.runs("cycle") if role(run) == "deployment"]
    assert deployment.data.params["drift_rule"] == "threshold"


def test_the_significant_rule_finds_the_flip_and_a_promoted_model_is_on_probation(workshop: Workshop, tmp_path: Path, space: Path) -> None:
    place, flip = tmp_path / "long.csv", 1100  # 13 blocks after the base model's 840 rows
    drifting_table(1200, flip).to_csv(place, index=False)
    flags = (*data_flags(place), *WATCH, *RETRAIN, "--search_space", space, "--register_model_name", "sure", "--drift_rule", "significant")
    result = ended_well(workshop.run("lifecycle", *flags, "--block_size", 20, "--mlflow_experiment_name", "sure", "--json")).result
    first, *later = result["retrains"]
    assert first["row"] > flip and "against 'right at least 0.7 of the time'; alarm at 20" in first["reason"]
    assert all("on probation" in record["reason"] for record in later)
    (deployment,) = [run for run in workshop.runs("sure") if role(run) == "deployment"]
    evidence = metric(workshop, deployment, "block/evidence")
    assert evidence[first["block"]].value >= 20 > evidence[first["block"] - 1].value


def test_a_drift_is_followed_up_each_time_the_rows_since_have_doubled(workshop: Workshop, tmp_path: Path, space: Path) -> None:
    place, flip = tmp_path / "long.csv", 900  # three blocks after the base model's 840 rows
    drifting_table(1200, flip).to_csv(place, index=False)
    flags = (*data_flags(place), *WATCH, *RETRAIN, "--search_space", space, "--register_model_name", "followed", "--after_drift", "same")
    done = ended_well(workshop.run("lifecycle", *flags, "--block_size", 20, "--follow_up", "--mlflow_experiment_name", "followed", "--json"))
    drift, *later = done.result["retrains"]
    assert drift["row"] > flip and not drift["follow_up"]
    assert all(record["follow_up"] for record in later)  # also while no challenger is promoted
    assert [record["row"] - (drift["row"] - 20) for record in later] == [40, 80, 160]
    assert any(record["promoted"] for record in later)
    assert f"follow-up of the drift in block {drift['block']}: 40 rows since it began" in later[0]["reason"]
    assert f"block {later[0]['block']} is a follow-up: retrained in" in done.err
    (deployment,) = [run for run in workshop.runs("followed") if role(run) == "deployment"]
    assert deployment.data.params["follow_up"] == "True"


def test_a_drift_after_good_blocks_is_a_new_one_and_waits_for_no_follow_up(workshop: Workshop, tmp_path: Path, space: Path) -> None:
    table = drifting_table(1300, 1189)  # the base model learns 909 rows; one bad block, which no retrain mends, and 200 rows later the drift
    table.loc[969:988, "target"] = 1 - table.loc[969:988, "target"]
    place = tmp_path / "twice.csv"
    table.to_csv(place, index=False)
    flags = (*data_flags(place), *WATCH, *RETRAIN, "--search_space", space, "--register_model_name", "second_drift", "--after_drift", "same")
    done = ended_well(workshop.run("lifecycle", *flags, "--block_size", 20, "--follow_up", "--mlflow_experiment_name", "second_drift", "--json"))
    told = [(record["row"], record["follow_up"]) for record in done.result["retrains"]]
    assert told[:5] == [(989, False), (1009, True), (1049, True), (1129, True), (1209, False)]
    assert not any(record["promoted"] for record in done.result["retrains"][:4])


def test_a_proactive_watch_retrains_before_the_threshold_is_crossed(workshop: Workshop, drifting_csv: Path, space: Path) -> None:
    flags = (*data_flags(drifting_csv), *WATCH, *RETRAIN, "--search_space", space, "--register_model_name", "early", "--drift_rule", "never")
    asked = ("--block_size", 10, "--proactive", "--lead_blocks", 300, "--max_retrains", 1)
    result = ended_well(workshop.run("lifecycle", *flags, *asked, "--mlflow_experiment_name", "early", "--json")).result
    (record,) = result["retrains"]
    assert "the block KPI" in record["reason"]
    assert result["drifted_blocks"] == 0


# A deployment of the small table that the retrain continues


def test_a_deployment_may_retrain_and_swap_by_itself_and_tell_schedulers_of_the_drift(deployed: Deployed, workshop: Workshop) -> None:
    assert deployed.ran.code == 10, deployed.ran.err
    result = deployed.ran.result
    assert any(record["promoted"] for record in result["retrains"])
    assert len(result["versions"]) == 2
    assert result["versions"][-1]["accuracy"] > 0.7
    assert workshop.statuses("deployed") == {"FINISHED"}


def test_a_challenger_that_can_only_be_the_champion_again_is_called_so(deployed: Deployed, workshop: Workshop) -> None:
    assert retrain_until_580(workshop, deployed, "again", "--total_trials", 1)["promoted"]
    second = retrain_until_580(workshop, deployed, "again", "--total_trials", 1, until=("--until_row", 590))
    assert (second["promoted"], second["judge_rows"]) == (False, 10)
    assert "so it is the same model" in second["decision"]


CHANGING = {"seconds", "run_id", "experiment"}


def figures(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name not in CHANGING}


def test_the_same_seed_gives_the_same_retrain(deployed: Deployed, workshop: Workshop, retrained: dict[str, Any]) -> None:
    assert figures(retrain_until_580(workshop, deployed, "twice")) == figures(retrained)


def test_the_last_row_may_be_named_by_the_time_of_the_next(deployed: Deployed, workshop: Workshop, retrained: dict[str, Any]) -> None:
    by_time = retrain_until_580(workshop, deployed, "by_time", until=("--until_time", "2024-01-13T04:00:00.000+02:00"))
    assert figures(by_time) == figures(retrained)


def test_a_retrain_sees_no_row_from_the_drift_on(deployed: Deployed, workshop: Workshop, retrained: dict[str, Any], tmp_path: Path) -> None:
    frame = drifting_table()
    frame.loc[580:, "target"] = 1 - frame.loc[580:, "target"]
    frame.loc[580:, ["x1", "x2"]] = 0.5
    frame.to_csv(tmp_path / "drifting.csv", index=False)
    again = retrain_until_580(workshop, deployed, "corrupted", "--data_path", tmp_path / "drifting.csv")
    assert figures(again) == figures(retrained)
    assert retrained["promoted"]


def test_a_base_model_learns_nothing_from_its_test_rows(deployed: Deployed, workshop: Workshop, tmp_path: Path) -> None:
    frame = drifting_table()
    frame.loc[KNOWN:, "target"] = 1 - frame.loc[KNOWN:, "target"]
    frame.to_csv(tmp_path / "flipped.csv", index=False)
    flags = (*data_flags(tmp_path / "flipped.csv"), "--max_epochs", 10, "--mlflow_experiment_name", "leakage", "--json")
    again = ended_well(workshop.run("base_model", *flags)).result
    assert again["accuracy"] == pytest.approx(1 - deployed.base["accuracy"])


def test_train_base_trains_the_missing_base_model_first(workshop: Workshop, drifting_csv: Path, space: Path) -> None:
    flags = (*data_flags(drifting_csv), "--mlflow_experiment_name", "from nothing", "--search_space", space, *RETRAIN, "--max_epochs", 1)
    ended_well(workshop.run("retrain_model", *flags, "--train_base", "--register_model_name", "nothing"))
    runs = workshop.runs("from nothing")
    (base,) = [run for run in runs if parent(run) is None]
    assert [role(run) for run in workshop.children(base.info.run_id)] == ["trial", "retrain"]


def test_bad_rows_are_set_aside_and_told(workshop: Workshop, tmp_path: Path) -> None:
    frame: pd.DataFrame = drifting_table().astype({"x1": object})
    frame.loc[[7, 9], "x1"] = "broken"
    frame.to_csv(tmp_path / "t.csv", index=False)
    flags = (*data_flags(tmp_path / "t.csv"), "--bad_rows", "set_aside", "--max_epochs", 1, "--mlflow_experiment_name", "set aside")
    done = ended_well(workshop.run("base_model", *flags))
    assert "set aside line 9: x1 is 'broken', not a number" in done.err
    assert "set aside 2 bad rows in total" in done.err
