"""The verdict of a drift rule on one block, as a frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["performance", "data", "concept", "both", "none", "cannot tell"]


def told_evidence(capital: float, limit: float, *, alpha: float, against: str) -> str:
    """An e-process's result in words.

    >>> told_evidence(0.0114, 20, alpha=0.05, against="at most 3")
    "e-value 0.0114 against 'at most 3'; alarm at 20 (α = 5 %)"
    """
    return f"e-value {capital:.3g} against '{against}'; alarm at {limit:.4g} (α = {100 * alpha:.3g} %)"


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
    statistic: float = float("nan")  # what was measured
    threshold: float = float("nan")  # the limit of the statistic
    lower: float = float("nan")  # bounds of the statistic
    upper: float = float("nan")
    p_value: float = float("nan")
    false_alarm_rate: float = float("nan")  # how often the rule alarms without drift; the message states per what
    features: tuple[str, ...] = ()  # those that moved, the farthest first

    @classmethod
    def of_capital(cls, rule: str, message: str, *, capital: float, highest: float, alpha: float, bounds: tuple[float, float]) -> Verdict:
        """An e-process's verdict on the KPI: drift where its capital has reached 1 / alpha.

        Args:
            rule, message: as in the verdict.
            capital, highest: of this block, and the largest so far.
            alpha: maximum false-alarm probability over the whole run.
            bounds: of the block's KPI.
        """
        limit, (lower, upper) = 1 / alpha, bounds
        drift = capital >= limit
        p_value = min(1.0, 1 / highest) if highest > 0 else float("nan")
        return cls(drift, "performance" if drift else "none", rule, message, capital, limit, lower, upper, p_value, alpha)
