"""KPIs of a stretch of predictions, with their intervals and tests.

Every function is plain arithmetic on arrays or counts. Where a figure is undefined (no rows,
one class only, a perfect no-change baseline) it is nan, never an error or a warning.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special, stats

NO_PREDICTION = -1
"""Marks a row without a prediction in a prediction array; such rows are not scored."""
RUNS = 40
"""Maximum number of runs of neighbouring rows on which two models' losses are compared."""
RUN_ROWS = 8
"""Minimum rows per run."""
DRAWN = 4_000_000
"""Rows that all samples of a bootstrap hold together, at most, as long as there are enough samples."""


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of rows whose class was predicted, in 0..1; nan without a scored row.

    Args:
        labels: class indices, shape (N,).
        predicted: class indices, shape (N,); rows that hold `NO_PREDICTION` are left out.

    >>> accuracy(np.array([0, 1, 1, 0]), np.array([0, 1, 0, NO_PREDICTION]))
    0.6666666666666666
    >>> accuracy(np.array([]), np.array([]))
    nan
    """
    labels, predicted = _scored(labels, predicted)
    return float(np.mean(labels == predicted)) if len(labels) else math.nan


def kappa(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Agreement beyond chance agreement given the class frequencies (Cohen 1960), in -1..1.

    1 is perfect, 0 is what guessing with the same frequencies reaches. nan without a scored
    row, or when labels and predictions are all the same class. Arguments as in `accuracy`.

    >>> kappa(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]))
    0.5
    >>> kappa(np.array([1, 1]), np.array([1, 1]))
    nan
    """
    labels, predicted = _scored(labels, predicted)
    rows = len(labels)
    if not rows:
        return math.nan
    classes = int(max(labels.max(), predicted.max())) + 1
    by_label = np.bincount(labels, minlength=classes)
    by_prediction = np.bincount(predicted, minlength=classes)
    # Whole numbers decide whether kappa is defined: as floats the expected share can miss 1.
    expected = int(by_label @ by_prediction)
    if expected == rows * rows:
        return math.nan
    agreed = int(np.count_nonzero(labels == predicted))
    return (agreed * rows - expected) / (rows * rows - expected)


def kappa_temporal(*, accuracy: float, no_change: float) -> float:
    """Accuracy beyond that of copying the previous row's label (Zliobaite et al. 2015).

    1 is perfect, 0 is no better than the no-change classifier, negative is worse; nan when no-change
    is perfect on these rows, or either argument is nan.

    Args:
        accuracy: of the model, in 0..1.
        no_change: of the no-change classifier on the same rows, in 0..1.

    >>> round(kappa_temporal(accuracy=0.9, no_change=0.8), 3)
    0.5
    >>> kappa_temporal(accuracy=0.9, no_change=1.0)
    nan

    Zliobaite, Bifet, Read, Pfahringer, Holmes: Evaluation methods and decision theory for
    classification of streaming data with temporal dependence. Machine Learning 98, 2015.
    """
    return (accuracy - no_change) / (1 - no_change) if no_change < 1 else math.nan


