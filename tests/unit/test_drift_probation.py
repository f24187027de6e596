"""Probation: calm until the rule's own alarm, then every block under the threshold, until a model has proven itself."""

from __future__ import annotations

import numpy as np

from driftloop.drift.rules import catalogue
from driftloop.drift.rules.probation import Probation

NONE = np.zeros(0)


def block(accuracy: float, *, rows: int = 48) -> np.ndarray:
    """Errors spread evenly over a block."""
    wrong = round((1 - accuracy) * rows)
    errors = np.zeros(rows)
    errors[np.linspace(0, rows - 1, wrong).astype(int)] = 1
    return errors


def drifted(rule: Probation) -> Probation:
    """The rule after its first alarm, with a new model in service."""
    for _ in range(60):
        if rule.update(block(0.4)).drift:
            rule.reset()
            return rule
    raise AssertionError("40 % right never alarmed against a threshold of 70 %")


def made(name: str = "significant") -> Probation:
    return Probation(catalogue.make(name, threshold=0.7, alpha=0.05), threshold=0.7, alpha=0.05)


def test_a_bad_block_in_calm_times_is_noise() -> None:
    rule = made()
    assert not any(rule.update(block(0.8)).drift for _ in range(30))
    assert not rule.update(block(0.6)).drift


def test_after_a_proven_drift_a_bad_block_of_the_next_model_is_drift() -> None:
    rule = drifted(made())
    assert not rule.update(block(0.8)).drift
    verdict = rule.update(block(0.6))
    assert (verdict.drift, verdict.kind, verdict.rule) == (True, "performance", "significant")
    assert verdict.message.startswith("on probation after a drift: accuracy 0.604 on 48 rows is under the threshold 0.7")


def test_a_model_that_has_proven_itself_is_watched_calmly_again() -> None:
    rule = drifted(made())
    told = [rule.update(block(0.95)).message for _ in range(40)]
    assert any(message.endswith("its probation is over") for message in told)
    assert not rule.update(block(0.6)).drift


def test_a_model_just_at_the_threshold_stays_on_probation() -> None:
    rule = drifted(made())
    assert not any("is over" in rule.update(block(0.7)).message for _ in range(100))


def test_a_new_model_in_calm_times_is_not_on_probation() -> None:
    rule = made()
    rule.update(block(0.8))
    rule.reset()
    assert not rule.update(block(0.6)).drift


def test_an_empty_block_can_not_be_judged() -> None:
    assert made().update(NONE).kind == "cannot tell"
    assert drifted(made()).update(NONE).kind == "cannot tell"
