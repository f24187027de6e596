"""A learner is a plug: one file of a person's own, named with --learner, brings a model and defaults for the flags; what is wrong with it is one line."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.projects.utils import load_project
from script_fixtures import Workshop, data_flags

import backtest
import base_model
import lifecycle
from driftloop.errors import SettingsError
from driftloop.settings import ROOT
from driftloop.system import processes
from driftloop.system.processes import Finished
from monitoring import stream_settings
from monitoring.local import fill, replay

TAXI = "examples.nyc_taxi.learner:TAXI"
HEAD = "from dataclasses import replace\nfrom pathlib import Path\nfrom learner import ELEC\n"
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Write:
    """Writes a module of a name of its own into the current folder; gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def made(text: str) -> str:
        name = f"own_{abs(hash((request.node.nodeid, text)))}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return made


def refused(text: str) -> str:
    with pytest.raises(SettingsError) as told:
        lifecycle.build_parser().parse_args(["--learner", text])
    assert str(told.value).startswith("--learner ")
    return str(told.value)


def run(folder: Path, *words: object) -> Finished:
    return processes.run([sys.executable, *map(str, words)], timeout_s=200, env={"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/m.db"}, folder=folder)


# What is named


def test_the_projects_own_is_meant_without_the_flag_whatever_lies_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "learner.py").write_text("raise SystemExit('imported')")
    done = run(tmp_path, ROOT / "base_model.py", "--data_path", "none.csv")
    assert done.code == 3 and "none.csv" in done.output


def test_a_learner_py_of_ones_own_is_found_before_the_projects(tmp_path: Path) -> None:
    text = (ROOT / "learner.py").read_text().replace("ELEC =", "MINE =").replace("Path(__file__).resolve().parent", f"Path({str(ROOT)!r})")
    (tmp_path / "learner.py").write_text(text.replace("handler.py", "none.py"))
    done = run(tmp_path, ROOT / "base_model.py", "--learner", "learner:MINE")
    assert (done.code, done.output.count("\n")) == (2, 1) and "its handler_file is" in done.output


def test_a_learner_may_lie_in_a_package_of_the_folder_and_import_its_neighbours(write: Write, tmp_path: Path) -> None:
    inner = tmp_path / "own_package" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "own_neighbour.py").write_text("SIZE = 77")
    (inner / "it.py").write_text(f"{HEAD}from own_neighbour import SIZE\nMINE = replace(ELEC, defaults={{'block_size': SIZE}})")
    assert lifecycle.build_parser().parse_args(["--learner", "own_package.inner.it:MINE"]).block_size == 77


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learner", "give MODULE:NAME"),
        ("learner:", "give MODULE:NAME"),
        (":ELEC", "give MODULE:NAME"),
        ("learner:ELEC.model", "give MODULE:NAME"),
        ("learner ELEC", "give MODULE:NAME"),
        ("examples/nyc_taxi/learner.py:TAXI", f"such as {TAXI}"),
        ("./learner.py:ELEC", "such as learner:ELEC"),
        ("learner.py:ELEC", "such as learner:ELEC"),
        ("lerner:ELEC", "there is no module lerner in .*: did you mean learner:ELEC?"),
        ("exmaples.nyc_taxi.learner:TAXI", f"did you mean {TAXI}"),
        ("examples.nyc_taxi.learners:TAXI", f"did you mean {TAXI}"),
        ("examples.taxi.learner:TAXI", "did you mean"),
        ("no.where.at_all:X", "there is no module no.where.at_all"),
        ("json.nothing:X", "there is no module json.nothing"),
        ("learner:ELECT", "did you mean learner:ELEC?"),
        ("examples.nyc_taxi.learner:taxi", f"did you mean {TAXI}?"),
        ("examples.nyc_taxi.learner:QQQ", "its learners are TAXI"),
        ("json:QQQ", "it has no Learner"),
        ("learner:ROOT", "ROOT is of type PosixPath: give a Learner"),
        ("elec_model:ElecModel", "ElecModel is a class: give a Learner"),
        ("sys:QQQ", "Python itself has no QQQ: it has no Learner"),
        ("math:pi", "pi is of type float: give a Learner"),
    ],
)
def test_what_names_no_learner_is_one_line_with_what_may_be_meant(text: str, said: str) -> None:
    told = refused(text)
    assert re.search(said.replace("?", r"\?"), told) and "\n" not in told, told


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def x(:\n", ", line 1 cannot be imported: SyntaxError"),
        ("\nimport no_such_package\n", ", line 2 cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        ("1 / 0\n", ", line 1 cannot be imported: ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", ", line 2 cannot be imported: SystemExit: 3"),
        (f"{HEAD}MINE = replace(ELEC, nothing=1)\n", ", line 4 cannot be imported: TypeError"),
        (f"{HEAD}MINE = replace(ELEC, task='ranking')\n", "its task is 'ranking': give one of classification, regression"),
        (f"{HEAD}MINE = replace(ELEC, model_file=Path('gone.py'))\n", "its model_file is 'gone.py': give the Path of a file that exists"),
        (f"{HEAD}MINE = replace(ELEC, handler_file='handler.py')\n", "its handler_file is 'handler.py'"),
        (f"{HEAD}MINE = replace(ELEC, defaults=[1])\n", "its defaults are of type list: give a dict"),
    ],
)
def test_a_module_or_a_learner_that_is_broken_is_one_line(write: Write, body: str, said: str) -> None:
    told = refused(f"{write(body)}:MINE")
    assert said in told, told


