"""What can go wrong with an MLflow store: it is new, locked, read-only, down or restarting, or its names and runs are not for us."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.tracking import sqlalchemy_store
from mlflow.tracking import MlflowClient
from script_fixtures import Workshop, data_flags, drifting_table, parent, role
from sqlalchemy.exc import OperationalError
from store_fixtures import FaultyServer, ForgetfulServer, TrackingServer

from driftloop.errors import TrackingError
from driftloop.serving import site
from driftloop.settings import ROOT
from driftloop.system import signals
from driftloop.tracking import mlflow_store, patience, retries, runs, stores, translate
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.registry import CHALLENGER, CHAMPION, Registry
from driftloop.training.trained_model import KnownModel

OPEN = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from driftloop.tracking import mlflow_store; print(mlflow_store.open_store(sys.argv[1]).experiment_id)"


@pytest.fixture
def place(tmp_path: Path) -> Workshop:
    """A folder of its own, whose store is not there yet."""
    return Workshop(tmp_path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the experiment "one"; to make it takes seconds."""
    made = Workshop(tmp_path_factory.mktemp("template"))
    with made.entered():
        mlflow_store.open_store("one")
    return made.folder / "mlflow.db"


@pytest.fixture
def known(place: Workshop, template: Path) -> Workshop:
    """A folder of its own with a copy of that store."""
    shutil.copy(template, place.folder)
    return place


def opened_by_another(place: Workshop, experiment: str) -> subprocess.Popen[str]:
    with place.entered():
        return subprocess.Popen([sys.executable, "-c", OPEN, experiment], cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# A new store


def test_two_first_starts_on_one_new_store_both_work_and_leave_nothing_else(place: Workshop) -> None:
    both = [opened_by_another(place, name) for name in ("one", "other")]
    ended = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], ended
    assert {experiment.name for experiment in place.client.search_experiments()} == {"Default", "one", "other"}
    assert [path.name for path in place.folder.iterdir()] == ["mlflow.db"]


def test_the_database_of_another_program_is_refused_and_stays_as_it_is(place: Workshop) -> None:
    file = place.folder / "mlflow.db"
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE customers (name TEXT)")
    before = file.read_bytes()
    with place.entered(), pytest.raises(TrackingError, match=r"another program \(its tables: customers\): set MLFLOW_TRACKING_URI"):
        mlflow_store.open_store("one")
    assert file.read_bytes() == before


def test_a_folder_in_the_place_of_the_store_is_named(place: Workshop) -> None:
    (place.folder / "mlflow.db").mkdir()
    with place.entered(), pytest.raises(TrackingError, match="is a folder: set MLFLOW_TRACKING_URI"):
        mlflow_store.open_store("one")


def test_a_first_start_that_was_killed_leaves_no_half_store(place: Workshop) -> None:
    first = opened_by_another(place, "one")
    while not list(place.folder.glob(".mlflow.db-*/mlflow.db")):
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    first.kill()
    first.communicate()
    with place.entered():
        mlflow_store.open_store("one")
    assert [path.name for path in place.folder.iterdir()] == ["mlflow.db"]


def test_an_empty_file_becomes_a_store(place: Workshop) -> None:
    (place.folder / "mlflow.db").touch()
    with place.entered():
        assert mlflow_store.open_store("one").experiment_name == "one"


def test_artifacts_lie_beside_the_store_whatever_the_folder(tmp_path: Path, drifting_csv: Path) -> None:
    store, job = Workshop(tmp_path / "store"), Workshop(tmp_path / "job")
    job.folder.mkdir()
    for experiment in ("Default", "it's / 50 %"):
        done = job.run(
            "base_model", *data_flags(drifting_csv), "--max_epochs", 1, "--mlflow_experiment_name", experiment, "--json", MLFLOW_TRACKING_URI=store.uri
        )
        assert done.code == 0, done.err
        assert list(job.folder.iterdir()) == []
        with store.entered():
            opened = mlflow_store.open_store(experiment)
            assert runs.load_network(opened, done.result["run_id"])[1]["features"] == ["x1", "x2"]
            location = opened.client.get_experiment(opened.experiment_id).artifact_location
        assert str(tmp_path / "store" / "mlruns") in location
    assert {path.name for path in store.folder.iterdir()} == {"mlflow.db", "mlruns"}


