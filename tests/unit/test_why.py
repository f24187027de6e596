"""Why a KPI fell: the part of moved inputs by feature, the rest by segment."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pages import Page
from predictions_sample import predictions
from scipy.stats import norm
from threadpoolctl import threadpool_limits

import driftloop as dl
from driftloop.data.schema.schema import Column
from driftloop.drift.kind.attribution import LEAST_ROWS, Attribution, attribute
from driftloop.drift.kind.decomposition import KpiPart
from driftloop.errors import SettingsError
from driftloop.system.json_values import plain

ROWS = 3000
MOVED = 0.8
DATA = -0.3 * (norm.sf(0.5 - MOVED) - norm.sf(0.5))  # what the move of the first feature does to the accuracy
CONCEPT = -0.2 * norm.sf(1)  # what the second segment does


@pytest.fixture(autouse=True)
def quiet_and_on_one_core() -> Iterator[None]:
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("error")
        yield


def drawn(seed: int, *, concept: bool = True, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs before and after, and what is right: the first two move, only the first matters; where the third is over 1 the model becomes worse."""
    rng = np.random.default_rng(seed)
    old, new = rng.standard_normal((rows, 4)), rng.standard_normal((rows, 4)) + np.array([MOVED, MOVED, 0, 0])
    chances = [np.where(side[:, 0] > 0.5, 0.6, 0.9) for side in (old, new)]
    chances[1] = chances[1] - 0.2 * (new[:, 2] > 1) * concept
    right = [(rng.random(rows) < chance).astype(float) for chance in chances]
    return old, new, right[0], right[1]


def explained(seed: int, **settings: Any) -> Attribution:
    old, new, before, now = drawn(seed, **settings)
    high = np.concatenate([old, new])[:, 2] > 1
    found = attribute(old, new, (before, now), names=list("abcd"), segments={"third": (high.astype(int), ["low", "high"])})
    assert found is not None
    return found


def test_the_parts_sum_to_the_change() -> None:
    found = explained(1)
    _, _, before, now = drawn(1)
    assert found.change.change == pytest.approx(now.mean() - before.mean())
    assert found.data.change + found.concept.change == pytest.approx(found.change.change)
    assert sum(one.change.change for one in found.features) == pytest.approx(found.data.change)
    assert sum(one.data.change for one in found.segments) == pytest.approx(found.data.change)
    assert sum(one.concept.change for one in found.segments) == pytest.approx(found.concept.change)


def test_the_feature_that_moved_and_matters_explains_the_inputs_part() -> None:
    first, *others = explained(2).features
    assert first.name == "a" and first.change.upper < 0
    idle = next(one for one in others if one.name == "b")
    assert idle.distance == pytest.approx(first.distance, abs=0.06)
    assert idle.importance < 0.1
    assert first.importance > 0.8
    assert max(abs(one.change.change) for one in others) < 0.015


def test_the_segment_in_which_the_labels_changed_has_the_rest() -> None:
    high = next(one for one in explained(3).segments if one.segment == "high")
    assert high.concept.upper < 0
    assert high.concept.change == pytest.approx(CONCEPT, abs=0.02)


def test_the_intervals_hold_the_truth() -> None:
    found = [explained(seed) for seed in range(200, 220)]
    held = [(one.data.lower <= DATA <= one.data.upper, one.concept.lower <= CONCEPT <= one.concept.upper) for one in found]
    assert np.mean(held) >= 0.9


def test_nothing_is_explained_where_nothing_moved() -> None:
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((2 * ROWS, 3))
    right = (rng.random(2 * ROWS) < np.where(rows[:, 0] > 0, 0.6, 0.9)).astype(float)
    found = attribute(rows[:ROWS], rows[ROWS:], (right[:ROWS], right[ROWS:]), names=list("abc"))
    assert found is not None
    assert found.data.lower < 0 < found.data.upper and found.concept.lower < 0 < found.concept.upper
    assert max(one.distance for one in found.features) < 0.06


def test_categories_and_missing_values_are_inputs_like_others() -> None:
    rng = np.random.default_rng(5)
    fuel = np.concatenate([rng.choice(3, ROWS, p=[0.8, 0.1, 0.1]), rng.choice(3, ROWS, p=[0.2, 0.7, 0.1])]).astype(float)
    size = rng.standard_normal(2 * ROWS)
    size[ROWS:][rng.random(ROWS) < 0.5] = np.nan
    right = (rng.random(2 * ROWS) < np.where(fuel == 1, 0.6, 0.9)).astype(float)
    columns = [Column("fuel", "feature", "category", categories=("gas", "oil", "wood")), Column("size", "feature", "number")]
    rows = np.column_stack([fuel, size])
    found = attribute(rows[:ROWS], rows[ROWS:], (right[:ROWS], right[ROWS:]), names=["fuel", "size"], columns=columns)
    assert found is not None
    assert [one.name for one in found.features] == ["fuel", "size"] and found.features[0].change.upper < 0
    assert found.features[0].distance == pytest.approx(0.6, abs=0.05)  # total variation
    assert found.features[1].distance == pytest.approx(0.5, abs=0.05)  # of what is missing


