"""The rules by name, as a person picks one with --drift_rule."""

from __future__ import annotations

from typing import Final

from driftloop import settings
from driftloop.drift.rules import detectors, trivial
from driftloop.drift.rules.names import DETECTORS, NAMES
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.significant import Significant
from driftloop.drift.rules.threshold import ThresholdRule
from driftloop.errors import SettingsError

EVERY: Final = 7  # blocks: a week where a block is a day
RATE: Final = 1 / EVERY  # the same number of alarms


def make(name: str, *, threshold: float, alpha: float = 0.05, seed: int = settings.SEED, every: int = EVERY, rate: float = RATE) -> Rule:
    """The rule of that name for one served model.

    Args:
        name: one of `names.NAMES`.
        threshold: lowest accuracy that is good enough; of "threshold" in 0..1, of "significant" between 0 and 1. The others do without.
        alpha: the false-alarm rate of "significant" for the whole watch, between 0 and 1.
        seed: of "kswin" and "random".
        every: "every" alarms at each block of this number.
        rate: "random" alarms at a block with this chance.

    Raises:
        SettingsError: unknown name, or a setting of that rule outside its range.

    >>> make("significant", threshold=0.7).name
    'significant'
    """
    if name == "threshold":
        return ThresholdRule(threshold)
    if name == "significant":
        return Significant(threshold=threshold, alpha=alpha)
    if name in DETECTORS:
        return detectors.Detector(name, seed=seed)
    if name == "never":
        return trivial.Never()
    if name == "every":
        return trivial.Every(every)
    if name == "random":
        return trivial.Random(rate, seed=seed)
    raise SettingsError(f"--drift_rule is {name!r}: give one of {', '.join(NAMES)}")
