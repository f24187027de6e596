"""Online learners, updated after every block and never refitted: dynamic logistic and linear regression at several speeds.

The weights follow a random walk, so that old rows are down-weighted; after each block the posterior of the weights is
updated by Newton's method (Laplace approximation), for values by least squares with Huber's weights. A stream's drift speed is
unknown beforehand, so members with different speeds are averaged. The intercept may walk faster than the other weights: the
level of the decision boundary moves first, such as ELEC's mean price of the last day.

West, Harrison, Migon: Dynamic generalized linear models and Bayesian forecasting, JASA 80, 1985. McCormick, Raftery,
Madigan, Burd: Dynamic logistic regression and dynamic model averaging for binary classification, Biometrics 68, 2012
(they weight the members by their likelihood; an equal mean did better on ELEC).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from driftloop.data.streams import Stream

DAY_ROWS: Final = 48  # the variances below are per this many rows
LEVEL_VARIANCES: Final = (1e-4, 1e-3, 1e-2, 1e-1)  # variance of the intercept's walk, one member each
# The same of classes learned in blocks of at most a day, over such a block. Chosen on ELEC's first 70 %. Longer blocks outlast what their last rows tell.
FAST_LEVELS: Final = (1e-3, 1e-1, 3.0, 30.0)
FAST_ROWS: Final = 24  # learned at once with them
WEIGHT_VARIANCE: Final = 1e-4  # variance of every other weight's walk
PRIOR_VARIANCE: Final = 0.1
HARMONICS: Final = 4  # of the day
DAYS_A_WEEK: Final = 7
SCALE_FLOOR: Final = 0.05  # an almost constant column is scaled by this share of its size
CLIP: Final = 8.0
NEWTON_STEPS: Final = 8
MOST_CATEGORIES: Final = 50  # of a column; all others are alike
HUBER: Final = 1.345  # deviations of the noise from which a residual's influence grows no more
NOISE_ROWS: Final = 200  # newest rows that the noise is measured on, about
SKEWED: Final = 1.0  # skewness of all-positive values from which their logarithm is learned
FARTHEST: Final = 1e6  # later values count as at most so many times the largest of the training rows
LARGEST_STEP: Final = 2.0  # largest change of a weight in one Newton step: a full step from far away overshoots


def of_stream(stream: Stream, rows: np.ndarray, first: int, *, block_rows: int) -> OnlineLearner | OnlineRegression:
    """The learner of a stream whose rows (N, D) are as `numeric` gives them; those before `first` are its training rows."""
    if stream.label_names:
        return OnlineLearner(features=rows.shape[1], classes=len(stream.label_names), period=stream.period, fast=block_rows <= DAY_ROWS)
    return OnlineRegression(features=rows.shape[1], period=stream.period, labels=stream.labels[:first])


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


class _Walk:
    """Weights (M, D) of several members that follow random walks of different speed, and what they are multiplied with.

    Args:
        features, period: as in `OnlineLearner`.
        targets: outputs of each member.
    """

    most_rows: int | None = None  # learned at once; None: a block

    def __init__(self, *, features: int, period: int | None, targets: int, levels: Sequence[float] = LEVEL_VARIANCES) -> None:
        self.period, self.targets = period, targets
        inputs = 1 + features + (2 * HARMONICS + DAYS_A_WEEK if period else 0)
        members = len(LEVEL_VARIANCES) * targets
        self.walk = np.full((members, inputs), WEIGHT_VARIANCE / DAY_ROWS)  # (M, D) per row
        self.walk[:, 0] = np.repeat(levels, targets) / DAY_ROWS
        self.weights = np.zeros((members, inputs))
        self.covariance = np.tile(PRIOR_VARIANCE * np.eye(inputs), (members, 1, 1))
        self.scale = _Scale(features)

    def _walked(self, rows: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take a block into the scale and let the weights walk over it: its inputs (N, D), and the weights' precision (M, D, D)."""
        self._rescale(rows)
        diagonal = np.arange(self.weights.shape[1])
        self.covariance[:, diagonal, diagonal] += self.walk * len(rows)
        return self._inputs(rows, times), np.linalg.inv(self.covariance)

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


