"""Batch monitoring from log to report: real Prefect, MongoDB and MLflow; what fails in between is mended by doing it again."""

from __future__ import annotations

import csv
import json
import math
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import batch_fixtures
import pytest
import yaml
from mlflow.entities import Run
from mongo_fixtures import Mongo, label, needs_mongodb, prediction
from script_fixtures import KNOWN, Workshop, data_flags, drifting_table, role

pytest.importorskip("prefect", reason="Prefect is not installed: pip install -r requirements-batch.txt")

from prefect.settings import PREFECT_API_URL, temporary_settings

from driftloop.errors import EXIT_DRIFT, DataError, DriftloopError
from driftloop.settings import ROOT
from driftloop.system import processes
from driftloop.tracking import mlflow_store
from driftloop.tracking.registry import CHAMPION, Registry
from monitoring import stream_settings
from monitoring.batch import flow_command, measure_store, prefect_engine
from monitoring.batch.report import batch_page
from monitoring.local import fill
from monitoring.log import report_links
from monitoring.log.mongo import Database
from monitoring.log.prediction_log import PREDICTIONS, PredictionLog

pytestmark = [needs_mongodb, pytest.mark.usefixtures("prefect_server")]
DRIFTING = 1000  # rows of a small table, most of them after its drift
ROWS = 192  # half-hours from April 2020 on: four days


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Prefect server for all tests of this file."""
    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PREFECT_API_URL", "PREFECT_HOME"):
            patch.delenv(name, raising=False)
        prefect_engine.settle(folder)
        with temporary_settings({PREFECT_API_URL: None}), prefect_engine.server(folder, meanwhile=lambda: None) as url:
            patch.setenv("PREFECT_API_URL", url)
            yield url


class Place:
    """A folder, a database with ELEC rows and an MLflow store, and the command run on them."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri = folder, uri
        self.store = f"sqlite:///{folder / 'mlflow.db'}"

    def flags(self, *words: str) -> list[str]:
        given = ["--stream", "elec", "--mongodb_uri", self.uri, "--tracking_uri", self.store, "--folder", str(self.folder / "batch"), "--retries", "0"]
        return [*words[:1], *given, *words[1:]]

    def run(self, *words: str) -> int:
        return flow_command.main(self.flags(*words))

    def documents(self) -> dict[str, dict[str, Any]]:
        with PredictionLog(Database(self.uri)) as log:
            return {one["_id"]: one for one in log.database.find(measure_store.COLLECTION, {})}

    def runs(self) -> list[tuple[str, str]]:
        """Name and status of each MLflow run."""
        found = mlflow_store.open_store(None).client.search_runs(["0"])
        return sorted((run.info.run_name, run.info.status) for run in found)

    def metrics(self, name: str) -> dict[str, float]:
        """The newest metrics of the run with this name."""
        return self._named(name).data.metrics

    def _named(self, name: str) -> Run:
        (run,) = [run for run in mlflow_store.open_store(None).client.search_runs(["0"]) if run.info.run_name == name]
        return run

    def artifacts(self, name: str) -> dict[str, str]:
        """The text of each artifact of the run with this name."""
        folder = Path(mlflow_store.open_store(None).client.download_artifacts(self._named(name).info.run_id, ""))
        return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mongo: Mongo) -> tuple[str, Path]:
    """A log with labelled rows, and an empty MLflow store: both take long to make."""
    uri, database = mongo.fresh_uri(), tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with PredictionLog(Database(uri)) as log, pytest.MonkeyPatch.context() as patch:
        log.ready()
        log.add([prediction(number) for number in range(ROWS)])
        log.add([label(number, number % 2 if number % 10 else 1 - number % 2) for number in range(ROWS)])
        patch.chdir(database.parent)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
        patch.setenv("MLFLOW_EXPERIMENT_ID", "0")
        mlflow_store.open_store(None)
    return uri, database


