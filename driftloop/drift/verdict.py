"""What a drift rule says of one block, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["performance", "data", "concept", "both", "none", "cannot tell"]


def told_evidence(capital: float, limit: float, *, alpha: float, against: str) -> str:
    """What an e-process has found, in words.

    >>> told_evidence(0.0114, 20, alpha=0.05, against="at most 3")
    "e-value 0.0114 against 'at most 3'; alarm at 20 (α = 5 %)"
    """
    return f"e-value {capital:.3g} against '{against}'; alarm at {limit:.4g} (α = {100 * alpha:.3g} %)"


@dataclass(frozen=True)
class Verdict:
    """A rule's answer: was there drift, of which kind, on what evidence, and how often the rule is wrong.

    `kind` is "performance" (the KPI fell), "data" (the inputs moved), "concept" (the relation of label to
    inputs moved), "both" (data and concept), "none", or "cannot tell" (too few rows to judge, or evidence that
    fits more than one). Figures that a rule does not have are nan.

    >>> Verdict(drift=False, kind="none", rule="never", message="never alarms").drift
    False
    """

    drift: bool
    kind: Kind
    rule: str  # the rule's name
    message: str  # one sentence in words
    statistic: float = float("nan")  # what was measured
    threshold: float = float("nan")  # what it was held against
    lower: float = float("nan")  # bounds of the statistic
    upper: float = float("nan")
    p_value: float = float("nan")
    false_alarm_rate: float = float("nan")  # how often the rule alarms when nothing drifted; the message says per what
    features: tuple[str, ...] = ()  # those that moved, the one that moved most first

    @classmethod
    def of_capital(cls, rule: str, message: str, *, capital: float, highest: float, alpha: float, bounds: tuple[float, float]) -> Verdict:
        """An e-process's verdict on the KPI: drift where its capital has reached 1 / alpha.

        Args:
            rule, message: as in the verdict.
            capital, highest: of this block, and the most of any so far.
            alpha: how often such a process ever alarms on a model that is good enough.
            bounds: of the block's KPI.
        """
        limit, (lower, upper) = 1 / alpha, bounds
        drift = capital >= limit
        p_value = min(1.0, 1 / highest) if highest > 0 else float("nan")
        return cls(drift, "performance" if drift else "none", rule, message, capital, limit, lower, upper, p_value, alpha)
