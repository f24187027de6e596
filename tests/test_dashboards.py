"""Grafana's dashboards are what the code writes, and ask for metrics that exist. That each query returns data is proven in test_monitoring_end_to_end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from monitoring.metrics import METRICS
from ops.dashboards import DATA_SOURCE, FOLDER, document, text, write
from ops.panels import DASHBOARDS, Dashboard, Panel

OPS = Path(__file__).resolve().parent.parent / "ops"
PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]
OTHERS = {"up", "process_resident_memory_bytes"}  # Prometheus' own, and the client library's


def names(expr: str) -> set[str]:
    return set(re.findall(r"(?:(?:stream|route):)?driftloop_\w+(?::\w+)?", expr))


def known(name: str) -> bool:
    return name in METRICS or name.removesuffix("_bucket") in METRICS


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_the_file_is_what_the_code_writes(dashboard: Dashboard) -> None:
    assert (FOLDER / f"{dashboard.uid}.json").read_text() == text(dashboard), "run `python -m ops.dashboards`"


def test_there_are_no_other_files(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    write(tmp_path)
    assert {path.name for path in FOLDER.iterdir()} == {path.name for path in tmp_path.iterdir()}
    assert [dashboard.uid for dashboard in DASHBOARDS] == ["service", "performance", "quality", "drift"]


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "uid", getattr(part, "title", "")))
def test_a_panel_asks_for_metrics_that_are_declared(dashboard: Dashboard, panel: Panel) -> None:
    recorded = {rule["record"] for group in yaml.safe_load((OPS / "prometheus/rules/recording.yml").read_text())["groups"] for rule in group["rules"]}
    for expr, legend in panel.queries:
        assert names(expr) or expr.partition("{")[0] in OTHERS
        assert {name for name in names(expr) if not known(name)} <= recorded
        assert legend
    assert panel.title and panel.description.endswith(".")


def test_every_metric_is_drawn_or_alerts() -> None:
    rules = "".join(path.read_text() for path in (OPS / "prometheus/rules").glob("*.yml"))
    drawn = names(" ".join(expr for _, panel in PANELS for expr, _ in panel.queries) + rules)
    assert [name for name in METRICS if name not in drawn and f"{name}_bucket" not in drawn] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_panels_have_ids_of_their_own_and_do_not_overlap(dashboard: Dashboard) -> None:
    panels = document(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    cells = [(place["x"] + x, place["y"] + y) for place in places for x in range(place["w"]) for y in range(place["h"])]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_data_source_of_the_panels_is_provisioned() -> None:
    (source,) = yaml.safe_load((OPS / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["uid"], source["type"]) == (DATA_SOURCE["uid"], DATA_SOURCE["type"])
    for path in FOLDER.iterdir():
        found = re.findall(r'"uid": "([^"]+)"', path.read_text())
        assert set(found) == {DATA_SOURCE["uid"], json.loads(path.read_text())["uid"]}


def test_grafana_is_told_where_the_dashboards_lie() -> None:
    (provider,) = yaml.safe_load((OPS / "grafana/provisioning/dashboards/driftloop.yml").read_text())["providers"]
    grafana = yaml.safe_load((OPS.parent / "docker-compose.yaml").read_text())["services"]["grafana"]
    assert f"./ops/grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert "./ops/grafana/provisioning:/etc/grafana/provisioning:ro" in grafana["volumes"]
