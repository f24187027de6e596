"""Loads and checks the learner of --learner MODULE:NAME, and applies its defaults of the flags.

The module is in the current folder, the project, or an installed package. Importing it takes seconds (torch), so it is
imported before the flags are parsed only if it is not the project's own.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from driftloop.cli import parsing, printed_commands
from driftloop.cli.call import LearnerFlags
from driftloop.errors import SettingsError
from driftloop.settings import ELEC_LEARNER, ROOT, TABLE_FLAGS, TABLE_LEARNER, TASKS
from driftloop.system import environment

if TYPE_CHECKING:
    from driftloop.training.fitting import Learner

OWN: Final = (ELEC_LEARNER, TABLE_LEARNER)  # the project's own, whatever is in the current folder
FORM: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
NEAR: Final = 0.5  # similarity of a suggested name, 0..1


def add_flag(parser: parsing.Parser, *, default: str = "") -> None:
    """--learner; the flags that are not given take the learner's own defaults. The default "" is the table's, see `chosen`."""
    parsing.add_flags(parser, LearnerFlags, learner=default)
    parser.prepare = _prepare


def chosen(text: str | None, data_path: str | None) -> str:
    """The name of the learner: that of --learner, else ELEC's, or for a table of one's own the table learner."""
    return text or (TABLE_LEARNER if data_path else ELEC_LEARNER)


def load(text: str, *, data_path: str = "") -> Learner:
    """The learner of that name; without a name see `chosen`.

    Raises:
        SettingsError: it cannot be imported, the name does not exist, or it is not a valid Learner.
        ModuleNotFoundError: torch or MLflow is not installed.
    """
    from driftloop.training.fitting import Learner

    text = chosen(text, data_path)
    if not FORM.fullmatch(text) or ".py:" in text:
        raise SettingsError(f"--learner {text!a:.80}: give MODULE:NAME, such as {_module_form(text) or ELEC_LEARNER}")
    module, _, name = text.partition(":")
    found = _imported(text, module)
    if not hasattr(found, name):
        known = [key for key, value in vars(found).items() if isinstance(value, Learner)]
        near = _near(name, known)
        advice = f"did you mean {module}:{near}?" if near else f"its learners are {', '.join(known)}" if known else "it has no Learner"
        raise SettingsError(f"--learner {text}: {_home(found)} has no {name}: {advice}")
    learner = getattr(found, name)
    if not isinstance(learner, Learner):
        kind = "a class" if isinstance(learner, type) else f"of type {type(learner).__name__}"
        raise SettingsError(f"--learner {text}: {name} is {kind}: give a Learner, as {ROOT / 'learner.py'} does")
    if fault := _fault(learner):
        raise SettingsError(f"--learner {text}: {fault}")
    return learner


def check(text: str) -> None:
    """Check like `load`, without importing the project's own learners.

    Raises:
        SettingsError, ModuleNotFoundError: as `load`.
    """
    if text not in OWN:
        load(text)


def _fault(learner: Learner) -> str:
    if learner.task not in ("", *TASKS):
        return f"its task is {learner.task!r}: give one of {', '.join(TASKS)}, or '' for both"
    for field in ("model_file", "handler_file"):
        path = getattr(learner, field)
        if not isinstance(path, Path) or not path.is_file():
            return f"its {field} is {str(path)!r}: give the Path of a file that exists"
    return "" if isinstance(learner.defaults, Mapping) else f"its defaults are of type {type(learner.defaults).__name__}: give a dict"


def _imported(text: str, module: str) -> ModuleType:
    folders = [ROOT] if text in OWN else [Path.cwd(), ROOT]
    home, file = next(((str(folder), file) for folder in folders if (file := _file(folder, module))), (str(Path.cwd()), None))
    if file is None and not _installed(module):
        near = _near_module(module, folders)
        advice = f"did you mean {near}:{text.partition(':')[2]}?" if near else "give an existing one"
        raise SettingsError(f"--learner {text}: there is no module {module} in {' or '.join(map(str, dict.fromkeys(folders)))}: {advice}")
    sys.path.insert(0, home)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            found = importlib.import_module(module)
    except (Exception, SystemExit) as exc:
        if isinstance(exc, ModuleNotFoundError) and not environment.complete():
            raise
        raise SettingsError(f"--learner {text}: {_place(exc, file)} cannot be imported: {type(exc).__name__}: {exc}") from exc
    finally:
        sys.path.remove(home)
        if home not in sys.path:  # for its later imports; at the end, so that the folder's names do not shadow packages
            sys.path.append(home)
    if file and Path(_home(found)).resolve() != file.resolve():
        raise SettingsError(f"--learner {text}: the name {module} is taken by {_home(found)}: rename {file}")
    return found


def _home(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or "Python itself"


def _file(folder: Path, module: str) -> Path | None:
    path = folder.joinpath(*module.split("."))
    return next((file for file in (path.with_name(f"{path.name}.py"), path / "__init__.py") if file.is_file()), None)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _place(exc: BaseException, file: Path | None) -> str:
    """The file and line of the user's code at which an import failed."""
    if isinstance(exc, SyntaxError) and exc.filename:
        return f"{exc.filename}, line {exc.lineno}"
    lines = [frame for frame in traceback.extract_tb(exc.__traceback__) if file and Path(frame.filename).resolve() == file.resolve()]
    return f"{file}, line {lines[-1].lineno}" if lines else str(file or "the module")


