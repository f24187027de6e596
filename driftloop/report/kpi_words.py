"""Formats a KPI, and states the verdict, a report's first sentence.

An accuracy is in percent and points, an MAE in its unit, others are plain numbers; a positive lead is always better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol

from driftloop.metrics import task
from driftloop.metrics.kpi_names import KPIS, LOG_LOSS_BOUND, OWN, KpiName
from driftloop.metrics.results import ReferencePeriod, WatchResult
from driftloop.report import wording


class Bounded(Protocol):
    """A value with a 95 % interval."""

    @property
    def lower(self) -> float:
        """Its lower end."""

    @property
    def upper(self) -> float:
        """Its upper end."""


@dataclass(frozen=True)
class Figures:
    """The wording and digits of a KPI.

    >>> Figures("classification", kpi="brier").gain(0.12, 0.15)
    '+0.030'
    >>> Figures("regression", "minutes").gain(2.5, 3.1), Figures("classification").gain(0.8, 0.7)
    ('+0.60', '+10.00')
    """

    task: str
    unit: str = ""  # of a regression's label
    kpi: str = ""  # a key of `KPIS`; "": the task's own

    @property
    def of_kpi(self) -> KpiName:
        """What is known of the KPI."""
        return KPIS[self.kpi or OWN[self.task]]

    @property
    def regression(self) -> bool:
        """Whether the label is a value."""
        return self.task == task.REGRESSION.name

    @property
    def plain(self) -> bool:
        """Whether the KPI is written as a plain number, not in percent: every KPI but the accuracy."""
        return self.of_kpi.name != "accuracy"

    @property
    def name(self) -> str:
        """The KPI within a sentence."""
        return self.of_kpi.words

    @property
    def title(self) -> str:
        """The KPI at the head of a column."""
        return (f"{self.name}, {self.unit}" if self.unit else self.name) if self.plain else "accuracy %"

    @property
    def heading(self) -> str:
        """The KPI at the head of a section, with which way is better."""
        better = "higher" if self.of_kpi.higher else "lower"
        return f"{self.name[:1].upper()}{self.name[1:]} by block" + (f", {better} is better" if self.plain else "")

    @property
    def lead_title(self) -> str:
        """Header of a column of leads; positive is better."""
        return f"ahead by, {self.step}"

    @property
    def step(self) -> str:
        """The unit of a difference."""
        return (self.unit or self.name) if self.plain else "points"

    def value(self, kpi: float, *, digits: int | None = None) -> str:
        """The KPI without its unit.

        >>> Figures("regression").value(2.654), Figures("classification").value(0.7512, digits=1)
        ('2.65', '75.1')
        """
        if self.plain:
            return wording.number(kpi, digits=self.of_kpi.digits)
        return wording.percent(kpi, digits=1 if digits is None else digits)

    def with_unit(self, kpi: float) -> str:
        """The KPI for a sentence."""
        if not self.plain:
            return wording.with_sign(kpi)
        return f"{self.value(kpi)} {self.unit}".strip() if math.isfinite(kpi) else wording.UNDEFINED

    def bounds(self, interval: Bounded) -> str:
        """An interval without its centre.

        >>> from types import SimpleNamespace as Interval
        >>> Figures("regression").bounds(Interval(lower=3.04, upper=3.16)), Figures("classification").bounds(Interval(lower=math.nan, upper=0.9))
        ('3.04 to 3.16', '–')
        """
        if not math.isfinite(interval.lower) or not math.isfinite(interval.upper):
            return wording.UNDEFINED
        return f"{self.value(interval.lower, digits=2)} to {self.value(interval.upper, digits=2)}"

    def with_bounds(self, kpi: float, interval: Bounded) -> str:
        """The KPI and its interval, long form."""
        return f"{self.value(kpi, digits=2)} ({self.bounds(interval)})"

    def in_brackets(self, kpi: float, interval: Bounded) -> str:
        """The KPI and its interval, short form."""
        return f"{self.value(kpi)} [{self.value(interval.lower)}, {self.value(interval.upper)}]"

    def gain(self, kpi: float, other: float) -> str:
        """The first KPI's lead over the second, signed."""
        ahead = kpi - other if self.of_kpi.higher else other - kpi
        return wording.signed(ahead, digits=self.of_kpi.digits) if self.plain else wording.points(ahead)

    def baselines(self, result: WatchResult) -> dict[str, float]:
        """The KPI of each baseline by its name in words."""
        if self.plain:
            return {wording.BASELINE_NAMES.get(key, key): kpi for key, kpi in result.baselines.items()}
        known = {name: result.baselines.get(key, math.nan) for key, name in wording.BASELINE_NAMES.items()}
        return {name: kpi for name, kpi in known.items() if not math.isnan(kpi)}  # without regular times there is no "same time yesterday"


def of(result: WatchResult) -> Figures:
    """The format of a result's KPI."""
    return Figures(result.task, result.unit, result.kpi_name)


def compared(result: WatchResult) -> dict[str, float]:
    """What the model's KPI is compared with, by name: the reference period or the base model, and the baselines."""
    first = {"reference period, its own rows": result.reference.kpi} if result.reference else {"base model, unretrained": result.kpi_without_retraining}
    return first | of(result).baselines(result)


