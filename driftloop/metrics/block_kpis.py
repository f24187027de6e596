"""KPIs of a whole block, which no mean of row losses gives: F1, ROC AUC, average precision.

What a row contributes is its label and the model's probabilities; `value` computes the KPI from those of many rows. Of two classes the
positive one is the rarer one of the training rows; of more, the KPI is the mean over the classes that are present (macro, each against the rest).

Its 95 % interval and the test of a challenger are from a bootstrap of runs of neighbouring rows (Kuensch: The jackknife and the bootstrap for
general stationary observations, Annals of Statistics 17, 1989).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import stats

from driftloop.data.labels import Labels
from driftloop.metrics import kpi
from driftloop.metrics.cost_table import read_costs
from driftloop.metrics.kpi_names import OWN
from driftloop.metrics.row_kpis import BalancedAccuracyKpi, BrierKpi, ChosenKpi, ClassKpi, CostKpi, LogLossKpi, RmseKpi
from driftloop.metrics.task import CLASSIFICATION, Task

NO_SPREAD: Final = 1e-9  # of KPIs between 0 and 1: rounding alone


class WholeBlockKpi(ClassKpi):
    """A KPI of a whole block.

    Args:
        kpi_name: a key of `KPIS`.
        shares: of the classes among the training rows, (K,).
    """

    def __init__(self, kpi_name: str, shares: np.ndarray) -> None:
        super().__init__(kpi_name, shares)
        self.loss_words = f"1 - {self.words}"
        self.positives = [int(np.argmin(shares))] if len(shares) == 2 else list(range(len(shares)))

    @property
    def by_row(self) -> Task:
        """See `Task.by_row`: right or wrong."""
        return CLASSIFICATION

    def losses_of(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """See `Task.losses_of`: label and probabilities of each row, (N, 1 + K)."""
        return np.column_stack([labels, outputs])

    def value(self, losses: np.ndarray) -> float:
        """See `Task.value`: from label and probabilities, (N, 1 + K); nan where the rows hold one class only, of F1 no row of the class."""
        return float(self.values(losses, np.ones((1, len(losses))))[0]) if len(losses) else math.nan

    def values(self, losses: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The KPI for each of R weightings of the rows: losses (N, 1 + K), weights (R, N) -> (R,)."""
        labels, outputs = losses[:, 0].astype(int), losses[:, 1:]
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.array([self.of_class(labels == at, outputs, at, weights) for at in self.positives])
        known = ~np.isnan(found)
        return np.where(known.any(axis=0), np.where(known, found, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1), math.nan)

    @abstractmethod
    def of_class(self, positive: np.ndarray, outputs: np.ndarray, at: int, weights: np.ndarray) -> np.ndarray:
        """The KPI of one class against the rest: (N,) True for its rows, probabilities (N, K), its code, weights (R, N) -> (R,)."""

    def interval(self, losses: np.ndarray) -> tuple[float, float]:
        """See `Task.interval`: of a block bootstrap."""
        return kpi.bootstrap_interval(self.values(losses, kpi.block_bootstrap(len(losses)))) if len(losses) else (math.nan, math.nan)

    def p_value(self, champion: np.ndarray, challenger: np.ndarray) -> float:
        """See `Task.p_value`: of a normal lead whose spread is that of the block bootstrap, as small as a search of many trials asks for.

        Where no two samples differ it is the share of those in which the challenger does not lead.
        """
        if not len(champion):
            return 1.0
        weights = kpi.block_bootstrap(len(champion))
        lead = self.values(challenger, weights) - self.values(champion, weights)
        lead, found = lead[~np.isnan(lead)], self.value(challenger) - self.value(champion)
        spread = float(lead.std(ddof=1)) if len(lead) > 1 else 0.0
        if spread > NO_SPREAD and not math.isnan(found):
            return float(stats.norm.sf(found / spread))
        return float((1 + np.count_nonzero(lead <= 0)) / (1 + len(lead)))

    def compared(self, champion: np.ndarray, challenger: np.ndarray) -> str:
        """See `Task.compared`."""
        wrong = [rows[:, 1:].argmax(axis=1) != rows[:, 0] for rows in (champion, challenger)]
        return CLASSIFICATION.compared(*wrong)

    def with_slack(self, value: float, *, share: float) -> float:
        """See `Task.with_slack`."""
        return CLASSIFICATION.with_slack(value, share=share)


