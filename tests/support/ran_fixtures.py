"""The scripts' runs over small streams that several test files look at, each done once in a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from script_fixtures import Ran, Workshop, data_flags

BLOCK = 40
WATCH = ("--block_size", BLOCK, "--threshold_accuracy", ".7", "--drift_rule", "threshold", "--max_epochs", 10)
# Few rows: the newest 30 judge, the 10 before them validate, the 40 before those are learned from.
RETRAIN = ("--total_trials", 2, "--judge_rows", 30, "--validation_rows", 10)
SEA = ("--synthetic", "sea:abrupt", "--rows", 1600, "--max_epochs", 2)  # of the back-test: the truth is known


def ended_well(done: Ran) -> Ran:
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    return done


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search space for few rows: a small window and a quick fit."""
    path = tmp_path_factory.mktemp("space") / "space.yaml"
    path.write_text("window: {choices: [40]}\nlr: {range: [0.1, 0.3], log: true}\ndepth: {choices: [0]}\n")
    return path


@pytest.fixture(scope="session")
def cycle(workshop: Workshop, drifting_csv: Path, space: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """A lifecycle over the small table, and where it wrote its report."""
    place = tmp_path_factory.mktemp("report") / "new" / "report.html"
    flags = (*data_flags(drifting_csv), *WATCH, *RETRAIN, "--search_space", space, "--register_model_name", "cycled", "--report", place, "--json")
    return ended_well(workshop.run("lifecycle", *flags, "--mlflow_experiment_name", "cycle")), place


@dataclass(frozen=True)
class Deployed:
    """A base model of the small table, deployed with --on_drift retrain."""

    flags: tuple[object, ...]  # of a retrain that continues from there
    base: dict[str, Any]
    ran: Ran


@pytest.fixture(scope="session")
def deployed(workshop: Workshop, drifting_csv: Path, space: Path) -> Deployed:
    flags = (*data_flags(drifting_csv), "--mlflow_experiment_name", "deployed", "--register_model_name", "deployed", "--search_space", space)
    base = ended_well(workshop.run("base_model", *data_flags(drifting_csv), "--max_epochs", 10, "--mlflow_experiment_name", "deployed", "--json")).result
    asked = (*WATCH, *RETRAIN, "--test_data_rows", 180, "--on_drift", "retrain", "--max_retrains", 2)
    return Deployed(flags, base, workshop.run("deploy_model", *flags, *asked, "--fail_on_drift", "--json"))


@pytest.fixture(scope="session")
def retrained(deployed: Deployed, workshop: Workshop) -> dict[str, Any]:
    """A retrain up to row 580, of the base model, in a registry of its own."""
    return retrain_until_580(workshop, deployed, "once")


def retrain_until_580(workshop: Workshop, deployed: Deployed, name: str, *more: object, until: tuple[str, object] = ("--until_row", 580)) -> dict[str, Any]:
    fixed = (*until, "--max_epochs", 10, "--base_run_id", deployed.base["run_id"], *RETRAIN, "--json")
    return ended_well(workshop.run("retrain_model", *deployed.flags, *fixed, "--register_model_name", name, *more)).result


@pytest.fixture(scope="session")
def backtested(workshop: Workshop) -> Ran:
    """Every policy, played once over SEA."""
    return ended_well(workshop.run("backtest", *SEA, "--json", "--plot", "seen.png", "--mlflow_experiment_name", "whole"))
