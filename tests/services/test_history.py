"""All windows of a stream: the table on the terminal and the page, from a real database."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import batch_fixtures as made
import pytest
from mongo_fixtures import log, mongo, needs_mongodb  # noqa: F401  # fixtures
from pages import Page, browser, show  # noqa: F401  # likewise

from driftloop.report import plots
from monitoring.batch import history, measure_store
from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import measure_words, timeline
from monitoring.log import report_links
from monitoring.retrain.retrain_outcome import KEPT, PROMOTED
from monitoring.retrain.retrains import Retrain

KEPT_MAY = Retrain("k1", "BatchDrift", "taxi", "2020-06-02T00:00:00.000Z", "2020-05-01T00:00:00.000Z", KEPT, "the challenger is no better")
PROMOTED_AUGUST = Retrain("k2", "BatchDrift", "taxi", "2020-08-02T00:00:00.000Z", "2020-08-01T00:00:00.000Z", PROMOTED, "better by more than noise", "4")
OF_ELEC = replace(KEPT_MAY, stream="elec", message="not of this stream")


@pytest.fixture(scope="module")
def months() -> list[Measures]:
    """2018 to 2020; version 4 answers from August 2020 on, September 2019 is empty, July and November 2020 have bad quality."""
    found = [made.taxi(number) for number in range(36)]
    found[20] = replace(made.empty(), window=found[20].window)
    found[30] = replace(found[30], quality=replace(found[30].quality, bad=True))
    found[34] = replace(found[34], verdict=replace(found[34].verdict, kind="quality"))
    return [replace(one, versions=tuple(replace(each, version="4") for each in one.versions)) if number > 30 else one for number, one in enumerate(found)]


@pytest.fixture(scope="module")
def page(months):
    reports = {months[27].id: "2020-04.html", months[28].id: "javascript:alert(1)"}
    return Page(history.page("taxi", months[::-1], retrains=[KEPT_MAY, PROMOTED_AUGUST, OF_ELEC], reports=reports))


def test_the_page_has_a_row_for_each_window_the_newest_first_with_the_documents_figures(months, page):
    rows = page.table("window")
    assert [row[0] for row in rows] == [one.window.name for one in reversed(months)]
    assert [row[2] for row in rows] == ["–" if math.isnan(one.kpi.value) else f"{one.kpi.value:.2f}" for one in reversed(months)]
    found = {row[0]: row for row in rows}
    assert found["2020-04"][1] == "data and concept drift"
    assert found["2020-04"][5:7] == ["drifted", "distance_miles, pickup_zone, dropoff_zone"]
    assert (found["2020-07"][1], found["2020-11"][1]) == ("data and concept drift, data quality", "data quality")
    assert found["2018-03"][10] == "10,000"
    assert [found[name][7] for name in ("2020-07", "2020-08")] == ["3", "4"]


def test_a_window_leads_to_its_report_where_that_is_known_and_never_to_a_script(page):
    assert page.values("href") == ["2020-04.html"]


def test_the_plot_shows_each_windows_kpi_and_what_was_found(months, page):
    traces = {trace["name"]: trace for trace in page.plots["plot-1"]["data"]}
    assert len(traces["good, no drift"]["x"]) + len(traces["good, no drift, in-sample"]["x"]) == 30
    assert traces["drifted, data and concept drift"]["y"] == [one.kpi.value for one in months[27:31]]
    assert len(traces["good, data quality"]["y"]) == len(traces["no labels, cannot tell"]["y"]) == 1
    assert set(traces["threshold"]["y"]) == {3.5}


def test_a_month_is_coloured_by_whether_its_kpi_is_good_and_not_by_its_kind(months):
    good = replace(made.taxi(3), versions=(), kpi=replace(months[27].kpi, value=3.23, lower=3.2, upper=3.26))
    good = replace(good, verdict=replace(good.verdict, drift=True, data_drift=True, kind="data"))
    bad = months[27]
    marks = {trace["name"]: trace["marker"] for trace in timeline.draw([good, bad]).to_plotly_json()["data"] if trace.get("mode") == "markers"}
    assert (marks["good, data drift"]["color"], marks["good, data drift"]["symbol"]) == (plots.MODEL, "triangle-up")
    assert (marks["drifted, data and concept drift"]["color"], marks["drifted, data and concept drift"]["symbol"]) == (plots.DRIFT, "hexagram")
    shown = Page(history.page("taxi", [good, bad]))
    assert [(row[1], row[5]) for row in shown.table("window")] == [("data and concept drift", "drifted"), ("data drift", "good")]
    assert (measure_words.tone(good), measure_words.tone(bad)) == ("calm", "drift")


def test_the_heat_map_has_a_cell_for_each_feature_and_window(months, page):
    traces = {trace["name"]: trace for trace in page.plots["plot-1"]["data"]}
    assert len(traces["feature: moved"]["x"]) == sum(feature.moved for one in months for feature in one.features)
    assert len(traces["feature: not moved"]["x"]) == sum(not feature.moved for one in months for feature in one.features)
    assert page.plots["plot-1"]["layout"]["yaxis2"]["ticktext"] == list(timeline.features(months))[::-1]
    distances = next(rows for rows in page.tables if rows[0][1:] == list(timeline.features(months)))
    assert [row[1] for row in distances[1:]] == [
        f"{one.features[0].distance:.3f}{'*' * one.features[0].moved}" if one.features else "–" for one in months[::-1]
    ]


def test_versions_and_the_streams_own_retrains_are_marked(months, page):
    layout, traces = page.plots["plot-1"]["layout"], {trace["name"]: trace for trace in page.plots["plot-1"]["data"]}
    assert [(mark["x"], mark["text"]) for mark in layout["annotations"]] == [(months[31].versions[0].first_time, "v4")]
    assert traces["retrain, promoted"]["x"] == [PROMOTED_AUGUST.until_time]
    assert traces["retrain, not promoted"]["x"] == [KEPT_MAY.until_time]
    assert [row[2] for row in page.table("rows before")] == [KEPT, PROMOTED]
    assert "not of this stream" not in page.text


def test_months_and_days_of_a_stream_are_drawn_apart(months):
    first = months[27]
    day = replace(first, window=replace(first.window, name="2020-04-05", start="2020-04-05T00:00:00.000Z", stop="2020-04-06T00:00:00.000Z"))
    found = Page(history.page("taxi", [*months[26:29], day]))
    assert set(found.plots) == {"plot-1", "plot-2"}
    assert [row[0] for row in found.tables[2][1:]] == ["2020-04-05"]


def test_a_stream_without_windows_has_a_page_that_says_so():
    found = Page(history.page("taxi", []))
    assert "No window has been measured." in found.text
    assert not found.tables


def test_hostile_names_stay_text():
    retrain = replace(KEPT_MAY, stream=made.HOSTILE, alert=made.HOSTILE, until_time=made.HOSTILE, message=made.HOSTILE)
    found = Page(history.page(made.HOSTILE, [made.hostile(), made.undefined()], retrains=[retrain]))
    assert found.tags.count("script") == 3
    assert not {"img", "object"} & set(found.tags)
    assert found.text.count(made.HOSTILE.replace("\udcff", r"\udcff")) > 10


def test_the_terminals_table_has_a_line_for_each_window_the_oldest_first(months):
    lines = history.text(months).splitlines()
    told = [line for line in lines if re.match(r"\d{4}-\d\d ", line)]
    assert [line.split()[0] for line in told] == [one.window.name for one in months]
    assert "data and concept drift" in told[27]
    assert f"{months[27].kpi.value:.2f}" in told[27]
    assert lines[-1].startswith("The KPI of 36 windows: drifted in 4, good in 31, no labels in 1. Found: no drift 30, data and concept drift ")


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False)])
def test_a_browser_draws_the_page_within_its_width_and_says_no_error(browser, tmp_path, months, width, dark):  # noqa: F811
    found = history.page("taxi", [*months, made.hostile(), made.undefined()], retrains=[KEPT_MAY, PROMOTED_AUGUST])
    assert show(browser, tmp_path / "history.html", found, width=width, dark=dark) == []
    assert len(browser.find_elements("css selector", ".js-plotly-plot")) == len(Page(found).plots)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@needs_mongodb
def test_the_command_reads_the_database_prints_and_writes_the_page(log, mongo, months, tmp_path, capsys, monkeypatch):  # noqa: F811
    uri = mongo.fresh_uri()
    monkeypatch.chdir(tmp_path)
    with history.open_log(uri) as opened:
        for one in [*months[26:30], months[28]]:
            measure_store.write(opened, one)
        report_links.write(opened, months[27].id, "https://mlflow.example/2020-04")
    assert history.main(["--stream", "taxi", "--mongodb_uri", uri, "--html", "pages/history.html", "--json"]) == 0
    printed, told = capsys.readouterr()
    answer = json.loads(printed)
    assert [one["window"]["name"] for one in answer["windows"]] == ["2020-03", "2020-04", "2020-05", "2020-06"]
    assert [one["report"] for one in answer["windows"]] == ["", "https://mlflow.example/2020-04", "", ""]
    assert "The KPI of 4 windows: drifted in 3, good in 1." in told
    assert "page: pages/history.html\n" in told
    page = Page(Path("pages/history.html").read_text(encoding="utf-8"))
    assert page.values("href") == ["https://mlflow.example/2020-04"]
    assert [path.name for path in Path("pages").iterdir()] == ["history.html"]


@needs_mongodb
def test_an_unknown_stream_is_one_clear_line(mongo, capsys):  # noqa: F811
    assert history.main(["--stream", "nosuch", "--mongodb_uri", mongo.fresh_uri()]) == 3
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "stream nosuch: the database holds no measured window" in told


def test_a_page_that_cannot_be_written_is_one_clear_line_before_anything_is_read(tmp_path, capsys):
    assert history.main(["--stream", "taxi", "--mongodb_uri", "mongodb://127.0.0.1:1", "--html", str(tmp_path)]) == 1
    assert "it is a folder" in capsys.readouterr().err
