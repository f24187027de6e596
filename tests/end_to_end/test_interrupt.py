"""Ctrl-C, SIGTERM and SIGKILL at any moment: runs are closed, servers are gone, and one line says so."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from script_fixtures import ENVIRONMENT, MARK, Workshop, data_flags, drifting_table, marked, parent, role

from driftloop.settings import ROOT
from driftloop.system import signals
from driftloop.tracking import mlflow_store

EXPERIMENT = "interrupted"
PATIENCE_S = 120  # for a moment to come, on a busy machine
RETRAINS = ("--on_drift", "retrain", "--judge_rows", "20", "--validation_rows", "10", "--max_epochs", "200", "--total_trials", "50")


class Script:
    """A script in a process and a process group of its own, as a shell starts it."""

    def __init__(self, workshop: Workshop, script: str, *flags: str) -> None:
        self.workshop = workshop
        self.port = free_ports()
        clean = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
        self.temporary = workshop.folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / f"{script}.py"), *flags, "--port", str(self.port), "--mlflow_experiment_name", EXPERIMENT],
            env={
                **clean,
                "PYTHONFAULTHANDLER": "1",
                "MLFLOW_TRACKING_URI": workshop.uri,
                "TMPDIR": str(self.temporary),
                MARK: str(workshop.folder),
            },
            cwd=workshop.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        self.lines.extend(line.rstrip("\n") for line in self.process.stderr)

    def wait_for(self, moment: Callable[[Script], bool]) -> None:
        """Wait until the moment has come."""
        end = time.monotonic() + PATIENCE_S
        while not moment(self):
            assert self.process.poll() is None, f"it ended before: {self.lines}"
            assert time.monotonic() < end, f"the moment did not come: {self.lines}"
            time.sleep(0.05)

    def ended(self) -> int:
        """Its exit code; all it said is in `lines` then, and where each of its threads stood if it did not end."""
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # the fault handler writes all stacks
            code = self.process.wait(timeout=10)
        self._reader.join(timeout=10)
        return code

    def left(self) -> list[psutil.Process]:
        """Processes that it or its server started and that still run: they all inherited our mark."""
        return marked(str(self.workshop.folder))


def free_ports() -> int:
    """The first of five neighbouring ports that nobody listens on."""
    for first in range(20_000 + os.getpid() % 1000 * 10, 60_000, 5):
        if all(port_free(port) for port in range(first, first + 5)):
            return first
    raise AssertionError("there are no five free ports")


def port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# Moments


def trains(script: Script) -> bool:
    """The base model's trial is being fitted."""
    return running(script, "trial")


def server_starts(script: Script) -> bool:
    """TorchServe's Java runs, and no model answers yet."""
    return any("java" in process.name() for process in script.left())


def scores(script: Script) -> bool:
    """Blocks are being scored."""
    return running(script, "deployment")


def retrains(script: Script) -> bool:
    """A trial of a retrain is being fitted."""
    return running(script, "retrain") and running(script, "trial")


