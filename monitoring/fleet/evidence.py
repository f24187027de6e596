"""Follows the evidence against one version at its part of the fleet's false-alarm rate."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np

from driftloop.drift.rules.probation import Probation
from driftloop.drift.rules.rule import Rule


@dataclass(frozen=True)
class FleetState:
    """The fleet's view of one version; nan before its first block."""

    alarmed: bool
    e_value: float  # on the newest block; during an alarm that of the alarm
    alarm_at: float  # the e-value that an alarm takes
    p_value: float  # anytime-valid, of this version alone

    @property
    def evidence(self) -> float:
        """The e-value as a share of what an alarm takes."""
        return self.e_value / self.alarm_at


class FleetEvidence:
    """One version. Its alarm lasts until another version serves, or until this one has proven at the same rate that it is good enough; then the
    evidence starts over.

    Unlike the stream's own rule, which puts the version after a drift on probation, the next version starts with no evidence: a bad block
    would otherwise be an alarm, at no stated rate.

    Args:
        rule: at the version's part of the rate, with probation.
        probation: the probation in it.
    """

    def __init__(self, rule: Rule, probation: Probation) -> None:
        self._rule, self._probation = rule, probation
        self._forget()

    def _forget(self) -> None:
        self._alarmed, self._e_value, self._alarm_at, self._p_value = False, math.nan, math.nan, math.nan

    def successor(self) -> FleetEvidence:
        """That of the next version: without evidence, with the autocorrelation of the errors learned so far."""
        made = copy.deepcopy(self)
        made._probation.blocks = 0
        made._rule.reset()
        made._forget()
        return made

    def prepare(self, losses: np.ndarray, *, block_size: int) -> None:
        """See `Rule.prepare`."""
        self._rule.prepare(losses, block_size=block_size)

    def update(self, losses: np.ndarray) -> None:
        """Judge the next block; losses as `Rule.update` takes them."""
        calm = not self._probation.blocks
        verdict = self._rule.update(losses)
        if calm and not math.isnan(verdict.statistic):
            self._alarmed, self._e_value, self._alarm_at, self._p_value = verdict.drift, verdict.statistic, verdict.threshold, verdict.p_value
        elif not calm and not self._probation.blocks:
            self._forget()

    @property
    def state(self) -> FleetState:
        """The current state."""
        return FleetState(self._alarmed, self._e_value, self._alarm_at, self._p_value)