@pytest.fixture
def place(tmp_path: Path, made: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    for name in ("MONGODB_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.setenv(name, "")  # so that what the command sets is undone
        monkeypatch.delenv(name)
    shutil.copyfile(made[1], tmp_path / "mlflow.db")
    place = Place(tmp_path, made[0])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.store)
    with PredictionLog(Database(place.uri)) as log:
        log.database.delete(measure_store.COLLECTION, {})
    return place


def test_a_window_ends_in_a_document_a_report_two_runs_and_a_link(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("run", "--window", "2020-04", "--report", "april.html", "--json") == 0
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1])["windows"]
    assert (told["window"], told["rows"], told["labelled"]) == ("2020-04", ROWS, ROWS)
    assert told["accuracy"] == pytest.approx(0.9, abs=0.02)
    (document,) = place.documents().values()
    assert document["report"] == told["mlflow"]
    assert place.runs() == [("batch/2020-04", "FINISHED"), ("reports/elec", "FINISHED")]
    kept = place.artifacts("batch/2020-04")
    assert set(kept) == {"measures.json", "report.html"}
    assert kept["report.html"] == Path(told["report"]).read_text() == Path("april.html").read_text()
    assert json.loads(kept["measures.json"]) == {key: value for key, value in document.items() if key not in {"_id", "report"}}
    listed = place.artifacts("reports/elec")
    (line,) = csv.DictReader(listed["reports.csv"].splitlines())
    assert (line["window"], line["link"]) == ("2020-04", told["mlflow"])
    assert told["mlflow"] in listed["index.html"]


def test_doing_a_window_again_changes_nothing(place: Place) -> None:
    assert place.run("run", "--window", "2020-04") == 0
    before = place.documents(), place.runs(), place.artifacts("batch/2020-04"), place.artifacts("reports/elec")
    assert place.run("run", "--window", "2020-04") == 0
    assert (place.documents(), place.runs(), place.artifacts("batch/2020-04"), place.artifacts("reports/elec")) == before


def test_many_windows_are_done_in_one_command_and_those_after_the_newest_row_left_out(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.run("backfill", "--first", "2020-04-01", "--last", "2020-04-20", "--by", "day", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["windows"]
    assert [one["window"] for one in told] == [f"2020-04-{day}" for day in ("01", "02", "03", "04")]
    assert len(place.documents()) == 4
    with PredictionLog(Database(place.uri)) as log:
        assert report_links.newest(log, "elec") == told[-1]["mlflow"]
        assert len(report_links.read(log, "elec")) == 4


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "--window", "2031-04"], 2, "after the newest logged row"),
        (["run", "--window", "April"], 2, "is not a window"),
        (["run", "--window", "2020-04", "--stream", "nobody"], 2, "there is no stream 'nobody'"),
        (["run", "--window", "2020-04", "--stream", "taxi"], 2, "holds no row of this stream"),
        (["run", "--window", "2020-04", "--folder", "/proc/none"], 3, "cannot be written"),
        (["run", "--window", "2020-04", "--mongodb_uri", "mongodb://127.0.0.1:1/x"], 12, "MongoDB does not answer"),
        (["run", "--window", "2020-04", "--tracking_uri", "sqlite:////proc/none/mlflow.db"], 4, "MLflow store"),
        (["run", "--window", "2020-04", "--torchserve_url", "http://127.0.0.1"], 2, "has no port"),
        (["serve", "--cron", "at noon"], 2, "--cron 'at noon'"),
        (["backfill", "--first", "2020-04-03", "--last", "2020-04-01", "--by", "day"], 2, "before"),
    ],
)
def test_a_mistake_is_one_line_and_its_exit_code(place: Place, capfd: pytest.CaptureFixture[str], words: list[str], code: int, said: str) -> None:
    assert place.run(*words) == code
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("monitoring batch: error: ")
    assert said in line