def _near(name: str, names: Sequence[str]) -> str:
    """The most similar of these names; "" when none is similar.

    >>> _near("taxi", ["ELEC", "TAXI"]), _near("nobody", ["ELEC"])
    ('TAXI', '')
    """
    by_lower = {one.lower(): one for one in names}
    return next((by_lower[one] for one in difflib.get_close_matches(name.lower(), by_lower, 1, NEAR)), "")


def _near_module(module: str, folders: Sequence[Path]) -> str:
    parts = module.split(".")
    for folder in folders:
        for at, part in enumerate(parts):
            here = folder.joinpath(*parts[:at])
            names = [path.stem for path in here.iterdir() if path.suffix == ".py" or path.is_dir()] if here.is_dir() else []
            near = ".".join([*parts[:at], _near(part, names), *parts[at + 1 :]])
            if near != module and _file(folder, near):
                return near
    return ""


def _module_form(text: str) -> str:
    """MODULE:NAME for a path given instead; "" when it is not a path.

    >>> _module_form("./my/learner.py:MINE"), _module_form("learner")
    ('my.learner:MINE', '')
    """
    path, _, name = text.rpartition(":")
    made = f"{path.removesuffix('.py').removeprefix('./').replace('/', '.')}:{name}"
    return made if FORM.fullmatch(made) else ""


def _prepare(parser: parsing.Parser, words: list[str]) -> list[str]:
    """Set a parser's defaults to those of the learner in a call's arguments; return the arguments to parse.

    `mlflow run` passes every flag: those with the script's default in MLproject count as not given.

    Raises:
        SettingsError: as `load`; or a default of the learner is invalid for its flag.
    """
    probe = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--learner", "--data_path"):
        probe.add_argument(name, nargs="?", default="")
    given = probe.parse_known_args(words)[0]
    data_path = given.data_path or parser.get_default("data_path")
    text = chosen(parser.get_default("learner") if given.learner == "" else given.learner, data_path)
    if given.learner is None or text == ELEC_LEARNER:
        return words
    flags = {action.option_strings[-1]: action for action in parser._actions if action.option_strings and action.dest != "help"}
    if words[::2] == list(flags):
        pairs = zip(words[::2], words[1::2], strict=False)
        words = [word for flag, value in pairs if value not in {str(flags[flag].default), str(flags[flag].default).lower()} for word in (flag, value)]
    parser.set_defaults(**_defaults(parser, text))
    return words


def _defaults(parser: parsing.Parser, text: str) -> dict[str, Any]:
    """The learner's defaults for a parser's flags, converted to their types; those for this command take precedence."""
    flags = {action.dest: action for action in parser._actions}
    if text == TABLE_LEARNER:
        wanted = {name: value for name, value in TABLE_FLAGS.items() if name in flags} | TABLE_FLAGS.get(parser.prog, {})
        return {name: _typed(parser, flags, text, name, value) for name, value in wanted.items()}
    learner = load(text)
    commands = {name: value for name, value in learner.defaults.items() if isinstance(value, Mapping)}
    for name in commands:
        if name.removesuffix(".py") not in printed_commands.SCRIPTS and not name.startswith("monitoring "):
            raise SettingsError(f"--learner {text}: its defaults name {name!r}: give a flag, or a command such as lifecycle.py or monitoring replay")
    elsewhere = {action.dest for script in printed_commands.SCRIPTS for action in printed_commands.parser_of(script)._actions} - set(flags)
    shared = {"task": learner.task, "window": learner.retrain_params["window"], **learner.defaults}
    wanted = {name: value for name, value in shared.items() if name not in commands and name not in elsewhere} | dict(commands.get(parser.prog, {}))
    return {name: _typed(parser, flags, text, name, value) for name, value in wanted.items()}


def _typed(parser: parsing.Parser, flags: Mapping[str, argparse.Action], text: str, name: str, value: Any) -> Any:
    """A default converted by the flag's type, as if typed."""
    if name not in flags or name in {"help", "learner"}:
        near = _near(str(name), list(flags))
        raise SettingsError(f"--learner {text}: its defaults name {name!r}, which is not a flag{f': did you mean {near}?' if near else ''}")
    if not isinstance(value, str | int | float | os.PathLike):
        raise SettingsError(f"--learner {text}: its default for --{name} is {value!r:.80}: give the value as typed after the flag")
    try:
        made = parser._get_value(flags[name], str(value))
        parser._check_value(flags[name], made)
    except argparse.ArgumentError as exc:
        raise SettingsError(f"--learner {text}: its defaults: {exc}") from exc
    return made