@pytest.mark.parametrize("broken", ["constant", "empty", "empty before", "empty after", "always right"])
def test_degenerate_columns_have_a_defined_result(broken: str) -> None:
    old, new, before, now = drawn(6)
    for side, name in ((old, "before"), (new, "after")):
        if broken in {"empty", f"empty {name}"}:
            side[:, 1] = np.nan
        elif broken == "constant":
            side[:, 1] = 7.0
    if broken == "always right":
        before[:] = 1
    found = attribute(old, new, (before, now), names=list("abcd"))
    assert found is not None
    assert np.isfinite([part for one in found.features for part in (one.change.change, one.change.lower, one.distance, one.importance)]).all()


def test_too_few_rows_or_no_inputs_are_not_explained() -> None:
    old, new, before, now = drawn(7)
    few = LEAST_ROWS - 1
    assert attribute(old[:few], new, (before[:few], now), names=list("abcd")) is None
    assert attribute(old[:, :0], new[:, :0], (before, now), names=[]) is None


def table(seed: int = 8) -> pd.DataFrame:
    old, new, before, now = drawn(seed)
    rows, right = np.concatenate([old, new]), np.concatenate([before, now]).astype(bool)
    true = np.random.default_rng(seed).integers(0, 2, len(rows))
    made = pd.DataFrame(rows, columns=["income", "age", "c", "d"]).assign(band=np.where(rows[:, 2] > 1, "high", "low"))
    return made.assign(when=pd.date_range("2024-01-01", periods=len(rows), freq="h"), y_true=true, y_pred=np.where(right, true, 1 - true))


def watched(frame: pd.DataFrame, **settings: Any) -> dl.FrameWatch:
    given: dict[str, Any] = {"target": "y_true", "prediction": "y_pred", "time": "when", "reference": ROWS}
    return dl.watch(frame, **(given | settings))


def test_a_watch_explains_a_proven_fall_in_report_and_json(tmp_path: Path) -> None:
    found = watched(table(), segments="band")
    assert found.why is not None
    assert found.why.features[0].name == "income"
    assert {one.segment for one in found.why.segments} == {"high", "low"}
    assert str(found.why).startswith("accuracy -0.1")
    body = json.loads(json.dumps(plain(found.as_json())))
    assert body["why"]["features"][0]["name"] == "income" and body["why"]["data"]["upper"] < 0
    page = Page(found.report(tmp_path / "r.html").read_text())
    assert "moved inputs explain" in page.text
    assert any(one[0][0] == "moved feature" and one[1][0] == "income" for one in page.tables)
    assert found.plot("why").data and found.plot("segments").data and found.plot().data


def test_without_a_fall_or_inputs_there_is_nothing_to_explain() -> None:
    steady = watched(predictions(fall=6000), reference=2400)
    assert steady.why is None and steady.as_json()["why"] is None
    with pytest.raises(SettingsError, match="give one of kpi"):
        steady.plot("why")
    assert watched(table()[["when", "y_true", "y_pred"]]).why is None


@pytest.mark.parametrize(("kpi", "name"), [("mae", "MAE"), ("rmse", "mean squared error")])
def test_the_errors_of_a_regression_are_explained(kpi: str, name: str) -> None:
    frame, rng = table(), np.random.default_rng(9)
    frame["y_true"] = rng.normal(50, 10, len(frame))
    frame["y_pred"] = frame.y_true + rng.exponential(1, len(frame)) * np.where(frame.income > 0.5, 3, 1)
    found = watched(frame, kpi=kpi, unit="minutes")
    assert found.why is not None
    assert found.why.kpi == name and found.why.data.lower > 0
    assert found.why.features[0].name == "income"
    html = found._repr_html_()
    assert "moved inputs explain −" in html  # worse is negative


def test_of_a_kpi_of_whole_blocks_the_accuracy_is_explained() -> None:
    found = watched(table(), kpi="f1", block=30, threshold=0.85)
    assert found.why is not None and found.why.kpi == "accuracy"
    assert isinstance(found.why.data, KpiPart) and found._repr_html_()