DESCRIBED = "cars: {model: cars_model, kpi: accuracy, threshold: 0.9, block_size: 20, fallback_by: []}"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "--window", "2020-04"], 4, "there is no registered model 'cars_model'"),
        (["serve", "--cron", "0 6 1 * *"], 4, "there is no registered model 'cars_model'"),
        (["run", "--window", "2020-04", "--on_drift", "retrain"], 2, "stream cars: nothing says which table its model is served from and retrained on"),
        (["backfill", "--first", "2020-04", "--last", "2020-05", "--on_drift", "retrain"], 2, "stream cars: nothing says which table"),
        (["serve", "--cron", "0 6 1 * *", "--on_drift", "retrain"], 2, "stream cars: nothing says which table"),
        (["run", "--window", "2020-04", "--on_drift", "retrain", "--hook_url", "http://127.0.0.1:1"], 4, "there is no registered model 'cars_model'"),
        (["run", "--window", "2020-04", "--stream", "lost", "--on_drift", "retrain"], 2, "there is no module no_such_module"),
    ],
)
def test_a_described_stream_that_cannot_be_measured_or_retrained_is_named_before_prefect_starts(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    (place.folder / "s.yaml").write_text(f"{DESCRIBED}\n{DESCRIBED.replace('cars:', 'lost:').replace('}', ', learner: no_such_module:LOST}')}\n")
    for wake in ("server", "known_url"):  # the first that `run` and `serve` ask Prefect
        monkeypatch.setattr(prefect_engine, wake, lambda *_, **__: pytest.fail("Prefect starts"))
    assert place.run(*words[:1], "--stream", "cars", "--streams_file", "s.yaml", *words[1:]) == code
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("monitoring batch: error: ")
    assert said in line
    assert place.documents() == {}


STEPS = ("find_stream", "find_windows", "measure_window", "keep", "draw", "publish_window", "show", "publish_list")


def killed_at(place: Place, at: str, *, env: dict[str, str]) -> int:
    """The exit code of a run that is killed when the step begins."""
    program = f"""
import os, signal, sys
from monitoring.batch import flow_command
from monitoring.batch import flow

def dies(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
flow.{at}.fn = dies
sys.exit(flow_command.main(sys.argv[1:]))
"""
    return processes.run([sys.executable, "-c", program, *place.flags("run", "--window", "2020-04")], timeout_s=300, env={"PYTHONPATH": str(ROOT), **env}).code


@pytest.mark.slow
@pytest.mark.parametrize("at", STEPS)
def test_a_run_killed_at_any_step_leaves_nothing_half_written_and_the_next_one_ends_in_the_same(place: Place, prefect_server: str, at: str) -> None:
    assert killed_at(place, at, env={"PREFECT_API_URL": prefect_server}) == -signal.SIGKILL
    for path in (place.folder / "batch").rglob("*.html"):
        assert path.read_text().rstrip().endswith("</html>")
    assert place.run("run", "--window", "2020-04") == 0
    (document,) = place.documents().values()
    assert place.runs() == [("batch/2020-04", "FINISHED"), ("reports/elec", "FINISHED")]
    assert place.artifacts("batch/2020-04")["report.html"].rstrip().endswith("</html>")
    assert document["report"] in place.artifacts("reports/elec")["reports.csv"]
    assert [path.name for path in (place.folder / "batch" / "elec" / "2020-04").iterdir()] == ["report.html"]


DATABASE = ("MONGODB_URI", "mongodb://127.0.0.1:1/away", 12, "MongoDB does not answer")  # where nobody listens, as after a crash
STORE = ("MLFLOW_TRACKING_URI", "http://127.0.0.1:1", 4, "127.0.0.1:1")


@pytest.mark.parametrize(
    ("away", "at"),
    [
        (DATABASE, "keep"),
        (STORE, "publish_window"),
        *(pytest.param(DATABASE, at, marks=pytest.mark.slow) for at in ("find_windows", "measure_window", "publish_window", "publish_list")),
        *(pytest.param(STORE, at, marks=pytest.mark.slow) for at in ("draw", "publish_list")),
    ],
)
def test_a_server_that_goes_away_at_a_step_is_told_and_the_next_run_ends_as_if_it_had_not(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], away: tuple[str, str, int, str], at: str
) -> None:
    from monitoring.batch import flow

    (name, nowhere, code, said), step, done = away, getattr(flow, at), getattr(flow, at).fn

    def without(*args: Any) -> Any:
        monkeypatch.setenv(name, nowhere)
        return done(*args)

    monkeypatch.setattr(step, "fn", without)
    assert place.run("run", "--window", "2020-04") == code
    assert said in capfd.readouterr().err
    monkeypatch.setattr(step, "fn", done)
    assert place.run("run", "--window", "2020-04") == 0
    assert len(place.documents()) == 1
    assert place.runs() == [("batch/2020-04", "FINISHED"), ("reports/elec", "FINISHED")]


