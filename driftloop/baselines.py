"""Predictions that cost nothing, so that a model's figure is never shown alone.

Each function answers with class indices for rows `start` (inclusive) to `stop` (exclusive), shape
(stop - start,), and `kpi.NO_PREDICTION` where it has nothing to say; `kpi.accuracy` leaves those rows out.

They do not play the same game as a model whose labels come when the block ends:

    no_change              needs each previous row's label at once          (per row; flattering in a blockwise table)
    same_time_yesterday    needs labels `period` rows old                   (blockwise when the block is at most a day long)
    previous_block_last    needs the last label before the block            (blockwise)
    majority               needs the labels of the training rows            (known before the stream starts)
"""

from __future__ import annotations

import numpy as np

from driftloop.kpi import NO_PREDICTION


def no_change(labels: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Predict for each row the label of the row before it.

    Row i needs label i - 1, known one row earlier; inside a block that is before the model's own labels come.
    Row 0 of the stream has no prediction.

    >>> no_change(np.array([0, 0, 1, 1]), 1, 4)
    array([0, 0, 1])
    """
    return _shifted(labels, start, stop, by=1)


def same_time_yesterday(labels: np.ndarray, start: int, stop: int, *, period: int | None) -> np.ndarray:
    """Predict for each row the label `period` rows before it, such as the same half-hour of the day before.

    Row i needs label i - period: known when row i comes, and known when the block starts if i - period < start.
    The first `period` rows of the stream have no prediction, and no row has one when `period` is None
    (the stream has no regular day).

    >>> same_time_yesterday(np.array([0, 1, 1, 0]), 1, 4, period=2)
    array([-1,  0,  1])
    """
    return np.full(stop - start, NO_PREDICTION) if period is None else _shifted(labels, start, stop, by=period)


def previous_block_last(labels: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Predict for the whole block the last label known when it starts: the no-change of the blockwise game.

    Needs label start - 1 only, known when the block before has ended. A block at row 0 has no prediction.

    >>> previous_block_last(np.array([0, 1, 0, 0]), 2, 4)
    array([1, 1])
    """
    return np.full(stop - start, labels[start - 1] if start else NO_PREDICTION)


def majority(training_labels: np.ndarray, *, rows: int) -> np.ndarray:
    """Predict for each of `rows` rows the class most frequent in the training labels (the lower index on a tie).

    Needs the training labels only. Without any there is no prediction.

    >>> majority(np.array([1, 0, 1]), rows=2)
    array([1, 1])
    """
    return np.full(rows, np.bincount(training_labels).argmax() if len(training_labels) else NO_PREDICTION)


def _shifted(labels: np.ndarray, start: int, stop: int, *, by: int) -> np.ndarray:
    predicted = np.full(stop - start, NO_PREDICTION)
    first = min(max(start, by), stop)  # first row whose older label exists
    predicted[first - start :] = labels[first - by : stop - by]
    return predicted