def running(script: Script, wanted: str) -> bool:
    return any(role(run) == wanted and run.info.status == "RUNNING" for run in script.workshop.runs(EXPERIMENT))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A store of its own with a base model of a table that drifts at once."""
    short = Workshop(tmp_path_factory.mktemp("i"))
    table = drifting_table()
    table.to_csv(short.folder / "t.csv", index=False)
    done = short.run("base_model", *data_flags(short.folder / "t.csv"), "--max_epochs", 5, "--mlflow_experiment_name", EXPERIMENT)
    assert done.code == 0, done.err
    return short


@contextmanager
def started(workshop: Workshop, script: str, *flags: str) -> Iterator[Script]:
    """A script at work on the small table; whatever a failed test leaves is ended."""
    one = Script(workshop, script, *data_flags(workshop.folder / "t.csv"), *flags)
    try:
        yield one
    finally:
        for process in one.left():
            process.kill()


def at_work(script: Script) -> set[str]:
    """The runs that continue until they are stopped: all that are open, without the trial of a retrain, which may end by itself at any time."""
    still = [run for run in script.workshop.runs(EXPERIMENT) if run.info.status == "RUNNING"]
    retrains_now = any(role(run) == "retrain" for run in still)
    return {run.info.run_id for run in still if not (retrains_now and role(run) == "trial")}


def assert_all_is_closed(script: Script, stopped: set[str]) -> None:
    assert not script.left()
    assert all(port_free(port) for port in range(script.port, script.port + 5))
    assert not [path.name for path in script.temporary.iterdir() if path.name.startswith("driftloop")]
    assert {script.workshop.client.get_run(run_id).info.status for run_id in stopped} <= {"KILLED"}
    assert {"FINISHED"} <= script.workshop.statuses() <= {"FINISHED", "KILLED"}  # finished: at least the base model that `ready` trained


@pytest.mark.parametrize(
    ("number", "code", "word", "moment", "script", "flags"),
    [
        (signal.SIGINT, 130, "interrupted", trains, "lifecycle", ("--max_epochs", "5000")),
        (signal.SIGTERM, 143, "terminated", server_starts, "deploy_model", ("--test_data_rows", "180")),
        (signal.SIGINT, 130, "interrupted", retrains, "deploy_model", ("--test_data_rows", "180", *RETRAINS)),
        pytest.param(signal.SIGTERM, 143, "terminated", trains, "lifecycle", ("--max_epochs", "5000"), marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, "interrupted", server_starts, "deploy_model", ("--test_data_rows", "180"), marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, "terminated", scores, "deploy_model", ("--block_size", "1"), marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, "interrupted", scores, "deploy_model", ("--block_size", "1"), marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, "terminated", retrains, "deploy_model", ("--test_data_rows", "180", *RETRAINS), marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_runs_and_servers_with_one_line(
    ready: Workshop, number: int, code: int, word: str, moment: Callable[[Script], bool], script: str, flags: tuple[str, ...]
) -> None:
    with started(ready, script, *flags) as one:
        one.wait_for(moment)
        stopped = at_work(one)
        assert bool(stopped) == (moment is not server_starts)  # while the server starts no run is open yet
        one.process.send_signal(number)
        assert one.ended() == code, one.lines
        assert one.lines[-1] == f"{script}.py: {word}; runs are closed and servers stopped"
        assert not [line for line in one.lines if "Traceback" in line or "Error" in line]
        assert_all_is_closed(one, stopped)


LOSES = """
import os, signal, sys, threading, time, weakref
from driftloop.cli import parsing, runner
from driftloop.system import signals

class Thing: pass

def in_a_callback(number):
    thing = Thing()
    kept = weakref.ref(thing, lambda _: os.kill(os.getpid(), number))
    del thing

def caught(number):
    try:
        os.kill(os.getpid(), number)
        time.sleep(1)
    except BaseException:
        pass

def while_cleaning_waits(number):
    lock = threading.Lock()
    lock.acquire()
    try:
        os.kill(os.getpid(), number)
        time.sleep(1)
    finally:
        lock.acquire()

def made_into_an_error(number):
    try:
        os.kill(os.getpid(), number)
        time.sleep(1)
    except BaseException:
        raise SystemError("as compiled code says it")

def work(args):
    globals()[sys.argv[2]](int(sys.argv[1]))
    time.sleep(20)
    return {}, 0

signals.AGAIN_S = 0.5
sys.exit(runner.run(work, parsing.parser("work.py", ""), [], dict))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("how", ["in_a_callback", "caught", "while_cleaning_waits", "made_into_an_error"])
def test_a_signal_that_gets_lost_still_ends_the_script(number: int, code: int, how: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOSES, str(int(number)), how], cwd=ROOT, capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("work.py: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_whose_error_came_of_a_signal_was_killed_and_has_not_failed(workshop: Workshop, number: int) -> None:
    ends = pytest.raises((KeyboardInterrupt, signals.Terminated))
    with workshop.entered(), ends, signals.signals_unwind(), mlflow_store.run(mlflow_store.open_store("torn"), "torn", role="base"):
        try:
            os.kill(os.getpid(), number)
            time.sleep(1)
        except (KeyboardInterrupt, signals.Terminated):
            raise SystemError("as compiled code says it") from None
    assert workshop.statuses("torn") == {"KILLED"}


def test_after_a_sigkill_the_server_is_gone_and_the_next_start_closes_the_runs(ready: Workshop) -> None:
    with started(ready, "deploy_model", "--test_data_rows", "180", *RETRAINS) as one:
        one.wait_for(retrains)
        one.process.kill()
        assert one.ended() == -signal.SIGKILL
        end = time.monotonic() + 10
        while one.left() and time.monotonic() < end:
            time.sleep(0.05)
        assert not one.left()
        dead = {run.info.run_id for run in ready.runs() if run.info.status == "RUNNING"}
        assert len(dead) == 3  # the deployment, its retrain and the trial
        done = ready.run("base_model", *data_flags(ready.folder / "t.csv"), "--max_epochs", 1, "--mlflow_experiment_name", EXPERIMENT)
        assert done.code == 0, done.err
        assert {ready.client.get_run(run_id).info.status for run_id in dead} == {"KILLED"}
        assert ready.statuses() == {"FINISHED", "KILLED"}
        assert all(parent(ready.client.get_run(run_id)) for run_id in dead)
        shutil.rmtree(one.temporary)
