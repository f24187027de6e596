"""What README and docs say is so: their commands parse, their tables are the parsers', their links and files exist."""

import argparse
import importlib
import itertools
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from docs import tables
from driftloop.settings import ROOT
from driftloop.training import tuning
from monitoring import stream_settings
from monitoring.__main__ import COMMANDS

FOLDERS = ("docs", "ops", "examples/nyc_taxi", "benchmarks")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
FREE = {"source", "export", "mkdir", "curl", "torchserve", "cat", "docker-compose", ".venv/bin/python"}  # programs that are not ours
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXTS[page], flags=re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, list[str]]]:
    """Page and words of each command in the shell blocks; what is fed to a program by << is left out."""
    found = []
    for page, block in [(name, text) for name in TEXTS for text in blocks(name, "sh")]:
        plain = re.sub(r"<<'END'\n.*?\nEND\n", "\n", block, flags=re.DOTALL).replace("\\\n", " ").replace(" && ", "\n")
        found += [(page, words) for line in plain.splitlines() if (words := shlex.split(line, comments=True))]
    return found


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_there_are_commands_of_every_kind():
    assert {words[0] for _, words in commands()} >= {"make", "mlflow", "python", "docker-compose"}
    assert {page for page, _ in commands()} >= {"README.md", "docs/steps.md", "docs/monitoring.md", "docs/batch.md", "docs/own_data.md"}


@pytest.mark.parametrize(("page", "words"), commands(), ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_a_command_of_a_page_is_one(page: str, words: list[str]):
    program, *arguments = words[: words.index(">")] if ">" in words else words
    if program == "python" and arguments != ["-"]:
        script, *flags = arguments[1:] if arguments[0] == "-m" else arguments
        if script == "monitoring":
            script, flags = COMMANDS[flags[0]][0], flags[1:]
        script = "prediction_service.__main__" if script == "prediction_service" else script
        if "--learner" in flags:  # it takes torch to import one: tests/services/test_learners.py
            at = flags.index("--learner")
            flags = flags[:at] + flags[at + 2 :]
        importlib.import_module(script.removesuffix(".py")).build_parser().parse_args(flags)
    elif program == "make":
        assert arguments[0] in TARGETS
    elif program == "mlflow":
        entry = arguments[arguments.index("-e") + 1] if "-e" in arguments else "main"
        parameters = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][entry]["parameters"]
        given = [after.partition("=")[0] for flag, after in itertools.pairwise(arguments) if flag == "-P"]
        assert arguments[:2] == ["run", "."]
        assert set(given) <= set(parameters)
    else:
        assert program in FREE or arguments == ["-"]


