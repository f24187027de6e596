"""`python -m monitoring describe`: the stream of a registered model as YAML that the services take as it is."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import described_stream
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

import retrain_model
from driftloop.cli.call import read
from driftloop.data.schema.schema import Column, Schema
from driftloop.errors import DataError, SettingsError, TrackingError
from driftloop.metrics.goal import Goal
from driftloop.metrics.row_kpis import BrierKpi, CostKpi
from driftloop.metrics.task import CLASSIFICATION, Task
from driftloop.tracking import mlflow_store
from driftloop.tracking.registry import CHAMPION, Registry
from driftloop.training import reference
from driftloop.watch.watch_plan import WatchPlan
from monitoring import described, stream_settings
from monitoring.__main__ import main
from monitoring.local import describe
from monitoring.online import api
from monitoring.retrain import commands


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowClient]:
    """A store with the champion of cars_model, a version of another model without an alias, and a model whose column has a dot."""
    folder = tmp_path_factory.mktemp("describe")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        opened = mlflow_store.open_store("cars")
        dotted = described_stream.some_reference((replace(described_stream.COLUMNS[0], name="a.b"), *described_stream.COLUMNS[1:]))
        for name, known in (("cars_model", described_stream.some_reference()), ("dotted", dotted)):
            with mlflow_store.run(opened, "base", role="base") as run_id:
                reference.log(known)
                mlflow_store.log_json({"class": "TableModel"}, f"{mlflow_store.NETWORK}/card.json")
                mlflow_store.log_json(Schema((Column("y", "label", "category", unit="€"),)).as_json(), "schema.json")
                mlflow_store.log_metrics({"val_accuracy": 0.9})
            registry = Registry(opened.client, name)
            registry.promote(registry.register(source=f"runs:/{run_id}/{mlflow_store.NETWORK}", run_id=run_id), reason="test")
        opened.client.create_registered_model("unserved")
        yield opened.client


def test_what_it_prints_is_a_streams_file_whose_features_are_the_models(store: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "--model", "cars_model"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "my.yaml").write_text(printed, encoding="utf-8")
    (stream,) = stream_settings.load(tmp_path / "my.yaml").values()
    assert (stream.name, stream.kpi, stream.threshold, stream.fallback_by, stream.features) == ("cars_model", "accuracy", 0.89, ("fuel type",), ())
    assert "#   categories: fuel type" in printed and "yes or no: new, paid ✓" in printed
    whole = described.complete({stream.name: stream})[stream.name]
    assert whole.feature_names == tuple(described_stream.ROW) and (whole.labels, whole.unit) == ((0, 1), "€")


def test_as_json_it_is_the_settings(store: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "--model", "cars_model", "--stream", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "stream": "mine", "model": "cars_model", "kpi": "accuracy", "threshold": 0.89, "block_size": 20, "alpha": 0.05, "fallback_by": ["fuel type"],
    }  # fmt: skip


@contextmanager
def read_with(store: MlflowClient, **reading: str) -> Iterator[None]:
    """While the base run of cars_model says that its table was read with these flags."""
    base = Registry(store, "cars_model").run_of("1")
    store.log_dict(base, reading, "reading.json")
    try:
        yield
    finally:
        folder = store.get_run(base).info.artifact_uri or ""
        (Path(folder.removeprefix("file://")) / "reading.json").unlink()


def test_the_table_of_the_training_is_named_and_a_retrain_reads_it_as_the_training_did(
    store: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "cars: #1.csv"
    table.touch()
    with read_with(store, data_path=str(table), target="y", time_zone="Europe/Berlin", schema="/gone.yaml"):
        assert main(["describe", "--model", "cars_model"]) == 0
        (tmp_path / "my.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
        streams = stream_settings.load(tmp_path / "my.yaml")
        assert streams["cars_model"].data == str(table)
        make = commands.retrain_command(commands.commands_of(None, streams), streams, torchserve_url="http://127.0.0.1:1")
        command = make("cars_model", "2024-01-01T00:00:00.000Z").words
        table.unlink()
        with pytest.raises(SettingsError, match=r"the table .*cars: #1.csv does not exist"):
            make("cars_model", "2024-01-01T00:00:00.000Z")
        assert main(["describe", "--model", "cars_model"]) == 0
        printed = capsys.readouterr().out
    args = retrain_model.build_parser().parse_args(command[2:])
    found = (args.data_path, args.target, args.time_zone, args.schema, args.mlflow_experiment_name, args.base_run_id, args.register_model_name)
    assert found == (str(table), "y", "Europe/Berlin", "", "cars", Registry(store, "cars_model").run_of("1"), "cars_model")
    (tmp_path / "my.yaml").write_text(printed, encoding="utf-8")
    assert stream_settings.load(tmp_path / "my.yaml")["cars_model"].data == ""
    (line,) = [line for line in printed.splitlines() if "# data:" in line]
    assert str(table) in line and "which is not here" in line


def test_a_model_that_says_nothing_of_its_table_leaves_a_line_that_says_what_to_put_there(store: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "--model", "cars_model"]) == 0
    assert capsys.readouterr().out.endswith("\n  # data: my.csv  # the table, from this file's folder: without it nothing can retrain the model\n")


def test_a_command_that_names_a_table_keeps_it(store: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(described_stream.YAML.replace("}", ", data: my.csv}"), encoding="utf-8")
    streams = stream_settings.load(tmp_path / "my.yaml")
    make = commands.retrain_command({"cars": "retrain_model.py --data_path other.csv"}, streams, torchserve_url="http://127.0.0.1:1")
    assert str(tmp_path) not in " ".join(make("cars", "2024-01-01T00:00:00.000Z").words)


@contextmanager
def watched(store: MlflowClient, model: str = "cars_model", **params: str) -> Iterator[None]:
    """While the base run of a model has a watch with these parameters."""
    registry = Registry(store, model)
    base = described.base_of(mlflow_store.open_reader(), registry.run_of(registry.holder(CHAMPION) or ""))
    tags = {"mlflow.parentRunId": base, mlflow_store.ROLE: "deployment"}
    run = store.create_run(store.get_run(base).info.experiment_id, tags=tags).info.run_id
    for name, value in params.items():
        store.log_param(run, name, value)
    try:
        yield
    finally:
        store.delete_run(run)


def test_a_watch_of_the_model_gives_its_threshold_and_block(store: MlflowClient, capsys: pytest.CaptureFixture[str]) -> None:
    with watched(store, threshold="0.77", alpha="0.01", block_size="64", block_by="rows"):
        assert main(["describe", "--model", "cars_model"]) == 0
        assert "of the newest watch of this model" in capsys.readouterr().out
        assert main(["describe", "--model", "cars_model", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["threshold"], found["alpha"], found["block_size"]) == (0.77, 0.01, 64)


@pytest.mark.parametrize(("kpi", "threshold"), [("f1", "0.6"), ("cost", "3.5"), ("custom: mine", "-2")])
def test_a_watch_of_a_chosen_kpi_gives_its_block_but_not_its_threshold(
    store: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str], kpi: str, threshold: str
) -> None:
    with watched(store, kpi=kpi, threshold=threshold, alpha="0.01", block_size="64", block_by="rows"):
        assert main(["describe", "--model", "cars_model"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "my.yaml").write_text(printed, encoding="utf-8")
    (stream,) = stream_settings.load(tmp_path / "my.yaml").values()
    assert (stream.kpi, stream.threshold, stream.alpha, stream.block_size) == ("accuracy", 0.89, 0.01, 64)
    assert "more errors than on the base model's validation rows" in printed


def chosen(store: MlflowClient, kpi: str, **metrics: float) -> str:
    """A model whose base run was chosen by this KPI; its name."""
    opened, name = mlflow_store.open_store("cars"), f"z_by_{kpi.partition(' ')[0]}_{len(metrics)}"
    with mlflow_store.run(opened, "base", role="base") as run_id:
        reference.log(described_stream.some_reference())
        mlflow_store.log_json({"class": "TableModel"}, f"{mlflow_store.NETWORK}/card.json")
        mlflow_store.log_json(Schema((Column("y", "label", "category", unit="€"),)).as_json(), "schema.json")
        mlflow_store.log_metrics({"val_accuracy": 0.9, **metrics})
        mlflow_store.log_params({"kpi": kpi})
    registry = Registry(opened.client, name)
    registry.promote(registry.register(source=f"runs:/{run_id}/{mlflow_store.NETWORK}", run_id=run_id), reason="test")
    return name


def described_as(model: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[stream_settings.StreamConfig, str]:
    """The stream that a model's description gives, and its text."""
    assert main(["describe", "--model", model]) == 0
    printed = capsys.readouterr().out
    (folder / "my.yaml").write_text(printed, encoding="utf-8")
    return stream_settings.load(folder / "my.yaml")[model], printed


