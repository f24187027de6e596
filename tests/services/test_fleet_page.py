"""GET /fleet: streams by evidence as JSON and as a page, in bounded pages; a restart of the monitor keeps the fleet's decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from monitor_records import ELEC, labelled
from monitor_sample import feed
from pages import Page

from driftloop.errors import SettingsError
from monitoring.log.prediction_log import PredictionLog
from monitoring.online import api
from monitoring.online.monitor import Monitor
from monitoring.records import events

BLOCK = ELEC.block_size
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<script>alert(1)</script>\"'&$(id)"


def many(streams: int, *, fleet_alpha: float | None = 0.05, **changed: Any) -> Monitor:
    names = ["elec", *(f"other_{number:03d}" for number in range(streams - 1))]
    return Monitor({name: replace(ELEC, name=name, **changed) for name in names}, fleet_alpha=fleet_alpha)


def client_of(made: Monitor) -> FlaskClient:
    return api.build_app(made).test_client()


def with_one_that_fell(streams: int, **settings: Any) -> Monitor:
    made = many(streams, **settings)
    feed(made, labelled(range(25 * BLOCK), share_right=0.4))
    return made


def test_the_stream_that_fell_is_first_with_all_that_is_known_of_it() -> None:
    found = client_of(with_one_that_fell(100)).get("/fleet").get_json()
    assert {key: value for key, value in found.items() if key != "rows"} == {
        "fleet_alpha": 0.05,
        "streams": 100,
        "alarmed": {"stream": 1, "fleet": 1},
        "allowed_false_alarms": 5.0,
        "page": 1,
        "pages": 2,
    }
    first, second, *_ = found["rows"]
    assert len(found["rows"]) == 50
    assert first["evidence"] >= 1 and first["e_value"] >= first["alarm_at"] == pytest.approx(2000) and first["p_value"] <= 0.0005
    assert (first["stream"], first["model"], first["version"], first["alarmed"]) == ("elec", "drift_model", "1", {"stream": True, "fleet": True})
    assert (first["kpi"]["name"], first["kpi"]["threshold"], first["kpi"]["rows"]) == ("accuracy", 0.8, 7 * BLOCK)
    assert (first["blocks"], first["last_block"], first["verdict"]) == (25, "2024-01-25T23:30:00.000Z", "drifted, cannot tell")
    assert (second["stream"], second["version"], second["evidence"], second["e_value"]) == ("other_000", "", None, None)
    assert second["alarmed"] == {"stream": False, "fleet": False}


def test_without_a_rate_over_all_the_streams_own_evidence_orders_them() -> None:
    made = many(3, fleet_alpha=None)
    feed(made, labelled(range(2 * BLOCK), share_right=0.7))
    found = client_of(made).get("/fleet").get_json()
    assert (found["fleet_alpha"], found["alarmed"], found["allowed_false_alarms"]) == (None, {"stream": 0, "fleet": None}, 0.15)
    assert (found["rows"][0]["stream"], found["rows"][0]["alarm_at"]) == ("elec", 20.0)
    assert found["rows"][0]["evidence"] == made.watchers["elec"].known().evidence
    feed(made, labelled(range(2 * BLOCK, 30 * BLOCK), share_right=0.4))
    row = client_of(made).get("/fleet").get_json()["rows"][0]  # on probation since the alarm
    assert row["evidence"] == pytest.approx(made.watchers["elec"].known().evidence)
    assert row["alarmed"] == {"stream": True, "fleet": None}
    assert row["e_value"] >= row["alarm_at"] == 20 and 0 < row["p_value"] <= 0.05


def test_a_monitor_without_streams_has_an_empty_page() -> None:
    made = client_of(Monitor({}, fleet_alpha=0.05))
    assert made.get("/fleet").get_json()["rows"] == []
    assert made.get("/fleet", headers=BROWSER).status_code == 200
    assert b"driftloop_fleet_alpha 0.05" in made.get("/metrics").data


def test_the_pages_hold_each_stream_once() -> None:
    made = client_of(many(7))
    pages = [made.get(f"/fleet?page={page}&per_page=3").get_json() for page in (1, 2, 3)]
    assert [len(page["rows"]) for page in pages] == [3, 3, 1]
    assert len({row["stream"] for page in pages for row in page["rows"]}) == 7


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("page=0", 400, "bad_page"),
        ("page=-1", 400, "bad_page"),
        ("page=1.5", 400, "bad_page"),
        ("page=", 400, "bad_page"),
        ("page=²", 400, "bad_page"),
        ("page=99999999999999999999", 400, "bad_page"),
        ("page=1&page=2", 400, "bad_page"),
        ("per_page=201", 400, "bad_per_page"),
        ("per_page=0", 400, "bad_per_page"),
        ("per_page=all", 400, "bad_per_page"),
        ("page=2", 404, "no_page"),
    ],
)
def test_a_page_that_there_is_not_is_refused_with_json(query: str, status: int, code: str) -> None:
    response = client_of(many(2)).get(f"/fleet?{query}", headers=BROWSER)
    assert (response.status_code, response.get_json()["error"]["code"]) == (status, code)


def test_a_browser_gets_a_table_a_program_json() -> None:
    made = client_of(with_one_that_fell(60))
    for accept, kind in (("*/*", "application/json"), ("application/json", "application/json"), (BROWSER["Accept"], "text/html; charset=utf-8")):
        response = made.get("/fleet", headers={"Accept": accept})
        assert response.content_type == kind and response.headers["Vary"] == "Accept"
    page = Page(response.text)
    (table,) = page.tables
    assert table[0][:6] == ["Stream", "Evidence", "E-value", "p-value", "Fleet", "Own rule"]
    assert (table[1][0], table[1][4], table[1][5]) == ("elec", "alarm", "alarm")
    assert (len(table), table[2][1]) == (51, "–")
    assert "at most 0.05, over all 60 streams" in page.text and "Page 1 of 2" in page.text
    assert "/fleet?page=2&per_page=50" in page.values("href")
    assert "script" not in page.tags and response.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_page_without_a_rate_says_so_and_has_no_column_of_the_fleet() -> None:
    page = Page(client_of(many(2, fleet_alpha=None)).get("/fleet", headers=BROWSER).text)
    assert "Fleet" not in page.tables[0][0]
    assert "--fleet_alpha holds one rate" in page.text


def test_no_name_speaks_html_on_the_page() -> None:
    made = Monitor({HOSTILE: replace(ELEC, name=HOSTILE, model=HOSTILE, unit=HOSTILE)}, fleet_alpha=0.05)
    page = Page(client_of(made).get("/fleet", headers=BROWSER).text)
    assert "script" not in page.tags and "alert(1)" in page.text


def test_a_restart_knows_the_fleets_decisions_and_another_rate_is_applied_to_the_past(log: PredictionLog) -> None:
    before = many(3)
    records = labelled(range(25 * BLOCK), share_right=0.4) + labelled(range(25 * BLOCK, 28 * BLOCK), share_right=0.75, version="2")
    feed(before, records)
    for start in range(0, len(records), 100):
        log.add([events.from_json(record) for record in records[start : start + 100]])

    def restarted(streams: int) -> Any:
        after = Monitor({name: watcher.config for name, watcher in many(streams).watchers.items()}, log=log, fleet_alpha=0.05)
        after.refill()
        return client_of(after).get("/fleet").get_json()["rows"][0]

    assert restarted(3) == client_of(before).get("/fleet").get_json()["rows"][0]
    assert restarted(30)["alarm_at"] == pytest.approx(600)


@pytest.mark.parametrize("text", ["0", "1", "nan", "inf", "-1", "2", "five", "", "1e-12"])
def test_a_wrong_flag_is_one_line_before_anything_is_read(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert api.main(["--fleet_alpha", text]) == SettingsError.exit_code
    complaint = capsys.readouterr().err
    assert "--fleet_alpha" in complaint
    assert complaint.count("\n") == 1


def test_a_stream_that_is_named_twice_counts_once() -> None:
    flags = {**vars(api.build_parser().parse_args(["--streams", "elec,elec", "--fleet_alpha", "0.04"])), "json": False}
    made = api.app_of(api.MonitorFlags(**{name: value for name, value in flags.items() if name in api.MonitorFlags.__dataclass_fields__}))()
    try:
        found = made.test_client().get("/fleet").get_json()
        assert (found["streams"], [row["stream"] for row in found["rows"]]) == (1, ["elec"])
    finally:
        made.extensions["close"]()
