"""After a proven drift the burden of proof is reversed.

A rule with a small false-alarm rate is slow: on ELEC it needs two weeks of day blocks. That suits a model without a
record of drift. Once drift is proven, the next model comes from the same stream a moment later, and
trusting it for another two weeks costs more than a needless retrain, whose challenger has to win anyway.
So a new model is on probation: every block under the threshold counts as drift, noise or not, until the model has
proven, at the same error rate, that its accuracy is above the threshold.

A watch without drift is unaffected: its first alarm comes from the rule itself.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.significant import Significant
from driftloop.drift.rules.threshold import ThresholdRule
from driftloop.drift.verdict import Verdict


class Probation(Rule):
    """A rule; from its first alarm the plain threshold, until a model has proven that it is good enough.

    Args:
        rule: the rule before the first alarm and after a passed probation.
        threshold: lowest accuracy that is good enough, between 0 and 1.
        alpha: maximum probability that a model that is not good enough passes the probation.
        plain: the plain threshold rule; by default that of the accuracy.
        proof: alarms when the same errors prove the model good enough; by default that of the accuracy.
        passed: what is then proven, in words.
    """

    def __init__(self, rule: Rule, *, threshold: float, alpha: float, plain: Rule | None = None, proof: Rule | None = None, passed: str = "") -> None:
        self.rule, self.plain = rule, plain or ThresholdRule(threshold)
        self.name = rule.name
        # "Right at least threshold of the time" is proven by refuting "wrong at least 1 - threshold of the time".
        self.proof = proof or _Right(threshold=1 - threshold, alpha=alpha)
        self.passed = passed or f"the model is proven to be right more often than the threshold {threshold:g}"
        self.blocks = 0  # of probation; 0 when not on probation

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:
        """See `Rule.prepare`."""
        self.rule.prepare(errors, block_size=block_size)
        self.plain.prepare(errors, block_size=block_size)
        self.proof.prepare(errors, block_size=block_size)

    def update(self, errors: np.ndarray) -> Verdict:
        """Judge the next block. Arguments as in `Rule.update`."""
        if not self.blocks:
            verdict = self.rule.update(errors)
            self.blocks = int(verdict.drift)
            return verdict
        if not len(errors):
            return self.rule.update(errors)
        self.blocks += 1
        plain = self.plain.update(errors)
        if self.proof.update(errors).drift:
            self._begin(blocks=0)
            return replace(plain, drift=False, kind="none", rule=self.name, message=f"{self.passed}: its probation is over")
        return replace(plain, rule=self.name, message=f"on probation after a drift: {plain.message}")

    def reset(self) -> None:
        """Start over with a new model in service; on probation if drift was proven before."""
        self._begin(blocks=min(self.blocks, 1))

    def _begin(self, *, blocks: int) -> None:
        self.blocks = blocks
        for rule in (self.rule, self.plain, self.proof):
            rule.reset()


class _Right(Significant):
    """Takes errors and tests how often the model is right, not wrong."""

    def prepare(self, errors: np.ndarray, *, block_size: int) -> None:
        """See `Rule.prepare`."""
        super().prepare(1 - np.asarray(errors, dtype=float), block_size=block_size)

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`."""
        return super().update(1 - np.asarray(errors, dtype=float))
