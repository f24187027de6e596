"""What people build on stays the same while the code is moved about: flags, JSON, MLproject, metrics, OpenAPI, exit codes, names in MLflow.

    pytest tests/end_to_end/test_unchanged.py                      # says what was added, removed or changed
    pytest tests/end_to_end/test_unchanged.py --snapshot-update    # a change is meant: write tests/support/snapshots from the code as it stands

It goes through the scripts, the MLproject file and HTTP; where it must name a module of the project, that is in `MOVES`.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from mlflow.entities import Run
from prediction_fixtures import row
from prometheus_client.parser import text_string_to_metric_families
from ran_fixtures import Deployed
from script_fixtures import Ran, Workshop, role
from snapshot_fixtures import Snapshot, difference, numbers_left_out, shape

from driftloop.errors import DriftloopError
from driftloop.settings import ROOT

MOVES = {"metrics": "monitoring.prometheus"}  # declares every Prometheus metric in METRICS
PACKAGES = ("driftloop", "monitoring", "prediction_service", "examples")
SCRIPTS = sorted(path.stem for path in ROOT.glob("*.py") if "def build_parser(" in path.read_text())
COMMANDS = sorted(path for name in ("monitoring", "prediction_service") for path in (ROOT / name).rglob("*.py") if "def build_parser(" in path.read_text())
TRIED = ("", "x", "true", "nan", "-1", "0", "0.5", "1", "1.5", "300", "1001", "20000", "3000000000")  # values for each flag: which does it take?


# The JSON of the scripts


def test_the_json_of_the_base_model(deployed: Deployed, snapshot: Snapshot) -> None:
    snapshot("json_base_model", shape(deployed.base))


def test_the_json_of_the_deployment(deployed: Deployed, snapshot: Snapshot) -> None:
    snapshot("json_deploy_model", shape(deployed.ran.result))


def test_the_json_of_the_retrain(retrained: dict[str, Any], snapshot: Snapshot) -> None:
    snapshot("json_retrain_model", shape(retrained))


def test_the_json_of_the_lifecycle(cycle: tuple[Ran, Path], snapshot: Snapshot) -> None:
    snapshot("json_lifecycle", shape(cycle[0].result))


def test_the_json_of_the_back_test(backtested: Ran, snapshot: Snapshot) -> None:
    snapshot("json_backtest", shape(backtested.result))


# Flags


def test_the_entry_points_of_the_mlproject(snapshot: Snapshot) -> None:
    snapshot("mlproject", yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"])


def test_the_flags_of_the_scripts(snapshot: Snapshot) -> None:
    snapshot("flags", {name: flags(importlib.import_module(name).build_parser()) for name in SCRIPTS})


def test_the_flags_of_the_services_commands(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)  # the default of one of them
    parsers = [importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)).build_parser() for path in COMMANDS]
    snapshot("flags_of_services", {parser.prog.removeprefix("monitoring "): flags(parser) for parser in parsers})


def flags(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """What a parser takes, by destination; the parsers of its commands by their names."""
    found: dict[str, Any] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {name: flags(below) for name, below in action.choices.items()}
        elif not isinstance(action, argparse._HelpAction):
            found[action.dest] = {
                "flags": action.option_strings,
                "type": getattr(action.type, "__name__", None),
                "takes": [text for text in TRIED if taken(parser, action, text)] if refuses(parser, action) else "anything",
                "default": plain(action.default),
                "choices": None if action.choices is None else [plain(choice) for choice in action.choices],
                "values": action.nargs,
                "required": action.required,
            }
    return found


def refuses(parser: argparse.ArgumentParser, action: argparse.Action) -> bool:
    return not all(taken(parser, action, text) for text in TRIED)


def taken(parser: argparse.ArgumentParser, action: argparse.Action, text: str) -> bool:
    try:
        parser._get_value(action, text)
    except (argparse.ArgumentError, DriftloopError):
        return False
    return True


def plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


# The services


def test_the_metrics_that_prometheus_reads(snapshot: Snapshot) -> None:
    declared = importlib.import_module(MOVES["metrics"]).METRICS.values()
    snapshot("prometheus", {metric.name: {"type": metric.kind, "labels": sorted(metric.labels)} for metric in declared})


def test_the_metrics_that_the_prediction_service_answers(service: Flask, snapshot: Snapshot) -> None:
    client = service.test_client()
    assert client.post("/predict", json=row()).status_code == 200
    assert client.post("/predict", json=row(features={})).status_code == 422
    families = [one for one in text_string_to_metric_families(client.get("/metrics").text) if one.name.startswith("driftloop_")]
    snapshot(
        "prometheus_of_prediction_service",
        {one.name: {"type": one.type, "labels": sorted({name for sample in one.samples for name in sample.labels})} for one in families},
    )


def test_the_openapi_document(service: Flask, snapshot: Snapshot) -> None:
    snapshot("openapi", service.test_client().get("/openapi.json").get_json())


# Errors


def test_the_exit_code_of_every_error(snapshot: Snapshot) -> None:
    """Read from the sources, so that neither the module of a class nor what was imported before matters."""
    sources = [*ROOT.glob("*.py"), *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))]
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_text()))]
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    codes = {name: exit_code(name, classes) for name in classes}
    others = {ast.unparse(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign)}
    codes |= {name: int(ast.literal_eval(value)) for name, value in others.items() if name.startswith("EXIT_")}
    snapshot("exit_codes", {name: code for name, code in codes.items() if code is not None})


def exit_code(name: str, classes: dict[str, ast.ClassDef]) -> int | None:
    """The `exit_code` that a class sets or inherits; None for one that has none."""
    if name not in classes:
        return None
    own = [node.value for node in classes[name].body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "exit_code"]
    if own:
        return int(ast.literal_eval(own[0]))
    return next((code for base in classes[name].bases if (code := exit_code(ast.unparse(base).rpartition(".")[2], classes)) is not None), None)


# MLflow


def test_the_names_in_mlflow_of_a_lifecycle(cycle: tuple[Ran, Path], workshop: Workshop, snapshot: Snapshot) -> None:
    by_role: dict[str, list[Run]] = {}
    for run in workshop.runs("cycle"):
        by_role.setdefault(role(run), []).append(run)
    snapshot("mlflow", {kind: logged(workshop, runs) for kind, runs in by_role.items()} | {"registered model": registered(workshop, "cycled")})


def logged(workshop: Workshop, runs: list[Run]) -> dict[str, list[str]]:
    return {
        "metrics": numbers_left_out(name for run in runs for name in run.data.metrics),
        "params": numbers_left_out(name for run in runs for name in run.data.params),
        "tags": numbers_left_out(name for run in runs for name in run.data.tags if not name.startswith(("mlflow.source.", "mlflow.user"))),
        "artifacts": numbers_left_out(one.path for run in runs for one in workshop.client.list_artifacts(run.info.run_id)),
    }


def registered(workshop: Workshop, name: str) -> dict[str, list[str]]:
    versions = workshop.client.search_model_versions(f"name = '{name}'")
    return {
        "aliases": sorted(workshop.client.get_registered_model(name).aliases),
        "tags": numbers_left_out(workshop.client.get_registered_model(name).tags),
        "tags of a version": numbers_left_out(tag for version in versions for tag in version.tags),
    }


# The comparison itself


def test_a_difference_says_what_was_added_removed_and_changed() -> None:
    before = {"a": 1, "b": {"c": [1, 2]}, "d": [{"e": "x"}], "g": {}}
    now = {"a": True, "b": {"c": [1, 2], "new": 0}, "d": [{"f": "x"}], "g": {}}
    assert difference(before, now) == ["changed a: 1 -> true", "added   b.new: 0", 'removed d[0].e: "x"', 'added   d[0].f: "x"']
    assert difference(before, json.loads(json.dumps(before))) == []


def test_the_shape_of_json_is_its_paths_and_types() -> None:
    value = {"a": 1, "b": [{"c": None}, {"c": 2.5}, {"d": True}], "e": [], "f": {}, "g": ["x"]}
    assert shape(value) == {"a": "number", "b[].c": "null or number", "b[].d": "boolean", "e": "empty list", "f": "empty object", "g[]": "string"}


def test_a_wrong_snapshot_fails_and_names_the_difference(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr("snapshot_fixtures.FOLDER", tmp_path)
    monkeypatch.setattr(request.config.option, "snapshot_update", False)
    (tmp_path / "seen.json").write_text('{"old": 1}')
    with pytest.raises(AssertionError, match="removed old: 1"):
        snapshot("seen", {"new": 1})
    monkeypatch.setattr(request.config.option, "snapshot_update", True)
    snapshot("seen", {"new": 1})
    monkeypatch.setattr(request.config.option, "snapshot_update", False)
    snapshot("seen", {"new": 1})
