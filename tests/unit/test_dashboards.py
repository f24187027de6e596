"""Grafana's boards are what the code writes, valid in Grafana's own schema, ask for metrics that exist and are laid out for a reader.

That each query gives data is proven in test_dashboard_queries, and with the whole system in test_monitoring_end_to_end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from board_fixtures import BOARDS, Asked, asked, panels
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from driftloop.settings import ROOT
from monitoring.prometheus import METRICS
from ops.dashboards import FOLDER, PROVISIONED, boards, text, write
from ops.panels import BAD

OPS = ROOT / "ops"
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
OTHERS = {"up", "process_resident_memory_bytes", "ALERTS", "ALERTS_FOR_STATE"}  # Prometheus' own, and the client library's
OF_PROMETHEUS = {"titleFormat", "textFormat", "tagKeys", "step", "useValueForTime"}  # the schema leaves an annotation's own settings to its data source
BOOLEANS = ("driftloop_model_up", "driftloop_drift{", "driftloop_fleet_alarm", "driftloop_kpi_estimate_trustworthy", "driftloop_last_retrain{", "up")
WIDTH_OF = {"stat": (3, 24), "timeseries": (8, 24), "state-timeline": (12, 24), "table": (8, 24)}

every_board = pytest.mark.parametrize("board", BOARDS)


def names(expr: str) -> set[str]:
    return set(re.findall(r"(?:(?:stream|route):)?driftloop_\w+(?::\w+)?", expr))


def known(name: str) -> bool:
    return name in METRICS or name.removesuffix("_bucket") in METRICS


def within(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON document."""
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from within(one)
    elif isinstance(value, list):
        for one in value:
            yield from within(one)


# what is checked in


@pytest.mark.parametrize("board", boards(), ids=lambda board: board.uid)
def test_the_file_is_what_the_code_writes(board: Any) -> None:
    assert (FOLDER / f"{board.uid}.json").read_text() == text(board), "run `python -m ops.dashboards`"


