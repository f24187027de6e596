"""The accuracy of a block before its labels come, from the model's own confidence, with its measured error beside it.

A row's confidence (the probability of its predicted class) is turned by an isotonic fit on labelled past rows into the chance
to be right; the mean over a block estimates its accuracy. That holds while P(Y|X) stays: under concept drift the confidence
lags behind what is true. So each estimate is kept until its labels come, and it is trusted only where the estimates of the
newest blocks were clearly closer to the truth than the plainest guess, the mean accuracy of the blocks before: by a fifth at
least, and by more than chance. Where the accuracy hardly varies neither is closer, and the estimate is not needed.

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
MIN_ROWS = 100  # labelled rows before anything is estimated
BLOCKS = 30  # newest blocks that the estimate is measured on
MIN_BLOCKS = 10  # measured blocks before it may be trusted
CLEARLY = 0.8  # the estimate's error must be at most this share of the guess's
ALPHA = 0.05  # level of the paired t-test that the estimate is closer to the truth than the guess
SUM_OFF = 1e-3  # probabilities of a row may miss 1 by so much


@dataclass(frozen=True)
class EstimateQuality:
    """How the estimates of the newest `blocks` measured blocks did; nan where undefined."""

    blocks: int
    error: float  # mean absolute difference of estimate and accuracy
    guess_error: float  # the same of the guess: the mean accuracy of all blocks before
    bias: float  # mean of estimate - accuracy
    correlation: float  # of estimate and accuracy over the blocks
    p_value: float  # one-sided: such a lead over the guess if the estimate were no closer


@dataclass(frozen=True)
class Estimate:
    """Estimated accuracy of a block, in 0..1, the mean absolute error of such estimates so far, and whether to believe it."""

    accuracy: float
    error: float
    trustworthy: bool
    message: str  # one sentence in words


class LabelFree:
    """Estimates for one served model; ask first (`estimate`), tell when the labels come (`learn`).

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
        self._accuracies: list[float] = []  # of all blocks so far
        self._measured: deque[tuple[float, float, float]] = deque(maxlen=BLOCKS)  # estimate, guess, accuracy

    def estimate(self, probabilities: np.ndarray) -> Estimate:
        """Estimate the accuracy on rows whose labels are not known.

        Args:
            probabilities: (rows, K) of the classes, each row adding up to 1.

        Raises:
            ValueError: the probabilities are none.
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
        """Take a block whose labels have come: measure the estimate that was due for it, then calibrate on its rows as well.

        Args:
            probabilities: (rows, K) as in `estimate`.
            labels: (rows,) class indices; rows whose label is nan or negative have none and are left out.

        Raises:
            ValueError: the probabilities are none, or the labels are not class indices, one a row.
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
        """How the estimates of the newest blocks did; each was made from the rows before its block."""
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
        raise ValueError("probabilities must lie in 0..1 and those of a row add up to 1")
    return values.max(axis=1)


def _no_lead(leads: np.ndarray) -> float:
    """One-sided paired t-test that the mean lead is not above 0; nan for one block, 1 when no lead differs from another and none is there."""
    if len(leads) < 2:
        return math.nan
    spread = float(leads.std(ddof=1)) / math.sqrt(len(leads))
    if spread < 1e-12:
        return 0.0 if leads.mean() > 1e-12 else 1.0
    return float(stats.t.sf(leads.mean() / spread, len(leads) - 1))


def _words(quality: EstimateQuality, trustworthy: bool) -> str:
    if quality.blocks < MIN_BLOCKS:
        return f"not trustworthy yet: measured on {quality.blocks} blocks, needs at least {MIN_BLOCKS}"
    found = f"it was {quality.error:.3f} off on the last {quality.blocks} blocks, guessing the past mean {quality.guess_error:.3f}"
    return found if trustworthy else f"not trustworthy here: {found}"
