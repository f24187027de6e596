"""Estimates the accuracy of a block before its labels arrive, from the model's confidence; reports the estimate's measured error.

An isotonic fit on labelled past rows calibrates a row's confidence (the probability of its predicted class) to the chance of
being right; the mean over a block estimates its accuracy. This holds while P(Y|X) is stable: under concept drift the confidence
lags. So each estimate is kept until its labels arrive, and is trusted only if the estimates of the newest blocks were clearly
closer to the truth than the trivial guess, the mean accuracy of the blocks before: by at least a fifth, and by more than
chance. Where the accuracy hardly varies neither is closer, and no estimate is needed.

Bialek, Kuberski, Perrakis, Bifet: Estimating model performance under covariate shift without labels. arXiv 2401.08348, 2024.
Zadrozny, Elkan: Transforming classifier scores into accurate multiclass probability estimates. KDD 2002.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn.isotonic import IsotonicRegression

ROWS = 5000  # newest labelled rows that the confidence is calibrated on
MIN_ROWS = 100  # labelled rows needed before the first estimate
BLOCKS = 30  # newest blocks on which the estimate's error is measured
MIN_BLOCKS = 10  # measured blocks needed before it may be trusted
CLEARLY = 0.8  # the estimate's error must be at most this share of the guess's
ALPHA = 0.05  # level of the paired t-test: is the estimate closer to the truth than the guess?
SUM_OFF = 1e-3  # tolerance of a row's sum of probabilities around 1


@dataclass(frozen=True)
class EstimateQuality:
    """Quality of the estimates on the newest `blocks` measured blocks; nan where undefined."""

    blocks: int
    error: float  # mean absolute difference between estimate and accuracy
    guess_error: float  # the same of the guess: the mean accuracy of all blocks before
    bias: float  # mean of estimate - accuracy
    correlation: float  # correlation of estimate and accuracy over the blocks
    p_value: float  # one-sided: chance of such a lead over the guess if the estimate were no closer


@dataclass(frozen=True)
class Estimate:
    """Estimated accuracy of a block, in 0..1, the mean absolute error of such estimates so far, and whether to trust it."""

    accuracy: float
    error: float
    trustworthy: bool
    message: str  # one sentence in words


class LabelFree:
    """Estimates for one served model: call `estimate` first, then `learn` when the labels arrive.

    >>> rng = np.random.default_rng(1)
    >>> label_free = LabelFree()
    >>> for sure in [0.6, 0.9] * 20:
    ...     probabilities = np.tile([sure, 1 - sure], (200, 1))
    ...     label_free.learn(probabilities, (rng.random(200) > sure).astype(int))
    >>> told = label_free.estimate(np.tile([0.1, 0.9], (200, 1)))
    >>> round(told.accuracy, 1), told.trustworthy
    (0.9, True)
    """

    def __init__(self) -> None:
        self._confidence, self._right = np.empty(0), np.empty(0)
        self._accuracies: list[float] = []  # one entry a block so far
        self._measured: deque[tuple[float, float, float]] = deque(maxlen=BLOCKS)  # estimate, guess, accuracy

    def estimate(self, probabilities: np.ndarray) -> Estimate:
        """Estimate the accuracy on rows without labels.

        Args:
            probabilities: (rows, K) of the classes, each row adding up to 1.

        Raises:
            ValueError: invalid probabilities.
        """
        confidence = _confidence(probabilities)
        quality = self.quality()
        if not len(confidence):
            return Estimate(math.nan, quality.error, False, "cannot tell: no rows")
        if len(self._right) < MIN_ROWS:
            return Estimate(math.nan, quality.error, False, f"cannot tell: {len(self._right)} labelled rows, needs at least {MIN_ROWS}")
        accuracy = self._calibrated(confidence)
        trustworthy = quality.blocks >= MIN_BLOCKS and quality.error <= CLEARLY * quality.guess_error and quality.p_value <= ALPHA
        return Estimate(accuracy, quality.error, trustworthy, f"estimated accuracy {accuracy:.3f} without labels; {_words(quality, trustworthy)}")

    def learn(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        """Learn from a block whose labels have arrived: measure its estimate's error, then add its rows to the calibration.

        Args:
            probabilities: (rows, K) as in `estimate`.
            labels: (rows,) class indices; rows with a nan or negative label are unlabelled and left out.

        Raises:
            ValueError: invalid probabilities, or the labels are not class indices, one a row.
        """
        confidence, given = _confidence(probabilities), np.asarray(labels, float)
        if given.shape != confidence.shape:
            raise ValueError(f"labels {given.shape} must be one for each of the {len(confidence)} rows of probabilities")
        known = np.isfinite(given) & (given >= 0)
        if np.any(given[known] >= np.shape(probabilities)[1]) or np.any(given[known] % 1):
            raise ValueError(f"labels must be class indices below {np.shape(probabilities)[1]}")
        if not known.any():
            return
        confidence, right = confidence[known], np.argmax(probabilities, axis=1)[known] == given[known]
        accuracy = float(right.mean())
        if len(self._right) >= MIN_ROWS:
            self._measured.append((self._calibrated(confidence), float(np.mean(self._accuracies)), accuracy))
        self._accuracies.append(accuracy)
        self._confidence = np.concatenate([self._confidence, confidence])[-ROWS:]
        self._right = np.concatenate([self._right, right])[-ROWS:]

    def quality(self) -> EstimateQuality:
        """Quality of the estimates of the newest blocks; each was made from the rows before its block."""
        blocks = len(self._measured)
        if not blocks:
            return EstimateQuality(0, *[math.nan] * 5)
        estimates, guesses, accuracies = np.array(self._measured).T
        error, guess_error = np.abs(estimates - accuracies), np.abs(guesses - accuracies)
        varied = blocks > 1 and min(np.ptp(estimates), np.ptp(accuracies)) > 0
        return EstimateQuality(
            blocks=blocks,
            error=float(error.mean()),
            guess_error=float(guess_error.mean()),
            bias=float(np.mean(estimates - accuracies)),
            correlation=float(np.corrcoef(estimates, accuracies)[0, 1]) if varied else math.nan,
            p_value=_no_lead(guess_error - error),
        )

    def _calibrated(self, confidence: np.ndarray) -> float:
        fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(self._confidence, self._right)
        return float(fit.predict(confidence).mean())


def _confidence(probabilities: np.ndarray) -> np.ndarray:
    """Probability of each row's predicted class, (rows,)."""
    values = np.asarray(probabilities, float)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"probabilities have shape {values.shape}: they must be (rows, classes)")
    if not np.all((values >= 0) & (values <= 1 + SUM_OFF)) or np.any(np.abs(values.sum(axis=1) - 1) > SUM_OFF):
        raise ValueError("probabilities must lie in 0..1 and sum to 1 in each row")
    return values.max(axis=1)


def _no_lead(leads: np.ndarray) -> float:
    """One-sided paired t-test that the mean lead is not above 0; nan for one block, 1 when all leads are equal and none is positive."""
    if len(leads) < 2:
        return math.nan
    spread = float(leads.std(ddof=1)) / math.sqrt(len(leads))
    if spread < 1e-12:
        return 0.0 if leads.mean() > 1e-12 else 1.0
    return float(stats.t.sf(leads.mean() / spread, len(leads) - 1))


def _words(quality: EstimateQuality, trustworthy: bool) -> str:
    if quality.blocks < MIN_BLOCKS:
        return f"not trustworthy yet: measured on {quality.blocks} blocks, needs at least {MIN_BLOCKS}"
    found = f"mean absolute error {quality.error:.3f} on the last {quality.blocks} blocks, against {quality.guess_error:.3f} for guessing the past mean"
    return found if trustworthy else f"not trustworthy here: {found}"