@pytest.mark.parametrize(
    ("kpi", "measured", "threshold", "better"),
    [
        ("brier", 0.2, 0.22, "lower"),
        ("log_loss", 0.5, 0.55, "lower"),
        ("cost 0:1=2,1:0=1", 0.3, 0.33, "lower"),
        ("balanced_accuracy", 0.8, 0.78, "higher"),
        ("f1", 0.7, 0.67, "higher"),
        ("roc_auc", 0.9, 0.89, "higher"),
        ("average_precision", 0.6, 0.56, "higher"),
    ],
)
def test_the_kpi_is_the_one_that_the_base_model_was_chosen_by_with_its_own_threshold(
    store: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str], kpi: str, measured: float, threshold: float, better: str
) -> None:
    name, _, cost = kpi.partition(" ")
    stream, printed = described_as(chosen(store, kpi, **{f"val_{name}": measured}), tmp_path, capsys)
    assert (stream.kpi, stream.cost, stream.threshold, stream.task) == (name, cost, pytest.approx(threshold), "classification")
    assert f"# {better} is better\n" in printed and f"10 % more loss than on the base model's validation rows ({name} {measured:g})" in printed
    whole = described.complete({stream.name: stream}, judged=True)[stream.name]
    known = described_stream.some_reference()
    assert whole.shares == (float(np.mean(known.labels == 0)), float(np.mean(known.labels == 1))) and whole.unit == ""
    assert (whole.goal.task.kpi, whole.goal.threshold) == (name, stream.threshold)


