"""A missing environment is one line that says what to do, whichever program meets it."""

from __future__ import annotations

import os
import shutil
import sys
import venv
from pathlib import Path

import pytest

from driftloop.settings import ROOT
from driftloop.system import environment, processes
from driftloop.system.processes import Finished

SCRIPTS = ("base_model.py", "deploy_model.py", "retrain_model.py", "lifecycle.py", "backtest.py", "rollback_model.py")
MODULES = (
    *(("monitoring", name) for name in ("local", "monitor", "batch", "hook", "shipper", "replay", "labels", "history", "fill", "mongo")),
    ("prediction_service",),
)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without a single package."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


def run(python: Path, *words: str) -> Finished:
    return processes.run([str(python), *words], timeout_s=60, env={"PYTHONPATH": ""}, folder=ROOT)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_without_its_packages_says_so_in_one_line(bare: Path, script: str) -> None:
    done = run(bare, script)
    assert done.code == 1 and done.output.count("\n") == 1, done.output
    assert done.output.startswith(f"{script}: error: Python 3.") and "has no package" in done.output and "activate`" in done.output


@pytest.mark.parametrize("words", MODULES, ids=" ".join)
def test_a_service_without_its_packages_says_so_in_one_line(bare: Path, words: tuple[str, ...]) -> None:
    needed = {"fill": ["--last", "1"], "labels": ["--stream", "elec", "--file", "x.csv", "--spool", "s"]}.get(words[-1], [])
    done = run(bare, "-m", *words, *needed)
    assert done.code == 1 and done.output.count("\n") == 1, done.output
    assert "has no package" in done.output and "activate`" in done.output


def test_a_learner_whose_packages_are_missing_is_a_matter_of_the_environment(bare: Path) -> None:
    done = run(bare, "lifecycle.py", "--learner", "examples.nyc_taxi.learner:TAXI", "--help")
    assert done.code == 1 and done.output.count("\n") == 1 and "has no package" in done.output, done.output


def test_help_needs_no_package(bare: Path) -> None:
    assert all(run(bare, script, "--help").code == 0 for script in SCRIPTS)


@pytest.mark.parametrize(("module", "file"), [("flask", "monitoring"), ("bson", "monitoring"), ("prefect", "batch"), ("prometheus_client", "monitoring")])
def test_of_a_part_that_is_optional_its_own_requirements_are_named(module: str, file: str) -> None:
    line = environment.missing(ModuleNotFoundError(name=f"{module}.part"))
    assert f"has no package {module}: run `pip install -r requirements-{file}.txt -c requirements.lock`" in line


def test_a_module_of_ours_that_is_missing_is_no_matter_of_the_environment() -> None:
    assert not environment.missing(ModuleNotFoundError(name="driftloop.nowhere")) and not environment.missing(ModuleNotFoundError(name="learner"))
    assert not environment.missing(ModuleNotFoundError())


def test_an_import_alone_leaves_the_excepthook_as_it_is() -> None:
    done = run(Path(sys.executable), "-c", "import sys, monitoring, prediction_service; assert sys.excepthook is sys.__excepthook__")
    assert done.code == 0, done.output


@pytest.mark.parametrize("version", ["3.9", "3.10"])
def test_an_old_python_is_told_which_is_needed(version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or processes.run([python, "--version"], timeout_s=20).code:
        pytest.skip(f"there is no python{version} here")
    for words in (["base_model.py"], ["-m", "monitoring", "local"], ["-m", "prediction_service"]):
        done = processes.run([python, *words], timeout_s=60, env={"PYTHONPATH": "", "PATH": os.environ["PATH"]}, folder=ROOT)
        assert done.code == 1 and done.output.count("\n") == 1 and "needs Python 3.11, this is 3." in done.output, done.output