def test_a_name_that_python_has_taken_is_said_so(write: Write, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(HEAD)
    assert f"the name json is taken by {sys.modules['json'].__file__}: rename {tmp_path / 'json.py'}" in refused("json:MINE")


@pytest.mark.parametrize("script", ["base_model", "deploy_model", "retrain_model", "lifecycle", "backtest"])
def test_each_script_says_so_before_anything_else_with_the_code_of_a_setting(script: str, workshop: Workshop) -> None:
    done = workshop.run(script, "--learner", "learner:ELECT", "--mlflow_experiment_name", "no learner")
    assert (done.code, done.out) == (SettingsError.exit_code, "") and "did you mean learner:ELEC?" in done.complaint(script)


def test_what_a_module_prints_stays_off_stdout(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    name = write(f"{HEAD}print('hello')\nMINE = ELEC\n")
    lifecycle.build_parser().parse_args(["--learner", f"{name}:MINE"])
    assert capsys.readouterr() == ("", "hello\n")


# Its defaults


def own(write: Write, **defaults: Any) -> str:
    return f"{write(f'{HEAD}MINE = replace(ELEC, defaults={defaults!r})')}:MINE"


def test_a_flag_that_is_given_wins_over_a_default_of_the_learner_wherever_it_stands(write: Write) -> None:
    text = own(write, block_size=7, follow_up=True, task="classification")
    for words in (
        ["--block_size", "48", "--learner", text],
        [f"--learner={text}", "--block_size=48"],
        ["--learner", "x:Y", "--block_size", "48", "--learner", text],
    ):
        found = lifecycle.build_parser().parse_args(words)
        assert (found.block_size, found.follow_up, found.learner) == (48, True, text)


def test_a_default_is_of_the_flags_type_and_may_be_for_one_command_alone(write: Write) -> None:
    text = own(write, max_epochs="5", threshold_accuracy=1, train_until="", **{"lifecycle.py": {"max_epochs": 6}, "monitoring replay": {"rate": 0}})
    found = lifecycle.build_parser().parse_args(["--learner", text])
    assert (found.max_epochs, type(found.threshold_accuracy), found.threshold_accuracy) == (6, float, 1)
    assert base_model.build_parser().parse_args(["--learner", text]).max_epochs == 5
    assert replay.build_parser().parse_args(["--learner", text]).rate == 0


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"blok_size": 5}, "its defaults name 'blok_size', which is not a flag: did you mean block_size?"),
        ({"learner": "a:B"}, "its defaults name 'learner', which is not a flag"),
        ({"task": "ranking"}, "argument --task: invalid choice: 'ranking'"),
        ({"max_epochs": 0}, "argument --max_epochs: 0 is not in 1..10000"),
        ({"max_epochs": 1.5}, "argument --max_epochs: '1.5' is not a whole number"),
        ({"features": ["a", "b"]}, "its default for --features is ['a', 'b']: give the value as typed after the flag"),
        ({"data_path": None}, "its default for --data_path is None"),
        ({"lifecycle.py": {"nothing": 1}}, "its defaults name 'nothing'"),
        ({"lifecycel.py": {"max_epochs": 1}}, "its defaults name 'lifecycel.py': give a flag, or a command"),
    ],
)
def test_a_default_that_no_flag_takes_is_one_line(write: Write, defaults: dict[str, Any], said: str) -> None:
    assert said in refused(own(write, **defaults))


def test_a_bundled_stream_and_its_learner_have_one_threshold() -> None:
    streams = stream_settings.load()
    assert streams["taxi"].threshold == lifecycle.build_parser().parse_args(["--learner", TAXI]).threshold_mae
    assert streams["elec"].threshold == lifecycle.build_parser().parse_args([]).threshold_accuracy


