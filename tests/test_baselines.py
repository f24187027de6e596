"""The honest baselines, and the figures they are known to reach on ELEC."""

import numpy as np
import pytest

from driftloop import baselines, kpi, streams

LABELS = np.array([0, 1, 1, 0, 2, 1])


@pytest.fixture(scope="module")
def elec_labels() -> np.ndarray:
    return streams.load().labels


def test_no_change_is_right_in_85_33_percent_of_elec(elec_labels: np.ndarray) -> None:
    predicted = baselines.no_change(elec_labels, 1, len(elec_labels))
    assert kpi.accuracy(elec_labels[1:], predicted) == pytest.approx(0.8533, abs=5e-5)


def test_the_same_half_hour_yesterday_is_right_in_65_6_percent_of_elec(elec_labels: np.ndarray) -> None:
    predicted = baselines.same_time_yesterday(elec_labels, 0, len(elec_labels), period=48)
    assert np.count_nonzero(predicted == kpi.NO_PREDICTION) == 48
    assert kpi.accuracy(elec_labels, predicted) == pytest.approx(0.656, abs=5e-4)


def test_always_down_is_right_in_57_5_percent_of_elec(elec_labels: np.ndarray) -> None:
    predicted = baselines.majority(elec_labels, rows=len(elec_labels))
    assert kpi.accuracy(elec_labels, predicted) == pytest.approx(0.575, abs=5e-4)


def test_no_change_copies_the_row_before_also_across_the_start_of_the_block() -> None:
    assert baselines.no_change(LABELS, 2, 5).tolist() == [1, 1, 0]


def test_the_first_row_of_a_stream_has_no_row_to_copy() -> None:
    assert baselines.no_change(LABELS, 0, 3).tolist() == [kpi.NO_PREDICTION, 0, 1]
    assert baselines.previous_block_last(LABELS, 0, 2).tolist() == [kpi.NO_PREDICTION] * 2


def test_same_time_yesterday_is_silent_before_the_first_day_is_over() -> None:
    assert baselines.same_time_yesterday(LABELS, 2, 6, period=4).tolist() == [kpi.NO_PREDICTION, kpi.NO_PREDICTION, 0, 1]
    assert baselines.same_time_yesterday(LABELS, 0, 3, period=4).tolist() == [kpi.NO_PREDICTION] * 3


def test_same_time_yesterday_is_silent_without_a_regular_day() -> None:
    assert baselines.same_time_yesterday(LABELS, 0, 2, period=None).tolist() == [kpi.NO_PREDICTION] * 2


def test_the_blockwise_no_change_uses_no_label_of_its_block() -> None:
    changed = LABELS.copy()
    changed[3:] = 9
    assert baselines.previous_block_last(LABELS, 3, 6).tolist() == baselines.previous_block_last(changed, 3, 6).tolist() == [1, 1, 1]


def test_majority_takes_the_lower_class_on_a_tie_and_nothing_from_no_rows() -> None:
    assert baselines.majority(np.array([2, 1, 1, 2]), rows=2).tolist() == [1, 1]
    assert baselines.majority(np.array([], dtype=np.int64), rows=2).tolist() == [kpi.NO_PREDICTION] * 2


@pytest.mark.parametrize(("start", "stop"), [(start, stop) for stop in range(7) for start in range(stop + 1)])
def test_every_baseline_answers_for_every_row_asked(start: int, stop: int) -> None:
    for predicted in (
        baselines.no_change(LABELS, start, stop),
        baselines.same_time_yesterday(LABELS, start, stop, period=2),
        baselines.previous_block_last(LABELS, start, stop),
        baselines.majority(LABELS, rows=stop - start),
    ):
        assert predicted.shape == (stop - start,)