def test_there_are_no_other_files(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    write(tmp_path)
    assert {path.name for path in FOLDER.iterdir()} == {path.name for path in tmp_path.iterdir()}
    assert [board.uid for board in boards()] == ["service", "performance", "quality", "drift", "fleet"]


@every_board
def test_grafanas_schema_reads_all_of_it_and_loses_nothing(board: str) -> None:
    plugins.register_default_plugins()
    written = json.loads((FOLDER / f"{board}.json").read_text())
    read = json.loads(json.dumps(Dashboard.from_json(written), cls=JSONEncoder))
    for annotation in written["annotations"]["list"]:
        for setting in OF_PROMETHEUS:
            del annotation[setting]
    assert read == written


def test_the_schema_is_that_of_the_grafana_that_is_started() -> None:
    image = yaml.safe_load((OPS.parent / "docker-compose.yaml").read_text())["services"]["grafana"]["image"]
    (pinned,) = re.findall(r"^grafana-foundation-sdk==\d+!(\S+)", (OPS.parent / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert image.partition(":")[2].rpartition(".")[0] == pinned.rpartition(".")[0]


# what is asked


@pytest.mark.parametrize("one", asked(), ids=str)
def test_a_query_asks_for_metrics_that_are_declared(one: Asked) -> None:
    recorded = {rule["record"] for group in yaml.safe_load((OPS / "prometheus/rules/recording.yml").read_text())["groups"] for rule in group["rules"]}
    assert names(one.expr) or set(re.findall(r"\w+", one.expr)) & OTHERS
    assert {name for name in names(one.expr) if not known(name)} <= recorded


def test_every_metric_is_drawn_or_alerts() -> None:
    rules = "".join(path.read_text() for path in (OPS / "prometheus/rules").glob("*.yml"))
    drawn = names(" ".join(one.expr for one in asked()) + rules)
    assert [name for name in METRICS if name not in drawn and f"{name}_bucket" not in drawn] == []


@every_board
def test_every_data_source_is_that_of_the_boards_variable(board: str) -> None:
    sources = [one["datasource"] for one in within(BOARDS[board]) if "datasource" in one]
    assert sources and all(source == DATA_SOURCE for source in sources)
    assert all("datasource" in one for one in within(BOARDS[board]) if "expr" in one)


def test_the_variable_begins_with_the_data_source_that_is_provisioned() -> None:
    (source,) = yaml.safe_load((OPS / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["uid"], source["type"]) == (PROVISIONED, "prometheus")
    for board in BOARDS.values():
        variable = board["templating"]["list"][0]
        assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
        assert (variable["current"]["text"], variable["current"]["value"]) == (source["name"], source["uid"])


def test_grafana_is_told_where_the_dashboards_lie() -> None:
    (provider,) = yaml.safe_load((OPS / "grafana/provisioning/dashboards/driftloop.yml").read_text())["providers"]
    grafana = yaml.safe_load((OPS.parent / "docker-compose.yaml").read_text())["services"]["grafana"]
    assert f"./ops/grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert "./ops/grafana/provisioning:/etc/grafana/provisioning:ro" in grafana["volumes"]


@every_board
def test_a_variable_has_a_label_a_default_and_is_read_again_and_every_one_used_is_there(board: str) -> None:
    variables = BOARDS[board]["templating"]["list"]
    assert len({one["name"] for one in variables}) == len(variables) >= 3
    for one in variables:
        assert one["label"] and one["current"]["value"]
        if one["type"] == "query":
            assert one["refresh"] == 2  # whenever the time range changes
            assert one["includeAll"] and one["multi"] and one["sort"]
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(BOARDS[board])))
    assert used == {one["name"] for one in variables}


@every_board
def test_alerts_retrains_and_promotions_are_marked(board: str) -> None:
    annotations = {one["name"]: one for one in BOARDS[board]["annotations"]["list"]}
    assert list(annotations) == ["Alerts", "Retrains started", "Retrains ended", "Promotions"]
    assert all(one["enable"] and one["titleFormat"] for one in annotations.values())
    assert [name for name, one in annotations.items() if one["iconColor"] == BAD] == ["Alerts"]


# how it is laid out


@pytest.mark.parametrize("board", [board for board in BOARDS if board != "fleet"])
def test_a_board_begins_with_an_overview_of_each_stream(board: str) -> None:
    first, *rest = BOARDS[board]["panels"]
    assert (first["type"], first["title"], first["repeat"]) == ("row", "Overview: $stream", "stream")
    tiles = [panel["title"] for panel in rest[:6]]
    assert tiles == ["Status", "KPI and threshold", "Margin to threshold", "Label coverage", "Version served", "Firing alerts"]
    assert sum(panel["gridPos"]["w"] for panel in rest[:6]) == COLUMNS
    assert rest[6]["type"] == "row"


def test_the_board_of_many_streams_repeats_nothing_for_each_and_lists_them_by_evidence() -> None:
    assert not any("repeat" in panel for panel in BOARDS["fleet"]["panels"])
    (table,) = [panel for panel, _ in panels("fleet") if panel["type"] == "table"]
    assert table["options"]["sortBy"] == [{"displayName": "Evidence", "desc": True}]
    assert {re.search(r"var-stream=([^&]+)", link["url"]).group(1) for link in table["fieldConfig"]["defaults"]["links"]} == {"${__data.fields.Stream}"}


@every_board
def test_a_board_is_on_the_page_of_the_others_with_one_crosshair(board: str) -> None:
    assert BOARDS[board]["graphTooltip"] == 1
    (link,) = BOARDS[board]["links"]
    assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == ("dashboards", BOARDS[board]["tags"], True, True)
    opened = {one["url"] for panel, _ in panels(board) for one in panel["fieldConfig"]["defaults"].get("links", [])}
    assert {re.match(r"/d/([^?]+)\?", url).group(1) for url in opened} <= {other["uid"] for other in BOARDS.values()}
    assert len(opened) >= 3


@every_board
def test_panels_have_ids_of_their_own_fill_the_width_and_do_not_overlap(board: str) -> None:
    found = BOARDS[board]["panels"]
    assert [panel["id"] for panel in found] == list(range(1, len(found) + 1))
    places = [panel["gridPos"] for panel in found]
    cells = [(place["x"] + x, place["y"] + y) for place in places for x in range(place["w"]) for y in range(place["h"])]
    assert len(set(cells)) == len(cells)
    assert len(cells) == COLUMNS * (1 + max(y for _, y in cells)), "a gap"
    assert max(x for x, _ in cells) < COLUMNS


@every_board
def test_rows_hold_panels_and_a_title_names_one_panel_of_a_row(board: str) -> None:
    titles: dict[str, list[str]] = {}
    for panel in BOARDS[board]["panels"]:
        if panel["type"] == "row":
            titles[panel["title"]] = []
        else:
            list(titles.values())[-1].append(panel["title"])
    assert len(titles) >= 3
    assert all(of_row and len(set(of_row)) == len(of_row) for of_row in titles.values())


@every_board
def test_a_panel_says_what_it_shows_in_a_size_and_a_unit_that_fit(board: str) -> None:
    known_units = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
    for panel, _ in panels(board):
        assert panel["description"].endswith(".") and panel["title"]
        narrowest, widest = WIDTH_OF[panel["type"]]
        assert narrowest <= panel["gridPos"]["w"] <= widest, panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        assert all(target["legendFormat"] for target in panel["targets"] if target.get("format") != "table")
        unit = panel["fieldConfig"]["defaults"].get("unit")
        assert unit in known_units or (unit is None and refs[-1] == "unit"), panel["title"]


def is_boolean(expr: str) -> bool:
    """Whether 0 or 1 is what it gives; not where it counts them, or only leaves others out by them."""
    drawn = re.sub(r"unless on \(stream\) \w+", "", expr)
    return not drawn.startswith("sum(") and any(name == drawn or (name != "up" and name in drawn) for name in BOOLEANS)


def has_words(properties: list[dict[str, Any]]) -> bool:
    return any(one["id"] == "mappings" and all(word["text"] for (mapping,) in [one["value"]] for word in mapping["options"].values()) for one in properties)


@every_board
def test_no_boolean_is_shown_as_a_bare_number(board: str) -> None:
    for panel, _ in panels(board):
        boolean = [target for target in panel["targets"] if is_boolean(target["expr"])]
        if panel["type"] == "table":
            columns = [properties for properties in (one["properties"] for one in panel["fieldConfig"]["overrides"]) if has_words(properties)]
            assert len(columns) >= len(boolean), panel["title"]
        elif boolean:
            assert panel["type"] in {"stat", "state-timeline"}, panel["title"]
            (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
            assert all(result["text"] and result["color"] for result in mapping["options"].values())
        if panel["type"] == "state-timeline":
            assert panel["fieldConfig"]["defaults"]["mappings"]


@every_board
def test_red_is_for_what_is_bad_only(board: str) -> None:
    """No palette that has red among its colours; red in a mapping has a word for it, and in thresholds stands for the highest values."""
    good_words = {"ok", "up", "answers", "promoted", "served", "champion", "no", "not in sight", "trustworthy"}
    for panel, _ in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults.get("color", {}).get("mode") in {"thresholds", "shades", "fixed", None}, panel["title"]
        assert defaults.get("color", {}).get("fixedColor") != BAD
        for mapping in defaults.get("mappings", []):
            assert not {result["text"] for result in mapping["options"].values() if result["color"] == BAD} & good_words
        steps = [step["color"] for step in defaults["thresholds"]["steps"]]
        assert BAD not in steps[:-1]