def test_the_taxis_defaults_are_those_that_its_scripts_had() -> None:
    found = lifecycle.build_parser().parse_args(["--learner", TAXI])
    assert (found.task, found.block_by, found.total_trials, found.threshold_mae, found.follow_up) == ("regression", "week", 4, 3.5, True)
    assert Path(found.data_path) == ROOT / "data" / "nyc_taxi.parquet"
    told = replay.build_parser().parse_args(["--learner", TAXI])
    assert (told.stream, told.block_size, told.train_until) == ("taxi", 100, "2020-01-01")
    assert fill.build_parser().parse_args(["--learner", TAXI]).stream == "taxi"


def test_help_beside_the_flag_shows_the_learners_defaults(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help", "--learner", own(write, block_size=4321)], ["--learner", own(write, block_size=4321), "--help"]):
        with pytest.raises(SystemExit):
            lifecycle.build_parser().parse_args(words)
        assert "(default: 4321)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("entry", ["main", "deploy", "retrain", "lifecycle", "backtest"])
def test_mlflow_run_with_a_learner_takes_its_defaults_though_it_names_every_flag(entry: str, tmp_path: Path) -> None:
    command = load_project(str(ROOT)).get_entry_point(entry).compute_command({"learner": TAXI, "seed": "8"}, str(tmp_path))
    _, script, *words = shlex.split(command)
    made = importlib.import_module(script.removesuffix(".py")).build_parser
    assert made().parse_args(words) == made().parse_args(["--learner", TAXI, "--seed", "8"])


def test_a_back_test_takes_a_learners_defaults() -> None:
    found = backtest.build_parser().parse_args(["--learner", TAXI])
    assert (found.block_by, found.threshold_mae, found.window, found.train_until, found.judge_rows) == ("week", 3.5, 10_000, "2020-01-01", 0)
    told = backtest.build_parser().parse_args(["--data_path", "x.csv", "--block_size", "30"])
    assert (told.learner, told.block_size, told.threshold_accuracy, told.window, told.judge_rows, told.max_epochs) == ("", 30, 0, 10_000, 0, 6)


# One file of a person's own


def test_the_learners_of_readme_and_docs_are_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, body in re.findall(r"^cat > (\S+\.py) <<'END'\n(.*?)^END$", text, flags=re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(body)
    named = {*re.findall(r"--learner (\w[\w.]*:\w+)", text), *re.findall(r"^  learner: (\S+)", text, flags=re.MULTILINE)} - {"MODULE:NAME"}
    assert named
    for one in named:
        lifecycle.build_parser().parse_args(["--learner", one])


def test_a_model_of_ones_own_is_one_file_from_training_to_torchserve(tmp_path: Path, drifting_csv: Path) -> None:
    mine = (ROOT / "elec_model.py").read_text().replace("class ElecModel", "class MyModel")
    mine += """

import contextlib

with contextlib.suppress(ModuleNotFoundError):  # TorchServe's worker has the model alone
    from pathlib import Path

    from driftloop.settings import ROOT
    from driftloop.training.fitting import Learner
    from elec_datamodule import ElecDataModule

    own = {"max_epochs": 1, "history": 0, "block_size": 60, "mlflow_experiment_name": "mine", "register_model_name": "mine", "on_drift": "advise"}
    MINE = Learner(MyModel, ElecDataModule, model_file=Path(__file__), handler_file=ROOT / "handler.py", defaults=own)
"""
    (tmp_path / "mine.py").write_text(mine)
    done = run(tmp_path, ROOT / "deploy_model.py", *data_flags(drifting_csv), "--learner", "mine:MINE", "--train_base", "--threshold_accuracy", 0.99)
    assert done.code == 0, done.output
    (advised,) = [line for line in done.output.splitlines() if "retrain_model.py" in line]
    command = advised[advised.index(sys.executable) if sys.executable in advised else advised.index("python ") :]
    assert "--learner mine:MINE" in command and "--max_epochs" not in command
    words = f"{command} --total_trials 1 --judge_rows 40 --validation_rows 60"
    again = processes.run(["sh", "-c", words], timeout_s=200, env={"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/m.db"}, folder=tmp_path)
    assert again.code == 0, again.output


@pytest.mark.slow
def test_workers_of_a_back_test_find_a_learner_of_the_folder(tmp_path: Path, drifting_csv: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{HEAD}class Own(ELEC.model):\n    pass\nMINE = replace(ELEC, model=Own, check=lambda frame: {{}})\n")
    flags = (*data_flags(drifting_csv), "--policies", "never,always", "--block_size", 60, "--max_epochs", 1, "--jobs", 2)
    done = run(tmp_path, ROOT / "backtest.py", *flags, "--learner", "mine:MINE")
    assert done.code == 0, done.output


def test_the_parsers_of_the_services_are_prepared_too() -> None:
    for made in (fill.build_parser, replay.build_parser):
        assert made().parse_args([]).learner == ""