def test_a_kpi_that_was_not_measured_gets_a_threshold_to_be_replaced(store: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream, printed = described_as(chosen(store, "brier"), tmp_path, capsys)
    assert (stream.kpi, stream.threshold) == ("brier", 0.5) and "of no measurement: give yours" in printed


@pytest.mark.parametrize(
    ("kpi", "watch", "threshold"),
    [
        ("brier", {"kpi": "brier"}, 0.31),
        ("brier", {"kpi": "log_loss"}, 0.22),
        ("brier", {}, 0.22),  # of a watch by the accuracy
        ("cost 0:1=2,1:0=1", {"kpi": "cost", "cost": "1:0=1, 0:1=2.0"}, 0.31),
        ("cost 0:1=2,1:0=1", {"kpi": "cost", "cost": "0:1=3,1:0=1"}, 0.22),
        ("cost 0:1=2,1:0=1", {"kpi": "cost"}, 0.22),  # of an earlier version of the program
    ],
)
def test_only_a_watch_by_the_same_kpi_gives_its_threshold(
    store: MlflowClient, tmp_path: Path, capsys: pytest.CaptureFixture[str], kpi: str, watch: dict[str, str], threshold: float
) -> None:
    model = chosen(store, kpi, **{f"val_{kpi.partition(' ')[0]}": 0.2})
    with watched(store, model, threshold="0.31", alpha="0.01", block_size="64", block_by="rows", **watch):
        stream, _ = described_as(model, tmp_path, capsys)
    assert (stream.kpi, stream.threshold, stream.alpha, stream.block_size) == (kpi.partition(" ")[0], pytest.approx(threshold), 0.01, 64)


def test_a_watch_logs_what_it_is_judged_by_and_what_that_costs() -> None:
    def logged(doing: Task) -> dict[str, Any]:
        names: Any = SimpleNamespace(label_names=("bad", "good"))
        return WatchPlan.judged_by(SimpleNamespace(goal=Goal(doing, 0.5, 0.1)), names)  # type: ignore[arg-type]

    halves = np.array([0.5, 0.5])
    assert logged(CLASSIFICATION) == {"threshold": 0.5, "alpha": 0.1}
    assert logged(BrierKpi(halves)) == {"threshold": 0.5, "alpha": 0.1, "kpi": "brier"}
    costs = np.array([[0.0, 1.0], [5.0, 0.0]])
    assert logged(CostKpi(halves, costs)) == {"threshold": 0.5, "alpha": 0.1, "kpi": "cost", "cost": "bad:good=1.0,good:bad=5.0"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--model", "nothing"], "there is no registered model 'nothing': registered are cars_model"),
        (["--model", "unserved"], "registered model 'unserved' has no champion"),
        (["--model", "dotted"], "feature 'a.b' cannot be recorded under its name: rename the column"),
        (["--model", "cars_model", "--stream", "Big Name"], "a name is lower-case letters"),
    ],
)
def test_what_cannot_be_described_is_said_in_one_line(store: MlflowClient, capsys: pytest.CaptureFixture[str], flags: list[str], said: str) -> None:
    assert main(["describe", *flags]) > 1
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_a_stream_is_read_from_its_models_metadata_without_the_training_rows(store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = Registry(store, "cars_model").run_of("1")
    reader, whole = mlflow_store.open_reader(), reference.load(mlflow_store.open_reader(), run_id)
    fetched: list[str] = []
    download = MlflowClient.download_artifacts
    monkeypatch.setattr(MlflowClient, "download_artifacts", lambda self, run, path, to=None: fetched.append(path) or download(self, run, path, to))
    its = described.of_run(reader, run_id, model="cars_model")
    assert [feature.name for feature in its.features] == list(whole.about.features)
    assert sorted(fetched) == ["reference/reference.json", "schema.json"]
    assert reference.about(reader, run_id) == whole.about
    reference.write(whole, tmp_path)
    (tmp_path / "reference.parquet").unlink()
    assert reference.read_about(tmp_path) == whole.about


def test_metadata_that_is_not_there_or_broken_is_named(store: MlflowClient, tmp_path: Path) -> None:
    reader = mlflow_store.open_reader()
    bare = store.create_run(store.get_run(Registry(store, "cars_model").run_of("1")).info.experiment_id).info.run_id
    with pytest.raises(TrackingError, match=f"run {bare} has no training reference: train the model again"):
        reference.about(reader, bare)
    for text in ("", "{}", "[]", '{"stream": 1}', "\x00"):
        (tmp_path / "reference.json").write_text(text)
        store.log_artifact(bare, str(tmp_path / "reference.json"), reference.FOLDER)
        with pytest.raises(DataError, match=r"reference .*: log it again with the model") as caught:
            reference.about(reader, bare)
        assert "\n" not in str(caught.value)


def test_every_reader_of_a_champion_says_the_same_of_a_model_without_one(store: MlflowClient) -> None:
    for name, said in (("nothing", "there is no registered model 'nothing': registered are cars_model"), ("unserved", "'unserved' has no champion: deploy it")):
        with pytest.raises(TrackingError, match=f"{said}.*, or give --version$"):
            Registry(store, name).trained(instead="--version")
        with pytest.raises(TrackingError, match=f"{said}.* python lifecycle.py( --register_model_name unserved)?$"):
            described.of_champions([name])


def test_a_monitor_of_a_described_stream_has_references_from_the_default_store_too(
    store: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(api, "Monitor", lambda streams, *, references, **_: made.append(references) or SimpleNamespace(start=lambda: None, stop=None))
    monkeypatch.setattr(api, "build_app", lambda *_, **__: SimpleNamespace(extensions={}))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (tmp_path / "s.yaml").write_text(described_stream.YAML + stream_settings.BUNDLED.read_text(encoding="utf-8"), encoding="utf-8")

    def references(*flags: str) -> Any:
        api.app_of(read(api.MonitorFlags, api.build_parser().parse_args(["--streams_file", str(tmp_path / "s.yaml"), *flags])))()
        return made.pop()

    assert references("--streams", "elec") is None
    for streams in ("cars", "elec,cars"):
        found = references("--streams", streams)
        assert (found.champion("cars_model"), len(found.find("cars", "cars_model", "1"))) == ("1", 600)


def test_a_taken_port_is_noticed_before_the_model_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(described, "read", lambda _: pytest.fail("MLflow is asked"))
    (tmp_path / "s.yaml").write_text(described_stream.YAML, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["monitor", "--streams_file", str(tmp_path / "s.yaml"), "--port", str(port)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {port} of 127.0.0.1" in line


def test_without_a_store_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    assert main(["describe", "--model", "cars_model"]) > 1
    printed = capsys.readouterr()
    assert "none.db" in printed.err and printed.err.count("\n") == 1


def test_the_fallback_groups_by_nothing_where_nothing_helps() -> None:
    known = described_stream.some_reference()
    assert describe.grouping(known) == ["fuel type"]
    labels = np.arange(len(known)) % 3 > 0
    assert describe.grouping(replace(known, labels=labels.astype(int))) == []