def verdict(result: WatchResult) -> tuple[str, str]:
    """Summary of the watch: the model's KPI, then the loop's actions."""
    figures, rows = of(result), wording.count(result.rows, "row")
    if result.reference:
        return _against_reference(result, result.reference, figures), wording.what_was_done(result)
    if not math.isfinite(result.kpi):
        first = f"The {figures.name} of the served model over {rows} is undefined."
    elif figures.kpi:
        reached = f"{figures.name} of the served model over {rows}: {figures.with_unit(result.kpi)}{_own(result)}"
        first = f"{reached[:1].upper()}{reached[1:]}; {_against_unretrained(result, figures)}."
    elif figures.regression:
        first = f"The served model was off by {figures.with_unit(result.kpi)} on average (MAE) over {rows}; {_against_unretrained(result, figures)}."
    else:
        kappa = wording.number(result.kappa_temporal)
        first = f"The served model was right on {figures.with_unit(result.kpi)} of {rows} (κ-temporal {kappa}); {_against_unretrained(result, figures)}."
    return first, wording.what_was_done(result)


def _against_reference(result: WatchResult, period: ReferencePeriod, figures: Figures) -> str:
    """The model's KPI after the reference period and in it."""
    before = f"{figures.with_unit(period.kpi)} on the {wording.count(period.rows, 'row')} of the reference period"
    if not math.isfinite(result.kpi):
        return f"The {figures.name} of the model is undefined after the reference period; it was {before}."
    gain = figures.gain(result.kpi, period.kpi)
    step = f" {result.unit}".rstrip() if figures.plain else " points"
    now = {"−": f"{gain[1:]}{step} worse than", "+": f"{gain[1:]}{step} better than"}.get(gain[0], "the same as" if math.isfinite(period.kpi) else "beside")
    reached = f"the {figures.name} of the model is {figures.with_unit(result.kpi)} on {wording.count(result.rows, 'row')}{_own(result) if figures.kpi else ''}"
    return f"{reached[:1].upper()}{reached[1:]}, {now} the {figures.with_unit(period.kpi)} on the {wording.count(period.rows, 'row')} of the reference period."


def _own(result: WatchResult) -> str:
    """The task's own KPI beside another."""
    own = Figures(result.task, result.unit)
    return f" ({own.name} {own.with_unit(result.task_kpi)})"


def _against_unretrained(result: WatchResult, figures: Figures) -> str:
    unretrained = result.kpi_without_retraining
    if not math.isfinite(unretrained):
        return "the unretrained base model was not scored for comparison"
    if figures.kpi:
        return f"the unretrained base model reached {figures.with_unit(unretrained)} on the same rows, a gain of {figures.gain(result.kpi, unretrained)}"
    reached = f"by {figures.with_unit(unretrained)} on" if figures.regression else f"on {figures.with_unit(unretrained)} of"
    return f"the unretrained base model {reached} the same rows, a gain of {figures.gain(result.kpi, unretrained)} {figures.step}"


def reading_notes(result: WatchResult) -> list[str]:
    """How to read this result's figures, then the lifecycle's notes."""
    figures = of(result)
    if figures.kpi:
        return [*_chosen_notes(result, figures), *result.notes]
    if not figures.regression:
        return wording.reading_notes(result)
    half = wording.half_width(result.scores)
    return [
        "The MAE is the mean absolute error: lower is better, and in every table a positive lead means that the model has the smaller error.",
        f"At its size a block's MAE is known to ±{wording.number(half)} {figures.unit} on average here (Student, 95 %, assuming independent rows; "
        "the drift rule is stricter: it accounts for autocorrelated errors).",
        "Bias is the mean of prediction minus label: a constant MAE with a growing bias means that the model errs increasingly to one side.",
        *([] if result.reference else _OF_A_SERVED_REGRESSION),
        *result.notes,
    ]


_OF_A_SERVED_REGRESSION: Final = (
    "The baselines except the median are fitted on the same rows as the version in service, so they are retrained with it.",
    "Rows set aside are counted by block and reason and otherwise excluded. A mean that only they move is data quality, not drift.",
)

_MEANINGS: Final = {
    "brier": "The Brier score is half of the squared distance between the probabilities and the true class, summed over the classes: 0 is perfect, 1 is worst.",
    "log_loss": f"The log loss is minus the natural logarithm of the true class's probability; that of a row is clipped at {LOG_LOSS_BOUND:g}, "
    "so that the drift rule keeps its false-alarm rate.",
    "cost": "The cost per row is that of the predicted class in the table of costs, in the unit of that table.",
    "balanced_accuracy": "The balanced accuracy weighs each row by the inverse of its class's share among the training rows; "
    "where the shares stay the same it is the mean of the classes' accuracies.",
    "f1": "F1 is the harmonic mean of precision and recall: of two classes that of the rarer one, else the mean over the classes.",
    "roc_auc": "The ROC AUC is the probability that a row of the class gets a higher probability of it than another row; 0.5 is chance.",
    "average_precision": "The average precision of a model that knows nothing is the share of the class.",
    "rmse": "The RMSE is the root of the mean squared error: a few large errors dominate it.",
}


def _chosen_notes(result: WatchResult, figures: Figures) -> list[str]:
    """How to read a KPI other than the task's own."""
    better = "higher" if figures.of_kpi.higher else "lower"
    by = "Student, 95 %, assuming independent rows" if figures.of_kpi.is_mean else "block bootstrap, 95 %"
    half = wording.number(wording.half_width(result.scores), digits=figures.of_kpi.digits)
    rule = "; the drift rule accounts for autocorrelated rows" if result.rule == "significant" and figures.of_kpi.per_row else ""
    return [
        f"{_MEANINGS[figures.kpi]} {better.capitalize()} is better, and in every table a positive lead means that the model is better.",
        f"At its size a block's {figures.name} is known to ±{half} on average here ({by}{rule}).",
    ]
