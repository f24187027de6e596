"""When a retrain pays: the KPI lost since the last one, against what the next one costs.

Both are in points of KPI × blocks: a model five points short of what a retrained one is expected to reach loses ten in two blocks. A
point is 0.01 of a KPI that lies in 0..1, of another one a hundredth of its threshold.

Modyn's cost triggers weigh such a sum, of avoidable misclassifications, against the forecast time of a training; CARA (Mahadevan, Mathioudakis:
Cost-Aware Retraining for Machine Learning, 2023) weighs staleness against retraining over a horizon; UPF (Regol, Schwinn, Sprague,
Coates, Markovich: When to retrain a machine learning model, ICML 2025) forecasts the KPI with its uncertainty. Here nothing is tuned but the price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

from driftloop.errors import SettingsError
from driftloop.metrics.kpi_names import KPIS

if TYPE_CHECKING:
    from driftloop.metrics.goal import Goal

POINT: Final = 0.01
DEFAULT_PRICE: Final = "1/s"
NEWEST: Final = 5  # retrains that the forecasts of cost and KPI are the means of


@dataclass(frozen=True)
class Price:
    """What a retrain costs in points of KPI × blocks: a fixed amount, or one for each second that it took.

    >>> Price(fixed=20.0).of(3.0), Price(per_second=5).of(3.0)
    (20.0, 15.0)
    """

    fixed: float = 0.0
    per_second: float = 0.0

    @property
    def text(self) -> str:
        """As `price` reads it."""
        return f"{self.per_second:g}/s" if self.per_second else f"{self.fixed:g}"

    def of(self, seconds: float) -> float:
        """The price of a retrain of so many seconds."""
        return self.fixed + (self.per_second * seconds if self.per_second else 0.0)


def price(text: str) -> Price:
    """The price from --retrain_cost: "20", or "5/s"; empty: `DEFAULT_PRICE`.

    >>> price("20"), price("0.5/s")
    (Price(fixed=20.0, per_second=0.0), Price(fixed=0.0, per_second=0.5))

    Raises:
        SettingsError: it is neither, or negative.
    """
    given = (text or DEFAULT_PRICE).strip()
    number, by_second = given.removesuffix("/s"), given.endswith("/s")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise SettingsError(f"{text!r} is not a price: give points of KPI x blocks for a retrain, such as 20, or for each second that it takes, such as 5/s")
    return Price(per_second=value) if by_second else Price(fixed=value)


def point(goal: Goal) -> float:
    """A point of the goal's KPI, in its unit."""
    return POINT if KPIS[goal.task.kpi].highest == 1 else POINT * (abs(goal.threshold) or 1.0)


class Regret:
    """Follows the blocks of one watch.

    What a retrained model is expected to reach is the mean of what the newest ones reached on their first block in service; the threshold counts as the
    first of these. A refused one tells nothing: right after a drift it has learned the old regime. The price of the next retrain is the mean of the
    newest; before the first, whose time is unknown, it is the fixed part alone. A good block earns no credit beyond what was lost. So a fixed price never
    adds up to more than what was lost, even where no retrain helps.

    Args:
        goal: the KPI and its threshold.
        cost: of a retrain.

    >>> from driftloop.metrics.goal import Goal
    >>> from driftloop.metrics.task import CLASSIFICATION
    >>> regret = Regret(Goal(CLASSIFICATION, threshold=0.8), Price(fixed=12))
    >>> [regret.due_after(kpi) for kpi in (0.75, 0.75, 0.75)]
    [False, False, True]
    """

    def __init__(self, goal: Goal, cost: Price) -> None:
        self.goal, self.cost, self.lost, self.fresh = goal, cost, 0.0, False
        self._reached, self._seconds = [goal.threshold], [0.0]
        self._timed = False

    @property
    def expected(self) -> float:
        """The KPI that a retrained model is expected to reach."""
        return fmean(self._reached[-NEWEST:])

    @property
    def price(self) -> float:
        """What the next retrain is expected to cost."""
        return self.cost.of(fmean(self._seconds[-NEWEST:]))

    def due_after(self, kpi: float) -> bool:
        """Whether a retrain pays after a block with this KPI of the model in service; nan: the block has none."""
        if math.isnan(kpi):
            return False
        if self.fresh:
            self._reached.append(kpi)
            self.fresh = False
        short = self.expected - kpi if self.goal.task.higher else kpi - self.expected
        self.lost = max(0.0, self.lost + short / point(self.goal))
        return self.lost > 0 and self.lost >= self.price

    def retrained(self, seconds: float, *, promoted: bool) -> None:
        """Note that a retrain took so long, and whether its model came into service; nan: it failed."""
        self.lost, self.fresh = 0.0, promoted
        if math.isfinite(seconds):
            self._seconds = [*self._seconds, seconds] if self._timed else [seconds]
            self._timed = True
