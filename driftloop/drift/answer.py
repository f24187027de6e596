"""Two separate questions about a model in service: is it bad, and why?

    Is it bad?  the KPI against its threshold: "good", "not proven", "drifted", or "no labels"
    Why?        the kind: "none", "data", "concept", "both", "quality", or "cannot tell"

"Not proven" does not mean "no drift". `calm`, the condition for reporting "no drift", needs a KPI whose whole interval is good enough. Where the
whole interval is worse than the threshold, or a fall is proven, the kind is never "none".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from driftloop.metrics.goal import Goal

Health = Literal["good", "not proven", "drifted", "no labels"]
HEALTHS: Final[tuple[Health, ...]] = ("good", "not proven", "drifted", "no labels")
TOLD: Final = ("both", "concept", "data")  # the kinds that explain why a KPI fell
KINDS: Final[dict[str, str]] = {
    "none": "no drift",
    "quality": "data quality",
    "data": "data drift",
    "concept": "concept drift",
    "both": "data and concept drift",
    "cannot tell": "cannot tell",
}


@dataclass(frozen=True)
class Standing:
    """A KPI with its 95 % interval against the threshold; nan without rows.

    >>> from driftloop.metrics.task import CLASSIFICATION, REGRESSION
    >>> Standing(0.35, 0.28, 0.43, Goal(CLASSIFICATION, 0.8), drifted=False).health
    'not proven'
    >>> Standing(3.23, 3.2, 3.26, Goal(REGRESSION, 3.5), drifted=False).health
    'good'
    """

    value: float
    lower: float
    upper: float
    goal: Goal
    drifted: bool  # the drift rule has proven that the KPI is worse than the threshold

    @property
    def health(self) -> Health:
        """The answer to "is it bad?"."""
        if self.drifted:
            return "drifted"
        if math.isnan(self.value):
            return "no labels"
        return "good" if self.goal.met(self.lower if self.goal.task.higher else self.upper) else "not proven"

    @property
    def under(self) -> bool:
        """Whether the whole interval is worse than the threshold; no proof yet, because the interval assumes independent rows."""
        return self.goal.task.better(self.goal.threshold, self.upper if self.goal.task.higher else self.lower)

    def rows_needed(self, rows: int) -> int | None:
        """Approximate number of rows that would move the threshold outside the interval at the same KPI; None if undefined or already outside.

        >>> from driftloop.metrics.task import CLASSIFICATION
        >>> Standing(0.75, 0.66, 0.82, Goal(CLASSIFICATION, 0.8), drifted=False).rows_needed(100)
        196
        """
        threshold = self.goal.threshold
        if not self.lower <= threshold <= self.upper or self.value == threshold:
            return None
        half = self.upper - self.value if threshold > self.value else self.value - self.lower
        return math.ceil(round(rows * (half / abs(threshold - self.value)) ** 2, 6))


@dataclass(frozen=True)
class Answer:
    """Both answers.

    >>> from driftloop.metrics.task import CLASSIFICATION
    >>> Answer.of(Standing(0.35, 0.28, 0.43, Goal(CLASSIFICATION, 0.8), drifted=True), told="none", moved=True).kind
    'cannot tell'
    """

    health: Health
    kind: str  # a key of KINDS

    @classmethod
    def of(cls, standing: Standing, *, told: str = "none", moved: bool = False, bad_data: bool = False) -> Answer:
        """Combine the evidence.

        Args:
            standing: of the KPI.
            told: the kind that its test found, or "cannot tell"; "none" does not explain a proven fall.
            moved: whether the inputs are known to have moved.
            bad_data: whether more rows than usual have missing or impossible values, or were rejected.
        """
        health = standing.health
        if health == "drifted":
            return cls(health, told if told in TOLD else "quality" if bad_data else "cannot tell")
        if moved:
            return cls(health, "data")
        if bad_data:
            return cls(health, "quality")
        return cls(health, "cannot tell" if standing.under or health == "no labels" or told == "cannot tell" else "none")

    @property
    def calm(self) -> bool:
        """Whether "no drift" may be reported."""
        return self.health == "good" and self.kind == "none"

    @property
    def words(self) -> str:
        """Both answers in a few words.

        >>> Answer("drifted", "concept").words, Answer("not proven", "none").words, Answer("good", "data").words, Answer("no labels", "cannot tell").words
        ('drifted, concept drift', 'not proven', 'good, data drift', 'no labels, cannot tell')
        """
        if self.kind == "none":
            return "good, no drift" if self.calm else self.health
        return f"{self.health}, {KINDS.get(self.kind, self.kind)}"
