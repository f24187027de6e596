"""The two tasks keep one contract, and each is right about its own KPI."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftloop import settings
from driftloop.data import blocks, streams
from driftloop.errors import DataError, SettingsError
from driftloop.metrics import data_quality, promotion, task
from driftloop.metrics.task import CLASSIFICATION, REGRESSION


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A hundred rows of a regression over four months, three of them impossible."""
    rng = np.random.default_rng(0)
    x = rng.random(100)
    x[[10, 60, 61]] = 1e6
    frame = pd.DataFrame({"time": pd.date_range("2020-01-15", periods=100, freq="D"), "x": x, "target": np.round(3 * x, 3)})
    path = tmp_path / "values.csv"
    frame.to_csv(path, index=False)
    return path


def implausible(frame: pd.DataFrame) -> dict[int, str]:
    return {int(row): f"x over 1 ({frame['x'][row]:g})" for row in np.flatnonzero(frame["x"] > 1)}


def load(path: Path) -> streams.Stream:
    return streams.load(path, time_column="time", bad_rows="set_aside", task_name="regression", unit="m", check=implausible)


@pytest.mark.parametrize("name", settings.TASKS)
def test_a_task_is_found_by_its_name(name: str) -> None:
    assert task.of(name).name == name


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(SettingsError, match="--task is 'ranking'"):
        task.of("ranking")


@pytest.mark.parametrize(
    ("doing", "labels", "good", "bad"),
    [(CLASSIFICATION, [0, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]), (REGRESSION, [1.0, 2, 3, 4], [1.1, 2, 3, 4], [2.0, 3, 3, 4])],
)
def test_fewer_losses_are_a_better_kpi(doing: task.Task, labels: list, good: list, bad: list) -> None:
    better, worse = (doing.value(doing.losses(np.array(labels), np.array(predicted))) for predicted in (good, bad))
    assert doing.better(better, worse) and not doing.better(worse, better) and not doing.better(float("nan"), worse)
    assert doing.ahead(better, worse) > 0


@pytest.mark.parametrize("doing", [CLASSIFICATION, REGRESSION])
def test_the_kpi_lies_in_its_interval(doing: task.Task) -> None:
    rng = np.random.default_rng(1)
    losses = rng.random(200) < 0.3 if doing is CLASSIFICATION else rng.exponential(2.0, 200)
    lower, upper = doing.interval(losses)
    assert lower < doing.value(losses) < upper


@pytest.mark.parametrize("doing", [CLASSIFICATION, REGRESSION])
def test_without_rows_the_kpi_is_undefined(doing: task.Task) -> None:
    assert np.isnan(doing.value(np.empty(0))) and np.isnan(doing.interval(np.empty(0))).all()


def test_a_clearly_nearer_challenger_is_promoted_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(2)
    champion = rng.exponential(3.0, 1000)
    equal = promotion.judge(REGRESSION, champion, rng.exponential(3.0, 1000), start=0, alpha=0.05)
    nearer = promotion.judge(REGRESSION, champion, 0.7 * champion, start=0, alpha=0.05)
    assert (equal.better, nearer.better) == (False, True)
    assert "MAE" in nearer.words and nearer.after < nearer.before


def test_a_few_huge_errors_of_the_champion_do_not_promote_a_worse_challenger() -> None:
    rng = np.random.default_rng(3)
    champion, challenger = rng.exponential(2.0, 1000), rng.exponential(2.4, 1000)
    champion[:3] = 2000.0
    found = promotion.judge(REGRESSION, champion, challenger, start=0, alpha=0.1)
    assert found.after < found.before and not found.better


def test_two_equal_models_whose_lead_wanders_with_the_hours_are_told_apart_about_as_often_as_alpha_says() -> None:
    rng = np.random.default_rng(4)
    wins = 0
    for _ in range(300):
        lead = np.repeat(rng.standard_normal(100), 10)  # ten neighbours lean to the same side
        wins += promotion.judge(REGRESSION, np.abs(3 + lead), np.full(1000, 3.0), start=0, alpha=0.1).p_value <= 0.1
    assert wins <= 0.1 * 300 + 3 * (300 * 0.1 * 0.9) ** 0.5


def test_a_regressions_labels_are_the_values_themselves_in_time_order(table: Path) -> None:
    stream = load(table)
    assert (stream.task, stream.unit, stream.label_names, stream.labels.dtype, len(stream)) == ("regression", "m", (), np.float64, 97)
    np.testing.assert_allclose(stream.labels, np.round(3 * stream.rows[:, 0].astype(float), 3), atol=1e-3)


def test_rows_set_aside_are_counted_in_the_block_where_they_stand(table: Path) -> None:
    stream = load(table)
    cut = list(blocks.cut_calendar(stream.times, 0, len(stream), by="month"))
    found = [data_quality.of_block(stream, block) for block in cut]
    assert [block.rows for block in cut] == [16, 29, 29, 23]
    assert [one.set_aside for one in found] == [1, 0, 2, 0]
    assert [one.reasons for one in found if one.set_aside] == [(("x over 1", 1),), (("x over 1", 2),)]


def test_a_mean_that_only_impossible_values_move_is_called_data_quality(table: Path) -> None:
    stream = load(table)
    told = [data_quality.of_block(stream, block).message for block in blocks.cut_calendar(stream.times, 0, len(stream), by="month")]
    assert ["data quality, not drift" in words for words in told] == [True, False, True, False]


def test_a_regression_without_a_table_is_refused() -> None:
    with pytest.raises(SettingsError, match="--data_path"):
        streams.load(task_name="regression")


def test_labels_that_are_no_numbers_are_refused_for_a_regression(tmp_path: Path) -> None:
    path = tmp_path / "text.csv"
    path.write_text("time,x,target\n2024-01-01,1,UP\n2024-01-02,2,DOWN\n")
    with pytest.raises(DataError, match="holds no numbers"):
        streams.load(path, time_column="time", task_name="regression")