class F1Kpi(WholeBlockKpi):
    """F1: the harmonic mean of precision and recall of a class.

    >>> rows = np.array([[1, 0.2, 0.8], [1, 0.9, 0.1], [0, 0.4, 0.6], [0, 0.7, 0.3]])
    >>> F1Kpi(np.array([0.6, 0.4])).value(rows)
    0.5
    """

    def __init__(self, shares: np.ndarray) -> None:
        super().__init__("f1", shares)

    def of_class(self, positive: np.ndarray, outputs: np.ndarray, at: int, weights: np.ndarray) -> np.ndarray:
        """See `WholeBlockKpi.of_class`; nan without a row of the class, whatever is predicted."""
        predicted, there = outputs.argmax(axis=1) == at, weights @ positive
        return np.where(there > 0, 2 * (weights @ (positive & predicted)) / (there + weights @ predicted), math.nan)

    def baseline(self, rows: int) -> tuple[str, np.ndarray]:
        """See `ChosenKpi.baseline`: of two classes always the rarer one, whose F1 is not 0; else the most frequent."""
        if len(self.shares) == 2:
            return "always the rarer class", np.tile(np.eye(2)[self.positives[0]], (rows, 1))
        return "majority class", np.tile(self.shares, (rows, 1))


class RocAucKpi(WholeBlockKpi):
    """Area under the ROC curve: the probability that a row of the class gets a higher probability of it than another row; ties count half.

    >>> rows = np.array([[1, 0.2, 0.8], [1, 0.9, 0.1], [0, 0.4, 0.6], [0, 0.7, 0.3]])
    >>> RocAucKpi(np.array([0.6, 0.4])).value(rows)
    0.5
    """

    def __init__(self, shares: np.ndarray) -> None:
        super().__init__("roc_auc", shares)

    def of_class(self, positive: np.ndarray, outputs: np.ndarray, at: int, weights: np.ndarray) -> np.ndarray:
        """See `WholeBlockKpi.of_class`."""
        inside, outside = _by_score(positive, outputs[:, at], weights)
        below = outside.cumsum(axis=1) - outside / 2
        return (inside * below).sum(axis=1) / (inside.sum(axis=1) * outside.sum(axis=1))


class AveragePrecisionKpi(WholeBlockKpi):
    """Average precision: the mean over the rows of a class of the precision down to that row, in the order of its probability.

    >>> rows = np.array([[1, 0.2, 0.8], [1, 0.9, 0.1], [0, 0.4, 0.6], [0, 0.7, 0.3]])
    >>> AveragePrecisionKpi(np.array([0.6, 0.4])).value(rows)
    0.75
    """

    def __init__(self, shares: np.ndarray) -> None:
        super().__init__("average_precision", shares)

    def of_class(self, positive: np.ndarray, outputs: np.ndarray, at: int, weights: np.ndarray) -> np.ndarray:
        """See `WholeBlockKpi.of_class`."""
        inside, outside = (part[:, ::-1] for part in _by_score(positive, outputs[:, at], weights))
        hits, shown = inside.cumsum(axis=1), (inside + outside).cumsum(axis=1)
        precision = np.divide(hits, shown, out=np.zeros_like(hits), where=shown > 0)
        return (inside * precision).sum(axis=1) / hits[:, -1]


def named(name: str, labels: np.ndarray, label_names: Sequence[object], *, cost: str = "") -> ChosenKpi | None:
    """The KPI of that name, also one of rows; None for a task's own.

    Args:
        name: a key of `KPIS`.
        labels: class codes or values of the rows whose class shares or mean the KPI may depend on, (N,).
        label_names: of all classes.
        cost: what predictions cost, as `cost_table.read_costs` takes it, for "cost".

    Raises:
        SettingsError: as `read_costs`.
    """
    return None if name in OWN.values() else of_shares(name, Labels(tuple(label_names)).shares(labels), label_names, cost=cost)


def of_shares(name: str, shares: Sequence[float], label_names: Sequence[object], *, cost: str = "") -> ChosenKpi | None:
    """The same from the class shares, or the mean, of those rows.

    Args:
        name: as in `named`.
        shares: as `Labels.shares` gives them.
        label_names, cost: as in `named`.

    Raises:
        SettingsError: as `read_costs`.
    """
    if name in OWN.values():
        return None
    if name == "rmse":
        return RmseKpi(shares[0])
    made = np.array(shares)
    return CostKpi(made, read_costs(cost, label_names)) if name == "cost" else _OF_SHARES[name](made)


def _by_score(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight inside and outside the class at each distinct score, ascending: (R, N) -> two (R, G)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    ordered, inside = weights[:, order], positive[order]
    return np.add.reduceat(ordered * inside, starts, axis=1), np.add.reduceat(ordered * ~inside, starts, axis=1)


_OF_SHARES: Final = {
    "brier": BrierKpi,
    "log_loss": LogLossKpi,
    "balanced_accuracy": BalancedAccuracyKpi,
    "f1": F1Kpi,
    "roc_auc": RocAucKpi,
    "average_precision": AveragePrecisionKpi,
}
