"""Commands that are printed run as they are: with the flags of the call, quoted, and by the Python that runs now."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from script_fixtures import Workshop, data_flags, drifting_table

import deploy_model
import retrain_model
from driftloop.cli import parsing, printed_commands
from driftloop.cli.call import Call, read
from driftloop.cli.script_flags import DeployFlags
from driftloop.settings import ROOT
from monitoring.batch import flow_command, history


def deployed(*argv: str) -> DeployFlags:
    """The flags of a call of deploy_model.py."""
    given = argparse.Namespace(call=Call(argv))
    return read(DeployFlags, deploy_model.build_parser().parse_args(argv, given))


def retrain_of(*argv: str) -> list[str]:
    """The words of the retrain that a deployment with these flags prints."""
    return shlex.split(printed_commands.retrain(deployed(*argv), experiment="it's mine", base_run_id="abc"))


def test_a_retrain_is_told_with_every_flag_of_the_deployment_that_it_has_too() -> None:
    argv = ["--data_path", "my table.csv", "--target", "the label", "--features", "a,b", "--bad_rows", "set_aside", "--history", "0", "--seed", "3"]
    argv += ["--torchserve_url", "http://127.0.0.1:8080", "--search_space", "space.yaml", "--judge_alpha", "1e-2", "--time_column=-time"]
    words = retrain_of(*argv, "--block_size", "50", "--train_base", "--json")
    told = vars(retrain_model.build_parser().parse_args(words[2:]))
    wanted = vars(retrain_model.build_parser().parse_args([*argv, "--mlflow_experiment_name", "it's mine", "--base_run_id", "abc"]))
    assert told == wanted
    assert "1e-2" in words
    assert not any("block_size" in word for word in words)


def test_no_flag_of_a_deployment_is_forgotten_that_a_retrain_has_too() -> None:
    """Also one that is added tomorrow: each is given a value that is not its default, and has to arrive."""
    deploys, retrains = deploy_model.build_parser(), retrain_model.build_parser()
    shared = {action.dest for action in deploys._actions} & {action.dest for action in retrains._actions} - printed_commands.NOT_CARRIED
    args = replace(deployed(), **dict.fromkeys(shared, "x y"))
    words = shlex.split(printed_commands.flags(retrains, args))
    assert {word.removeprefix("--") for word in words if word.startswith("--")} == shared
    assert words.count("x y") == len(shared)


def test_switches_lists_and_passwords_are_written_as_their_flags_take_them() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--on", **parsing.SWITCH, default=False)
    parser.add_argument("--off", **parsing.SWITCH, default=True)
    parser.add_argument("--many", nargs="+", default=[])
    parser.add_argument("--each", action="append", default=[])
    parser.add_argument("--empty", default="full")
    call, given = Call(), {"on": True, "off": False, "many": ["a", "b c"], "each": ["d", "-e"], "empty": ""}
    words = printed_commands.flags(parser, SimpleNamespace(call=call, **given))
    assert vars(parser.parse_args(shlex.split(words))) == given
    told = SimpleNamespace(
        call=call, stream="elec", mongodb_uri="mongodb://me:secret@host/x", tracking_uri="http://me:secret@host", on_drift="advise", log_folder=Path("x")
    )
    command = flow_command.measuring(told, stream="elec", window="2020-04", retrain=True)
    assert "secret" not in command
    assert '--mongodb_uri "$MONGODB_URI"' in command
    assert '--tracking_uri "$MLFLOW_TRACKING_URI"' in command
    assert "--on_drift retrain" in command


def test_a_window_that_was_never_measured_is_told_with_the_command_that_measures_it() -> None:
    args = read(history.HistoryFlags, history.build_parser().parse_args(["--stream", "taxi", "--mongodb_uri", "mongodb://127.0.0.1:1"]))
    words = shlex.split(flow_command.measuring(args, stream=args.stream, window="last-month"))
    assert words[1:5] == ["-m", "monitoring", "batch", "run"]
    found = flow_command.build_parser().parse_args(words[4:])
    assert (found.stream, found.window, found.mongodb_uri) == ("taxi", "last-month", "mongodb://127.0.0.1:1")


def test_the_script_is_named_so_that_it_is_found_from_the_folder_of_the_person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder, name in ((ROOT, "retrain_model.py"), (ROOT.parent, f"{ROOT.name}/retrain_model.py"), (tmp_path, str(ROOT / "retrain_model.py"))):
        monkeypatch.chdir(folder)
        assert shlex.split(printed_commands.of_prog("retrain_model.py"))[1:] == [name]


def test_what_is_printed_of_another_learner_names_it_and_no_default_of_its_own() -> None:
    args = deployed("--learner", "examples.nyc_taxi.learner:TAXI", "--max_epochs", "6", "--judge_rows", "48", "--follow_up", "false")
    told = {"mlflow_experiment_name": "taxi", "learner": "examples.nyc_taxi.learner:TAXI", "judge_rows": "48"}
    words = shlex.split(printed_commands.retrain(args, experiment="taxi", base_run_id="abc"))[2:]
    assert dict(zip(words[::2], words[1::2], strict=True)) == {f"--{name}": value for name, value in told.items()} | {
        "--base_run_id": "abc",
        "--total_trials": "4",
    }
    words = shlex.split(printed_commands.train_base(args, experiment="taxi").removesuffix(", or add --train_base"))
    assert words[1:] == ["base_model.py", "--learner", told["learner"], "--mlflow_experiment_name", "taxi"]


def test_python_is_named_by_its_path_where_the_shell_finds_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert printed_commands.python() == "python"
    (tmp_path / "python").symlink_to(sys.executable)  # the same program, but another environment
    monkeypatch.setenv("PATH", str(tmp_path))
    assert printed_commands.python() == shlex.quote(sys.executable)
    monkeypatch.setenv("PATH", "")
    assert printed_commands.python() == shlex.quote(sys.executable)


@pytest.mark.slow
def test_printed_commands_run_as_they_are_pasted_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=400, freq="h").strftime("%Y-%m-%d %H:%M:%S"), "x": rng.random(400)})
    table["the label"] = np.where(table["x"] > 0.5, "on", "off")
    table.to_csv(tmp_path / "my  table.csv", index=False)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/m.db"}

    def paste(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False)

    flags = ["--data_path", "my  table.csv", "--target", "the label", "--time_column", "when", "--history", "0", "--mlflow_experiment_name", "it's mine"]
    more = ["--max_epochs", "1", "--total_trials", "1", "--validation_rows", "40", "--judge_rows", "20", "--register_model_name", "mine"]
    none = paste(shlex.join([sys.executable, str(ROOT / "retrain_model.py"), *flags, *more]))
    assert none.returncode == 5
    advised = none.stderr.splitlines()[-1].partition("yet: run ")[2].partition(", or add --train_base")[0]
    trained = paste(f"{advised} --json")
    assert trained.returncode == 0, trained.stderr
    run_id = trained.stdout.partition('"run_id": "')[2].partition('"')[0]
    done = paste(printed_commands.retrain(deployed(*flags, *more, "--block_size", "50"), experiment="it's mine", base_run_id=run_id))
    assert done.returncode == 0, done.stderr
    wrong = paste(shlex.join([sys.executable, str(ROOT / "retrain_model.py"), "--nosuch"]))
    help_ = paste(wrong.stderr.splitlines()[-1].partition("; see ")[2])
    assert "usage: retrain_model.py" in help_.stdout


def test_a_retrain_of_a_short_table_runs_as_it_is_printed(workshop: Workshop, tmp_path: Path) -> None:
    drifting_table(rows=60, flip=45).to_csv(tmp_path / "short.csv", index=False)
    flags = (*data_flags(tmp_path / "short.csv"), "--max_epochs", 1, "--mlflow_experiment_name", "short")
    assert workshop.run("base_model", *flags).code == 0
    assert workshop.run("retrain_model", *flags, "--total_trials", 1, "--register_model_name", "short").code == 0


@pytest.mark.parametrize("paths", ["", "/nowhere"])
def test_a_module_is_started_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paths: str) -> None:
    monkeypatch.setenv("PYTHONPATH", paths)
    monkeypatch.chdir(ROOT)
    assert printed_commands.ui() == f"make ui, or {printed_commands.python()} -m driftloop.ui"
    monkeypatch.chdir(tmp_path)
    assert "make" not in printed_commands.ui() and printed_commands.ui() == printed_commands.of_module("driftloop.ui")
    progs = ("monitoring history", "examples/nyc_taxi/prepare.py")
    for words in (f"{printed_commands.ui()} --help", *(f"{printed_commands.of_prog(prog)} --help" for prog in progs)):
        done = subprocess.run(["bash", "-c", words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and done.stdout.startswith("usage:"), done.stderr


def test_a_path_to_our_modules_that_is_set_is_not_set_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    assert printed_commands.of_module("driftloop.ui") == f"{printed_commands.python()} -m driftloop.ui"
