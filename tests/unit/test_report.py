"""The HTML report: what it says, that it needs nothing else, and that no name can break it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from watch_sample import BASE_PARAMS, make_result, without_figures

from driftloop.errors import DriftloopError
from driftloop.report import chart, wording
from driftloop.report.watch_report import report_html, write_report

HOSTILE = "</script><script>alert('1')</script>\"><img src=http://evil.example/x>"


class Page(HTMLParser):
    """The tags, attributes and visible text of a document."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.code = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        if self.tags and self.tags[-1] in ("script", "style"):
            self.code += data
        else:
            self.text += data

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


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
    assert not re.search(r"url\(|@import|https?:|fetch\(|import\(", page.code)


@pytest.mark.parametrize(("blocks", "most_bytes"), [(284, 400_000), (5000, 4_500_000)])
def test_the_report_stays_small(blocks, most_bytes):
    assert len(report_html(make_result(blocks, retrains=8)).encode()) < most_bytes


def test_every_box_of_the_legend_switches_a_part_of_the_plot(page):
    assert sorted(page.values("data-shows")) == sorted(page.values("data-is"))


def test_hostile_names_stay_text(result):
    params = {**BASE_PARAMS, HOSTILE: HOSTILE, "features": [HOSTILE]}
    hostile = replace(
        result,
        stream=HOSTILE,
        run_id=HOSTILE,
        notes=(HOSTILE,),
        scores=tuple(replace(score, version=HOSTILE, timestamp=HOSTILE) for score in result.scores[:3]),
        retrains=(replace(result.retrains[0], reason=HOSTILE, decision=HOSTILE, params=params, run_id=HOSTILE, version=HOSTILE, timestamp=HOSTILE),),
        versions=(replace(result.versions[0], version=HOSTILE, params=params),),
    )
    page = Page(report_html(hostile))
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert "alert" not in page.code
    assert page.text.count(HOSTILE) > 8


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


def test_the_plot_lies_inside_its_frame(result):
    drawn = chart.draw(result)
    for path in (drawn.interval, drawn.threshold, drawn.points, *drawn.averages.values()):
        assert path
        for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path):
            assert chart.LEFT <= float(x) <= chart.RIGHT
            assert chart.TOP <= float(y) <= chart.BOTTOM


def test_drifted_blocks_and_retrains_are_marked(result):
    drawn = chart.draw(result)
    drifted = sum(score.drift for score in result.scores)
    assert drifted > 0
    assert drawn.drifts.count("M") == drifted
    assert drawn.points.count("M") == len(result.scores) - drifted
    assert [mark.promoted for mark in drawn.marks] == [record.promoted for record in result.retrains]
    assert [stretch.label for stretch in drawn.stretches] == ["v1", "v2", "v3", "v4"]


@pytest.mark.parametrize("timestamps", [["x"] * 5, [""] * 5, ["1998-01-01"] * 5, ["9999-01-01"] * 5])
def test_blocks_without_usable_times_stand_by_their_number(timestamps):
    result = make_result(5, retrains=0)
    scores = tuple(replace(score, timestamp=timestamp) for score, timestamp in zip(result.scores, timestamps, strict=True))
    drawn = chart.draw(replace(result, scores=scores))
    assert drawn.x_title == "block"
    assert [tick.text for tick in drawn.x_ticks] == ["0", "1", "2", "3", "4"]


def test_ticks_are_round_times_and_few(result):
    drawn = chart.draw(result)
    assert drawn.x_title == "time"
    assert [tick.text for tick in drawn.x_ticks] == [f"{month} 1998" for month in ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov"]]
    assert len(chart.draw(make_result(5000, retrains=0)).x_ticks) <= chart.MOST_TICKS + 1


def test_an_undefined_block_leaves_a_gap(result):
    scores = tuple(replace(score, lower=math.nan, kpi=math.nan) if score.block == 100 else score for score in result.scores)
    drawn = chart.draw(replace(result, scores=scores))
    assert drawn.interval.count("M") == 2
    assert drawn.averages["kpi"].count("M") == 2
    assert drawn.averages["kpi_unretrained"].count("M") == 1


def test_a_moving_average_does_not_look_ahead(result):
    early = replace(result, scores=result.scores[:100])
    late = replace(result, scores=(*result.scores[:100], *(replace(score, kpi=0.0) for score in result.scores[100:])))

    def first_hundred(drawn):
        return chart._average(drawn.scores, "kpi", 7)[:100]

    assert first_hundred(early) == first_hundred(late)


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
