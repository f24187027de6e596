"""MLflow tells the story by itself: names, descriptions, datasets, signature, and figures that can be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from mlflow.models import Model, validate_serving_input
from script_fixtures import FLIP, KNOWN, ROWS, Workshop, data_flags, drifting_table, parent, role

from driftloop.data import streams
from driftloop.metrics.results import RetrainRecord
from driftloop.report import descriptions
from driftloop.tracking import mlflow_store
from driftloop.training import packaging, trained_model
from driftloop.training.family import Family
from driftloop.training.trained_model import KnownModel
from learner import ELEC

HISTORY = 3
FLAGS = ("--block_size", 40, "--threshold_accuracy", ".7", "--drift_rule", "threshold", "--max_epochs", 10, "--total_trials", 2, "--judge_rows", 30)
NOTE = "mlflow.note.content"
DUST = {"foreach", "fused", "maximize", "capturable", "differentiable"}


class Story:
    """A lifecycle over a small table with labels in words, and its runs by role."""

    def __init__(self, workshop: Workshop, folder: Path) -> None:
        space = folder / "space.yaml"
        space.write_text("window: {choices: [40]}\nlr: {range: [0.1, 0.3], log: true}\ndepth: {choices: [0]}\n")
        self.path = folder / "my table.csv"
        table = drifting_table()
        table["target"] = table["target"].map({0: "down", 1: "up"})
        table.to_csv(self.path, index=False)
        self.workshop = workshop
        flags = (*data_flags(self.path), *FLAGS, "--validation_rows", 10, "--history", HISTORY, "--search_space", space)
        self.ran = workshop.run("lifecycle", *flags, "--register_model_name", "told", "--mlflow_experiment_name", "story", "--json")
        assert self.ran.code == 0, self.ran.err
        self.result = self.ran.result
        self.runs = workshop.runs("story")
        (self.parent,) = [run for run in self.runs if parent(run) is None]

    def of(self, *roles: str) -> list[Run]:
        return [run for run in self.runs if role(run) in roles]


@pytest.fixture(scope="module")
def story(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(workshop, tmp_path_factory.mktemp("story"))


def test_a_run_is_called_after_what_it_is(story: Story) -> None:
    assert story.parent.info.run_name == "my table lifecycle"
    (deployment,) = story.of("deployment")
    assert deployment.info.run_name == "deployment 2024-01-09 to 2024-01-13"
    assert [run.info.run_name for run in story.of("retrain")] == [f"retrain at block {record['block']}" for record in story.result["retrains"]]
    first, second = [run for run in story.of("trial") if parent(run) == story.result["retrains"][0]["run_id"]]
    assert first.info.run_name == f"trial-00: history {HISTORY}, window 40, depth 0"
    assert second.info.run_name == f"trial-01: history {HISTORY}, window 40, lr {float(second.data.params['lr']):.2g}, depth 0"


def test_no_run_has_the_optimizers_dust_or_a_tag_that_only_we_read(story: Story) -> None:
    for run in story.runs:
        assert not DUST & set(run.data.params)
        assert "driftloop.process" not in run.data.tags


def test_autologging_leaves_the_optimizers_parameters(story: Story) -> None:
    for run in story.of("base", "trial", "challenger"):
        assert run.data.params["optimizer_name"] == "SGD"
        assert run.data.params["epochs"] == "10"


def test_a_fit_leaves_its_loss_by_epoch(story: Story) -> None:
    for run in story.of("base", "trial", "challenger"):
        history = story.workshop.client.get_metric_history(run.info.run_id, "train_loss")
        assert [point.step for point in history] == list(range(10))
        assert history[-1].value < history[0].value


def test_parent_challengers_and_retrains_have_the_same_figures_on_the_same_rows(story: Story) -> None:
    compared = story.of("base", "challenger", "retrain")
    assert len(compared) >= 3
    names = {"test_accuracy", "test_kappa", "test_rows", "test_no_change", "test_same_time_yesterday", "test_majority"}
    for run in compared:
        assert names <= set(run.data.metrics)
    assert len({run.data.metrics["test_rows"] for run in compared}) == 1
    assert len({run.data.metrics["test_no_change"] for run in compared}) == 1
    start = ROWS - int(story.parent.data.metrics["test_rows"])
    for run in compared:
        fitted_for_test = run.data.params["train_stop"]
        promoted = role(run) == "retrain" and int(fitted_for_test) > start  # its challenger stands for it
        assert int(fitted_for_test) <= start or promoted


def test_the_figures_are_those_of_the_models_on_these_rows(story: Story) -> None:
    stream = streams.load(story.path, time_column="time")
    rows = int(story.parent.data.metrics["test_rows"])
    with story.workshop.entered():
        base = trained_model.restore(mlflow_store.open_store("story"), story.parent.info.run_id, learner=ELEC, stream=stream)
    right = trained_model.losses(base.model, stream, ROWS - rows, ROWS) == 0
    assert story.parent.data.metrics["test_accuracy"] == pytest.approx(right.mean())
    older = story.workshop.client.get_metric_history(story.parent.info.run_id, "test_rows")
    assert [(point.step, point.value) for point in older] == [(KNOWN, ROWS - KNOWN), (ROWS - rows, rows)]


def test_the_headline_of_parent_and_deployment_is_the_whole_watch(story: Story) -> None:
    (deployment,) = story.of("deployment")
    for run in (story.parent, deployment):
        assert run.data.metrics["watch_accuracy"] == pytest.approx(story.result["accuracy"])
        assert run.data.metrics["watch_rows"] == ROWS - KNOWN
    assert "accuracy" not in deployment.data.metrics
    assert len(story.workshop.client.get_metric_history(deployment.info.run_id, "block/accuracy")) == story.result["blocks"]


def test_every_run_of_a_fit_or_watch_names_the_rows_it_used(story: Story) -> None:
    wanted = {
        "base": {"training", "test"},
        "trial": {"training", "validation"},
        "challenger": {"training", "judge"},
        "retrain": {"training", "judge"},
        "deployment": {"watch"},
    }
    for run in story.runs:
        found = {tag.value: used.dataset for used in run.inputs.dataset_inputs for tag in used.tags if tag.key == "mlflow.data.context"}
        assert set(found) == wanted[role(run)]
        for dataset in found.values():
            assert dataset.name == "my table.csv" and len(dataset.digest) == 12
            assert json.loads(dataset.source)["uri"] == str(story.path)
            assert [column["name"] for column in json.loads(dataset.schema)["mlflow_colspec"]] == ["x1", "x2", "label"]
        if "training" in found:
            profile = json.loads(found["training"].profile)
            assert (profile["first_row"], profile["stop_row"]) == (int(run.data.params["train_start"]), int(run.data.params["train_stop"]))


def test_the_same_rows_have_the_same_digest_and_others_another(story: Story) -> None:
    spans: dict[str, set[tuple[int, int]]] = {}
    for run in story.runs:
        for used in run.inputs.dataset_inputs:
            profile = json.loads(used.dataset.profile)
            spans.setdefault(used.dataset.digest, set()).add((profile["first_row"], profile["stop_row"]))
    assert len(spans) > 4 and all(len(found) == 1 for found in spans.values())


def test_the_experiment_and_every_run_but_trials_say_what_they_are(story: Story) -> None:
    experiment = story.workshop.client.get_experiment_by_name("story")
    assert experiment.tags[NOTE] == descriptions.EXPERIMENT
    for run in story.of("base", "deployment", "retrain", "challenger"):
        assert run.data.tags[NOTE]
    told = story.parent.data.tags[NOTE]
    assert told.startswith(
        "Base model of `my table`, from `my table.csv`: predicts the label (`down`, `up`) from 2 columns.\n\n### Watch\nThe served model was right on"
    )
    assert f"Trained on rows {KNOWN - 40} to {KNOWN - 1} (40 rows, 2024-01-08 22:00 to 2024-01-09 17:30)" in told
    assert f"#/experiments/{experiment.experiment_id}/runs/{story.parent.info.run_id}/artifacts/report.html" in told
    assert "Columns: `x1`, `x2`." in told and "majority class:" in told


def test_a_retrain_says_why_how_it_was_judged_and_how_it_compares(story: Story) -> None:
    for record, run in zip(story.result["retrains"], story.of("retrain"), strict=True):
        told = run.data.tags[NOTE]
        assert told.startswith("Promoted" if record["promoted"] else "Not promoted")
        assert f"Reason: {record['reason']}" in told
        assert "base model: " in told.partition(descriptions.COMPARED)[2]


def test_the_registered_model_and_its_versions_say_what_they_are_and_why(story: Story) -> None:
    client = story.workshop.client
    assert client.get_registered_model("told").description.startswith("Model of `my table` (classification: `down`, `up`)")
    champion = client.get_model_version_by_alias("told", "champion")
    promoted = [record for record in story.result["retrains"] if record["promoted"]][-1]
    assert descriptions.WHY in champion.description and promoted["decision"].removeprefix("promoted") in champion.description
    assert champion.description.count(promoted["decision"].removeprefix("promoted")) == 1
    assert "majority class:" in champion.description and f"runs/{promoted['run_id']}" in champion.description
    assert "put into service by a deployment" in client.get_model_version("told", "1").description.lower()


def test_a_person_keeps_what_a_person_wrote(workshop: Workshop, story: Story) -> None:
    client, experiment = workshop.client, workshop.client.get_experiment_by_name("story")
    client.set_experiment_tag(experiment.experiment_id, NOTE, "ours")
    client.update_registered_model("told", "mine")
    flags = (*data_flags(story.path), *FLAGS[:-4], "--test_data_rows", 40, "--history", HISTORY, "--train_base", "--on_drift", "ignore")
    done = workshop.run("deploy_model", *flags, "--register_model_name", "told", "--mlflow_experiment_name", "story")
    assert done.code == 0, done.err
    assert client.get_experiment(experiment.experiment_id).tags[NOTE] == "ours"
    assert client.get_registered_model("told").description == "mine"


# The logged model


def test_the_signature_names_the_columns_and_both_faces_give_the_served_answers(story: Story) -> None:
    stream = streams.load(story.path, time_column="time")
    table = pd.read_csv(story.path)
    with story.workshop.entered():
        store = mlflow_store.open_store("story")
        known = trained_model.restore(store, story.parent.info.run_id, learner=ELEC, stream=stream)
        table_model = mlflow.pyfunc.load_model(known.uri)
        network = mlflow.pytorch.load_model(known.uri)
    assert [column.name for column in table_model.metadata.signature.inputs] == ["x1", "x2"]
    assert [column.name for column in table_model.metadata.signature.outputs] == ["prediction", "probability_down", "probability_up"]
    wanted = trained_model.predict(known.model, stream, 0, ROWS)
    answers = table_model.predict(table[["x2", "target", "x1"]])  # by name, in any order, others left out
    np.testing.assert_allclose(answers[["probability_down", "probability_up"]], wanted, atol=1e-6)
    assert answers["prediction"].tolist() == [stream.label_names[at] for at in wanted.argmax(axis=1)]
    later = table_model.predict(table[["x1", "x2"]], params={"first": FLIP})
    np.testing.assert_allclose(later[["probability_down", "probability_up"]], wanted[FLIP:], atol=1e-6)
    windows = np.stack([stream.rows[at - HISTORY : at + 1] for at in range(FLIP, FLIP + 5)])
    import torch

    logits = network(torch.from_numpy(windows.astype(np.float32)))
    np.testing.assert_allclose(torch.softmax(logits, dim=1).detach().numpy(), wanted[FLIP : FLIP + 5], atol=1e-6)


def test_the_example_of_the_model_is_a_table_that_it_answers(story: Story, tmp_path: Path) -> None:
    with story.workshop.entered():
        mlflow_store.open_store("story")
        path = mlflow.artifacts.download_artifacts(story.parent.data.tags["driftloop.model_uri"], dst_path=str(tmp_path))
    answer = validate_serving_input(path, Model.load(path).get_serving_input(path))
    assert list(answer.columns) == ["prediction", "probability_down", "probability_up"] and len(answer) == HISTORY + 2


@pytest.mark.parametrize(
    ("labels", "kind"), [((), "double"), ((0, 1), "long"), ((0.5, 1.0), "double"), ((True, False), "boolean"), (("a", "b"), "string"), ((1, "b"), "string")]
)
def test_the_predictions_type_is_that_of_the_labels(labels: tuple[Any, ...], kind: str) -> None:
    found = packaging.signature({"features": ["x"], "labels": list(labels)})
    assert found.outputs.inputs[0].type.name == kind


# Words


def test_a_name_cannot_break_out_of_the_description() -> None:
    told = descriptions.base(stream="a`b\n# big", source="[x](y)", features=1, labels=["*"])
    assert told == "Base model of `a'b # big`, from `[x](y)`: predicts the label (`*`) from 1 column."


def test_a_description_fits_into_the_registry() -> None:
    assert len(descriptions.short("x" * 9000)) <= 5000


def test_a_retrain_without_a_change_of_parameters_says_so() -> None:
    record = RetrainRecord(-1, 10, "", "asked for", False, "not promoted: no better", {"lr": 1}, {"lr": 1}, 5, 0.5, 1, 1.0, "r")
    assert "none changed" in descriptions.retrained(record, trained="rows", judged="rows")


def test_a_champion_that_is_the_base_model_is_compared_once_and_keeps_its_name() -> None:
    base = KnownModel(None, {}, (0, 10), 0, {}, "run", "models:/m-1")
    family = Family(store=None, stream=None)  # type: ignore[arg-type]  # neither is asked
    family.add_served(base, base.numbered("1"))
    assert [(member.run_id, member.name, member.model_id) for member in family.members.values()] == [("run", "base model", "m-1")]
    family.log()  # alone there is nothing to compare
