"""An online learner, updated after every block and never refitted: dynamic logistic regression at several speeds.

The weights follow a random walk, so that old rows are down-weighted; after each block the posterior of the weights is
updated by Newton's method (Laplace approximation). A stream's drift speed is unknown beforehand, so members with
different speeds are averaged. The intercept may walk faster than the other weights: the level of the decision
boundary moves first, such as ELEC's mean price of the last day.

West, Harrison, Migon: Dynamic generalized linear models and Bayesian forecasting, JASA 80, 1985. McCormick, Raftery,
Madigan, Burd: Dynamic logistic regression and dynamic model averaging for binary classification, Biometrics 68, 2012
(they weight the members by their likelihood; an equal mean did better on ELEC).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from driftloop.data.streams import Stream
from driftloop.metrics.task import CLASSIFICATION

DAY_ROWS: Final = 48  # the variances below are per this many rows
LEVEL_VARIANCES: Final = (1e-4, 1e-3, 1e-2, 1e-1)  # variance of the intercept's walk, one member each
WEIGHT_VARIANCE: Final = 1e-4  # variance of every other weight's walk
PRIOR_VARIANCE: Final = 0.1
HARMONICS: Final = 4  # of the day
DAYS_A_WEEK: Final = 7
SCALE_FLOOR: Final = 0.05  # an almost constant column is scaled by this share of its size
CLIP: Final = 8.0
NEWTON_STEPS: Final = 8
MOST_CATEGORIES: Final = 50  # of a column; all others are alike
LARGEST_STEP: Final = 2.0  # largest change of a weight in one Newton step: a full step from far away overshoots


def fault(stream: Stream) -> str:
    """Why it cannot learn a stream; "" where it can."""
    return "" if stream.task == CLASSIFICATION.name else "for classes only"


def numeric(stream: Stream, first: int) -> np.ndarray:
    """A stream's rows as the learner takes them, (N, D) float64: every value a finite number.

    The most frequent categories of the rows before `first` are columns of 0 and 1; a missing number is the mean of those rows, and has such a
    column, too.
    """
    parts: list[np.ndarray] = []
    for column, values in zip(stream.columns, stream.rows.T, strict=True):
        absent = np.isnan(values)
        if column.categories:
            rows = np.bincount(values[:first][~absent[:first]].astype(int), minlength=len(column.categories))
            parts.append(values[:, None] == np.argsort(-rows, kind="stable")[:MOST_CATEGORIES])
            continue
        known = values[:first][~absent[:first]]
        parts.append(np.where(absent, known.mean() if len(known) else 0.0, values)[:, None])
        if absent.any():
            parts.append(absent[:, None])
    return np.concatenate(parts, axis=1).astype(np.float64)


class OnlineLearner:
    """Learns block by block; predicts later rows.

    It sees only the row to predict (history 0): its features on a logarithmic scale, the time of the day and the
    day of the week. Past labels and rows act through the weights only.

    Args:
        features: number of columns F.
        classes: number of labels K; more than two are learnt one against the rest.
        period: rows a day; None leaves the time of the day and the week out.

    >>> rows, labels = np.array([[-2.0], [-1.0], [1.0], [2.0]] * 12), np.array([0, 0, 1, 1] * 12)
    >>> times = np.datetime64("2024-01-01") + np.arange(48) * np.timedelta64(30, "m")
    >>> learner = OnlineLearner(features=1, classes=2, period=None)
    >>> learner.learn(rows, labels, times)
    >>> learner.predict(rows[:4], times[:4])
    array([0, 0, 1, 1])
    """

    def __init__(self, *, features: int, classes: int, period: int | None) -> None:
        self.classes, self.period = classes, period
        self.targets = 1 if classes == 2 else classes
        inputs = 1 + features + (2 * HARMONICS + DAYS_A_WEEK if period else 0)
        members = len(LEVEL_VARIANCES) * self.targets
        self.walk = np.full((members, inputs), WEIGHT_VARIANCE / DAY_ROWS)  # (M, D) per row
        self.walk[:, 0] = np.repeat(LEVEL_VARIANCES, self.targets) / DAY_ROWS
        self.weights = np.zeros((members, inputs))
        self.covariance = np.tile(PRIOR_VARIANCE * np.eye(inputs), (members, 1, 1))
        self.scale = _Scale(features)

    def learn(self, rows: np.ndarray, labels: np.ndarray, times: np.ndarray) -> None:
        """Update the weights with a labelled block.

        Args:
            rows: (N, F) raw values in time order, finite.
            labels: (N,) class indices.
            times: (N,) datetime64.
        """
        if not len(rows):
            return
        self._rescale(rows)
        inputs = self._inputs(rows, times)
        wanted = (labels == 1)[None] if self.targets == 1 else labels == np.arange(self.classes)[:, None]
        wanted = np.tile(wanted, (len(LEVEL_VARIANCES), 1)).astype(float)  # (M, N)
        diagonal = np.arange(inputs.shape[1])
        self.covariance[:, diagonal, diagonal] += self.walk * len(rows)
        before, precision = self.weights, np.linalg.inv(self.covariance)
        for _ in range(NEWTON_STEPS):
            right = _sigmoid(self.weights @ inputs.T)
            gradient = (wanted - right) @ inputs - np.einsum("mde,me->md", precision, self.weights - before)
            step = np.linalg.solve(precision + _information(right, inputs), gradient[..., None])[..., 0]
            largest = np.abs(step).max(axis=1, keepdims=True)
            self.weights = self.weights + step * np.minimum(1, LARGEST_STEP / np.maximum(largest, 1e-12))
            if largest.max() < 1e-3:
                break
        self.covariance = np.linalg.inv(precision + _information(_sigmoid(self.weights @ inputs.T), inputs))

    def probabilities(self, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Class probabilities, (N, K): the mean over the members. Arguments as in `learn`; even odds before the first block."""
        right = _sigmoid(self.weights @ self._inputs(rows, times).T).reshape(len(LEVEL_VARIANCES), self.targets, -1).mean(axis=0)
        if self.targets == 1:
            return np.stack([1 - right[0], right[0]], axis=1)
        return (right / right.sum(axis=0)).T

    def predict(self, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Class indices, (N,). Arguments as in `learn`."""
        return self.probabilities(rows, times).argmax(axis=1)

    def _inputs(self, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        columns = [np.ones((len(rows), 1)), self.scale.scaled(rows)]
        if self.period:
            days = times.astype("datetime64[ns]").astype(np.int64) / 86_400e9
            angle = 2 * np.pi * np.arange(1, HARMONICS + 1) * (days % 1)[:, None]
            weekday = (days.astype(np.int64)[:, None] + 3) % DAYS_A_WEEK == np.arange(DAYS_A_WEEK)  # 1970 began on a Thursday
            columns += [np.sin(angle), np.cos(angle), weekday]
        return np.concatenate(columns, axis=1)

    def _rescale(self, rows: np.ndarray) -> None:
        """Update the scale with the block and convert the weights: the predictions stay the same."""
        old_mean, old_deviation = self.scale.mean.copy(), self.scale.deviation.copy()
        self.scale.learn(rows)
        at = slice(1, 1 + len(old_mean))
        change = np.eye(self.weights.shape[1])
        change[at, at] = np.diag(self.scale.deviation / old_deviation)
        change[0, at] = (self.scale.mean - old_mean) / old_deviation
        self.weights = self.weights @ change.T
        self.covariance = change @ self.covariance @ change.T


class _Scale:
    """Columns on a signed logarithmic scale, standardised over the rows so far.

    The unit of the logarithm, a fifth of the median size, is that of the first block and stays.
    """

    def __init__(self, features: int) -> None:
        self.rows = 0
        self.unit = np.ones(features)
        self.mean, self.deviation = np.zeros(features), np.ones(features)
        self._sum, self._squares = np.zeros(features), np.zeros(features)

    def learn(self, rows: np.ndarray) -> None:
        if not self.rows:
            size = np.median(np.abs(rows), axis=0).astype(float)
            self.unit = np.where(size > 0, 0.2 * size, 1.0)
        values = self._logarithmic(rows)
        self.rows += len(rows)
        self._sum += values.sum(axis=0)
        self._squares += (values**2).sum(axis=0)
        self.mean = self._sum / self.rows
        variance = np.maximum(self._squares / self.rows - self.mean**2, 0)
        deviation = np.maximum(np.sqrt(variance), SCALE_FLOOR * np.abs(self.mean))
        self.deviation = np.where(deviation > 0, deviation, 1.0)

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        return np.clip((self._logarithmic(rows) - self.mean) / self.deviation, -CLIP, CLIP)

    def _logarithmic(self, rows: np.ndarray) -> np.ndarray:
        return np.sign(rows) * np.log1p(np.abs(rows) / self.unit)


def _information(right: np.ndarray, inputs: np.ndarray) -> np.ndarray:  # (M, N), (N, D) -> (M, D, D)
    return (inputs.T * (right * (1 - right))[:, None, :]) @ inputs


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
