"""The verdict of a drift rule on one block, as a frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["performance", "data", "concept", "both", "none", "cannot tell"]


@dataclass(frozen=True)
class Verdict:
    """A rule's answer: was there drift, of which kind, on what evidence, and at which false-alarm rate.

    `kind` is "performance" (the KPI fell), "data" (the inputs moved), "concept" (the labels' dependence on the
    inputs changed), "both" (data and concept), "none", or "cannot tell" (too few rows to judge, or evidence that
    fits more than one). Figures that a rule does not give are nan.

    >>> Verdict(drift=False, kind="none", rule="never", message="never alarms").drift
    False
    """

    drift: bool
    kind: Kind
    rule: str  # the rule's name
    message: str  # one sentence in words
    statistic: float = math.nan  # what was measured
    threshold: float = math.nan  # the limit of the statistic
    lower: float = math.nan  # bounds of the statistic
    upper: float = math.nan
    p_value: float = math.nan
    false_alarm_rate: float = math.nan  # how often the rule alarms without drift; the message states per what
    features: tuple[str, ...] = ()  # those that moved, the farthest first

    @classmethod
    def no_rows(cls, rule: str, **figures: Any) -> Verdict:
        """The verdict on an empty block; `figures` are fields that the rule states all the same."""
        return cls(False, "cannot tell", rule, "no rows to judge", **figures)

    @classmethod
    def of_kpi(cls, rule: str, message: str, *, drift: bool, statistic: float, bounds: tuple[float, float], **figures: Any) -> Verdict:
        """The verdict on a block's KPI, with its bounds; `figures` are further fields."""
        lower, upper = bounds
        return cls(drift, "performance" if drift else "none", rule, message, statistic, lower=lower, upper=upper, **figures)
