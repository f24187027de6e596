"""KPIs that are the mean of one loss a row: Brier score, log loss, cost, balanced accuracy, RMSE.

Each is a `Task` that asks the model as its own task does and measures something else. All losses but the squared error are bounded,
so that the rule `significant` keeps its guarantee without capping them.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from driftloop.metrics import kpi
from driftloop.metrics.kpi_names import KPIS, LOG_LOSS_BOUND
from driftloop.metrics.task import CLASSIFICATION, REGRESSION, Task

NEAREST: Final = 0.01  # least distance of a threshold that follows from the model from the ends of the KPI's range, as a share of the range


class ChosenKpi(Task):
    """A KPI other than the task's own; the model is asked as before.

    Args:
        task: what asks the model.
        kpi_name: a key of `KPIS`.
    """

    def __init__(self, task: Task, kpi_name: str) -> None:
        self.task, self.name, self.gap = task, task.name, task.gap
        self.kpi, self.words, self.higher = kpi_name, KPIS[kpi_name].words, KPIS[kpi_name].higher
        self.bound, self.loss_words = KPIS[kpi_name].highest, self.words

    @property
    def chosen(self) -> bool:
        """See `Task.chosen`."""
        return True

    def arguments(self, classes: int) -> dict[str, Any]:
        """See `Task.arguments`."""
        return self.task.arguments(classes)

    def learn_scale(self, model: Any, rows: np.ndarray, labels: np.ndarray) -> None:
        """See `Task.learn_scale`."""
        self.task.learn_scale(model, rows, labels)

    def outputs(self, model: Any, rows: np.ndarray, *, first: int) -> np.ndarray:
        """See `Task.outputs`."""
        return self.task.outputs(model, rows, first=first)

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """See `Task.predictions`."""
        return self.task.predictions(outputs)

    def interval(self, losses: np.ndarray) -> tuple[float, float]:
        """See `Task.interval`: Student's, within the KPI's range."""
        low, high = kpi.mean_interval(losses[~np.isnan(losses)])
        low, high = (1 - high, 1 - low) if self.higher else (low, high)
        return float(np.maximum(low, 0)), float(np.minimum(high, 1 if self.higher else self.bound))

    def p_value(self, champion: np.ndarray, challenger: np.ndarray) -> float:
        """See `Task.p_value`: signed ranks of the means of runs of rows."""
        return kpi.paired_loss_p_value(champion, challenger)

    def compared(self, champion: np.ndarray, challenger: np.ndarray) -> str:
        """See `Task.compared`."""
        better, worse = int(np.count_nonzero(challenger < champion)), int(np.count_nonzero(challenger > champion))
        return f"the challenger's loss was smaller on {better} of them and larger on {worse}"

    def constant(self, labels: np.ndarray) -> int | float:
        """See `Task.constant`: of the task's own KPI."""
        return self.task.constant(labels)

    def with_slack(self, value: float, *, share: float) -> float:
        """See `Task.with_slack`."""
        size = self.bound if math.isfinite(self.bound) else 1.0
        if math.isnan(value):
            return size / 2
        loss = (1 + share) * self.limit(value)
        loss = min(max(loss, NEAREST * size), (1 - NEAREST) * size) if math.isfinite(self.bound) else loss or 1.0
        return self.limit(loss)

    def baseline(self, rows: int) -> tuple[str, np.ndarray]:
        """The best constant answer, learned from the training rows' labels, in words and as outputs for so many rows."""
        raise NotImplementedError


