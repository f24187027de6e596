"""Why a retrain began, and what it is called by: the drifted block, or who asked and up to which row."""

from __future__ import annotations

import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import mlflow
import pytest
from watch_sample import make_result, make_retrain

import deploy_model
from driftloop.cli.call import Call, read
from driftloop.cli.script_flags import DeployFlags
from driftloop.data import synthetic
from driftloop.data.streams import Stream
from driftloop.metrics.results import NO_BLOCK, WatchResult
from driftloop.report.terminal import judged_text, retrain_line, summary_text
from driftloop.settings import ASKED_BY
from driftloop.tracking import mlflow_store, runs
from driftloop.training.retrain import Cause
from driftloop.watch import deployment, scripts
from driftloop.watch.preparation import Work

KNOWN, BASE = 300, cast(Any, SimpleNamespace(run_id="base"))
SERVED = cast(Any, SimpleNamespace(trained=(0, KNOWN)))


@pytest.fixture
def stream() -> Stream:
    return synthetic.make("sea", rows=500, seed=1).stream


def cause(stream: Stream, monkeypatch: pytest.MonkeyPatch, *, until_row: int = 0, drift: tuple[int, int] = (NO_BLOCK, 0)) -> Cause:
    monkeypatch.setattr(runs, "drift_of", lambda *_: drift)
    return deployment.find_cause(cast(Work, SimpleNamespace(store=None, stream=stream)), BASE, SERVED, until_row=until_row)


def test_no_recorded_drift_is_no_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/m.db")
    monkeypatch.setattr(runs, "newest_child", lambda *_, **__: None)
    assert runs.drift_of(cast(mlflow_store.Store, None), "base") == (NO_BLOCK, 0)
    mlflow.set_tracking_uri(None)


def test_a_retrain_that_is_asked_for_up_to_a_row_is_of_no_block_unless_its_drift_lies_before(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cause(stream, monkeypatch, until_row=400).block == NO_BLOCK
    assert cause(stream, monkeypatch, until_row=400, drift=(0, 350)).block == 0
    assert cause(stream, monkeypatch, until_row=400, drift=(0, KNOWN)).block == NO_BLOCK  # answered already
    assert cause(stream, monkeypatch, drift=(3, 450)).block == 3


def test_the_reason_names_who_asked(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cause(stream, monkeypatch, until_row=400).reason.startswith("requested manually, on the rows up to row 400 (")
    monkeypatch.setenv(ASKED_BY, "the alert KpiBelowThreshold")
    assert cause(stream, monkeypatch, until_row=400).reason.startswith("requested by the alert KpiBelowThreshold, on the rows up to row 400 (")
    assert "found drift in block 3" in cause(stream, monkeypatch, drift=(3, 450)).reason


def test_retrains_up_to_different_rows_have_different_names(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {cause(stream, monkeypatch, until_row=row, drift=(0, 310)).run_name(stream) for row in (350, 400, 450)}
    assert len(names) == 3
    assert all(name.startswith("retrain at 20") for name in names)
    assert cause(stream, monkeypatch, drift=(3, 450)).run_name(stream) == "retrain at block 3"


def test_a_retrain_of_no_block_is_told_by_its_newest_row() -> None:
    record = replace(make_retrain(3, version="2", lr=0.1), block=NO_BLOCK)
    for text in (judged_text(record), retrain_line(record), summary_text(replace(make_result(5, retrains=1), retrains=(record,)))):
        assert "block –" not in text
        assert "rows up to 1998-02-19 00:00" in text
    assert "drifted" not in retrain_line(record)


def test_the_time_of_a_deployment_is_that_of_the_whole_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Also of what comes before the watch: imports, training, TorchServe's start."""
    logged: list[WatchResult] = []
    result = replace(make_result(5, retrains=0), seconds=0.8)
    faked = {
        "check_places": None,
        "check_name": None,
        "goal_of": None,
        "drift_rule": None,
        "_say_where": None,
        "open_work": SimpleNamespace(),
        "base_model": (SimpleNamespace(store=None), BASE),
        "champion": SERVED,
        "watch_served": result,
    }
    for name, value in faked.items():
        monkeypatch.setattr(scripts if hasattr(scripts, name) else deployment, name, lambda *_, value=value, **__: value)
    monkeypatch.setattr(runs, "param_of", lambda *_: "")
    monkeypatch.setattr(deployment, "log_outcome", lambda *given, **_: logged.append(given[-1]))
    call = Call(started=time.monotonic() - 44)
    args = read(DeployFlags, deploy_model.build_parser().parse_args(["--on_drift", "ignore"], Namespace(call=call)))
    scripts.deploy(args, cast(Any, None))
    assert logged[0].seconds == pytest.approx(44, abs=5)
    assert "Total time: 44" in capsys.readouterr().out.replace("\n", " ")