def test_a_database_that_comes_back_in_time_costs_only_the_time(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitoring.batch import flow

    done, asked = flow.keep.fn, []

    def at_first_away(measures: Any) -> None:
        asked.append(measures.id)
        with pytest.MonkeyPatch.context() as patch:
            if len(asked) == 1:
                patch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1/away")
            done(measures)

    monkeypatch.setattr(flow.keep, "fn", at_first_away)
    assert place.run("run", "--window", "2020-04", "--retries", "1") == 0
    assert len(asked) == 2
    assert len(place.documents()) == 1


@pytest.fixture
def drifting(place: Place) -> Iterator[Place]:
    """A small table that drifts, in the log from row KNOWN on as the registered champion answers it; the streams file is streams.yaml."""
    place.uri += "-drifting"
    drifting_table(DRIFTING).to_csv(place.folder / "t.csv", index=False)
    workshop, data = Workshop(place.folder), data_flags("t.csv")
    # 3 epochs: a model that never errs on its training rows would not show how its errors come.
    flags = (*data, "--history", "0", "--mlflow_experiment_name", "small")
    assert (
        workshop.run("base_model", *flags, "--max_epochs", "3", "--train_until", "2024-01-09T18:00:00").code == 0
    )  # errs at times, so that the rule knows how its errors come
    (run,) = [run for run in workshop.runs("small") if role(run) == "base"]
    own = {"data_path": "t.csv", "time_column": "time", "history": 0, "mlflow_experiment_name": "small"}
    judged = {"total_trials": 2, "max_epochs": 20, "judge_rows": 20, "validation_rows": 40}
    (place.folder / "small.py").write_text(
        f"from dataclasses import replace\nfrom learner import ELEC\nSMALL = replace(ELEC, defaults={{**{own}, 'retrain_model.py': {judged}}})\n"
    )
    ends = {"low": 0, "high": 1}
    small = {"task": "classification", "kpi": "accuracy", "model": "small_model", "labels": [0, 1], "block_size": 20, "threshold": 0.8, "alpha": 0.05}
    streams = {"small": {**small, "fallback_by": [], "learner": "small:SMALL", "features": {"x1": ends, "x2": ends}}}
    (place.folder / "streams.yaml").write_text(yaml.safe_dump(streams), encoding="utf-8")
    with workshop.entered():
        registry = Registry(mlflow_store.open_store(None).client, "small_model")
        registry.promote(registry.register(source=run.data.tags["driftloop.model_uri"], run_id=run.info.run_id), reason="a test")
        here = ("--stream", "small", "--streams_file", "streams.yaml", "--mongodb_uri", place.uri, "--from_row", str(KNOWN))
        assert fill.main([*here, *data]) == 0
        yield place


def test_a_window_that_has_drifted_retrains_and_its_rerun_does_not_do_so_again(drifting: Place, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("--window", "2024-01-01T00:00:00Z..2024-02-01T00:00:00Z", "--stream", "small", "--streams_file", "streams.yaml", "--on_drift", "retrain")
    assert drifting.run("run", *words, "--fail_on_drift", "--json") == EXIT_DRIFT
    (told,) = json.loads(capfd.readouterr().out.splitlines()[-1])["windows"]
    assert (told["drift"], told["rows"]) == (True, DRIFTING - KNOWN)
    assert told["retrain"].startswith("retrain promoted"), told["retrain"]
    registry = Registry(mlflow_store.open_store(None).client, "small_model")
    assert registry.holder(CHAMPION) == "2"
    assert drifting.run("run", *words) == 0
    assert told["retrain"] in capfd.readouterr().out
    assert registry.holder(CHAMPION) == "2"
    assert len(drifting.documents()) == 1


def test_a_retrain_that_fails_fails_the_flow(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitoring.batch import flow

    monkeypatch.setenv("MONGODB_URI", place.uri)
    stream = replace(stream_settings.load()["taxi"], learner="no_such_module:TAXI")
    options = flow.Options(retrains=str(place.folder / "retrains"))
    with pytest.raises(DriftloopError, match=r"measured and reported, but its retrain failed: .*exit code 2: .* no module no_such_module"):
        flow.retrain.fn(stream, batch_fixtures.taxi(), options)


def test_figures_that_a_new_measurement_has_not_are_undefined_in_mlflow(place: Place, mongo: Mongo) -> None:
    place.uri = mongo.fresh_uri()
    with PredictionLog(Database(place.uri)) as log:
        log.ready()
        log.add([prediction(number) for number in range(96)])
        log.add([label(number, number % 2) for number in range(96)])
    assert place.run("run", "--window", "2020-04") == 0
    assert place.metrics("batch/2020-04")["accuracy"] == 1
    with PredictionLog(Database(place.uri)) as log:
        unlabelled = {"$unset": {"label": "", "labelled_at": ""}}
        assert log.database.update(PREDICTIONS, [({"_id": f"elec/p{number}"}, unlabelled) for number in range(96)]) == 96
    assert place.run("run", "--window", "2020-04") == 0
    assert math.isnan(place.metrics("batch/2020-04")["accuracy"])
    assert place.metrics("batch/2020-04")["labelled"] == 0
    (document,) = place.documents().values()
    assert document["verdict"]["kind"] in {"cannot tell", "quality"}


def test_a_full_disk_at_the_report_leaves_the_old_one_whole(place: Place) -> None:
    path = place.folder / "report.html"
    batch_page.write(path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(DataError, match="cannot be written: File too large"):
            batch_page.write(path, "new" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.read_text() for path in place.folder.glob("*report*")] == ["old"]
