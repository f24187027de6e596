"""backtest.py end to end, on a small stream whose drift is known: what it prints, logs, refuses, and how it continues after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from mlflow.entities import Run
from ran_fixtures import SEA as STREAM
from script_fixtures import ENVIRONMENT, Ran, Workshop, parent, role

from driftloop.backtest import policies
from driftloop.settings import ROOT

NAMES = [policy.name for policy in policies.parse("all")]
FIGURES = {"name", "accuracy", "kappa", "kappa_temporal", "worst_block", "blocks_under_threshold", "retrains", "false_alarms", "delay", "seconds"}
SOME_NAMES = ["never", "always", "periodic-2", "random", "threshold", "probation", "eddm", "continuous"]
SOME = ("--policies", ",".join(SOME_NAMES))
PATIENCE_S = 240  # on a busy machine


@pytest.fixture
def done(backtested: Ran) -> Ran:
    return backtested


def parents(workshop: Workshop, experiment: str) -> list[Run]:
    return [run for run in workshop.runs(experiment) if parent(run) is None]


def assert_same(some: Ran, whole: Ran) -> None:
    """The policies of the one have the figures that they have in the other, but for the seconds."""
    plain = [[{name: value for name, value in policy.items() if name != "seconds"} for policy in one.result["policies"]] for one in (some, whole)]
    assert plain[0] == [policy for policy in plain[1] if policy["name"] in SOME_NAMES]


def test_the_result_holds_every_policy_with_its_figures(done: Ran) -> None:
    result = done.result
    assert [policy["name"] for policy in result["policies"]] == NAMES
    assert all(set(policy) >= FIGURES for policy in result["policies"])
    assert result["recommended"] in NAMES
    assert set(result["baselines"]) == {"no_change", "same_time_yesterday", "majority"}
    assert (result["rows"], result["blocks"], result["truth_known"]) == (480, 10, True)
    by_name = {policy["name"]: policy for policy in result["policies"]}
    assert (by_name["never"]["retrains"], by_name["always"]["retrains"], by_name["periodic-2"]["retrains"]) == (0, 9, 4)
    assert by_name["always"]["delay"] == 0 and by_name["never"]["delay"] is None
    assert by_name["continuous"]["false_alarms"] is None


def test_what_a_person_reads_fits_a_terminal(done: Ran) -> None:
    told = [line for line in done.err.splitlines() if not line.startswith("20")]  # MLflow's own lines begin with the date
    assert max(map(len, told)) <= 100
    assert any(line.startswith("Recommended: ") for line in told)


def test_the_back_test_is_a_parent_run_with_a_child_for_each_policy(done: Ran, workshop: Workshop) -> None:
    (whole,) = parents(workshop, "whole")
    assert (role(whole), whole.info.status, whole.info.run_id) == ("backtest", "FINISHED", done.result["run_id"])
    assert whole.data.tags["driftloop.recommended"] == done.result["recommended"]
    children = workshop.children(whole.info.run_id)
    assert {(role(run), run.info.status) for run in children} == {("policy", "FINISHED")}
    assert sorted(run.info.run_name for run in children) == sorted(NAMES)
    always = next(run for run in children if run.info.run_name == "always")
    series = workshop.client.get_metric_history(always.info.run_id, "block_accuracy")
    assert sorted(point.step for point in series) == list(range(10))
    assert {artifact.path for artifact in workshop.client.list_artifacts(whole.info.run_id)} >= {"policies.csv", "policies.json", "backtest.png"}
    assert (workshop.folder / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_back_test_finds_all_fits(done: Ran, workshop: Workshop) -> None:
    """The seconds are those of the kept fits, so they are the same to the last digit."""
    again = workshop.run("backtest", *STREAM, "--json", "--policies", "always,threshold", "--mlflow_experiment_name", "again")
    by_name = {policy["name"]: policy for policy in done.result["policies"]}
    assert [policy["seconds"] for policy in again.result["policies"]] == [by_name["always"]["seconds"], by_name["threshold"]["seconds"]]


def test_a_table_of_ones_own_has_no_known_changes(workshop: Workshop, drifting_csv: Path) -> None:
    flags = ("--data_path", drifting_csv, "--time_column", "time", "--block_size", 30, "--window", 100, "--policies", "never,periodic-2,threshold", "--json")
    ran = workshop.run("backtest", *flags, "--mlflow_experiment_name", "own")
    assert ran.code == 0, ran.err
    assert not ran.result["truth_known"]
    assert [policy["delay"] for policy in ran.result["policies"]] == [None, None, None]
    retrained = next(policy for policy in ran.result["policies"] if policy["name"] == "threshold")
    assert retrained["retrains"] > 0 and retrained["accuracy"] > ran.result["policies"][0]["accuracy"]


def test_a_judge_decides_when_asked_for(workshop: Workshop) -> None:
    ran = workshop.run("backtest", *STREAM, "--policies", "always", "--judge_rows", 48, "--json", "--mlflow_experiment_name", "judged")
    (always,) = ran.result["policies"]
    assert always["retrains"] == 9 and always["promoted"] < 9
    assert "a judge on 48 rows decides" in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--policies", "sometimes"), "unknown policy 'sometimes'"),
        (("--policies", ""), "--policies is empty"),
        (("--policies", "random"), "add one"),
        (("--jobs", 0), "--jobs"),
        (("--synthetic", "lorenz:abrupt"), "--synthetic lorenz:abrupt: generator is 'lorenz'"),
        (("--synthetic", "sea:sudden"), "--synthetic sea:sudden: drift is 'sudden'"),
        (("--synthetic", "sea:abrupt", "--data_path", "x.csv"), "give one of the two"),
        (("--synthetic", "sea:abrupt", "--rows", 20), "of 20 rows leaves 14 to train on"),
        (("--synthetic", "sea:abrupt", "--rows", 500, "--block_size", 151), "--block_size is 151"),
        (("--synthetic", "sea:abrupt", "--rows", 500, "--block_size", 0), "--block_size is 0"),
        (("--synthetic", "sea:abrupt", "--rows", 500, "--first_rows", 500), "--first_rows 500"),
        (("--synthetic", "sea:abrupt", "--train_share", 1), "--train_share 1"),
        (("--synthetic", "sea:abrupt", "--train_share", 0), "--train_share 0"),
        (("--alpha", 1), "--alpha"),
        (("--threshold_accuracy", 0), "--threshold_accuracy"),
        (("--plot", "nowhere/seen.png"), "--plot nowhere/seen.png"),
        (("--synthetic", "sea:abrupt", "--rows", 500, "--cache", "/proc/fits"), "--cache /proc/fits"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(workshop: Workshop, flags: tuple[object, ...], words: str) -> None:
    ran = workshop.run("backtest", *flags, "--mlflow_experiment_name", "refused")
    assert ran.code == 2, ran.err
    assert words in ran.complaint("backtest")
    assert not parents(workshop, "refused")


# Killed and gone on with


@contextmanager
def started(workshop: Workshop, *flags: object) -> Iterator[subprocess.Popen[str]]:
    """backtest.py as a shell starts it; it is ended at the latest when we are done with it."""
    clean = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "backtest.py"), *map(str, (*STREAM, *SOME, *flags))],
        env={**clean, "MLFLOW_TRACKING_URI": workshop.uri},
        cwd=workshop.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def wait_for(process: subprocess.Popen[str], moment: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not moment():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.02)


def finished(workshop: Workshop, experiment: str) -> set[str]:
    """The runs of the policies that were played to their end."""
    return {run.info.run_id for run in workshop.runs(experiment) if role(run) == "policy" and run.info.status == "FINISHED"}


def assert_goes_on(workshop: Workshop, done: Ran, experiment: str) -> None:
    """With --resume the one unfinished back-test there is ended, and comes to what an undisturbed one comes to."""
    (dead,), kept = parents(workshop, experiment), finished(workshop, experiment)
    ran = workshop.run("backtest", *STREAM, *SOME, "--resume", "--json", "--mlflow_experiment_name", experiment)
    assert ran.code == 0, ran.err
    assert_same(ran, done)
    (whole,) = parents(workshop, experiment)
    assert (whole.info.run_id, whole.info.status, role(whole)) == (dead.info.run_id, "FINISHED", "backtest")
    assert kept < finished(workshop, experiment)
    assert len(finished(workshop, experiment)) == len(SOME_NAMES)
    assert workshop.statuses(experiment) <= {"FINISHED", "KILLED"}


def test_after_a_sigkill_it_goes_on_where_it_was(done: Ran, workshop: Workshop) -> None:
    with started(workshop, "--mlflow_experiment_name", "killed") as process:
        wait_for(process, lambda: finished(workshop, "killed"))
        process.kill()
        process.wait(timeout=30)
    assert 0 < len(finished(workshop, "killed")) < len(SOME_NAMES)
    assert_goes_on(workshop, done, "killed")


def test_ctrl_c_closes_the_runs_and_ends_the_workers(done: Ran, workshop: Workshop) -> None:
    cache = workshop.folder / "interrupted"
    with started(workshop, "--jobs", 2, "--cache", cache, "--mlflow_experiment_name", "interrupted") as process:
        wait_for(process, lambda: len(list(cache.glob("*/*.npz"))) > 2)  # the base model, and some by the workers
        below = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert told.splitlines() == ["backtest.py: interrupted; runs are closed and servers stopped"]
    assert below and not psutil.wait_procs(below, timeout=10)[1]
    (whole,) = parents(workshop, "interrupted")
    assert whole.info.status == "KILLED"
    assert_goes_on(workshop, done, "interrupted")


def test_only_a_back_test_of_the_same_settings_is_gone_on_with(workshop: Workshop) -> None:
    here = ("--mlflow_experiment_name", "others", "--policies", "never,periodic-2", "--json")
    first = workshop.run("backtest", *STREAM, *here)
    (run,) = parents(workshop, "others")
    workshop.client.set_terminated(run.info.run_id, "KILLED")
    other = workshop.run("backtest", *STREAM, *here, "--resume", "--threshold_accuracy", ".75")
    assert other.result["run_id"] != first.result["run_id"]
    assert workshop.run("backtest", *STREAM, *here).result["run_id"] != first.result["run_id"]
    assert workshop.run("backtest", *STREAM, *here, "--resume").result["run_id"] == first.result["run_id"]


def test_the_result_that_is_kept_is_the_whole_result(done: Ran, workshop: Workshop) -> None:
    (child,) = [run for run in workshop.children(done.result["run_id"]) if run.info.run_name == "always"]
    with workshop.entered():
        body = json.loads(Path(workshop.client.download_artifacts(child.info.run_id, "result.json")).read_text())
    assert len(body["correct"]) == 10 and body["retrained_after"] == list(range(9))
