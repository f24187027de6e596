"""The report of a window: what it says, that it needs nothing else, that no name can break it, and that a browser draws it."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import batch_fixtures as made
import plotly.offline
import pytest
from pages import Page, browser, show  # noqa: F401  # browser is a fixture

from driftloop.drift.answer import KINDS
from driftloop.report import page as pages
from driftloop.report import plots, wording
from monitoring.batch.measures.window_measures import Measures
from monitoring.batch.report import measure_words, window_report

MOST_BYTES = 1_000_000


@pytest.fixture(scope="module")
def taxi() -> Measures:
    return made.taxi()


@pytest.fixture(scope="module")
def page(taxi):
    return Page(window_report.html(taxi))


def number(cell: str) -> float:
    return float(cell.replace("−", "-").replace("+", "").replace(",", "")) if cell != wording.UNDEFINED else math.nan


def test_the_verdict_its_evidence_and_what_to_do_stand_in_the_text(taxi, page):
    told = taxi.verdict
    forecast = wording.sentence(taxi.forecast.message)
    for sentence in (told.sentence, told.kpi_message, told.kind_message, told.data_message, taxi.next_step, forecast, *taxi.notes):
        assert sentence in page.text
    assert (
        page.text.index(measure_words.headline(taxi))
        < page.text.index(told.kpi_message)
        < page.text.index(told.kind_message)
        < page.text.index(told.data_message)
    )
    assert "data and concept drift" in page.text


@pytest.mark.parametrize(
    ("measures", "sentence"),
    [
        (
            made.taxi(),
            "Data and concept drift in 2020-04: the MAE was 3.90 minutes (3.84 to 3.96) on 10,000 labelled rows, worse than the threshold of 3.50 minutes "
            "by more than noise; 3 of 5 features have moved (distance_miles, pickup_zone, dropoff_zone).",
        ),
        (
            made.taxi(3),
            "No drift in 2018-04: the MAE was 3.12 minutes (3.06 to 3.18) on 10,000 labelled rows, rows that the model was trained on, "
            "better than the threshold of 3.50 minutes; no feature has moved beyond noise and the usual variation.",
        ),
        (made.empty(), "Cannot tell in 2020-05: there are no rows."),
    ],
)
def test_the_verdict_is_one_sentence_with_its_evidence(measures, sentence):
    assert measure_words.headline(measures) == sentence
    assert sentence in Page(window_report.html(measures)).text


def test_a_feature_with_too_little_data_is_not_said_to_have_stayed():
    calm = made.taxi(3)
    first, *others = calm.features
    measures = replace(calm, features=(replace(first, p_noise=math.nan, corrected=math.nan), *others))
    assert measure_words.headline(measures).endswith("; no feature has moved beyond noise and the usual variation, but 1 of 5 had too little data to tell.")
    page = Page(window_report.html(measures))
    assert "of 5; cannot tell of 1" in page.text
    assert [row[3] for row in page.table("feature")] == ["cannot tell", "no", "no", "no", "no"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_verdict_has_words_and_a_colour(taxi, kind):
    drifted = kind in {"data", "concept", "both"}
    quality = replace(taxi.quality, bad=kind == "quality")
    kpi = taxi.kpi if drifted or kind == "cannot tell" else replace(taxi.kpi, value=3.1, lower=3.0, upper=3.2)
    verdict = replace(taxi.verdict, kind=kind, drift=drifted, kpi_drift=drifted, data_drift=kind == "data")
    one = replace(taxi, verdict=verdict, quality=quality, kpi=kpi, versions=())
    assert f"found: {KINDS[kind]}" in Page(window_report.html(one)).text
    assert measure_words.tone(one) == ("drift" if drifted else "unproven" if kind == "cannot tell" else "calm")


def test_the_tables_hold_the_kpi_and_baselines_of_the_document(taxi, page):
    rows = {row[0]: row[1:] for row in page.table("answers of")}
    for name, one in {"model": taxi.kpi, **taxi.baselines}.items():
        value, bounds, count, *_ = rows[name]
        assert number(value) == round(one.value, 2)
        assert [number(bound) for bound in bounds.split(" to ")] == [round(one.lower, 2), round(one.upper, 2)]
        assert number(count) == one.rows
    assert number(rows["fallback"][3]) == 0.4
    assert number(rows["threshold"][0]) == taxi.threshold


def test_the_tables_hold_every_block_version_feature_share_and_reason_of_the_document(taxi, page):
    blocks = page.table("from")
    assert [number(row[3]) for row in blocks] == [round(block.kpi.value, 2) for block in taxi.blocks]
    assert [number(row[6]) for row in blocks] == [round(block.baselines["fallback"], 2) for block in taxi.blocks]
    assert [row[-1] == "yes" for row in blocks] == [block.drift for block in taxi.blocks]
    assert [row[0] for row in page.table("version")] == [one.version for one in taxi.versions]
    features = page.table("feature")
    assert [row[0] for row in features] == [one.feature for one in taxi.features]
    assert [number(row[1].split()[1]) for row in features] == [round(one.distance, 3) for one in taxi.features]
    assert [row[2] for row in features] == [wording.p_value(one.corrected) for one in taxi.features]
    assert [row[3] == "yes" for row in features] == [one.moved for one in taxi.features]
    shares = page.table("from, to")
    assert [number(row[2]) for row in shares] == [round(100 * share, 1) for share in taxi.features[0].current]
    assert {row[0]: number(row[1]) for row in page.table("rows")} == {"answered": 10_000, "refused": 31, **taxi.quality.reasons}


def test_an_accuracy_is_told_in_percent_and_its_changes_in_points():
    elec = made.elec()
    found = Page(window_report.html(elec))
    assert found.table("answers of")[0][1] == "80.00"
    assert found.table("change of the KPI") == [
        ["explained by the inputs, P(X)", "−3.10 points"],
        ["the rest, P(Y|X)", "−5.20 points"],
        ["total", "−8.30 points"],
    ]
    assert [row[1] for row in found.table("the KPI crosses the threshold")] == ["3", "9", "not within the horizon"]
    assert "In-sample: 120 rows of 1,440" in found.text
    assert elec.estimate in found.text


def test_the_plots_hold_the_figures_of_the_document(taxi, page):
    traces = {trace["name"]: trace for trace in page.plots["plot-kpi"]["data"]}
    drawn = [*traces["model, 95 % interval"]["y"], *traces["drift proven"]["y"]]
    assert drawn == [block.kpi.value for block in taxi.blocks]
    assert traces["fallback"]["y"] == [block.baselines["fallback"] for block in taxi.blocks]
    assert set(traces["threshold"]["y"]) == {taxi.threshold}
    reference, current = (trace["y"] for trace in page.plots["plot-feature-1"]["data"])
    assert reference == [100 * share for share in taxi.features[0].reference]
    assert current == [100 * share for share in taxi.features[0].current]


def test_the_categories_that_are_not_drawn_are_told_as_all_others(taxi):
    last = measure_words.shares(taxi.features[1])[-1]
    assert last[0] == "all others"
    assert last[1:] == pytest.approx((1 - sum(taxi.features[1].reference), 1 - sum(taxi.features[1].current)))


def test_categories_with_names_have_a_line_each_the_rest_another_and_the_missing_values_the_last():
    cars = made.cars()
    found = Page(window_report.html(cars))
    axis = found.plots["plot-feature-1"]["layout"]["yaxis"]
    assert axis["ticktext"] == ["60K+ €", "hydrogen (new)", "Gasthaus zum Löwen, …", "value 3", "other", "missing"]
    assert axis["range"][0] > axis["range"][1], "the first line is on top"
    reference, current = found.plots["plot-feature-1"]["data"]
    assert reference["x"] == pytest.approx([100 * share for share in (*cars.features[0].reference, 0.1, 0.02)])
    assert current["x"] == pytest.approx([100 * share for share in (*cars.features[0].current, 0.2, 0.14)])
    shares = [row[0] for row in found.table("category")]
    assert shares[-2:] == ["other", "missing, of all rows"]
    assert [row[0] for row in found.table("feature with gaps")] == ["fuel", "supplier", "power"]
    assert measure_words.headline(cars).endswith("1 of 4 features has moved (fuel: 20 % of values are new: hydrogen).")


def test_a_stream_of_plain_numbers_says_nothing_of_gaps(page):
    assert "new to the model" not in page.text
    assert "missing, of all rows" not in page.text


@pytest.mark.parametrize(("blocks", "copies"), [(20, 1), (120, 1), (120, 6)])
def test_the_page_stays_under_a_megabyte(taxi, blocks, copies):
    full = made.taxi(blocks=blocks)
    assert len(window_report.html(replace(full, features=full.features * copies)).encode()) < MOST_BYTES


def test_the_page_loads_nothing_from_anywhere(page):
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not page.values("src") + page.values("srcset") + page.values("xlink:href")
    assert all(address.startswith("#") for address in page.values("href"))
    assert not re.search(r"url\(|@import|https?:|fetch\(|import\(", page.html.replace(page.scripts[page.ids["library"]], ""))


def test_the_page_carries_the_library_that_its_readme_names_in_the_version_of_pythons_plotly():
    packed = pages.LIBRARY.read_bytes()
    told = (pages.LIBRARY.parent / "README.md").read_text()
    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() in told
    assert plotly.offline.get_plotlyjs_version() in pages.LIBRARY.name


def test_hostile_names_stay_text(page):
    hostile = Page(window_report.html(made.hostile()))
    assert hostile.tags.count("script") == page.tags.count("script")
    assert not {"img", "object"} & set(hostile.tags)
    shown = made.HOSTILE.replace("\udcff", r"\udcff")
    assert hostile.text.count(shown) > 30
    assert "alert" not in hostile.scripts[-1]
    assert set(hostile.plots) == set(page.plots)


def test_the_link_to_all_reports_leads_nowhere_but_to_a_page(taxi):
    assert "reports/index.html" in Page(window_report.html(taxi, index_url="reports/index.html")).values("href")
    assert not any("script" in address for address in Page(window_report.html(taxi, index_url="javascript:alert(1)")).values("href"))


@pytest.mark.parametrize("make", [made.empty, made.undefined, lambda: made.taxi(blocks=1), lambda: made.taxi(blocks=0), made.elec, made.cars])
def test_what_is_undefined_is_a_dash_and_never_nan(make):
    found = Page(window_report.html(make()))
    assert not re.search(r"\bnan\b|\binf\b|None|Undefined", found.text)
    if "plots" in found.ids:
        assert not re.search(r"NaN|Infinity", json.dumps(found.plots))


def test_a_window_without_rows_has_no_plots_and_carries_no_library():
    found = window_report.html(made.empty())
    assert len(found) < 20_000
    assert "Cannot tell in 2020-05: there are no rows." in Page(found).text


def colours(value: Any, key: str = "") -> Iterator[str]:
    """What a figure holds under a name that ends in color, colorway or colorscale, however it is written."""
    if isinstance(value, dict | list):
        for name, one in value.items() if isinstance(value, dict) else ((key, one) for one in value):
            yield from colours(one, name)
    elif re.search("color(way|scale)?$", key) and isinstance(value, str):
        yield value


@pytest.mark.parametrize("make", [made.taxi, made.elec])
def test_every_colour_of_a_plot_has_one_for_the_dark_page(make):
    found = set(colours(Page(window_report.html(make())).plots)) - {"rgba(0,0,0,0)"}  # the page's own shows through
    assert {plots.MODEL, plots.INTERVAL, plots.DRIFT, plots.INK, plots.SOFT, plots.RULE, plots.PALE, *plots.RIVALS[:2]} <= found
    assert found <= set(plots.DARK)
    assert not set(plots.DARK) & set(plots.DARK.values()), "a colour stays as it is where the page is dark"


@pytest.mark.parametrize(
    ("make", "width", "dark"),
    [
        (made.taxi, 1280, False),
        (made.taxi, 390, True),
        (made.elec, 390, False),
        (made.undefined, 1280, True),
        (made.hostile, 390, False),
        (made.cars, 390, False),
        (made.cars, 1280, True),
    ],
)
def test_a_browser_draws_every_plot_within_the_page_and_says_no_error(browser, tmp_path, make, width, dark):  # noqa: F811
    html = window_report.html(make())
    assert show(browser, tmp_path / "report.html", html, width=width, dark=dark) == []
    assert len(browser.find_elements("css selector", ".js-plotly-plot .cartesianlayer .subplot")) == len(Page(html).plots)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize(("first", "step"), [(0.00083, 0.000348), (10_234.0, 3712.0)])
def test_long_bounds_do_not_run_into_each_other_on_a_phone(browser, tmp_path, first, step):  # noqa: F811
    taxi = made.taxi()
    tiny = replace(made.numeric("price", distance=0.2, p=0.3, moved=False, bins=24), edges=tuple(first + step * number for number in range(25)))
    assert show(browser, tmp_path / "report.html", window_report.html(replace(taxi, features=(tiny,))), width=390, dark=False) == []
    spans = """return [...document.querySelectorAll('.js-plotly-plot')].at(-1).querySelectorAll('.xtick text').values().map(
        text => text.getBoundingClientRect()).map(box => [box.left, box.right]).toArray()"""
    ticks = sorted(browser.execute_script(spans))
    assert len(ticks) >= 4
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ticks))


def test_the_boxes_of_the_legend_switch_their_lines(browser, tmp_path):  # noqa: F811
    show(browser, tmp_path / "report.html", window_report.html(made.taxi()))
    visible = "return document.getElementById('plot-kpi').data.map((trace) => trace.visible !== false)"
    before = browser.execute_script(visible)
    box = browser.find_elements("css selector", "input[data-plot=plot-kpi]")[1]
    box.click()
    after = browser.execute_script(visible)
    assert [one != other for one, other in zip(before, after, strict=True)] == [number == int(box.get_attribute("data-trace")) for number in range(len(before))]


def test_a_dark_page_has_dark_plots(browser, tmp_path):  # noqa: F811
    colour = "return document.getElementById('plot-kpi').layout.font.color"
    show(browser, tmp_path / "report.html", window_report.html(made.taxi()), dark=False)
    assert browser.execute_script(colour) == plots.SOFT
    show(browser, tmp_path / "report.html", window_report.html(made.taxi()), dark=True)
    assert browser.execute_script(colour) == plots.DARK[plots.SOFT]


def test_without_the_means_to_draw_the_page_says_that_the_table_has_it_all(browser, tmp_path):  # noqa: F811
    html = window_report.html(made.taxi()).replace("DecompressionStream(", "NoSuchStream(")
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    browser.get(path.as_uri())
    told = browser.find_element("css selector", ".undrawn")
    assert told.is_displayed()
    assert not browser.find_elements("css selector", ".main-svg")
    assert not browser.find_element("css selector", ".keys").is_displayed()
