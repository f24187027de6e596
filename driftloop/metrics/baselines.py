"""Trivial baselines, so that a model's figure is never shown alone.

Each function returns class indices for rows `start` (inclusive) to `stop` (exclusive), shape
(stop - start,), and `kpi.NO_PREDICTION` where it has no prediction; `kpi.accuracy` leaves those rows out.

They are not all comparable with a model whose labels arrive when the block ends:

    no_change              needs each previous row's label at once          (per row; flattering in a blockwise table)
    same_time_yesterday    needs labels `period` rows old                   (blockwise when the block is at most a day long)
    majority               needs the labels of the training rows            (known before the stream starts)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from driftloop.metrics.kpi import NO_PREDICTION

_DAY: Final = np.timedelta64(1, "D")


def no_change(labels: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Predict for each row the label of the row before it.

    Row i needs label i - 1, known one row earlier; inside a block that is before the model's labels arrive.
    Row 0 of the stream has no prediction.

    >>> no_change(np.array([0, 0, 1, 1]), 1, 4)
    array([0, 0, 1])
    """
    return _shifted(labels, start, stop, by=1)


def same_time_yesterday(labels: np.ndarray, start: int, stop: int, *, period: int | None, times: np.ndarray) -> np.ndarray:
    """Predict for each row the label `period` rows before it, such as the same half-hour of the day before.

    Row i needs label i - period: known when row i arrives, and at the block's start if i - period < start.
    No prediction for the first `period` rows of the stream, nor where that row is not exactly one day older (`times`, datetime64:
    rows may be missing), nor for any row without a regular day (`period` None).

    >>> times = np.datetime64("2024-01-01") + 12 * np.arange(4) * np.timedelta64(1, "h")
    >>> same_time_yesterday(np.array([0, 1, 1, 0]), 1, 4, period=2, times=times)
    array([-1,  0,  1])
    """
    if period is None:
        return np.full(stop - start, NO_PREDICTION)
    predicted = _shifted(labels, start, stop, by=period)
    rows = np.arange(max(start, period), stop)
    other = times[rows] - times[rows - period] != _DAY
    predicted[rows[other] - start] = NO_PREDICTION
    return predicted


def previous(labels: np.ndarray) -> np.ndarray:
    """`no_change` for every row of a log, (N,) float64; nan before the first label, and after a row without one."""
    return np.concatenate([[np.nan], labels[:-1]]) if len(labels) else labels


def day_earlier(labels: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The label of the row whose time is a day earlier, for every row of a log in time order, (N,) float64; nan where there is none.

    >>> day_earlier(np.array([0.0, 1.0, 0.0]), np.array(["2024-01-01T06", "2024-01-02T06", "2024-01-02T07"], "datetime64[ms]"))
    array([nan,  0., nan])
    """
    if not len(times):
        return labels
    at = np.minimum(np.searchsorted(times, times - _DAY), len(times) - 1)
    return np.where(times[at] == times - _DAY, labels[at], np.nan)


def majority_class(training_labels: np.ndarray) -> int:
    """The class most frequent in the training labels, the lower index on a tie: what `majority` predicts for every row.

    >>> majority_class(np.array([2, 1, 1, 2]))
    1
    """
    return int(np.bincount(training_labels).argmax())


def _shifted(labels: np.ndarray, start: int, stop: int, *, by: int) -> np.ndarray:
    predicted = np.full(stop - start, NO_PREDICTION)
    first = min(max(start, by), stop)  # first row with an older label
    predicted[first - start :] = labels[first - by : stop - by]
    return predicted