@pytest.mark.parametrize("page", TEXTS)
def test_every_command_and_flag_that_a_page_names_in_passing_exists(page: str):
    text = re.sub(r"^```.*?^```", "", TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= TARGETS
    assert set(re.findall(r"`(?:python -m )?monitoring ([a-z]+)", text)) <= set(COMMANDS)
    for script in re.findall(r"`python ([\w/]+\.py)", text):
        assert (ROOT / script).exists(), script
    for module in re.findall(r"`python -m ([\w.]+)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    if page == "README.md" or page.startswith("docs/"):
        known = {flag for flags in tables.flags_by_command().values() for flag in flags} | {"--env-manager", "--no-conda", "--help"}
        assert set(re.findall(r"`(--[a-z_-]+)", text)) <= known


@pytest.mark.parametrize(("name", "table"), [("flags", tables.flags_tables), ("exit codes", tables.exit_codes_table)])
def test_a_table_of_the_reference_is_that_of_the_code(name, table):
    text = tables.REFERENCE.read_text(encoding="utf-8")
    assert tables.with_block(text, name, table()) == text, "run make docs"


def test_where_a_choice_is_empty_the_help_names_the_others_instead_of_a_list_that_begins_with_a_gap():
    for command, parser in tables.parsers().items():
        assert "{," not in parser.format_help(), command
        for action in parser._actions:
            if action.metavar and action.choices and not isinstance(action, argparse._SubParsersAction):
                assert all(str(choice) in action.help for choice in action.choices), (command, action.dest)


def test_the_reference_has_every_flag_of_every_command():
    text = tables.REFERENCE.read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in text.split("\n## ")}
    for command, flags in tables.flags_by_command().items():
        assert flags
        assert all(f"`{flag}`" in sections[command] for flag in flags)


def test_the_search_space_of_the_docs_is_one(tmp_path: Path):
    (block,) = blocks("docs/own_data.md", "yaml")
    path = tmp_path / "space.yaml"
    path.write_text(block)
    assert set(tuning.read_space(path)) == {"history", "window", "lr"}


def test_the_streams_file_of_the_docs_is_one(tmp_path: Path):
    (content,) = re.findall(r"cat > my\.yaml <<'END'\n(.*?)\nEND\n", TEXTS["docs/own_data.md"], flags=re.DOTALL)
    path = tmp_path / "my.yaml"
    path.write_text(content)
    assert set(stream_settings.load(path)) == {"my"}


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_of_a_page_leads_somewhere(page: str):
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", TEXTS[page])):
        address, _, anchor = target.partition("#")
        assert not address.startswith("http"), "the pages are read offline"
        aim = (ROOT / page).parent / address if address else ROOT / page
        assert aim.exists(), target
        if anchor:
            assert anchor in anchors(str(aim.resolve().relative_to(ROOT))), target


def test_every_file_that_a_page_names_exists():
    named = {name for text in TEXTS.values() for name in re.findall(r"`((?:docs|data|benchmarks|tests|driftloop|monitoring|ops|examples)/[\w./-]+)`", text)}
    assert len(named) > 10
    assert not {name for name in named if not (ROOT / name).exists()}


def test_the_site_has_every_page_in_its_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.removeprefix("docs/") for page in TEXTS} - {"README.md"}
    assert pages <= set(re.findall(r"[\w/]+\.md", navigation))


def test_the_readme_fits_on_a_few_screens():
    lines = TEXTS["README.md"].splitlines()
    assert len(lines) <= 140
    assert all(len(line) <= 160 for line in lines if not line.startswith(("|", "![")))


def test_the_first_python_block_of_the_readme_takes_a_table_of_predictions_to_a_verdict_and_a_report(tmp_path: Path, monkeypatch, capsys):
    block = blocks("README.md", "python")[0]
    until = re.findall(r'reference="([\d-]+)"', block)[0]
    predictions_that_turn_bad(pd.Timestamp(until)).to_csv(tmp_path / "predictions.csv", index=False)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    watch = names["watch"]
    assert watch.drift
    assert watch.blocks.query("drift").start.min() > pd.Timestamp(until) + pd.Timedelta(days=60)
    printed = capsys.readouterr().out
    assert str(watch) in printed or watch.verdict.message in printed
    assert [path.stat().st_size > 10_000 for path in tmp_path.glob("*.html")] == [True]


def predictions_that_turn_bad(until: pd.Timestamp) -> pd.DataFrame:
    """Four months before `until` and four after it, hour by hour; in the last two the model is right in 70 % instead of 90 % of the rows."""
    rng = np.random.default_rng(7)
    times = pd.date_range(until - pd.Timedelta(days=120), until + pd.Timedelta(days=120), freq="h", inclusive="left")
    truth = rng.integers(0, 2, len(times))
    right = rng.random(len(times)) < np.where(times < until + pd.Timedelta(days=60), 0.9, 0.7)
    predicted = np.where(right, truth, 1 - truth)
    chances = np.where(predicted == 1, 0.9, 0.1)
    return pd.DataFrame({"timestamp": times, "age": rng.normal(40, 9, len(times)), "y_true": truth, "y_pred": predicted, "y_proba": chances})


def test_the_readme_begins_with_the_ten_line_version():
    language, block = re.findall(r"^```(\w+)\n(.*?)^```", TEXTS["README.md"], flags=re.DOTALL | re.MULTILINE)[0]
    assert language == "python"
    assert len(block.splitlines()) <= 10
