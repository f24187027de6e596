"""Trivial baselines that ignore the errors: any other rule has to beat them at the same number of alarms.

Their alarms carry no information on the model, so their kind is "cannot tell".
"""

from __future__ import annotations

import numpy as np

from driftloop.drift.rules.rule import Rule, wrong_rows
from driftloop.drift.verdict import Verdict
from driftloop.errors import SettingsError


class Never(Rule):
    """Never alarms.

    >>> Never().update(np.ones(20)).drift
    False
    """

    name = "never"

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`."""
        return _verdict(self.name, errors, alarm=False, chance=0.0, why="this rule never alarms")

    def reset(self) -> None:
        """See `Rule.reset`; nothing to reset."""


class Every(Rule):
    """Alarms at every n-th block since the model came into service.

    Args:
        blocks: n, at least 1.

    Raises:
        SettingsError: `blocks` is under 1.

    >>> rule = Every(2)
    >>> [rule.update(np.zeros(20)).drift for _ in range(4)]
    [False, True, False, True]
    """

    name = "every"

    def __init__(self, blocks: int) -> None:
        if blocks < 1:
            raise SettingsError(f"--every is {blocks}: give a number of blocks of at least 1")
        self._every, self._seen = blocks, 0

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`."""
        self._seen += len(errors) > 0
        alarm = self._seen % self._every == 0
        return _verdict(self.name, errors, alarm=alarm, chance=1 / self._every, why=f"this rule alarms every {self._every} blocks, drift or not")

    def reset(self) -> None:
        """See `Rule.reset`: the count of blocks restarts."""
        self._seen = 0


class Random(Rule):
    """Alarms at each block with a fixed probability.

    Args:
        rate: the probability, in 0..1.
        seed: of the alarms.

    Raises:
        SettingsError: `rate` is outside 0..1.

    >>> rule = Random(0.25, seed=7)
    >>> sum(rule.update(np.zeros(20)).drift for _ in range(400))
    107
    """

    name = "random"

    def __init__(self, rate: float, *, seed: int) -> None:
        if not 0 <= rate <= 1:
            raise SettingsError(f"--rate is {rate}: give the chance of an alarm at a block, in 0..1")
        self._rate, self._rng = rate, np.random.default_rng(seed)

    def update(self, errors: np.ndarray) -> Verdict:
        """See `Rule.update`."""
        alarm = len(errors) > 0 and bool(self._rng.random() < self._rate)
        return _verdict(self.name, errors, alarm=alarm, chance=self._rate, why=f"this rule alarms at {100 * self._rate:.1f} % of the blocks, drift or not")

    def reset(self) -> None:
        """See `Rule.reset`; the draws continue, or every version would be served equally long."""


def _verdict(rule: str, errors: np.ndarray, *, alarm: bool, chance: float, why: str) -> Verdict:
    if not len(wrong_rows(errors)):
        return Verdict.no_rows(rule, false_alarm_rate=chance)
    return Verdict(drift=alarm, kind="cannot tell" if alarm else "none", rule=rule, message=why, false_alarm_rate=chance)
