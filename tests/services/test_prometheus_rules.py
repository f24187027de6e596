"""Prometheus' own tests prove every alert, and would fail if the alert were another one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftloop.settings import ROOT

OPS = ROOT / "ops"
PROMETHEUS = OPS / "prometheus"
CASES = ("fires", "not yet", "resolves", "absent", "no traffic")
RULES: list[dict[str, Any]] = [
    rule for path in sorted((PROMETHEUS / "rules").glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTS = {path: yaml.safe_load(path.read_text())["tests"] for path in sorted((PROMETHEUS / "tests").glob("*.yml"))}

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed: apt-get install prometheus")


def promtool(*arguments: str | Path, folder: Path = PROMETHEUS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def proofs_of(alert: str) -> list[dict[str, Any]]:
    return [test for tests in TESTS.values() for test in tests if test["name"].startswith(f"{alert} ")]


@needs_promtool
def test_prometheus_takes_its_configuration() -> None:
    done = promtool("check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("amtool"), reason="amtool is not installed: apt-get install prometheus-alertmanager")
def test_alertmanager_takes_its_configuration() -> None:
    done = subprocess.run(["amtool", "check-config", str(OPS / "alertmanager" / "alertmanager.yml")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_rules_pass_their_tests(path: Path) -> None:
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_in_every_case(alert: str) -> None:
    names = [test["name"].removeprefix(f"{alert} ") for test in proofs_of(alert)]
    assert [case for case in CASES if case not in names] == []
    firing = {test["name"].removeprefix(f"{alert} "): [bool(check["exp_alerts"]) for check in test["alert_rule_test"]] for test in proofs_of(alert)}
    assert firing["fires"][-1]
    assert not any(firing["not yet"] + firing["absent"])
    assert firing["resolves"][0] and not firing["resolves"][-1]
    assert {check["alertname"] for test in proofs_of(alert) for check in test["alert_rule_test"]} == {alert}


@needs_promtool
@pytest.mark.parametrize("alert", ALERTS)
@pytest.mark.parametrize(("expr", "broken"), [("vector(1)", "not yet"), ("vector(1) > 1", "fires")])
def test_an_alert_that_fires_always_or_never_fails_its_tests(tmp_path: Path, alert: str, expr: str, broken: str) -> None:
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    path = tmp_path / "prometheus" / "rules" / "alerts.yml"
    body = yaml.safe_load(path.read_text())
    for group in body["groups"]:
        for rule in group["rules"]:
            if rule["alert"] == alert:
                rule["expr"] = f"label_replace({expr}, 'stream', 'elec', '', '')"
    path.write_text(yaml.safe_dump(body))
    (file,) = [file.name for file, tests in TESTS.items() if proofs_of(alert)[0] in tests]
    done = promtool("test", "rules", f"tests/{file}", folder=tmp_path / "prometheus")
    assert done.returncode != 0
    assert f"{alert} {broken}" in done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_for_whom_how_bad_what_is_so_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) - {"report"} == {"summary", "description", "todo"}
    labels = [expected["exp_labels"] for test in proofs_of(alert) for check in test["alert_rule_test"] for expected in check.get("exp_alerts") or []]
    assert all(expected["stream"] for expected in labels)


def test_alerts_of_drift_and_of_quality_link_to_the_newest_report() -> None:
    linked = {alert: rule["annotations"]["report"] for alert, rule in ALERTS.items() if "report" in rule["annotations"]}
    assert linked == dict.fromkeys(("KpiBelowThreshold", "SegmentDrift", "DataDrift", "DataQuality"), "http://127.0.0.1:8010/reports/{{ $labels.stream }}")


def test_only_the_alert_of_the_kpi_asks_for_a_retrain() -> None:
    assert [alert for alert, rule in ALERTS.items() if rule["labels"].get("action") == "retrain"] == ["KpiBelowThreshold"]
    route = yaml.safe_load((OPS / "alertmanager" / "alertmanager.yml").read_text())["route"]
    assert [child["matchers"] for child in route["routes"]] == [['action="retrain"']]


def test_every_recorded_name_is_used_and_every_name_used_is_recorded() -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    dashboards = " ".join(path.read_text() for path in OPS.glob("grafana/**/*.json"))
    used = set(re.findall(r"\b(?:stream|route):[\w:]+", " ".join([*(rule["expr"] for rule in RULES), dashboards])))
    assert used == recorded
