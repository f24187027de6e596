"""Formats a KPI: an accuracy in percent and points, an MAE in its unit; a positive lead is always better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from driftloop.metrics import task
from driftloop.metrics.results import WatchResult
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
    """The wording and digits of a task's KPI.

    >>> Figures("regression", "minutes").gain(2.5, 3.1), Figures("classification").gain(0.8, 0.7)
    ('+0.60', '+10.00')
    """

    task: str
    unit: str = ""  # of a regression's label

    @property
    def regression(self) -> bool:
        """Whether the KPI is an MAE."""
        return self.task == task.REGRESSION.name

    @property
    def name(self) -> str:
        """The KPI within a sentence."""
        return "MAE" if self.regression else "accuracy"

    @property
    def title(self) -> str:
        """The KPI at the head of a column."""
        return ("MAE, " + self.unit if self.unit else "MAE") if self.regression else "accuracy %"

    @property
    def lead_title(self) -> str:
        """Header of a column of leads; positive is better."""
        return f"ahead by, {self.step}"

    @property
    def step(self) -> str:
        """The unit of a difference."""
        return (self.unit or "MAE") if self.regression else "points"

    def value(self, kpi: float, *, digits: int | None = None) -> str:
        """The KPI without its unit.

        >>> Figures("regression").value(2.654), Figures("classification").value(0.7512, digits=1)
        ('2.65', '75.1')
        """
        if self.regression:
            return wording.number(kpi, digits=2)
        return wording.percent(kpi, digits=1 if digits is None else digits)

    def with_unit(self, kpi: float) -> str:
        """The KPI for a sentence."""
        if not self.regression:
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
        ahead = task.of(self.task).ahead(kpi, other)
        return wording.signed(ahead) if self.regression else wording.points(ahead)

    def baselines(self, result: WatchResult) -> dict[str, float]:
        """The KPI of each baseline by its name in words."""
        if self.regression:
            return dict(result.baselines)
        return {name: result.baselines.get(key, math.nan) for key, name in wording.BASELINE_NAMES.items()}


def of(result: WatchResult) -> Figures:
    """The format of a result's KPI."""
    return Figures(result.task, result.unit)


def verdict(result: WatchResult) -> tuple[str, str]:
    """Summary of the watch: the model's KPI, then the loop's actions."""
    figures, rows = of(result), wording.count(result.rows, "row")
    if not math.isfinite(result.kpi):
        first = f"The {figures.name} of the served model over {rows} is undefined."
    elif figures.regression:
        first = f"The served model was off by {figures.with_unit(result.kpi)} on average (MAE) over {rows}; {_against_unretrained(result, figures)}."
    else:
        kappa = wording.number(result.kappa_temporal)
        first = f"The served model was right on {figures.with_unit(result.kpi)} of {rows} (κ-temporal {kappa}); {_against_unretrained(result, figures)}."
    return first, wording.what_was_done(result)


def _against_unretrained(result: WatchResult, figures: Figures) -> str:
    unretrained = result.kpi_without_retraining
    if not math.isfinite(unretrained):
        return "the unretrained base model was not scored for comparison"
    reached = f"by {figures.with_unit(unretrained)} on" if figures.regression else f"on {figures.with_unit(unretrained)} of"
    return f"the unretrained base model {reached} the same rows, a gain of {figures.gain(result.kpi, unretrained)} {figures.step}"


def reading_notes(result: WatchResult) -> list[str]:
    """How to read this result's figures, then the lifecycle's notes."""
    figures = of(result)
    if not figures.regression:
        return wording.reading_notes(result)
    half = wording.half_width(result.scores)
    return [
        "The MAE is the mean absolute error: lower is better, and in every table a positive lead means that the served model has the smaller error.",
        f"At its size a block's MAE is known to ±{wording.number(half)} {figures.unit} on average here (Student, 95 %, assuming independent rows; "
        "the drift rule is stricter: it accounts for autocorrelated errors).",
        "Bias is the mean of prediction minus label: a constant MAE with a growing bias means that the model errs increasingly to one side.",
        "The baselines except the median are fitted on the same rows as the version in service, so they are retrained with it.",
        "Rows set aside are counted by block and reason and otherwise excluded. A mean that only they move is data quality, not drift.",
        *result.notes,
    ]
