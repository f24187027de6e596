"""Windows join by id whatever the order, cut blocks in order of time, and stay bounded."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from driftloop.metrics import kpi
from monitoring import stream_settings
from monitoring.online import input_tests, judging
from monitoring.online.rolling import Blocks, Join, Newest, Row, Share


def row(number: int, *, label: int | None = None, time: int | None = None) -> Row:
    return Row(f"id-{number}", f"{number if time is None else time:06d}", "", "1", "", (float(number),), 1, None, None, label)


@pytest.mark.parametrize("order", list(itertools.permutations("PLpl")))
def test_a_row_gets_its_first_label_once_in_any_order_of_arrival_with_repeats(order: tuple[str, ...]) -> None:
    join, joined = Join(), []
    labels = iter([7, 8])
    for step in order:
        if step.lower() == "p":
            made = row(1)
            if join.prediction(made) and made.label is not None:
                joined.append(made.label)
        elif (found := join.label("id-1", next(labels))) is not None:
            joined.append(found.label)
    assert joined == [7]


def test_ids_and_early_labels_are_bounded_the_oldest_are_forgotten() -> None:
    join = Join(most=10)
    for number in range(100):
        assert join.prediction(row(number))
        join.label(f"early-{number}", 1)
    assert [number for number in range(100) if not join.prediction(row(number))] == []  # all long gone, each taken again in turn
    assert not join.prediction(row(99))
    assert [number for number in range(100) if join.knows_label(f"early-{number}")] == list(range(90, 100))


def test_blocks_are_cut_oldest_rows_first_and_no_row_is_lost_or_doubled() -> None:
    rng = np.random.default_rng(0)
    blocks, cut = Blocks(7), []
    rows = [row(number, label=0) for number in rng.permutation(100)]
    for start in range(0, 100, 10):
        for one in rows[start : start + 10]:
            blocks.add(one)
        cut += blocks.cut()
    assert all([one.time for one in block] == sorted(one.time for one in block) for block in cut)
    assert {len(block) for block in cut} == {7}
    assert (len(cut), blocks.waiting) == (14, 2)
    assert len({one.id for block in cut for one in block}) == 98


def test_rows_that_come_together_are_cut_in_order_of_time_across_blocks() -> None:
    blocks = Blocks(3)
    for number in (5, 1, 4, 0, 3, 2):
        blocks.add(row(number, label=0))
    assert [[one.id for one in block] for block in blocks.cut()] == [["id-0", "id-1", "id-2"], ["id-3", "id-4", "id-5"]]


def test_a_share_is_that_of_the_newest_events() -> None:
    events = np.random.default_rng(1).random(500) < 0.3
    share = Share(40)
    for count, event in enumerate(events, start=1):
        share.add(bool(event))
        assert (share.true, share.events) == (events[max(0, count - 40) : count].sum(), min(count, 40))


def test_newest_rows_come_back_in_order_when_the_ring_has_turned_over() -> None:
    newest = Newest(5, features=1)
    for number in range(13):
        newest.add((number,))
        assert newest.rows()[:, 0].tolist() == list(range(max(0, number - 4), number + 1))


def test_accuracy_and_its_interval_are_the_lifecycles() -> None:
    score = judging.Scoring(stream_settings.load()["elec"])
    figure = score.kpi(score.losses(score.codes([1, 1, 1, 0]), score.codes([1, 0, 1, 0])))
    assert (figure.value, figure.lower, figure.upper, figure.rows) == (0.75, *kpi.wilson_interval(3, 4), 4)


def test_mean_absolute_error_has_students_interval_and_a_rule_of_its_own() -> None:
    score = judging.Scoring(stream_settings.load()["taxi"])
    errors = score.losses(np.full(400, 10.0), np.random.default_rng(0).normal(10, 2, 400))
    figure = score.kpi(errors)
    assert figure.value == pytest.approx(np.abs(errors).mean())
    assert figure.upper - figure.lower == pytest.approx(2 * 1.966 * errors.std(ddof=1) / 20, rel=1e-3)
    assert score.rule().update(np.full(500, 1.0)).rule == "significant"


@pytest.mark.parametrize("stream", ["elec", "taxi"])
def test_a_kpi_of_no_rows_is_nan(stream: str) -> None:
    figure = judging.Scoring(stream_settings.load()[stream]).kpi(np.array([]))
    assert np.isnan([figure.value, figure.lower, figure.upper]).all()


def moved(reference: np.ndarray, newest: np.ndarray, rows: int = 100) -> tuple[float, float, bool]:
    """Distance, p-value and verdict of one feature."""
    (test,) = input_tests.compare(reference.reshape(-1, 1), newest.reshape(-1, 1), names=("x",), alpha=0.05, rows=rows)
    return test.distance, test.corrected, test.moved


def test_a_constant_feature_has_not_moved_while_it_stays_and_has_when_it_is_another() -> None:
    assert moved(np.full(1000, 0.7), np.full(300, 0.7)) == (0.0, 1.0, False)
    distance, _, verdict = moved(np.full(1000, 0.7), np.full(300, 0.8))
    assert (distance, verdict) == (1.0, True)


def test_missing_values_are_left_out_and_a_feature_of_nothing_else_cannot_be_told() -> None:
    rng = np.random.default_rng(0)
    old, new = rng.random(2000), rng.random(600)
    holes = new.copy()
    holes[::3] = np.nan
    assert moved(old, holes, rows=600)[0] == moved(old, holes[~np.isnan(holes)], rows=400)[0]
    assert not moved(old, holes, rows=600)[2]
    distance, p_value, verdict = moved(old, np.full(600, np.nan))
    assert np.isnan([distance, p_value]).all()
    assert not verdict


def test_a_category_that_gains_rows_moves_its_feature() -> None:
    rng = np.random.default_rng(0)
    old, same = rng.integers(1, 266, 5000).astype(float), rng.integers(1, 266, 2000).astype(float)
    airport = np.where(rng.random(2000) < 0.2, 132.0, same)
    assert not moved(old, same, rows=2000)[2]
    assert moved(old, airport, rows=2000)[2]


def test_rows_that_depend_on_each_other_get_a_wider_window_until_it_can_tell() -> None:
    rng = np.random.default_rng(0)
    slow = np.repeat(rng.random(40), 25)  # 40 independent values, 25 rows each
    alone = input_tests.compare(slow[:, None], slow[:60, None], names=("x",), alpha=0.05, rows=60)[0]
    widened = input_tests.compare(slow[:, None], slow[:, None], names=("x",), alpha=0.05, rows=60)[0]
    assert np.isnan(alone.p_value)
    assert widened.p_value > 0.05


@pytest.mark.parametrize("rows", [20, 200])
def test_without_drift_features_are_said_to_have_moved_in_at_most_alpha_of_the_comparisons(rows: int) -> None:
    rng = np.random.default_rng(rows)
    alarms = sum(
        any(test.moved for test in input_tests.compare(rng.random((500, 3)), rng.random((rows, 3)), names="abc", alpha=0.05, rows=rows)) for _ in range(40)
    )
    assert alarms <= 6  # of 40 at 5 %: more by chance in 1 of 300


def test_of_closed_rows_only_the_labels_are_kept_and_a_correction_of_them_comes_too_late() -> None:
    join, rows = Join(), [row(number) for number in range(100)]
    for one in rows:
        join.prediction(one)
        join.label(one.id, 1, at="2024-01-01")
        one.closed = True
    assert sum(isinstance(kept, Row) for kept in join._rows.values()) == 1  # the newest
    assert join.correct("id-5", 0, at="2024-01-02") is False and rows[5].label == 1
    assert join.correct("id-5", 0, at="2024-01-02") is None
    assert join.correct("id-99", 0, at="2024-01-02") is False


def test_an_open_row_and_a_label_without_its_row_are_corrected_by_newer_labels_only() -> None:
    join, one = Join(), row(1)
    join.label("id-1", 1, at="2024-01-02")
    assert join.correct("id-1", 0, at="2024-01-01") is None
    assert join.correct("id-1", 0, at="2024-01-03") is True
    join.prediction(one)
    assert one.label == 0
    assert join.correct("id-1", 1, at="2024-01-04") is True and one.label == 1
    assert join.correct("id-2", 1, at="2024-01-04") is None
