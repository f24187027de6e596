"""Builds commands to paste: the next step, with the flags of the current call.

A printed command runs unchanged in the same shell and folder: it names the current Python where `python` is another one, and repeats
each non-default flag that the other script also has. A flag added to both needs no change here.
"""

from __future__ import annotations

import argparse
import os
import runpy
import shlex
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from driftloop.cli.call import Flags, LearnerFlags
from driftloop.settings import ROOT

SCRIPTS: Final = ("base_model", "deploy_model", "retrain_model", "lifecycle", "backtest", "rollback_model")  # at the root
NOT_CARRIED: Final = frozenset({"help", "json", "train_base"})
SECRETS: Final = {"mongodb_uri": '"$MONGODB_URI"', "tracking_uri": '"$MLFLOW_TRACKING_URI"'}  # a password is not printed


def python() -> str:
    """The current Python as a shell finds it: "python" where that is the same.

    >>> python().split("/")[-1].startswith("python")
    True
    """
    found = shutil.which("python")
    here = Path(sys.executable)
    same = found is not None and Path(found).absolute().parent == here.absolute().parent and os.path.realpath(found) == os.path.realpath(here)
    return "python" if same else shlex.quote(sys.executable)


def of_module(name: str) -> str:
    """The command that starts a module of ours from the current folder; outside the project's folder it sets PYTHONPATH.

    >>> of_module("driftloop.ui").endswith("-m driftloop.ui")
    True
    """
    paths = os.environ.get("PYTHONPATH", "")
    places = [Path.cwd(), *(Path(place or ".").resolve() for place in paths.split(os.pathsep) if paths)]
    if ROOT in places:
        return f"{python()} -m {name}"
    return f"PYTHONPATH={shlex.quote(os.pathsep.join(filter(None, [str(ROOT), paths])))} {python()} -m {name}"


def ui() -> str:
    """The command that starts the UI from the current folder, on the store of the current shell."""
    return f"make ui, or {of_module('driftloop.ui')}" if Path.cwd() == ROOT else of_module("driftloop.ui")


def of_prog(prog: str) -> str:
    """The command that starts the script of that name.

    >>> of_prog("monitoring history").removeprefix(python()), of_prog("examples/nyc_taxi/prepare.py").removeprefix(python())
    (' -m monitoring history', ' -m examples.nyc_taxi.prepare')
    """
    if prog.endswith(".py") and "/" not in prog:
        path = ROOT / prog
        return f"{python()} {shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))}"
    return of_module(prog.removesuffix(".py").replace("/", "."))


def flags(parser: argparse.ArgumentParser, args: Flags, *, leave_out: Collection[str] = (), always: Mapping[str, str] | None = None) -> str:
    """The non-default flags of a call that a script with this parser also has.

    Args:
        parser: of the script to run.
        args: of the call.
        leave_out: flags with another meaning there.
        always: values that replace the call's.
    """
    always, words = always or {}, []
    for action in parser._actions:
        name = action.dest
        if not action.option_strings or name in NOT_CARRIED or (name in leave_out and name not in always):
            continue
        if name in always:
            words.append(_word(action.option_strings[-1], always[name]))
        elif hasattr(args, name) and getattr(args, name) != parser.get_default(name):
            words.append(_flag(action, getattr(args, name), args.call.argv))
    return " ".join(words)


def retrain(args: LearnerFlags, *, experiment: str, base_run_id: str) -> str:
    """The command that retrains the base model of a deployment."""
    return _script("retrain_model", args, always={"mlflow_experiment_name": experiment, "base_run_id": base_run_id})


def train_base(args: LearnerFlags, *, experiment: str) -> str:
    """The command that trains a missing base model."""
    # The trials of a deployment are those of its retrains.
    return f"{_script('base_model', args, leave_out={'total_trials'}, always={'mlflow_experiment_name': experiment})}, or add --train_base"


def parser_of(script: str) -> argparse.ArgumentParser:
    """The parser of a script at the root, even if another module has the same name."""
    made: argparse.ArgumentParser = runpy.run_path(str(ROOT / f"{script}.py"))["build_parser"]()
    return made


def _script(script: str, args: LearnerFlags, *, leave_out: Collection[str] = (), always: Mapping[str, str]) -> str:
    parser = parser_of(script)
    parser.parse_known_args(["--learner", args.learner, "--data_path", getattr(args, "data_path", "")])  # gives the parser the learner's own defaults
    return f"{of_prog(f'{script}.py')} {flags(parser, args, leave_out=leave_out, always=always)}"


def _flag(action: argparse.Action, value: Any, argv: Sequence[str]) -> str:
    """A flag with its value as typed, because its type may have converted it."""
    option = action.option_strings[-1]
    if action.dest in SECRETS and "@" in str(value):
        return f"{option} {SECRETS[action.dest]}"
    if isinstance(value, bool):
        return option if value else f"{option} false"
    if isinstance(value, list | tuple):
        return " ".join(_word(option, str(one)) for one in value) if isinstance(action, argparse._AppendAction) else f"{option} {shlex.join(map(str, value))}"
    return _word(option, _typed(argv, option) or str(value))


def _typed(argv: Sequence[str], option: str) -> str | None:
    typed = None
    for at, word in enumerate(argv):
        if word == option and at + 1 < len(argv):
            typed = argv[at + 1]
        elif word.startswith(f"{option}="):
            typed = word.partition("=")[2]
    return typed


def _word(option: str, value: str) -> str:
    """One flag, quoted for a shell; a value that looks like a flag is joined with =.

    >>> _word("--target", "it's"), _word("--data_path", "-x y.csv")
    ('--target \\'it\\'"\\'"\\'s\\'', "'--data_path=-x y.csv'")
    """
    return shlex.quote(f"{option}={value}") if value.startswith("-") else f"{option} {shlex.quote(value)}"
