"""The honest baselines, and the figures they are known to reach on ELEC."""

from functools import partial

import numpy as np
import pytest

from driftloop.data import streams
from driftloop.metrics import baselines, kpi

LABELS = np.array([0, 1, 1, 0, 2, 1])


@pytest.fixture(scope="module")
def elec_labels() -> np.ndarray:
    return streams.load().labels


def test_no_change_is_right_in_85_33_percent_of_elec(elec_labels: np.ndarray) -> None:
    predicted = baselines.no_change(elec_labels, 1, len(elec_labels))
    assert kpi.accuracy(elec_labels[1:], predicted) == pytest.approx(0.8533, abs=5e-5)


def times(rows: int, step_minutes: int) -> np.ndarray:
    return np.datetime64("2024-01-01T00:00") + step_minutes * np.arange(rows) * np.timedelta64(1, "m")


half_days, quarter_days, half_hours = partial(times, step_minutes=720), partial(times, step_minutes=360), partial(times, step_minutes=30)


def test_the_same_half_hour_yesterday_is_right_in_65_6_percent_of_elec(elec_labels: np.ndarray) -> None:
    predicted = baselines.same_time_yesterday(elec_labels, 0, len(elec_labels), period=48, times=half_hours(len(elec_labels)))
    assert np.count_nonzero(predicted == kpi.NO_PREDICTION) == 48
    assert kpi.accuracy(elec_labels, predicted) == pytest.approx(0.656, abs=5e-4)


def test_always_down_is_right_in_57_5_percent_of_elec(elec_labels: np.ndarray) -> None:
    assert baselines.majority_class(elec_labels) == 0
    assert kpi.accuracy(elec_labels, np.zeros_like(elec_labels)) == pytest.approx(0.575, abs=5e-4)


def test_no_change_copies_the_row_before_also_across_the_start_of_the_block() -> None:
    assert baselines.no_change(LABELS, 2, 5).tolist() == [1, 1, 0]


def test_the_first_row_of_a_stream_has_no_row_to_copy() -> None:
    assert baselines.no_change(LABELS, 0, 3).tolist() == [kpi.NO_PREDICTION, 0, 1]


def test_same_time_yesterday_is_silent_before_the_first_day_is_over() -> None:
    assert baselines.same_time_yesterday(LABELS, 2, 6, period=4, times=quarter_days(6)).tolist() == [kpi.NO_PREDICTION, kpi.NO_PREDICTION, 0, 1]
    assert baselines.same_time_yesterday(LABELS, 0, 3, period=4, times=quarter_days(6)).tolist() == [kpi.NO_PREDICTION] * 3


def test_same_time_yesterday_is_silent_without_a_regular_day() -> None:
    assert baselines.same_time_yesterday(LABELS, 0, 2, period=None, times=half_days(6)).tolist() == [kpi.NO_PREDICTION] * 2


def test_same_time_yesterday_is_silent_where_a_missing_row_makes_it_another_time() -> None:
    times = np.delete(half_days(7), 3)  # the row of day 2, noon is missing
    predicted = baselines.same_time_yesterday(LABELS, 0, 6, period=2, times=times)
    assert (predicted == kpi.NO_PREDICTION).tolist() == [True, True, False, True, True, False]


@pytest.mark.parametrize(("start", "stop"), [(start, stop) for stop in range(7) for start in range(stop + 1)])
def test_every_baseline_answers_for_every_row_asked(start: int, stop: int) -> None:
    for predicted in (
        baselines.no_change(LABELS, start, stop),
        baselines.same_time_yesterday(LABELS, start, stop, period=2, times=half_days(6)),
    ):
        assert predicted.shape == (stop - start,)
