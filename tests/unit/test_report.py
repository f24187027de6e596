"""The HTML report: what it says, that it needs nothing else, and that no name can break it."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pages import Page, browser, show  # noqa: F401  # browser is a fixture
from watch_sample import BASE_PARAMS, make_result, without_figures

from driftloop.errors import DriftloopError
from driftloop.metrics import promotion, scoring
from driftloop.metrics.task import CLASSIFICATION
from driftloop.report import page as pages
from driftloop.report import plots, watch_plot, wording
from driftloop.report.watch_report import report_html, write_report

HOSTILE = "</script><script>alert('1')</script>\"><img src=http://evil.example/x>"


@pytest.fixture(scope="module")
def result():
    return make_result()


@pytest.fixture(scope="module")
def page(result):
    return Page(report_html(result))


def test_the_verdict_stands_beside_the_unretrained_model_and_every_baseline(result, page):
    assert f"right on {100 * result.kpi:.2f} % of 13,594 rows (κ-temporal −0.61)" in page.text
    for share in (result.kpi_without_retraining, *result.baselines.values()):
        assert f"{100 * share:.2f}" in page.text
        assert f"{100 * abs(result.kpi - share):.2f}" in page.text
    assert "4 retrains led to 3 promotions" in page.text


def test_a_judgement_is_stated_once_and_in_percent(result):
    champion, challenger = np.arange(400) < 100, np.arange(400) < 40
    judged = promotion.judge(CLASSIFICATION, champion, challenger, start=0, alpha=0.05)
    record = replace(result.retrains[0], decision=judged.words, before=judged.before, after=judged.after, judge_rows=400)
    text = Page(report_html(replace(result, retrains=(record,)))).text
    section = text.partition("Retrains")[2].partition("What the figures mean")[0]
    assert "introduced 0 (75.00 to 90.00 %" in section
    assert [section.count(figure) for figure in ("75.00", "90.00", "0.75", "400 rows")] == [1, 1, 0, 1]


def test_a_watch_and_a_version_end_with_the_last_row_not_with_the_last_block_s_first(result, page):
    assert f"to {wording.moment(result.scores[-1].until)}" in page.text
    for version in result.versions:
        (last,) = [score for score in result.scores if score.block == version.last_block]
        assert wording.moment(last.until) in page.text


def test_every_block_version_retrain_and_note_is_shown(result, page):
    assert page.tags.count("tr") == 1 + 5 + 1 + len(result.versions) + 1 + len(result.scores)
    for record in result.retrains:
        assert f"After block {record.block}, " in page.text
        assert record.run_id in page.text
    assert page.text.count("lr 0.05 → ") == len(result.retrains)
    assert "depth 1 → 1" not in page.text
    for note in result.notes:
        assert note in page.text


def test_the_report_loads_nothing_from_anywhere(page):
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not page.values("src") + page.values("href") + page.values("srcset") + page.values("xlink:href")
    assert not re.search(r"url\(|@import|https?:|fetch\(|import\(", page.html.replace(page.scripts[page.ids["library"]], ""))


@pytest.mark.parametrize(("blocks", "most_bytes"), [(284, 400_000), (5000, 4_500_000)])
def test_beside_the_library_that_draws_it_the_report_stays_small(blocks, most_bytes):
    html = report_html(make_result(blocks, retrains=8))
    library = len(pages._library())
    assert library < 550_000
    assert len(html.encode()) - library < most_bytes


def test_every_box_of_the_legend_switches_a_part_of_the_plot(page):
    named = [number for number, trace in enumerate(page.plots["plot-kpi"]["data"]) if trace.get("name")]
    assert [int(number) for number in page.values("data-trace")] == named
    assert set(page.values("data-plot")) == {"plot-kpi"}


def test_a_screen_reader_is_told_what_the_plot_shows(page):
    (label,) = page.values("aria-label")
    assert label.startswith("accuracy of the served model by block, with its interval, the threshold")


def test_hostile_names_stay_text(result):
    page = Page(report_html(hostile(result)))
    assert page.tags.count("script") == 3
    assert "img" not in page.tags
    assert "alert" not in page.scripts[-1]
    assert page.text.count(HOSTILE) > 8
    drawn = str(page.plots)
    assert "alert" in drawn
    assert "<script" not in drawn


def test_a_name_that_is_not_valid_unicode_does_not_stop_the_report(result, tmp_path):
    written = write_report(replace(result, stream="bad \udcff name"), tmp_path / "report.html")
    assert r"bad \udcff name" in written.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "result",
    [
        make_result(1, retrains=0),
        make_result(5, retrains=0),
        make_result(30, retrains=0),
        replace(make_result(5, retrains=1), scores=(), versions=(), retrains=(), rows=0),
        without_figures(make_result(30, retrains=2)),
        replace(make_result(5, retrains=1), baselines={}),
    ],
    ids=["one block", "few blocks", "no retrain", "no block", "nothing defined", "no baselines"],
)
def test_sparse_results_give_a_whole_page_without_nan(result):
    html = report_html(result)
    assert html.rstrip().endswith("</html>")
    assert not re.search(r"\b(nan|inf|None|NaT)\b", html)


def traces(result) -> dict[str, dict]:
    return {trace["name"]: trace for trace in watch_plot.draw(result).to_plotly_json()["data"]}


def marks(result) -> list[str]:
    return [mark["text"] for mark in watch_plot.draw(result).to_plotly_json()["layout"].get("annotations", ())]


def test_the_plot_holds_the_figures_of_every_block(result):
    drawn = traces(result)
    interval = drawn["95 % interval"]
    assert interval["y"] == [100 * score.kpi for score in result.scores]
    for score, value, up, down in zip(result.scores, interval["y"], interval["error_y"]["array"], interval["error_y"]["arrayminus"], strict=True):
        assert (value - down, value + up) == pytest.approx((100 * score.lower, 100 * score.upper))
    assert set(drawn["threshold"]["y"]) == {60.0}
    for name in ("served model, average", "base model, unretrained", *wording.BASELINE_NAMES.values()):
        assert len(drawn[name]["y"]) == len(result.scores)
        assert all(0 <= share <= 100 for share in drawn[name]["y"] if not math.isnan(share))


def test_few_blocks_carry_their_own_intervals():
    result = make_result(30, retrains=1)
    drawn = traces(result)
    for name, drift in (("block, 95 % interval", False), ("block, drift", True)):
        some = [score for score in result.scores if score.drift is drift]
        assert drawn[name]["error_y"]["array"] == pytest.approx([100 * (score.upper - score.kpi) for score in some])
    assert "95 % interval" not in drawn


def test_drifted_blocks_versions_and_retrains_are_marked(result):
    drawn = traces(result)
    drifted = [score for score in result.scores if score.drift]
    assert drifted
    assert drawn["block, drift"]["y"] == [100 * score.kpi for score in drifted]
    assert len(drawn["block"]["y"]) == len(result.scores) - len(drifted)
    ends = {f"{record.timestamp}.000": record.promoted for record in result.retrains}
    assert dict.fromkeys(drawn["retrain, promoted"]["x"], True) | dict.fromkeys(drawn["retrain, not promoted"]["x"], False) == ends
    assert marks(result) == ["v1", "v2", "v3", "v4"]


def test_pointing_at_a_block_tells_all_its_figures(result, page):
    told = dict(zip(("block", "drift"), (traces(result)[name]["hovertext"] for name in ("block", "block, drift")), strict=True))
    header, *rows = page.tables[-1]
    shown = {"<br>".join(f"{title} {cell}" for title, cell in zip(header, row, strict=True)) for row in rows}
    assert {*told["block"], *told["drift"]} == shown


def test_the_names_of_many_versions_are_written_where_they_have_room_and_every_switch_has_its_line(result):
    scores = tuple(replace(score, version=str(score.block)) for score in result.scores)
    drawn = watch_plot.draw(replace(result, scores=scores)).to_plotly_json()["layout"]
    assert len(drawn["shapes"]) == len(scores)
    assert 5 < len(drawn["annotations"]) < 20


@pytest.mark.parametrize("timestamps", [["x"] * 5, [""] * 5, ["1998-01-01"] * 5, ["9999-01-01"] * 5])
def test_blocks_without_usable_times_stand_by_their_number(timestamps):
    result = make_result(5, retrains=1)
    scores = tuple(replace(score, timestamp=timestamp) for score, timestamp in zip(result.scores, timestamps, strict=True))
    drawn = watch_plot.draw(replace(result, scores=scores))
    assert (drawn.layout.xaxis.type, drawn.layout.xaxis.title.text) == ("linear", "block")
    assert sorted(x for trace in drawn.data if trace.mode == "markers" and trace.yaxis != "y3" for x in trace.x) == [0, 1, 2, 3, 4]
    assert [mark.text for mark in drawn.layout.annotations] == ["v1", "v2"]


def regression(result):
    """The same watch of a regression: the errors in percent as minutes."""

    def value(score):
        mae = 100 * (1 - score.kpi)
        rivals = {scoring.CONSTANT: mae + 5, "hour of the week": mae + 2}
        bounds = {"lower": mae - 1, "upper": mae + 1, "threshold": 40.0}
        return replace(score, task="regression", kpi=mae, kpi_unretrained=mae + 3, bias=-0.5, baselines=rivals, set_aside=2, **bounds)

    baselines = {scoring.CONSTANT: 30.0, "hour of the week": 27.0}
    scores = tuple(map(value, result.scores))
    return replace(result, task="regression", unit="minutes", scores=scores, kpi=25.0, kpi_without_retraining=28.0, baselines=baselines)


def test_a_regression_is_drawn_in_its_unit_with_its_own_baselines(result):
    made = regression(result)
    drawn, layout = traces(made), watch_plot.draw(made).layout
    assert layout.yaxis.title.text == "minutes"
    assert not layout.yaxis.ticksuffix
    assert drawn["95 % interval"]["y"] == [score.kpi for score in made.scores]
    assert drawn["hour of the week"]["y"] == watch_plot.average(made.scores, "hour of the week", 7)
    assert [name for name, trace in drawn.items() if trace.get("visible") is False] == [scoring.CONSTANT]
    page = Page(report_html(made))
    header, first, *_ = page.tables[-1]
    told = dict(zip(header, first, strict=True))
    assert (told["MAE"], told["bias"], told["set aside"]) == (f"{made.scores[0].kpi:.2f}", "−0.50", "2")
    assert "accuracy" not in page.text.lower()


def hostile(result):
    params = {**BASE_PARAMS, HOSTILE: HOSTILE, "features": [HOSTILE]}
    return replace(
        result,
        stream=HOSTILE,
        run_id=HOSTILE,
        notes=(HOSTILE,),
        scores=tuple(replace(score, version=HOSTILE, timestamp=HOSTILE) for score in result.scores[:3]),
        retrains=(replace(result.retrains[0], block=1, reason=HOSTILE, decision=HOSTILE, params=params, run_id=HOSTILE, version=HOSTILE, timestamp=HOSTILE),),
        versions=(replace(result.versions[0], version=HOSTILE, params=params),),
    )


def test_an_undefined_block_leaves_a_gap(result):
    scores = tuple(replace(score, lower=math.nan, kpi=math.nan) if score.block == 100 else score for score in result.scores)
    drawn = traces(replace(result, scores=scores))
    assert [at for at, value in enumerate(drawn["95 % interval"]["error_y"]["arrayminus"]) if math.isnan(value)] == [100]
    assert [at for at, value in enumerate(drawn["served model, average"]["y"]) if math.isnan(value)] == [100]
    assert not any(map(math.isnan, drawn["base model, unretrained"]["y"]))


def test_a_block_does_not_last_through_a_gap_in_the_stream(result):
    scores = (*result.scores[:10], *result.scores[100:110])
    places = watch_plot.edges(scores)
    assert places[9] == ("1998-02-24T00:00:00.000", "1998-02-26T00:00:00.000")
    assert places[-1][1] == "1998-06-05T00:00:00.000"


@pytest.mark.parametrize("name", ["", "no_change"])
def test_a_moving_average_does_not_look_ahead(result, name):
    late = (*result.scores[:100], *(replace(score, kpi=0.0, baselines={"no_change": 0.0}) for score in result.scores[100:]))
    assert watch_plot.average(result.scores, name, 7)[:100] == watch_plot.average(late, name, 7)[:100]
    assert watch_plot.average(result.scores, name, 7)[100:] != watch_plot.average(late, name, 7)[100:]


@pytest.mark.parametrize(
    ("make", "width", "dark"),
    [
        (make_result, 1280, False),
        (make_result, 390, True),
        (lambda: make_result(5, retrains=1), 390, False),
        (lambda: without_figures(make_result(30, retrains=2)), 390, False),
        (lambda: regression(make_result(30, retrains=8)), 390, True),
        (lambda: hostile(make_result(5, retrains=1)), 390, False),
    ],
)
def test_a_browser_draws_the_plot_within_the_page_with_ticks_that_can_be_read(browser, tmp_path, make, width, dark):  # noqa: F811
    assert show(browser, tmp_path / "report.html", report_html(make()), width=width, dark=dark) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    for ticks in (".xtick text", ".annotation"):
        boxes = browser.execute_script(f"return [...document.querySelectorAll('#plot-kpi {ticks}')].map((one) => one.getBoundingClientRect().toJSON())")
        spans = sorted((box["left"], box["right"]) for box in boxes)
        assert 1 <= len(spans) <= 12
        assert all(right <= left for (_, right), (left, _) in itertools.pairwise(spans)), spans
        assert all(0 <= left <= right <= width for left, right in spans)


def test_a_line_that_is_off_at_first_comes_when_its_box_is_ticked(browser, tmp_path):  # noqa: F811
    show(browser, tmp_path / "report.html", report_html(make_result()))
    visible = "return document.getElementById('plot-kpi').data.filter((trace) => trace.visible === false).map((trace) => trace.name)"
    assert browser.execute_script(visible) == ["majority class"]
    (box,) = (one for one in browser.find_elements("css selector", ".keys input") if not one.is_selected())
    box.click()
    assert browser.execute_script(visible) == []


def test_a_dark_page_has_a_dark_plot(browser, tmp_path):  # noqa: F811
    show(browser, tmp_path / "report.html", report_html(make_result()), dark=True)
    assert browser.execute_script("return document.getElementById('plot-kpi').layout.font.color") == plots.DARK[plots.SOFT]


def test_the_report_is_written_whole_and_alone(result, tmp_path):
    path = tmp_path / "new" / "report.html"
    assert write_report(result, path) == path
    assert write_report(result, path) == path
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8") == report_html(result)


def test_a_failed_write_says_so_and_leaves_the_older_report_alone(result, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("older")

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(DriftloopError, match=r"report\.html: No space left on device"):
        write_report(result, path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "older"


def test_a_folder_that_is_a_file_is_named_in_one_line(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DriftloopError, match="cannot be written") as caught:
        write_report(result, tmp_path / "file" / "report.html")
    assert "\n" not in str(caught.value)


def test_plotly_is_loaded_only_where_a_report_is_written():
    told = "import sys; from driftloop.watch import scripts; from driftloop.report import page, watch_report, terminal; print('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.strip() == "False"
