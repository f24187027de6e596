"""What the README says is so: its commands parse, its tables are the parsers', its files exist."""

import importlib
import itertools
import re
import shlex
from pathlib import Path

import pytest
import yaml

from docs import readme
from driftloop.settings import ROOT
from driftloop.training import tuning
from monitoring.__main__ import COMMANDS

TEXT = readme.README.read_text(encoding="utf-8")
FREE = {"source", "export", "mkdir", "curl", "torchserve", "cat"}  # programs that are not ours


def commands() -> list[list[str]]:
    """The commands of the README's shell blocks, as lists of words; what is fed to a program by << is left out."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE):
        plain = re.sub(r"<<'END'\n.*?\nEND\n", "\n", block, flags=re.DOTALL).replace("\\\n", " ")
        found += [words for line in plain.splitlines() if (words := shlex.split(line, comments=True))]
    return found


def test_there_are_commands_of_every_kind():
    assert {words[0] for words in commands()} >= {"make", "mlflow", "python"}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_of_the_readme_is_one(words: list[str]):
    program, *arguments = words
    if program == "python" and arguments != ["-"]:
        script, *flags = arguments[1:] if arguments[0] == "-m" else arguments
        if script == "monitoring":
            script, flags = COMMANDS[flags[0]][0], flags[1:]
        if "--learner" in flags:  # it takes torch to import one: tests/services/test_learners.py
            at = flags.index("--learner")
            flags = flags[:at] + flags[at + 2 :]
        importlib.import_module(script.removesuffix(".py")).build_parser().parse_args(flags)
    elif program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    elif program == "mlflow":
        entry = arguments[arguments.index("-e") + 1] if "-e" in arguments else "main"
        parameters = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][entry]["parameters"]
        given = [after.partition("=")[0] for flag, after in itertools.pairwise(arguments) if flag == "-P"]
        assert arguments[:2] == ["run", "."]
        assert set(given) <= set(parameters)
    else:
        assert program in FREE or arguments == ["-"]


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md"):
        assert set(re.findall(r"`make ([a-z-]+)`", (ROOT / page).read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize(("name", "table"), [("flags", readme.flags_table), ("exit codes", readme.exit_codes_table)])
def test_a_table_of_the_readme_is_that_of_the_code(name, table):
    assert readme.with_block(TEXT, name, table()) == TEXT, "run make readme"


def test_the_search_space_of_the_readme_is_one(tmp_path: Path):
    (block,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    path = tmp_path / "space.yaml"
    path.write_text(block)
    assert set(tuning.read_space(path)) == {"history", "window", "lr"}


def test_every_file_that_the_readme_shows_or_names_exists():
    named = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT) + re.findall(r"`((?:docs|data|benchmarks)/[^` ]+)`", TEXT)
    assert named
    for name in named:
        assert (ROOT / name).exists(), name
