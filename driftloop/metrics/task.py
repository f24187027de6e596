"""What differs between the two tasks: a model's outputs, a row's loss, the KPI and which way is better.

Everything else (rules, retrains, swaps, reports) uses the task of its stream, so that it is written once. A *loss* is that
of one row: 1 where the class is wrong, or the absolute error of a value. The KPI is the accuracy (1 minus the mean loss,
higher is better) or the MAE (the mean loss, lower is better).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np

from driftloop import settings
from driftloop.errors import SettingsError, TrainingError
from driftloop.metrics import baselines, kpi


class Task(ABC):
    """A task; `kpi` is the KPI's name and `higher` whether a higher one is better.

    Labels are class indices (N,) int64 or values (N,) float64. A model's outputs are class probabilities (N, K) or values (N,).
    """

    name: str
    kpi: str
    higher: bool
    gap: float  # largest difference between a served output and the local model's: relative for values, absolute for probabilities

    bound: float = math.inf  # largest loss of a row
    loss_words: str = "mean absolute error"  # a mean loss within a sentence

    @property
    def objective(self) -> str:
        """Name of the search's objective among the metrics of a trial."""
        return f"val_{self.kpi}"

    @property
    def chosen(self) -> bool:
        """Whether the KPI is another than the task's own."""
        return False

    @property
    def by_row(self) -> Task:
        """The task whose losses explain this KPI row by row: itself, unless the KPI is not a mean of losses."""
        return self

    def limit(self, threshold: float) -> float:
        """The mean loss at a KPI's threshold."""
        return 1 - threshold if self.higher else threshold

    def losses_of(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """As `losses`, from a model's outputs; for a KPI that is not a mean of losses: what it is computed from, (N, ...)."""
        return self.losses(labels, self.predictions(outputs))

    @abstractmethod
    def arguments(self, classes: int) -> dict[str, Any]:
        """Arguments of a model's constructor besides `features`."""

    @abstractmethod
    def learn_scale(self, model: Any, rows: np.ndarray, labels: np.ndarray) -> None:
        """Let a model set its normalisation from its training rows.

        Raises:
            TrainingError: the labels do not allow a fit.
        """

    @abstractmethod
    def outputs(self, model: Any, rows: np.ndarray, *, first: int) -> np.ndarray:
        """A model's outputs for rows `first`.. of `rows`; those before are context."""

    @abstractmethod
    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Class indices or values, (N,)."""

    @abstractmethod
    def losses(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Loss of each row, (N,): True where the class is wrong, or the absolute error; nan without a prediction."""

    def value(self, losses: np.ndarray) -> float:
        """The KPI of rows with these losses; nan without any. Rows with a nan are left out."""
        known = np.asarray(losses, float)
        known = known[~np.isnan(known)]
        return float((1 - known if self.higher else known).mean()) if len(known) else math.nan

    @abstractmethod
    def interval(self, losses: np.ndarray) -> tuple[float, float]:
        """95 % bounds of the KPI, assuming independent rows; nan without rows."""

    @abstractmethod
    def p_value(self, champion: np.ndarray, challenger: np.ndarray) -> float:
        """One-sided p-value from the losses of the same rows in time order: the probability of such a lead if the challenger is no better."""

    @abstractmethod
    def compared(self, champion: np.ndarray, challenger: np.ndarray) -> str:
        """Two models' losses on the same rows, compared in words."""

    @abstractmethod
    def constant(self, labels: np.ndarray) -> int | float:
        """The best constant prediction: the most frequent class, or the median value."""

    @abstractmethod
    def with_slack(self, value: float, *, share: float) -> float:
        """The KPI of a model whose mean loss is larger by a share; always usable as a threshold, 0.5 or 1 when `value` is nan."""

    def better(self, value: float, other: float) -> bool:
        """Whether the first KPI is better than the second; never when one is nan."""
        return value > other if self.higher else value < other

    def ahead(self, value: float, other: float) -> float:
        """The first KPI's lead over the second; negative when it is behind."""
        return value - other if self.higher else other - value


class Classification(Task):
    """Classes; the KPI is the accuracy, 0..1.

    >>> CLASSIFICATION.value(CLASSIFICATION.losses(np.array([0, 1, 1]), np.array([0, 1, 0])))
    0.6666666666666666
    """

    name, kpi, higher, gap = "classification", "accuracy", True, 1e-6

    def arguments(self, classes: int) -> dict[str, Any]:
        """See `Task.arguments`."""
        return {"classes": classes}

    def learn_scale(self, model: Any, rows: np.ndarray, labels: np.ndarray) -> None:
        """See `Task.learn_scale`."""
        if len(np.unique(labels)) < 2:
            raise TrainingError("hold one label only: train on more rows (a larger window)")
        model.learn_scale(rows)

    def outputs(self, model: Any, rows: np.ndarray, *, first: int) -> np.ndarray:
        """See `Task.outputs`: probabilities (N, K)."""
        return model.probabilities(rows, first=first)

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """See `Task.predictions`."""
        return outputs.argmax(axis=1)

    def losses(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """See `Task.losses`."""
        return predicted != labels

    def interval(self, losses: np.ndarray) -> tuple[float, float]:
        """See `Task.interval` (Wilson 1927)."""
        return kpi.wilson_interval(len(losses) - int(np.count_nonzero(losses)), len(losses))

    def p_value(self, champion: np.ndarray, challenger: np.ndarray) -> float:
        """See `Task.p_value`: exact McNemar."""
        return kpi.paired_p_value(champion == 0, challenger == 0)

    def compared(self, champion: np.ndarray, challenger: np.ndarray) -> str:
        """See `Task.compared`."""
        fixed, introduced = int((champion & ~challenger).sum()), int((~champion & challenger).sum())
        return f"the challenger fixed {fixed} of the champion's errors and introduced {introduced}"

    def with_slack(self, value: float, *, share: float) -> float:
        """See `Task.with_slack`: 0.01..0.99.

        >>> round(CLASSIFICATION.with_slack(0.9, share=0.1), 3)
        0.89
        """
        return 0.5 if math.isnan(value) else min(max(1 - (1 + share) * (1 - value), 0.01), 0.99)

    def constant(self, labels: np.ndarray) -> int:
        """See `Task.constant`."""
        return baselines.majority_class(labels)


class Regression(Task):
    """Values; the KPI is the mean absolute error (MAE) in the label's unit, 0 and more.

    >>> REGRESSION.value(REGRESSION.losses(np.array([10.0, 20.0]), np.array([11.0, 18.0])))
    1.5
    """

    name, kpi, higher, gap = "regression", "mae", False, 1e-5

    def arguments(self, classes: int) -> dict[str, Any]:
        """See `Task.arguments`."""
        return {}

    def learn_scale(self, model: Any, rows: np.ndarray, labels: np.ndarray) -> None:
        """See `Task.learn_scale`: the model sees the labels as well, for their scale."""
        if float(np.ptp(labels)) == 0:
            raise TrainingError("hold one label only: train on more rows (a larger window)")
        model.learn_scale(rows, labels)

    def outputs(self, model: Any, rows: np.ndarray, *, first: int) -> np.ndarray:
        """See `Task.outputs`: values (N,)."""
        return model.values(rows, first=first)

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """See `Task.predictions`."""
        return outputs.astype(np.float64)

    def losses(self, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """See `Task.losses`."""
        return np.abs(predicted - labels)

    def interval(self, losses: np.ndarray) -> tuple[float, float]:
        """See `Task.interval`: Student's, accurate enough for skewed losses with the many rows of a block."""
        return kpi.mean_interval(losses[~np.isnan(losses)])

    def p_value(self, champion: np.ndarray, challenger: np.ndarray) -> float:
        """See `Task.p_value`: signed ranks of the means of runs of rows."""
        return kpi.paired_loss_p_value(champion, challenger)

    def compared(self, champion: np.ndarray, challenger: np.ndarray) -> str:
        """See `Task.compared`."""
        return f"the challenger was nearer on {int(np.count_nonzero(challenger < champion))} of them"

    def with_slack(self, value: float, *, share: float) -> float:
        """See `Task.with_slack`."""
        return 1.0 if math.isnan(value) or value <= 0 else (1 + share) * value

    def constant(self, labels: np.ndarray) -> float:
        """See `Task.constant`."""
        return float(np.median(labels))


CLASSIFICATION: Final = Classification()
REGRESSION: Final = Regression()


def of(name: str) -> Task:
    """The task of that name.

    Raises:
        SettingsError: there is none.

    >>> of("regression").kpi
    'mae'
    """
    if name not in settings.TASKS:
        raise SettingsError(f"--task is {name!r}: give one of {', '.join(settings.TASKS)}")
    return REGRESSION if name == "regression" else CLASSIFICATION