def wilson_interval(correct: int, rows: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper bound of a true accuracy, given `correct` of `rows` (Wilson 1927).

    Assumes independent rows: autocorrelated errors make the true interval wider.

    >>> tuple(round(bound, 3) for bound in wilson_interval(11, 20))
    (0.342, 0.742)
    >>> wilson_interval(0, 0)
    (nan, nan)
    """
    if not rows:
        return math.nan, math.nan
    z = float(special.ndtri((1 + confidence) / 2))
    share = correct / rows
    scale = 1 + z * z / rows
    middle = (share + z * z / (2 * rows)) / scale
    half = z * math.sqrt(share * (1 - share) / rows + (z / (2 * rows)) ** 2) / scale
    # Exact at the ends, where rounding would leave 1e-17 on the wrong side of 0 or 1.
    return (0.0 if correct == 0 else middle - half), (1.0 if correct == rows else middle + half)


def chance_below(*, threshold: float, true_accuracy: float, rows: int) -> float:
    """How often a block of `rows` scores strictly under `threshold` by binomial noise alone.

    Exact binomial probability, in 0..1, for a model that is right with chance `true_accuracy` on each
    row independently. nan when there are no rows or `true_accuracy` is nan.

    >>> round(chance_below(threshold=0.55, true_accuracy=0.6, rows=20), 2)
    0.24
    >>> round(chance_below(threshold=0.55, true_accuracy=0.6, rows=1000), 4)
    0.0006
    """
    if rows < 1 or math.isnan(true_accuracy):
        return math.nan
    # The rule's own comparison, so that a block exactly at the threshold is not under it.
    counts_under = int(np.count_nonzero(np.arange(rows + 1) / rows < threshold))
    return float(special.bdtr(counts_under - 1, rows, true_accuracy)) if counts_under else 0.0


def paired_p_value(champion_correct: np.ndarray, challenger_correct: np.ndarray) -> float:
    """One-sided exact McNemar test: the chance of such a lead if the challenger is no better.

    Only rows on which the two differ count; without any the p-value is 1. Assumes independent
    rows, so on strongly autocorrelated errors the p-value is too small.

    Args:
        champion_correct: True where the champion was right, shape (N,).
        challenger_correct: the same rows for the challenger, shape (N,).

    Raises:
        ValueError: the two do not have the same shape.

    >>> paired_p_value(np.array([0, 0, 0, 0, 1], bool), np.array([1, 1, 1, 1, 1], bool))
    0.0625

    McNemar: Note on the sampling error of the difference between correlated proportions. Psychometrika 12, 1947.
    """
    champion, challenger = np.asarray(champion_correct, bool), np.asarray(challenger_correct, bool)
    if champion.shape != challenger.shape:
        raise ValueError(f"champion {champion.shape} and challenger {challenger.shape} must be scored on the same rows")
    gained = int(np.count_nonzero(challenger & ~champion))
    lost = int(np.count_nonzero(champion & ~challenger))
    # P(at least `gained` of the differing rows) = P(at most `lost` of them), by symmetry of the fair coin.
    return float(special.bdtr(lost, gained + lost, 0.5))


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Lower and upper 95 % bound of a true mean (Student), assuming independent rows; nan with fewer than two.

    >>> tuple(round(bound, 2) for bound in mean_interval(np.array([1.0, 2.0, 3.0, 4.0])))
    (0.45, 4.55)
    """
    if len(values) < 2:
        return math.nan, math.nan
    mean = float(values.mean())
    half = float(special.stdtrit(len(values) - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean - half, mean + half


def paired_loss_p_value(champion: np.ndarray, challenger: np.ndarray) -> float:
    """One-sided: the chance of such a lead in the losses if the challenger is no better.

    The rows are cut into runs, at most `RUNS`, of at least `RUN_ROWS` neighbours; the runs' mean differences get Wilcoxon's signed-rank
    test. Means of runs remove most of the autocorrelation, and ranks keep a few huge errors from dominating.
    1 when the two never differ.

    Args:
        champion: losses of the champion in time order, (N,), 0 and more.
        challenger: those of the challenger on the same rows.

    Raises:
        ValueError: the two do not have the same shape.

    >>> rng = np.random.default_rng(1)
    >>> one, other = rng.exponential(3, 500), rng.exponential(3, 500)
    >>> paired_loss_p_value(one, other) > 0.05, paired_loss_p_value(one + 1, other) < 0.01
    (True, True)

    Wilcoxon: Individual comparisons by ranking methods. Biometrics Bulletin 1, 1945.
    """
    if champion.shape != challenger.shape:
        raise ValueError(f"champion {champion.shape} and challenger {challenger.shape} must be scored on the same rows")
    lead = champion - challenger
    runs = max(1, min(RUNS, len(lead) // RUN_ROWS))
    means = np.array([part.mean() for part in np.array_split(lead, runs)]) if len(lead) else np.zeros(0)
    if not means.any():
        return 1.0
    return float(stats.wilcoxon(means, alternative="greater").pvalue)


@lru_cache(maxsize=1)
def block_bootstrap(rows: int) -> np.ndarray:
    """How often each row is in each sample of a circular block bootstrap, (samples, rows) float32; runs of about the cube root of the rows.

    400 samples, fewer beyond 10,000 rows, but at least 40: 160 bytes a row.

    Kuensch: The jackknife and the bootstrap for general stationary observations. Annals of Statistics 17, 1989.

    >>> block_bootstrap(100).sum(axis=1)[:3].tolist()
    [100.0, 100.0, 100.0]
    """
    samples, length = min(max(DRAWN // rows, 40), 400), max(1, round(rows ** (1 / 3)))
    rng = np.random.default_rng(rows)
    starts = rng.integers(rows, size=(samples, -(-rows // length)))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(samples, -1)[:, :rows] % rows
    counts = np.array([np.bincount(sample, minlength=rows) for sample in drawn], np.float32)
    counts.setflags(write=False)
    return counts


def bootstrap_interval(values: np.ndarray) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of a figure's bootstrap values; nan where more than half are undefined.

    >>> bootstrap_interval(np.arange(1001.0))
    (25.0, 975.0)
    """
    known = values[~np.isnan(values)]
    if 2 * len(known) <= len(values):
        return math.nan, math.nan
    lower, upper = np.quantile(known, [0.025, 0.975])
    return float(lower), float(upper)


def _scored(labels: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.shape != predicted.shape:
        raise ValueError(f"labels {labels.shape} and predictions {predicted.shape} must have the same shape")
    known = predicted != NO_PREDICTION
    return labels[known], predicted[known]