def test_an_experiment_keeps_the_place_of_its_artifacts(known: Workshop, tmp_path: Path) -> None:
    with known.entered():
        client = mlflow_store.open_store(None).client
        client.create_experiment("older", artifact_location=(tmp_path / "elsewhere").as_uri())
        assert client.get_experiment(mlflow_store.open_store("older").experiment_id).artifact_location == (tmp_path / "elsewhere").as_uri()


# Places that cannot be written


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder that nobody may write to, root neither."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    try:
        subprocess.run(["mount", "--bind", folder, folder], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip("root cannot mount here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_new_store_in_a_read_only_folder_is_one_line(place: Workshop, drifting_csv: Path) -> None:
    with read_only(place.folder):
        done = place.run("base_model", *data_flags(drifting_csv), MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert (done.code, "is not writable" in done.complaint("base_model")) == (4, True)


def test_a_read_only_store_is_one_line_and_can_still_be_read(known: Workshop, drifting_csv: Path) -> None:
    with known.entered():
        run = mlflow_store.open_store("one").client.create_run("1").info.run_id
    with read_only(known.folder), known.entered():
        assert mlflow_store.open_reader().client.get_run(run).info.run_id == run
        done = known.run("base_model", *data_flags(drifting_csv))
    assert (done.code, "is not writable" in done.complaint("base_model")) == (4, True)


def test_artifacts_that_cannot_be_written_are_found_before_the_training(known: Workshop, drifting_csv: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    with known.entered():
        mlflow_store.open_store(None).client.create_experiment("there", artifact_location=str(closed / "mlruns"))
    with read_only(closed):
        done = known.run("base_model", *data_flags(drifting_csv), "--mlflow_experiment_name", "there")
    assert (done.code, str(closed) in done.complaint("base_model"), known.runs("there")) == (4, True, [])


def test_a_reader_makes_no_store(place: Workshop) -> None:
    with place.entered(), pytest.raises(TrackingError, match="there is no such file yet"):
        mlflow_store.open_reader()
    assert list(place.folder.iterdir()) == []


def test_what_a_database_says_is_reported_without_advice_to_programmers(known: Workshop) -> None:
    with known.entered():
        store = mlflow_store.open_store("one")
        with sqlite3.connect(known.folder / "mlflow.db") as file:
            file.execute("DROP TABLE tags")
        with pytest.raises(TrackingError, match=r"^MLflow: no such table: tags") as told, mlflow_store.run(store, "x", role="base"):
            pass
    assert "\n" not in str(told.value) and "autoflush" not in str(told.value)


# A store that is locked, or down


@contextlib.contextmanager
def locked(file: Path, *, seconds: float, how: str = "EXCLUSIVE") -> Iterator[None]:
    """Another connection holds the file's lock, and lets go of it after so many seconds."""
    holder = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    holder.execute(f"BEGIN {how}")
    if how == "DEFERRED":
        holder.execute("SELECT * FROM experiments").fetchone()  # a reader, who holds up the commit
    timer = threading.Timer(seconds, holder.rollback)
    timer.start()
    try:
        yield
    finally:
        timer.join()
        holder.close()


@pytest.mark.parametrize("how", ["EXCLUSIVE", "IMMEDIATE", "DEFERRED"])
def test_a_locked_store_is_waited_for_and_the_wait_reported(known: Workshop, capsys: pytest.CaptureFixture[str], how: str) -> None:
    patience._state["told"] = -patience.TOLD_AGAIN_S
    with known.entered():
        store = mlflow_store.open_store("one")
        with mlflow_store.run(store, "waits", role="base") as run_id, locked(known.folder / "mlflow.db", seconds=5, how=how):
            mlflow_store.log_metrics({"logged": 1.0})
    assert store.client.get_run(run_id).data.metrics == {"logged": 1.0}
    assert known.statuses() == {"FINISHED"}
    told = [line for line in capsys.readouterr().err.splitlines() if "waiting up to" in line]
    assert len(told) == 1 and "locked by another process" in told[0]


def test_a_lock_is_not_waited_for_without_end(known: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "WAIT_S", 1.0)
    monkeypatch.setattr(patience, "GIVEN_UP_S", 0.0)
    with known.entered():
        store = mlflow_store.open_store("one")
        with locked(known.folder / "mlflow.db", seconds=9), pytest.raises(TrackingError, match="locked"), mlflow_store.run(store, "waits", role="base"):
            pass
        assert mlflow_store.open_store("one").client.search_runs(["1"], "attributes.status = 'RUNNING'") == []


@pytest.mark.slow
def test_a_lock_that_outlasts_mlflows_own_patience_costs_nothing(known: Workshop) -> None:
    with known.entered():
        store = mlflow_store.open_store("one")
        with mlflow_store.run(store, "waits", role="base"), locked(known.folder / "mlflow.db", seconds=60):
            mlflow_store.log_metrics({"logged": 1.0})
    assert known.statuses() == {"FINISHED"}


def test_a_store_that_is_locked_at_the_start_is_waited_for(known: Workshop) -> None:
    with known.entered():
        mlflow_store.open_store("one")
        with locked(known.folder / "mlflow.db", seconds=3):
            assert mlflow_store.open_store("two").experiment_name == "two"


def test_ctrl_c_before_mlflow_knows_the_run_that_it_created_leaves_none_open(known: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    created, armed = sqlalchemy_store.SqlAlchemyStore.create_run, [False, True]  # the inner one's

    def torn(*given: Any, **named: Any) -> Any:
        found = created(*given, **named)
        if armed.pop(0):
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(sqlalchemy_store.SqlAlchemyStore, "create_run", torn)
    with known.entered():
        store = mlflow_store.open_store("one")
        with pytest.raises(KeyboardInterrupt), mlflow_store.run(store, "outer", role="base"), mlflow_store.run(store, "inner", role="trial"):
            pass
    assert (armed, known.statuses()) == ([], {"KILLED"})


def test_ctrl_c_at_any_moment_of_logging_leaves_no_lock_and_no_run_open(known: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torn transaction is rolled back when nobody holds its cursor any more; the traceback must not."""
    monkeypatch.setattr(patience, "WAIT_S", 2.0)
    with known.entered():
        store = mlflow_store.open_store("one")
        for delay_ms in range(1, 81, 16):
            ctrl_c = threading.Timer(delay_ms / 1000, os.kill, [os.getpid(), signal.SIGINT])
            with pytest.raises(KeyboardInterrupt), signals.signals_unwind(), mlflow_store.run(store, "outer", role="base"):
                ctrl_c.start()
                with mlflow_store.run(store, "inner", role="trial"):
                    mlflow_store.log_params({"logged": 1})
                    mlflow_store.log_metrics({"logged": 1.0})
                    time.sleep(1)
            assert known.statuses() == {"KILLED"}, delay_ms


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is ever answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("uri", ["http://me:secret@127.0.0.1:{}", "postgresql://me:secret@127.0.0.1:{}/mlflow"])
def test_a_server_that_does_not_answer_at_the_start_is_reported_in_seconds_without_its_password(place: Workshop, drifting_csv: Path, uri: str) -> None:
    with silent() as port:
        started = time.monotonic()
        done = place.run("base_model", *data_flags(drifting_csv), MLFLOW_TRACKING_URI=uri.format(port))
    told = done.complaint("base_model")
    assert (done.code, str(port) in told, "secret" in told) == (4, True, False)
    assert time.monotonic() - started < 10  # and some seconds for Python to start


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_in_the_middle_costs_no_training(place: Workshop, drifting_csv: Path) -> None:
    server = TrackingServer(place.folder).start()
    try:
        flags = [*data_flags(drifting_csv), "--test_data_rows", "120", "--block_size", "40", "--on_drift", "ignore", "--json"]
        with place.entered(MLFLOW_TRACKING_URI=server.uri):
            process = subprocess.Popen([sys.executable, ROOT / "lifecycle.py", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        client = MlflowClient(server.uri)
        while not client.search_runs(["0"]):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        server.kill()
        time.sleep(5)
        server.start()
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert err.count("waiting up to") == 1
        assert {run.info.status for run in client.search_runs(["0"])} == {"FINISHED"}
    finally:
        server.stop()


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    server = TrackingServer(tmp_path_factory.mktemp("behind")).start()
    yield server
    server.stop()


@pytest.mark.parametrize("nested", [False, True])
def test_a_run_that_was_created_although_the_server_died_before_its_answer_leaves_no_second(place: Workshop, behind: TrackingServer, nested: bool) -> None:
    with place.entered(MLFLOW_TRACKING_URI=behind.uri), contextlib.ExitStack() as outer:
        store = mlflow_store.open_store(f"forgotten {nested}")
        if nested:
            outer.enter_context(mlflow_store.run(store, "outer", role="base"))
        forgetful = ForgetfulServer(behind.uri, "/runs/create")
        outer.callback(forgetful.stop)
        with place.entered(MLFLOW_TRACKING_URI=forgetful.uri):
            mlflow_store._connect(write=True)
            through = replace(store, client=MlflowClient())
            with mlflow_store.run(through, "inner", role="trial") as run_id:
                there = store.client.search_runs([store.experiment_id], "attributes.run_name = 'inner'")
                assert [(run.info.run_id, run.info.status) for run in there] == [(run_id, "RUNNING")]


def test_a_version_that_was_registered_although_the_server_died_before_its_answer_leaves_no_second(place: Workshop, behind: TrackingServer) -> None:
    with place.entered(MLFLOW_TRACKING_URI=behind.uri):
        store = mlflow_store.open_store("forgotten version")
        run_id = store.client.create_run(store.experiment_id).info.run_id
        source = store.client.get_run(run_id).info.artifact_uri + "/model"
        assert Registry(store.client, "forgotten").register(source=source, run_id=run_id) == "1"  # of the same run, with an alias
        forgetful = ForgetfulServer(behind.uri, "/model-versions/create")
        try:
            with place.entered(MLFLOW_TRACKING_URI=forgetful.uri):
                mlflow_store._connect(write=True)
                version = Registry(MlflowClient(), "forgotten").register(source=source, run_id=run_id)
        finally:
            forgetful.stop()
        store.client.set_registered_model_alias("forgotten", CHAMPION, "1")
        assert (version, {int(found.version) for found in store.client.search_model_versions("name = 'forgotten'")}) == ("3", {1, 3})


class Cycle:
    """A lifecycle of its own on a tracking server, of which a test waits for the moment when the model is served."""

    def __init__(self, place: Workshop, server: TrackingServer, table: Path) -> None:
        self.place, self.server, self.table, self.told = place, server, table, place.folder / "stderr"
        flags = [*data_flags(table), "--history", "0", "--total_trials", "1", "--block_size", "50", "--json"]
        with place.entered(MLFLOW_TRACKING_URI=server.uri), self.told.open("w") as err:
            self.process = subprocess.Popen([sys.executable, ROOT / "lifecycle.py", *flags], stdout=subprocess.DEVNULL, stderr=err)
        while "serving " not in self.told.read_text():
            assert self.process.poll() is None, self.told.read_text()
            time.sleep(0.05)

    def code(self, *, within_s: float) -> int:
        try:
            return self.process.wait(timeout=within_s)
        finally:
            self.process.kill()

    def statuses(self) -> set[str]:
        """Of all runs of the store."""
        client = MlflowClient(self.server.uri)
        return {run.info.status for run in client.search_runs([one.experiment_id for one in client.search_experiments()])}


@pytest.fixture
def cycle(place: Workshop, tmp_path: Path) -> Iterator[Cycle]:
    server = TrackingServer(place.folder).start()
    table = tmp_path / "flips.csv"
    drifting_table(rows=1400, flip=1150).to_csv(table, index=False)
    made = Cycle(place, server, table)
    yield made
    made.process.kill()
    server.stop()


@pytest.mark.slow
def test_a_server_that_is_down_for_a_minute_while_the_model_is_served_costs_nothing(cycle: Cycle) -> None:
    cycle.server.kill()
    time.sleep(60)
    cycle.server.start()
    back = time.monotonic()
    assert cycle.code(within_s=300) == 0, cycle.told.read_text()
    assert cycle.told.read_text().count("waiting up to") == 1
    assert cycle.statuses() == {"FINISHED"}
    assert time.monotonic() - back < 60  # the rest of a lifecycle on a small table, with a retrain


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "503", "reset"])
def test_a_server_that_stays_broken_ends_the_work_in_one_line_and_a_rerun_serves_the_fitted_model(cycle: Cycle, fault: str) -> None:
    base = next(run for run in MlflowClient(cycle.server.uri).search_runs(["0"]) if role(run) == "base")
    cycle.server.kill()
    broken = FaultyServer(fault, 1_000_000, port=cycle.server.port)
    began = time.monotonic()
    code = cycle.code(within_s=400)
    took_s = time.monotonic() - began
    broken.stop()
    told = cycle.told.read_text()
    assert (code, [line for line in told.splitlines() if "error: " in line]) == (4, told.splitlines()[-1:]), told
    assert took_s < (retries.BROKEN_S if fault == "500" else patience.WAIT_S) + 90
    cycle.server.start()
    flags = [*data_flags(cycle.table), "--on_drift", "ignore", "--json"]
    advice = cycle.place.run("deploy_model", *flags, MLFLOW_TRACKING_URI=cycle.server.uri).complaint("deploy_model")
    assert f"--base_run_id {base.info.run_id}" in advice
    again = cycle.place.run("deploy_model", *flags, "--base_run_id", base.info.run_id, MLFLOW_TRACKING_URI=cycle.server.uri)
    assert (again.code, again.result["versions"][0]["run_id"]) == (0, base.info.run_id), again.err
    assert "RUNNING" not in cycle.statuses()


# Names


@pytest.mark.parametrize("name", ["it's", "my model", "a/b", "a:b", "-x", ".", "..", "", " ", "x" * 129, "modèle", "a\nb", 'a"b', "a%20b"])
@pytest.mark.parametrize("script", ["deploy_model", "retrain_model", "lifecycle"])
def test_a_name_that_no_model_can_have_is_refused_first_and_leaves_nothing(place: Workshop, drifting_csv: Path, script: str, name: str) -> None:
    done = place.run(script, *data_flags(drifting_csv), "--register_model_name", name)
    assert (done.code, "--register_model_name" in done.complaint(script)) == (2, True)
    assert list(place.folder.iterdir()) == []


@pytest.mark.parametrize("name", [" ", "\t", "a\nb", "a\0b", "x" * 251, "\udcff"])
def test_a_name_that_no_experiment_can_have_is_refused_first_and_leaves_nothing(place: Workshop, drifting_csv: Path, name: str) -> None:
    done = place.run("base_model", *data_flags(drifting_csv), "--mlflow_experiment_name", name)
    assert (done.code, "--mlflow_experiment_name" in done.complaint("base_model")) == (2, True)
    assert list(place.folder.iterdir()) == []


def test_an_experiment_of_the_environment_has_a_name_as_well(place: Workshop, drifting_csv: Path) -> None:
    done = place.run("base_model", *data_flags(drifting_csv), MLFLOW_EXPERIMENT_NAME="x" * 300)
    assert (done.code, "at most 250" in done.complaint("base_model")) == (2, True)


class Failing:
    """A client whose registry fails in one call."""

    def __init__(self, client: MlflowClient, call: str) -> None:
        self._client, self._call = client, call

    def __getattr__(self, name: str) -> Any:
        return self._fail if name == self._call else getattr(self._client, name)

    def _fail(self, *_: object, **__: object) -> None:
        raise MlflowException("no more", error_code=1)


@pytest.mark.parametrize("call", ["create_model_version", "set_registered_model_alias"])
def test_what_is_registered_halfway_leaves_neither_version_nor_model(known: Workshop, call: str) -> None:
    with known.entered():
        client = mlflow_store.open_store("one").client
        run_id = client.create_run("1").info.run_id
        with pytest.raises(TrackingError, match="no more"):
            Registry(Failing(client, call), "new").register(source=str(known.folder), run_id=run_id)
        assert client.search_registered_models() == []
        older = Registry(client, "known")
        assert older.register(source=str(known.folder), run_id=run_id) == "1"
        with pytest.raises(TrackingError, match="no more"):
            Registry(Failing(client, call), "known").register(source=str(known.folder), run_id=run_id)
        assert [version.version for version in client.search_model_versions("name = 'known'")] == [1]


@pytest.mark.parametrize("call", ["set_model_version_tag", "delete_registered_model_alias", "set_registered_model_alias"])
def test_a_promotion_that_fails_halfway_leaves_the_champion_who_it_was(known: Workshop, call: str) -> None:
    with known.entered():
        client = mlflow_store.open_store("one").client
        run_id = client.create_run("1").info.run_id
        registry = Registry(client, "known")
        first, second = (registry.register(source=str(known.folder), run_id=run_id) for _ in range(2))
        registry.promote(first, reason="the first")
        with pytest.raises(TrackingError, match="no more"):
            Registry(Failing(client, call), "known").promote(second, reason="better")
        assert registry.holder(CHAMPION) == first
        registry.withdraw(second, reason="not swapped in")
        registry.withdraw(first, reason="not swapped in")
        reasons = {version.version: version.tags["driftloop.reason"] for version in client.search_model_versions("name = 'known'")}
        assert {str(version): reason for version, reason in reasons.items()} == {first: "the first", second: "not swapped in"}


def test_a_model_that_cannot_be_described_is_withdrawn(known: Workshop) -> None:
    with known.entered():
        client = mlflow_store.open_store("one").client
        run_id = client.create_run("1").info.run_id
        winner = KnownModel(None, {}, (0, 1), 0, {}, run_id, str(known.folder))
        registry, served = Registry(client, "known"), mock.Mock()
        with mock.patch.object(site, "describe", side_effect=TrackingError("no more")), pytest.raises(TrackingError, match="no more"):
            site.promote(
                registry, served, winner, decision=promotion_log.made("promoted", why="better", script="a test"), store=mock.Mock(), stream=mock.Mock()
            )
        served.put.assert_not_called()
        assert registry.holder(CHALLENGER) is None
        (version,) = client.search_model_versions("name = 'known'")
        assert version.tags["driftloop.reason"] == "not swapped in: no more"


# Places


def test_a_store_behind_a_folder_that_may_not_be_entered_is_refused(locked: Path) -> None:
    for write in (True, False):
        with pytest.raises(TrackingError, match=r"Permission denied.*set MLFLOW_TRACKING_URI"):
            stores.check(f"sqlite:///{locked}/mlflow.db", write=write)


def test_a_folder_whose_name_no_address_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "why?").mkdir()
    monkeypatch.chdir(tmp_path / "why?")
    with pytest.raises(TrackingError, match="cannot contain"):
        stores.resolved("sqlite:///mlflow.db")


@pytest.mark.parametrize("error", [ValueError(), ValueError("\n"), OperationalError("SELECT 1", {}, ValueError())])
def test_an_error_without_words_has_a_reason_all_the_same(error: Exception) -> None:
    assert translate.reason(error)


# Runs of others

FOREIGN: dict[str, Callable[[MlflowClient], str]] = {
    "which has ended": lambda client: _ended(client, client.create_run("0").info.run_id),
    "which is deleted": lambda client: _deleted(client, client.create_run("0").info.run_id),
    "has others' parameters": lambda client: _with_a_parameter(client, client.create_run("0").info.run_id),
    "metrics or tags": lambda client: client.create_run("0", tags={"team": "theirs"}).info.run_id,
    "has others' artifacts": lambda client: _with_an_artifact(client, client.create_run("0").info.run_id),
    "belongs to": lambda client: client.create_run("0", tags={"mlflow.source.type": "LOCAL", "mlflow.source.name": "theirs.py"}).info.run_id,
    "belongs to a-colleague": lambda client: client.create_run("0", tags={"mlflow.user": "a-colleague"}).info.run_id,
    "another project": lambda client: client.create_run("0", tags={"mlflow.source.type": "PROJECT", "mlflow.project.entryPoint": "main"}).info.run_id,
    "no such run": lambda client: "0" * 32,
    "no such run; unset": lambda client: "it's none",
}


def _ended(client: MlflowClient, run_id: str) -> str:
    client.set_terminated(run_id)
    return run_id


def _deleted(client: MlflowClient, run_id: str) -> str:
    client.delete_run(run_id)
    return run_id


def _with_a_parameter(client: MlflowClient, run_id: str) -> str:
    client.log_param(run_id, "lr", 123)
    return run_id


def _with_an_artifact(client: MlflowClient, run_id: str) -> str:
    client.log_text(run_id, "theirs", "notes.txt")
    return run_id


@pytest.mark.parametrize("why", FOREIGN)
def test_a_run_that_is_not_for_us_is_refused_and_stays_as_it_is(known: Workshop, drifting_csv: Path, why: str) -> None:
    with known.entered():
        client = mlflow_store.open_store(None).client
        run_id = FOREIGN[why](client)
        before = {run.info.run_id: run.to_dictionary() for run in known.runs("Default")}
        done = known.run("base_model", *data_flags(drifting_csv), MLFLOW_RUN_ID=run_id)
    told = done.complaint("base_model")
    assert (done.code, "MLFLOW_RUN_ID" in told, why in told) == (4, True, True), told
    assert {run.info.run_id: run.to_dictionary() for run in known.runs("Default")} == before


def test_an_empty_run_that_an_orchestrator_made_for_us_is_taken(known: Workshop, drifting_csv: Path) -> None:
    with known.entered():
        client = mlflow_store.open_store("orchestrated").client
        (experiment,) = [found for found in client.search_experiments() if found.name == "orchestrated"]
        run_id = client.create_run(experiment.experiment_id, run_name="step 1").info.run_id
    done = known.run("base_model", *data_flags(drifting_csv), "--max_epochs", 1, "--json", MLFLOW_RUN_ID=run_id)
    assert (done.code, done.result["run_id"]) == (0, run_id)
    assert [role(run) for run in known.runs("orchestrated") if parent(run) is None] == ["base"]
