"""The flags of each command are a dataclass of its own, so that mypy refuses a misspelt one: it has to fit what the parser gives."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from driftloop.cli import parsing, runner
from driftloop.cli.call import Flags, flag, read, required
from driftloop.errors import SettingsError
from driftloop.settings import ROOT

PATHS = [*ROOT.glob("*.py"), *(path for name in ("driftloop", "monitoring", "prediction_service", "examples") for path in (ROOT / name).rglob("*.py"))]
SOURCES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PATHS}
COMMANDS = sorted(path.removesuffix(".py").replace("/", ".") for path, text in SOURCES.items() if "return runner.run(" in text)


@dataclass(frozen=True)
class SeedFlags(Flags):
    """Of a command with one flag."""

    seed: int


@dataclass(frozen=True)
class TrialFlags(Flags):
    """Of a command whose fields say their flags."""

    model: str = required("whose")
    trials: int = flag(3, "how many", type=parsing.whole(1, 9))


def default(action: argparse.Action) -> Any:
    """What an absent flag gives: argparse converts a default that is a text."""
    convert = action.type if callable(action.type) else str
    return convert(action.default) if isinstance(action.default, str) else action.default


def given_by(parser: argparse.ArgumentParser) -> Iterator[dict[str, Any]]:
    """All that the parser gives, by name, when no flag is typed; of one with commands, for each of them."""
    own = parser._defaults | {action.dest: default(action) for action in parser._actions if action.default != argparse.SUPPRESS}
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield own
    for action in below:
        yield from (own | more | {action.dest: name} for name, one in action.choices.items() for more in given_by(one))


def fits(value: Any, declared: Any) -> bool:
    """Whether the value is of the type; of a list only that it is one."""
    kinds = get_args(declared) if isinstance(declared, UnionType) else (declared,)
    return isinstance(value, tuple(get_origin(kind) or kind for kind in kinds))


@pytest.mark.parametrize("module", COMMANDS)
def test_a_commands_fields_are_its_parsers_flags(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[parsing.Parser, Callable[..., Any]]] = []
    monkeypatch.setattr(runner, "run", lambda _, made, __, kind: seen.append((made, kind)) or 0)
    importlib.import_module(module).main([])
    ((parser, kind),) = seen
    required = {action.dest for one in (parser, *_below(parser)) for action in one._actions if action.required}
    for given in given_by(parser):
        flags = read(kind, argparse.Namespace(**given))
        assert isinstance(flags, Flags)
        assert {field.name for field in fields(flags)} - {"call"} == set(given)
        types = get_type_hints(type(flags))
        assert {name: types[name] for name, value in given.items() if name not in required and not fits(value, types[name])} == {}


def _below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    return (one for action in parser._actions if isinstance(action, argparse._SubParsersAction) for one in action.choices.values())


@pytest.mark.parametrize("given", [{"json": False}, {"json": False, "sede": 3}, {"json": False, "seed": 3, "workers": 1}])
def test_a_flag_without_a_field_or_a_field_without_a_flag_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"seed|sede|workers"):
        read(SeedFlags, argparse.Namespace(**given))
    assert read(SeedFlags, argparse.Namespace(json=True, seed=3)) == SeedFlags(json=True, seed=3)


def test_a_field_says_its_flag_and_a_command_may_change_its_default_and_help() -> None:
    parser = parsing.parser("t", "")
    parsing.add_flags(parser, TrialFlags, title="search", trials=flag(5, "of a retrain"))
    assert read(TrialFlags, parser.parse_args(["--model", "a"])) == TrialFlags(json=False, model="a", trials=5)
    assert "of a retrain (default: 5)" in parser.format_help()
    for words in (["--trials", "5"], ["--model", "a", "--trials", "10"]):
        with pytest.raises(SettingsError, match=r"required: --model|10 is not in 1\.\.9"):
            parser.parse_args(words)
    parsing.add_flags(other := parsing.parser("t", ""), TrialFlags, trials=4)
    assert other.get_default("trials") == 4
    assert "how many (default: 4)" in other.format_help()


def test_only_what_parses_knows_argparses_untyped_namespace() -> None:
    assert {path for path, text in SOURCES.items() if re.search(r"\bNamespace\b", text)} == {"driftloop/cli/call.py", "driftloop/cli/runner.py"}
