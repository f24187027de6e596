"""What the rule `significant` has learned and bet so far as plain values, so that another process can continue it."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import numpy as np

from driftloop.drift.reference.against_reference import AgainstReference
from driftloop.drift.rules.bets import Bets
from driftloop.drift.rules.loss_rules import BlockLossRule
from driftloop.drift.rules.rule import Rule
from driftloop.drift.rules.significant import Significant
from driftloop.drift.rules.significant_loss import Profile, SignificantLoss
from driftloop.drift.rules.variance import DependenceEstimate

_KEPT: Final[dict[type, tuple[str, ...]]] = {
    Significant: ("_bets", "_dependence"),
    SignificantLoss: ("_bets", "cap", "_known", "_seen"),
    AgainstReference: ("_largest", "_level", "_in_one", "_means", "_weights", "_risen", "_capitals", "_blocks", "_highest"),
    BlockLossRule: ("rule",),
    Bets: ("_capitals", "_blocks", "_highest"),
    DependenceEstimate: ("_base", "_past", "_log_weights", "_blocks", "_rows", "_wrong", "_flips", "_last", "_level", "_spread"),
    Profile: ("rows", "total", "squares", "runs"),
}
"""The attributes that change, by class; all others follow from the rule's arguments."""


def taken(rule: Rule) -> dict[str, Any]:
    """The state of a rule: dictionaries, lists, arrays, numbers."""
    return _plain(rule)


def give(rule: Rule, state: dict[str, Any]) -> None:
    """Continue from a state: the rule must have been made with the same arguments.

    >>> wrong = np.random.default_rng(7).random((6, 200)) < 0.3
    >>> first, second = Significant(threshold=0.7), Significant(threshold=0.7)
    >>> verdicts = [first.update(block) for block in wrong[:5]]
    >>> give(second, taken(first))
    >>> first.update(wrong[5]) == second.update(wrong[5])
    True

    Raises:
        ValueError, KeyError, TypeError: it is no state of such a rule.
    """
    _give(rule, state)


def _plain(value: Any) -> Any:
    if type(value) in _KEPT:
        return {name: _plain(getattr(value, name)) for name in _KEPT[type(value)]}
    if isinstance(value, dict):
        return [[key, _plain(one)] for key, one in value.items()]
    if isinstance(value, deque | tuple | list):
        return [_plain(one) for one in value]
    return value.copy() if isinstance(value, np.ndarray) else value


def _give(holder: Any, state: dict[str, Any]) -> None:
    if set(state) != set(_KEPT[type(holder)]):
        raise ValueError(f"{sorted(state)} is no state of {type(holder).__name__}")
    for name, value in state.items():
        now = getattr(holder, name)
        if type(now) in _KEPT:
            _give(now, value)
        elif name == "_seen":
            holder._seen = deque(map(_profile, value), maxlen=now.maxlen)
        elif name == "_past":
            holder._past = deque(map(_learned, value), maxlen=now.maxlen)
        elif name == "_base":
            holder._base = _learned(value)
        else:
            setattr(holder, name, _like(now, value))


def _like(now: Any, value: Any) -> Any:
    if isinstance(now, np.ndarray) and np.shape(value) != now.shape:
        raise ValueError(f"an array of shape {np.shape(value)}, not {now.shape}")
    return np.array(value, now.dtype) if isinstance(now, np.ndarray) else value


def _learned(value: Any) -> tuple[float, float, np.ndarray]:
    flips, expected, weights = value
    return float(flips), float(expected), np.array(weights, float)


def _profile(value: dict[str, Any]) -> Profile:
    runs = {int(count): (np.asarray(means), np.asarray(sizes)) for count, (means, sizes) in value["runs"]}
    return Profile(int(value["rows"]), float(value["total"]), float(value["squares"]), runs)
