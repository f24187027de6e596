"""MLproject, the environments and `mlflow run`: what they list is what the scripts take and need."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.projects.utils import load_project
from script_fixtures import ENVIRONMENT, Workshop, data_flags, parent, role

from driftloop.settings import ROOT

ENTRY_POINTS = {
    "main": "base_model",
    "base_model": "base_model",
    "deploy": "deploy_model",
    "retrain": "retrain_model",
    "rollback": "rollback_model",
    "lifecycle": "lifecycle",
    "backtest": "backtest",
    "watch": "watch_table",
}
CODE = ["MLproject", "conda.yaml", "base_model.py", "elec_datamodule.py", "elec_model.py", "handler.py", "learner.py", "driftloop"]
PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "MLproject").read_text())
CONDA: dict[str, Any] = yaml.safe_load((ROOT / "conda.yaml").read_text())


def flags(script: str) -> dict[str, argparse.Action]:
    """The flags of a script by name, --help left out."""
    actions = importlib.import_module(script).build_parser()._actions
    return {action.dest: action for action in actions if action.dest != "help"}


def pins(path: Path) -> dict[str, str]:
    """Name to exact version of a requirements file; fails on anything else."""
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return dict(exact(line) for line in lines if line)


def exact(requirement: str) -> tuple[str, str]:
    name, _, version = requirement.partition("==")
    assert re.fullmatch(r"[a-z0-9-]+", name) and re.fullmatch(r"\d+(\.[a-z0-9]+)+", version), f"{requirement} is no exact pin"
    return name, version


def test_the_entry_points_are_those_of_the_documents() -> None:
    assert set(PROJECT["entry_points"]) == set(ENTRY_POINTS)
    assert set(load_project(str(ROOT))._entry_points) == set(ENTRY_POINTS)


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_an_entry_points_parameters_are_the_scripts_flags(entry: str) -> None:
    known = flags(ENTRY_POINTS[entry])
    parameters = PROJECT["entry_points"][entry]["parameters"]
    assert list(parameters) == list(known)
    for name, parameter in parameters.items():
        action = known[name]
        assert action.option_strings == [f"--{name}"]
        default = parameter["default"]
        if isinstance(action.default, bool):
            assert default == str(action.default).lower()
        else:
            assert (type(default), default) == (type(action.default), action.default)
        assert parameter["type"] == ("float" if isinstance(action.default, int | float) and not isinstance(action.default, bool) else "string")


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_an_entry_points_command_hands_every_parameter_to_its_script(entry: str) -> None:
    body = PROJECT["entry_points"][entry]
    assert "\n" not in body["command"], "a second line would be run as a command of its own"
    python, script, *rest = shlex.split(body["command"])
    assert (python, script) == ("python", f"{ENTRY_POINTS[entry]}.py")
    assert rest == [word for name in body["parameters"] for word in (f"--{name}", f"{{{name}}}")]


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_the_command_that_mlflow_makes_of_the_defaults_parses_to_the_defaults(entry: str, tmp_path: Path) -> None:
    command = load_project(str(ROOT)).get_entry_point(entry).compute_command({}, str(tmp_path))
    parser = importlib.import_module(ENTRY_POINTS[entry]).build_parser()
    assert parser.parse_args(shlex.split(command)[2:]) == parser.parse_args([])


def test_only_python_and_pip_stand_outside_conda_yamls_pip_list() -> None:
    *outside, inside = CONDA["dependencies"]
    assert [re.split("[=<>]", item)[0] for item in outside] == ["python", "pip"]
    assert list(inside) == ["pip"]


def test_the_three_environments_list_the_same_exact_pins() -> None:
    required = pins(ROOT / "requirements.txt")
    python_env = yaml.safe_load((ROOT / "python_env.yaml").read_text())
    assert dict(exact(line) for line in CONDA["dependencies"][-1]["pip"]) == required
    assert dict(exact(line) for line in python_env["dependencies"]) == required
    assert f"python={python_env['python']}" in CONDA["dependencies"]


def test_what_pip_installs_are_the_same_exact_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    core, extras = project["dependencies"], project["optional-dependencies"]
    assert dict(map(exact, [*core, *extras["train"]])) == pins(ROOT / "requirements.txt")
    assert len({*core, *extras["train"]}) == len(core) + len(extras["train"])
    for extra, file in (("monitor", "monitoring"), ("batch", "batch"), ("spark", "spark")):
        assert dict(map(exact, extras[extra])) == pins(ROOT / f"requirements-{file}.txt")
    assert set(extras["parquet"]) < set(extras["train"])
    assert not {"torch", "pyarrow", "mlflow", "pytorch-lightning", "river"} & {exact(one)[0] for one in core}


def test_what_pip_installs_has_every_file_of_the_packages() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    globs = found["package-data"]["*"]
    for package in ("driftloop", "monitoring", "prediction_service"):
        assert f"{package}*" in found["packages"]["find"]["include"]
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix not in {".py", ".pyc"}:
                home = next(folder for folder in path.parents if (folder / "__init__.py").exists())
                assert any(path.relative_to(home).match(glob) for glob in globs), path.relative_to(ROOT)


def test_the_lock_holds_every_pin() -> None:
    lock = ROOT / "requirements.lock"
    if not lock.is_file() or not lock.read_text().strip():
        pytest.skip("requirements.lock is not written yet: make lock")
    locked = {}
    for line in lock.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, version = line.partition("==")
            locked[re.sub(r"[-_.]+", "-", name).lower()] = version
    required = pins(ROOT / "requirements.txt")
    assert {name: locked.get(name) for name in required} == required


# mlflow run


def project(folder: Path) -> Path:
    """A copy of what `mlflow run` needs, outside of our repository."""
    made = folder / "project"
    made.mkdir()
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, made / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, made)
    return made


def mlflow_run(workshop: Workshop, copy: Path, csv: Path, *more: str, manager: str = "local", timeout_s: float = 240, **environment: str) -> None:
    """`mlflow run` as a person types it, on the small table."""
    parameters = [part for flag, value in zip(*[iter(data_flags(csv))] * 2, strict=True) for part in ("-P", f"{flag.removeprefix('--')}={value}")]
    command = [sys.executable, "-m", "mlflow", "run", str(copy), "--env-manager", manager, "-e", "main", "-P", "max_epochs=1", *parameters, *more]
    clean = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the manager "local" runs the `python` of the PATH
    env = {**clean, "PATH": path, "MLFLOW_TRACKING_URI": workshop.uri, "MLFLOW_EXPERIMENT_NAME": "drift1", **environment}
    done = subprocess.run(command, env=env, cwd=workshop.folder, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_mlflow_run_works_in_the_run_that_mlflow_made(drifting_csv: Path, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    mlflow_run(workshop, project(tmp_path), drifting_csv)
    runs = workshop.runs()
    assert {run.info.experiment_id for run in runs} == {workshop.client.get_experiment_by_name("drift1").experiment_id}
    (base,) = [run for run in runs if parent(run) is None]
    assert base.data.tags["mlflow.project.entryPoint"] == "main"
    assert (role(base), base.info.status, base.data.params["max_epochs"]) == ("base", "FINISHED", "1")
    assert 0 <= base.data.metrics["test_accuracy"] <= 1
    assert [(role(run), run.info.status) for run in workshop.children(base.info.run_id)] == [("trial", "FINISHED")]
    assert len(runs) == 2


def test_a_script_under_mlflow_run_works_in_the_experiment_it_is_told_and_the_launchers_run_points_there(workshop: Workshop, drifting_csv: Path) -> None:
    client = workshop.client
    launcher = client.create_run(client.create_experiment("launched")).info
    done = workshop.run(
        "base_model",
        *data_flags(drifting_csv),
        *("--max_epochs", 1, "--mlflow_experiment_name", "worked in"),
        MLFLOW_RUN_ID=launcher.run_id,
        MLFLOW_EXPERIMENT_ID=launcher.experiment_id,
    )
    assert done.code == 0, done.err
    (base,) = [run for run in workshop.runs("worked in") if parent(run) is None]
    (launched,) = workshop.runs("launched")
    assert base.info.run_id in launched.data.tags["mlflow.note.content"]
    assert not role(launched)


@pytest.mark.slow
def test_mlflow_run_with_another_experiment_ends_both_runs(drifting_csv: Path, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    mlflow_run(workshop, project(tmp_path), drifting_csv, "-P", "mlflow_experiment_name=drift3")
    (launcher,) = workshop.runs("drift1")
    (base,) = [run for run in workshop.runs("drift3") if parent(run) is None]
    assert (role(base), base.info.status, launcher.info.status) == ("base", "FINISHED", "FINISHED")
    assert base.info.run_id in launcher.data.tags["mlflow.note.content"]
    assert not role(launcher)


@pytest.mark.slow
@pytest.mark.parametrize("manager", ["uv", "virtualenv"])
def test_mlflow_run_builds_the_environment_itself(drifting_csv: Path, tmp_path: Path, manager: str) -> None:
    needed = {"uv": "uv", "virtualenv": "pyenv"}[manager]
    if not shutil.which(needed):
        pytest.skip(f"{needed} is not installed: --env-manager {manager} cannot be tried")
    workshop = Workshop(tmp_path)
    # uv does not read pip's configuration.
    asked = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.find-links"], capture_output=True, text=True, check=False)
    links = {"UV_FIND_LINKS": ",".join(asked.stdout.split())} if asked.returncode == 0 and asked.stdout.strip() else {}
    mlflow_run(workshop, project(tmp_path), drifting_csv, manager=manager, timeout_s=1500, MLFLOW_ENV_ROOT=str(tmp_path / "envs"), **links)
    (base,) = [run for run in workshop.runs("drift1") if parent(run) is None]
    assert base.info.status == "FINISHED"