class ClassKpi(ChosenKpi):
    """A KPI of classes.

    Args:
        kpi_name: a key of `KPIS`.
        shares: of the classes among the training rows, (K,).
    """

    def __init__(self, kpi_name: str, shares: np.ndarray) -> None:
        super().__init__(CLASSIFICATION, kpi_name)
        self.shares = np.asarray(shares, np.float64)

    def losses(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """See `Task.losses`: of predictions that are certain."""
        return self.losses_of(labels, np.eye(len(self.shares))[predicted])

    def baseline(self, rows: int) -> tuple[str, np.ndarray]:
        """See `ChosenKpi.baseline`: the class shares."""
        return "class shares of the training rows", np.tile(self.shares, (rows, 1))


class BrierKpi(ClassKpi):
    """Brier score: half of the squared distance between the probabilities and the true class, summed over the classes, 0..1.

    For two classes that is (1 - p)², p the probability of the true class.

    >>> measured = BrierKpi(np.array([0.5, 0.5]))
    >>> measured.losses_of(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])).round(2).tolist()
    [0.01, 0.64]
    """

    def __init__(self, shares: np.ndarray) -> None:
        super().__init__("brier", shares)

    def losses_of(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """See `Task.losses_of`."""
        true = np.eye(outputs.shape[1])[labels]
        return np.clip(np.square(outputs.astype(np.float64) - true).sum(axis=1) / 2, 0, 1)


class LogLossKpi(ClassKpi):
    """Log loss in nats: minus the logarithm of the true class's probability, clipped at `LOG_LOSS_BOUND`.

    >>> LogLossKpi(np.array([0.5, 0.5])).losses_of(np.array([0, 1]), np.array([[0.5, 0.5], [1.0, 0.0]])).round(3).tolist()
    [0.693, 10.0]
    """

    def __init__(self, shares: np.ndarray) -> None:
        super().__init__("log_loss", shares)
        self.loss_words = f"log loss (of a row at most {LOG_LOSS_BOUND:g})"

    def losses_of(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """See `Task.losses_of`."""
        of_true = np.take_along_axis(outputs.astype(np.float64), np.asarray(labels)[:, None], axis=1)[:, 0]
        return -np.log(np.clip(of_true, math.exp(-LOG_LOSS_BOUND), 1))


class CostKpi(ClassKpi):
    """Mean cost per row of the predicted classes, in the unit of the cost table.

    Args:
        shares: as in `ClassKpi`.
        costs: (K, K) of each true (row) and predicted (column) class, 0 and more.

    >>> measured = CostKpi(np.array([0.9, 0.1]), np.array([[0.0, 1.0], [5.0, 0.0]]))
    >>> measured.losses(np.array([0, 0, 1]), np.array([0, 1, 0])).tolist()
    [0.0, 1.0, 5.0]
    """

    def __init__(self, shares: np.ndarray, costs: np.ndarray) -> None:
        super().__init__("cost", shares)
        self.costs, self.bound = costs, float(costs.max())

    def losses(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """See `Task.losses`."""
        return self.costs[labels, predicted]

    def losses_of(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """See `Task.losses_of`."""
        return self.losses(labels, self.predictions(outputs))

    def baseline(self, rows: int) -> tuple[str, np.ndarray]:
        """See `ChosenKpi.baseline`: the decision that was cheapest on the training rows."""
        cheapest = int((self.shares @ self.costs).argmin())
        return "cheapest constant decision", np.tile(np.eye(len(self.shares))[cheapest], (rows, 1))


class BalancedAccuracyKpi(ClassKpi):
    """Balanced accuracy: 1 minus the mean error, where a row weighs 1 / (K share of its class among the training rows).

    Where the classes keep these shares that is the mean of the K classes' accuracies. The weights are fixed, so that each row has one loss, of
    at most 1 / (K smallest share); a class that becomes more frequent counts for more.

    >>> measured = BalancedAccuracyKpi(np.array([0.75, 0.25]))
    >>> measured.value(measured.losses(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])))
    0.8333333333333334
    """

    def __init__(self, shares: np.ndarray) -> None:
        super().__init__("balanced_accuracy", shares)
        present = self.shares[self.shares > 0]
        # A class that the training rows lack weighs like the rarest that they have.
        self.weights = 1 / (len(present) * np.where(self.shares > 0, self.shares, present.min()))
        self.bound, self.loss_words = float(self.weights.max()), "balanced error (1 - balanced accuracy)"

    def losses(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """See `Task.losses`."""
        return self.weights[labels] * (predicted != labels)

    def losses_of(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """See `Task.losses_of`."""
        return self.losses(labels, self.predictions(outputs))

    def with_slack(self, value: float, *, share: float) -> float:
        """See `Task.with_slack`."""
        return self.task.with_slack(value, share=share)

    def baseline(self, rows: int) -> tuple[str, np.ndarray]:
        """See `ChosenKpi.baseline`: the most frequent class, right on one class of K."""
        return "majority class", np.tile(self.shares, (rows, 1))


class RmseKpi(ChosenKpi):
    """Root of the mean squared error, in the label's unit; a row's loss is its squared error.

    Args:
        mean: of the training rows' labels.

    >>> measured = RmseKpi(0.0)
    >>> measured.value(measured.losses(np.array([1.0, 2.0]), np.array([4.0, 6.0]))) == 12.5 ** 0.5
    True
    """

    def __init__(self, mean: float) -> None:
        super().__init__(REGRESSION, "rmse")
        self.mean, self.loss_words = mean, "mean squared error"

    def losses(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """See `Task.losses`."""
        return np.square(predicted - labels)

    def value(self, losses: np.ndarray) -> float:
        """See `Task.value`."""
        return math.sqrt(super().value(losses))

    def limit(self, threshold: float) -> float:
        """See `Task.limit`."""
        return threshold**2

    def interval(self, losses: np.ndarray) -> tuple[float, float]:
        """See `Task.interval`: of a block bootstrap."""
        losses = losses[~np.isnan(losses)]
        return kpi.bootstrap_interval(np.sqrt(kpi.block_bootstrap(len(losses)) @ losses / len(losses))) if len(losses) > 1 else (math.nan, math.nan)

    def with_slack(self, value: float, *, share: float) -> float:
        """See `Task.with_slack`."""
        return self.task.with_slack(value, share=share)

    def baseline(self, rows: int) -> tuple[str, np.ndarray]:
        """See `ChosenKpi.baseline`: the mean."""
        return "mean of the training rows", np.full(rows, self.mean)