class OnlineLearner(_Walk):
    """Learns classes block by block; predicts later rows.

    It sees only the row to predict (history 0): its features on a logarithmic scale, the time of the day and the
    day of the week. Past labels and rows act through the weights only.

    Args:
        features: number of columns F.
        classes: number of labels K; more than two are learnt one against the rest.
        period: rows a day; None leaves the time of the day and the week out.
        fast: for blocks of at most a day: the level also walks faster, and follows the newest rows of a block.

    >>> rows, labels = np.array([[-2.0], [-1.0], [1.0], [2.0]] * 12), np.array([0, 0, 1, 1] * 12)
    >>> times = np.datetime64("2024-01-01") + np.arange(48) * np.timedelta64(30, "m")
    >>> learner = OnlineLearner(features=1, classes=2, period=None)
    >>> learner.learn(rows, labels, times)
    >>> learner.predict(rows[:4], times[:4])
    array([0, 0, 1, 1])
    """

    def __init__(self, *, features: int, classes: int, period: int | None, fast: bool = False) -> None:
        super().__init__(features=features, period=period, targets=1 if classes == 2 else classes, levels=FAST_LEVELS if fast else LEVEL_VARIANCES)
        self.classes, self.most_rows = classes, FAST_ROWS if fast else None

    def learn(self, rows: np.ndarray, labels: np.ndarray, times: np.ndarray) -> None:
        """Update the weights with a labelled block.

        Args:
            rows: (N, F) raw values in time order, finite.
            labels: (N,) class indices.
            times: (N,) datetime64.
        """
        if not len(rows):
            return
        inputs, precision = self._walked(rows, times)
        wanted = (labels == 1)[None] if self.targets == 1 else labels == np.arange(self.classes)[:, None]
        wanted = np.tile(wanted, (len(LEVEL_VARIANCES), 1)).astype(float)  # (M, N)
        before = self.weights
        for _ in range(NEWTON_STEPS):
            right = _sigmoid(self.weights @ inputs.T)
            gradient = (wanted - right) @ inputs - np.einsum("mde,me->md", precision, self.weights - before)
            step = np.linalg.solve(precision + _information(right * (1 - right), inputs), gradient[..., None])[..., 0]
            largest = np.abs(step).max(axis=1, keepdims=True)
            self.weights = self.weights + step * np.minimum(1, LARGEST_STEP / np.maximum(largest, 1e-12))
            if largest.max() < 1e-3:
                break
        right = _sigmoid(self.weights @ inputs.T)
        self.covariance = np.linalg.inv(precision + _information(right * (1 - right), inputs))

    def probabilities(self, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Class probabilities, (N, K): the mean over the members. Arguments as in `learn`; even odds before the first block."""
        right = _sigmoid(self.weights @ self._inputs(rows, times).T).reshape(len(LEVEL_VARIANCES), self.targets, -1).mean(axis=0)
        if self.targets == 1:
            return np.stack([1 - right[0], right[0]], axis=1)
        return (right / right.sum(axis=0)).T

    def predict(self, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Class indices, (N,). Arguments as in `learn`."""
        return self.probabilities(rows, times).argmax(axis=1)

    def outputs(self, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        """As `Task.outputs`: the probabilities."""
        return self.probabilities(rows, times)


class OnlineRegression(_Walk):
    """As `OnlineLearner`, of values: it predicts their median. All-positive, skewed values are learned as logarithms.

    Args:
        features, period: as in `OnlineLearner`.
        labels: (N,) values of training rows, which give the scale; at least one.

    >>> rows, labels = np.array([[1.0], [2.0], [3.0], [4.0]] * 12), np.array([10.0, 20.0, 30.0, 40.0] * 12)
    >>> times = np.datetime64("2024-01-01") + np.arange(48) * np.timedelta64(30, "m")
    >>> learner = OnlineRegression(features=1, period=None, labels=labels)
    >>> for _ in range(5):
    ...     learner.learn(rows, labels, times)
    >>> bool(np.abs(learner.outputs(rows, times) - labels).mean() < 5)
    True
    """

    def __init__(self, *, features: int, period: int | None, labels: np.ndarray) -> None:
        super().__init__(features=features, period=period, targets=1)
        size = float(np.abs(labels).max()) or 1.0  # of numbers near the ends of float64 squares would overflow
        self.size, spread = size, (labels / size).std()
        skewness = (((labels / size - (labels / size).mean()) / spread) ** 3).mean() if spread > 0 else 0.0
        self.logarithmic = bool(labels.min() > 0 and skewness > SKEWED)
        self.least = max(float(labels.min()) / size / 10, 1e-300)  # later values may be 0 or less, which have no logarithm
        values = self._plain(labels)
        self.level = float(np.median(values))
        self.unit = float(values.std()) or max(SCALE_FLOOR * abs(self.level), 1e-12)
        self.low, self.high = -1.0, 1.0  # of the values so far, in this unit
        self.noise = np.ones(len(LEVEL_VARIANCES))  # mean absolute error of each member

    def learn(self, rows: np.ndarray, labels: np.ndarray, times: np.ndarray) -> None:
        """Update the weights with a labelled block. Arguments as in `OnlineLearner.learn`, `labels` are values."""
        if not len(rows):
            return
        inputs, precision = self._walked(rows, times)
        wanted, before = (self._plain(labels) - self.level) / self.unit, self.weights
        self.low, self.high = min(self.low, float(wanted.min())), max(self.high, float(wanted.max()))
        share = len(rows) / (len(rows) + NOISE_ROWS)
        self.noise = np.maximum((1 - share) * self.noise + share * np.abs(wanted - before @ inputs.T).mean(axis=1), 1e-3)
        variance = (1.25 * self.noise[:, None]) ** 2  # of normal noise
        for _ in range(NEWTON_STEPS):
            residual = np.abs(wanted - self.weights @ inputs.T)
            weights = 1 / (variance * np.maximum(1, residual / (HUBER * np.sqrt(variance))))
            gradient = (weights * (wanted - before @ inputs.T)) @ inputs
            posterior = precision + _information(weights, inputs)
            moved = before + np.linalg.solve(posterior, gradient[..., None])[..., 0]
            change, self.weights = np.abs(moved - self.weights).max(), moved
            if change < 1e-3:
                break
        self.covariance = np.linalg.inv(posterior)

    def outputs(self, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Values, (N,): the mean over the members, at most a little beyond those so far. Arguments as in `learn`; the median before the first block."""
        found = (self.weights @ self._inputs(rows, times).T).mean(axis=0).clip(self.low - 0.5, self.high + 0.5) * self.unit + self.level
        return np.asarray(self.size * (np.exp(found) if self.logarithmic else found))

    def _plain(self, labels: np.ndarray) -> np.ndarray:
        shares = np.clip(labels / self.size, -FARTHEST, FARTHEST)
        return np.asarray(np.log(np.maximum(shares, self.least)) if self.logarithmic else shares)


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


def _information(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:  # (M, N), (N, D) -> (M, D, D)
    return (inputs.T * weights[:, None, :]) @ inputs


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
