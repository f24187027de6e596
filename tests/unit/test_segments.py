"""Segments of a table of predictions: which one has become worse, at one false-alarm rate over all of them."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pages import Page
from segments_sample import SEGMENT_REFERENCE, SEGMENT_ROWS, SHARES, regional

import driftloop as dl
from driftloop.drift.segments.closed_test import adjusted
from driftloop.drift.segments.rises import Rises
from driftloop.drift.segments.segment_dependence import rows_in_one
from driftloop.errors import DataError, DriftloopError, SettingsError
from driftloop.predictions.segments import segment_evidence
from driftloop.predictions.segments.segment_columns import MOST
from driftloop.system.json_values import plain


@pytest.fixture(autouse=True)
def no_library_warns() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def watched(table: pd.DataFrame, segments: Any = "region", **settings: Any) -> dl.FrameWatch:
    given = {"target": "y_true", "prediction": "y_pred", "time": "when", "reference": SEGMENT_REFERENCE, "segments": segments}
    return dl.watch(table, **(given | settings))


@pytest.fixture(scope="module")
def fallen() -> dl.FrameWatch:
    return watched(regional(), ("region", "x"))


def test_a_fall_in_three_percent_of_the_rows_is_named_while_the_whole_is_not_yet_significant(fallen: dl.FrameWatch) -> None:
    assert not fallen.drift
    worst = fallen.segments.iloc[0]
    assert (worst.column, worst.segment, worst.verdict) == ("region", "west", "drift")
    assert worst.gain < -0.2
    assert worst.kpi_before - worst.kpi_after == pytest.approx(-worst.gain)
    assert worst.found > pd.Timestamp("2024-01-01") + pd.Timedelta(hours=SEGMENT_REFERENCE)
    assert (fallen.segments.verdict[1:] == "no alarm").all()


def test_it_is_found_in_most_streams_and_nothing_else_is_named() -> None:
    named = [watched(regional(seed=seed), leave_out=["x", "region"]).result.segments.named for seed in range(100, 120)]
    assert sum(bool(one) for one in named) >= 12
    assert {score.segment for one in named for score in one} == {"west"}


def test_the_worst_segment_is_first(fallen: dl.FrameWatch) -> None:
    others = fallen.segments.evidence[1:]
    assert (others.diff().dropna() <= 0).all()
    both = regional()
    late = (both.region == "east") & (both.index >= SEGMENT_REFERENCE)
    both.loc[late, "y_pred"] = np.where(np.random.default_rng(1).random(late.sum()) < 0.2, 1 - both.y_true[late], both.y_true[late])
    found = watched(both).segments
    assert found.segment.tolist()[:2] == ["west", "east"]
    assert found.verdict.tolist()[:2] == ["drift", "drift"]


def test_the_kind_is_that_of_the_segments_rows(fallen: dl.FrameWatch) -> None:
    assert fallen.segments.kind[0] == "concept"
    assert (fallen.segments.kind[1:] == "none").all()
    assert watched(regional().drop(columns="x"), leave_out=["region"]).segments.kind[0] == "cannot tell"


def test_the_sentence_the_report_and_the_json_name_the_segment(fallen: dl.FrameWatch) -> None:
    assert "1 of 8 segments is worse than in its own reference period; the worst is region: west" in str(fallen)
    html = fallen._repr_html_()
    assert "Segments, the worst first" in html
    body = json.loads(json.dumps(plain(fallen.as_json())))
    assert body["segments"]["named"] == ["region: west"]
    assert body["segments"]["scores"][0]["verdict"] == "drift"
    assert body["segments"]["alpha"] == 0.05 and not body["drift"]


def test_without_segments_nothing_is_said_of_them() -> None:
    found = watched(regional(), ())
    assert found.segments.empty
    assert "kind" in found.segments.columns
    assert found.as_json()["segments"] is None
    assert "egment" not in str(found) + found._repr_html_().split("plotly")[0].split("<style")[0]


def test_a_threshold_does_not_matter_to_a_segment_that_was_always_worse() -> None:
    table = regional(fall=0.0)
    east = np.flatnonzero(table.region == "east")
    flip = east[np.random.default_rng(2).random(len(east)) < 0.35]
    table.loc[flip, "y_pred"] = 1 - table.y_true[flip]
    found = watched(table, threshold=0.8)
    assert (found.segments.verdict == "no alarm").all()
    assert found.segments.set_index("segment").kpi_after["east"] < 0.75
    assert "not with --threshold" in found._repr_html_()


def test_numbers_are_cut_at_quantiles_of_the_reference_and_few_numbers_are_values() -> None:
    table = regional().assign(hour=lambda frame: pd.to_datetime(frame.when).dt.hour, day=lambda frame: pd.to_datetime(frame.when).dt.weekday)
    found = watched(table, ["x", "hour", "day"]).segments.groupby("column").segment.apply(set)
    assert len(found["x"]) == 4 and any(name.startswith("≤ ") for name in found["x"]) and any(name.startswith("> ") for name in found["x"])
    assert len(found["hour"]) == 4
    assert found["day"] == set("0123456")


def test_a_number_beyond_the_reference_is_in_the_last_range() -> None:
    table = regional()
    table.loc[SEGMENT_REFERENCE:, "x"] += 100
    found = watched(table, "x").segments
    last = found[found.segment.str.startswith(">")].iloc[0]
    assert last.rows_after == SEGMENT_ROWS - SEGMENT_REFERENCE


def test_missing_new_and_rare_values_have_segments_of_their_own() -> None:
    table = regional()
    rng = np.random.default_rng(4)
    many = np.char.add("c", rng.integers(0, 400, len(table)).astype(str)).astype(object)
    many[rng.random(len(table)) < 0.1] = None
    many[-50:] = "never seen"
    found = watched(table.assign(many=many, region=table.region.where(table.index % 7 > 0).replace("south", "missing")), ("many", "region"))
    names = found.segments.groupby("column").segment.apply(set)
    assert {"missing", "other", "new"} < names["many"]
    assert len(names["many"]) == MOST + 3
    assert {"missing", "'missing'"} < names["region"]
    row = found.segments.set_index(["column", "segment"])
    assert row.verdict["many", "new"] == "too small" and row.rows_after["many", "new"] == 50
    assert row.verdict["many", "missing"] == "no alarm"
    assert sum("rarest are the segment 'other'" in note or "never had" in note for note in found.result.segments.notes) == 2


def test_segments_that_are_too_small_are_said_and_take_nothing_of_alpha() -> None:
    table = regional()
    small = table.region.where(table.index % 400 > 0, "tiny")
    found = watched(table.assign(region=small))
    tiny = found.segments.set_index("segment").loc["tiny"]
    assert (tiny.verdict, tiny.kind) == ("too small", "cannot tell") and np.isnan(tiny.evidence)
    assert tiny.rows_before < segment_evidence.LEAST_ROWS
    assert "1 segment with fewer than 50 labelled rows" in found._repr_html_()
    evidence = [watched(one, block="W").segments.set_index("segment").evidence for one in (table.assign(region=small), table[small != "tiny"])]
    assert evidence[0][list(SHARES)].tolist() == pytest.approx(evidence[1][list(SHARES)].tolist(), rel=0.3)


def test_all_too_small_is_a_result() -> None:
    found = watched(regional(rows=300), reference=40)
    assert (found.segments.verdict == "too small").all()
    assert "No segment can be judged" in str(found)
    assert found._repr_html_()


def test_a_constant_column_is_the_whole_table() -> None:
    found = watched(regional().assign(fuel="diesel"), "fuel")
    assert found.segments.segment.tolist() == ["diesel"]
    assert any("its segment is the whole table" in note for note in found.result.segments.notes)


def test_an_empty_column_is_one_missing_segment() -> None:
    found = watched(regional().assign(fuel=None), "fuel")
    assert found.segments.segment.tolist() == ["missing"]


def test_ten_thousand_texts_are_a_hundred_segments_and_the_rest() -> None:
    rng = np.random.default_rng(5)
    table = regional().assign(code=np.char.add("customer ", rng.zipf(1.3, SEGMENT_ROWS).clip(max=10_000).astype(str)))
    found = watched(table, "code").segments
    assert len(found) <= MOST + 2
    assert found.verdict.isin({"no alarm", "too small"}).all()


@pytest.mark.parametrize(
    ("segments", "kind", "told"),
    [
        ("regoin", DataError, "did you mean 'region'"),
        ("y_true", SettingsError, "holds the labels or predictions"),
        ("y_pred", SettingsError, "holds the labels or predictions"),
        ("when", SettingsError, "is the time"),
        ("id", SettingsError, "is an identifier"),
        ("uuid", SettingsError, "is an identifier"),
        ("born", SettingsError, "holds times"),
        ("lists", SettingsError, "holds lists"),
        (["region", "region"], SettingsError, "twice"),
    ],
)
def test_a_column_that_cannot_be_segments_is_refused_in_one_line(segments: Any, kind: type[DriftloopError], told: str) -> None:
    table = regional(rows=500).assign(
        id=range(500),
        uuid=[f"{at:08x}" for at in np.random.default_rng(1).permutation(500)],
        born=pd.Timestamp("1990-01-01"),
        lists=[[1]] * 500,
    )
    with pytest.raises(kind, match=told) as caught:
        watched(table, segments, reference=200)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["category", "string", "boolean", "float32", "Int64"])
def test_every_dtype_makes_segments(dtype: str) -> None:
    made = {"category": "abc", "string": "abc", "boolean": [True, False, None], "float32": [0.5, 1.5, np.nan], "Int64": [1, 2, None]}[dtype]
    values = pd.Series(list(itertools.islice(itertools.cycle(made), SEGMENT_ROWS)), dtype=object)
    found = watched(regional().assign(group=values.astype(dtype)), "group")
    assert set(found.segments.segment) == {
        "category": {"a", "b", "c"}, "string": {"a", "b", "c"}, "boolean": {"True", "False", "missing"}, "float32": {"0.5", "1.5", "missing"},
        "Int64": {"1", "2", "missing"},
    }[dtype]  # fmt: skip


def test_infinite_numbers_are_in_the_outer_ranges() -> None:
    table = regional()
    table.loc[::100, "x"] = np.inf
    table.loc[1::100, "x"] = -np.inf
    assert len(watched(table, "x").segments) == 4


def test_rows_without_labels_are_not_counted() -> None:
    table = regional()
    table.loc[table.index % 2 == 0, "y_true"] = None
    found = watched(table).segments
    assert found.rows_before.sum() == SEGMENT_REFERENCE / 2
    unlabelled = regional()
    unlabelled.loc[(unlabelled.region == "east") & (unlabelled.index >= SEGMENT_REFERENCE), "y_true"] = None
    east = watched(unlabelled).segments.set_index("segment").loc["east"]
    assert (east.verdict, east.kind, east.rows_after) == ("no labels", "cannot tell", 0)


@pytest.mark.parametrize("kpi", ["mae", "rmse"])
def test_segments_of_a_regression(kpi: str) -> None:
    rng, table = np.random.default_rng(6), regional()
    table["y_true"] = rng.normal(50, 10, len(table))
    worse = (table.region == "east") & (table.index >= SEGMENT_REFERENCE)
    table["y_pred"] = table.y_true + rng.exponential(1, len(table)) * np.where(worse, 2, 1)
    found = watched(table, kpi=kpi, unit="minutes")
    assert found.segments.segment[0] == "east" and found.segments.verdict.tolist().count("drift") == 1
    assert found.segments.gain[0] < 0 and "minutes worse than" in str(found)
    assert found._repr_html_()


def test_a_kpi_of_whole_blocks_is_judged_by_its_blocks() -> None:
    table = regional(where="north", rows=20_000)
    found = watched(table, kpi="f1", block=200, reference=6000)
    north = found.segments.set_index("segment").loc["north"]
    assert north.verdict == "drift"
    assert set(found.segments.segment) == set(SHARES)
    assert found.result.segments.least == segment_evidence.LEAST_BLOCKS
    assert found._repr_html_()


def test_errors_that_never_happen_or_always_do_have_a_defined_result() -> None:
    table = regional(fall=0.0)
    table.loc[table.region == "south", "y_pred"] = table.y_true[table.region == "south"]
    table.loc[table.region == "east", "y_pred"] = 1 - table.y_true[table.region == "east"]
    found = watched(table).segments.set_index("segment")
    assert found.verdict[["south", "east"]].tolist() == ["no alarm", "no alarm"]


def test_names_are_escaped_and_a_long_one_is_cut() -> None:
    table = regional()
    found = watched(table.assign(region=table.region.replace({"west": "<script>alert(1)</script>", "east": "e" * 500})))
    html = found._repr_html_()
    assert found.segments.segment[0] == "<script>alert(1)</script>"
    assert "<script>alert" not in html
    assert max(map(len, found.segments.segment)) < 70


def test_the_report_has_a_plot_and_a_table(tmp_path: Any, fallen: dl.FrameWatch) -> None:
    page = Page(fallen.report(tmp_path / "r.html").read_text())
    table = next(one for one in page.tables if one and one[0][0] == "segment")
    assert len(table) == 1 + len(fallen.segments)
    assert table[1][0] == "region: west" and table[1][1] == "concept drift"
    assert "plot-segments" in page.html


def test_the_smallest_mean_over_the_sets_with_an_e_value() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        evidence = rng.exponential(3, 6) ** 2
        sets = [list(one) for size in range(1, 7) for one in itertools.combinations(range(6), size)]
        worst = [min(evidence[one].mean() for one in sets if at in one) for at in range(6)]
        assert adjusted(evidence) == pytest.approx(worst)
    assert adjusted(np.zeros(0)).tolist() == []


def test_the_evidence_of_a_segment_is_an_e_value() -> None:
    """Its mean over streams without a rise is at most 1, in every block."""
    found = []
    for seed in range(400):
        rng = np.random.default_rng(5000 + seed)
        rises = Rises([rng.random(80) < 0.2], largest=np.ones(1))
        found.append([float(rises.update(rng.random(30) < 0.2, np.zeros(30, int))[0]) for _ in range(20)])
    assert np.mean(found, axis=0).max() <= 1


def test_no_segment_is_named_in_more_than_five_percent_of_streams_without_a_rise() -> None:
    named, segments = 0, 10
    for seed in range(200):
        rng = np.random.default_rng(20_000 + seed)
        levels, sizes = rng.uniform(0.02, 0.4, segments), np.geomspace(60, 800, segments).astype(int)
        rises = Rises([rng.random(size) < level for size, level in zip(sizes, levels, strict=True)], largest=np.ones(segments))
        blocks = (rng.choice(segments, 150, p=sizes / sizes.sum()) for _ in range(30))
        named += any((adjusted(rises.update(rng.random(150) < levels[segment], segment)) >= 20).any() for segment in blocks)
    assert named <= 0.05 * 200


def test_rows_that_repeat_count_once() -> None:
    rng = np.random.default_rng(8)
    few = [np.repeat(rng.random(20), 10) for _ in range(30)]
    assert np.median(rows_in_one(few)) > 5
    assert np.median(rows_in_one([rng.random(200) for _ in range(30)])) < 1.3


def test_blocks_that_wait_for_labels_are_not_judged_by_segment_either() -> None:
    table = regional(fall=0.9)
    shown = watched(table[:4000], label_delay="60d")
    assert not shown.segments.verdict.eq("drift").any() and shown.segments.rows_after.sum() == 0
    assert watched(table[:4000]).segments.rows_after.sum() == 1000
