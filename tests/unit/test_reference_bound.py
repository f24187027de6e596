"""Without a threshold the rule asks for a fall against the reference period: how often it alarms without one, and how late with one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from driftloop.drift import reference_bound
from driftloop.drift.rules import catalogue
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION, REGRESSION, Task

ALPHA, SEEDS, REFERENCE, ROWS, BLOCK = 0.05, 200, 1000, 3000, 100
Draw = Callable[[np.random.Generator, int], np.ndarray]


def chain(error: float, stay: float) -> Draw:
    """Errors of a Markov chain: each row repeats the one before with probability `stay`."""

    def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
        begun = np.where(rng.random(rows) < stay, 0, np.arange(rows))
        return (rng.random(rows) < error)[np.maximum.accumulate(begun)]

    return draw


def runs(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Absolute errors in runs of 10 rows with a common level."""
    return np.repeat(rng.lognormal(-0.18, 0.6, rows // 10 + 1), 10)[:rows] * rng.exponential(1.0, rows)


def exponential(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.exponential(1.0, rows)


def first_alarm(task: Task, before: np.ndarray, after: np.ndarray, *, known: float = 0.0) -> int | None:
    """The block of the first alarm: against the reference period, or against a known threshold."""
    share = 1.0 if known else 1 - reference_bound.SHARE
    threshold = known or task.value(np.array([reference_bound.upper_bound(before, alpha=reference_bound.SHARE * ALPHA, classes=task is CLASSIFICATION)]))
    rule = catalogue.for_goal("significant", Goal(task, threshold, share * ALPHA))
    rule.prepare(before, block_size=BLOCK)
    return next((at for at in range(len(after) // BLOCK) if rule.update(after[at * BLOCK : (at + 1) * BLOCK]).drift), None)


STEADY = {
    "independent": (CLASSIFICATION, chain(0.2, 0)),
    "rare": (CLASSIFICATION, chain(0.02, 0)),
    "autocorrelated": (CLASSIFICATION, chain(0.2, 0.9)),
    "rare and autocorrelated": (CLASSIFICATION, chain(0.02, 0.9)),
    "absolute errors": (REGRESSION, exponential),
    "absolute errors in runs": (REGRESSION, runs),
}


@pytest.mark.parametrize("name", STEADY)
def test_without_a_fall_it_alarms_at_most_as_often_as_it_says(name: str) -> None:
    task, draw = STEADY[name]
    alarms = 0
    for seed in range(SEEDS):
        losses = draw(np.random.default_rng(seed), REFERENCE + ROWS)
        alarms += first_alarm(task, losses[:REFERENCE], losses[REFERENCE:]) is not None
    assert alarms <= ALPHA * SEEDS


@pytest.mark.parametrize("name", STEADY)
def test_the_bound_is_over_the_true_mean_as_often_as_it_says(name: str) -> None:
    _, draw = STEADY[name]
    true = float(np.mean([draw(np.random.default_rng(10_000 + seed), 20_000).mean() for seed in range(20)]))
    under = sum(reference_bound.upper_bound(draw(np.random.default_rng(seed), REFERENCE), alpha=ALPHA) < true for seed in range(SEEDS))
    assert under <= 2 * ALPHA * SEEDS  # of the bound alone; the rule's reserve is larger


def test_a_fall_is_found_and_later_than_against_the_known_threshold() -> None:
    """The price of not knowing the KPI: from 80 % to 68 %, after 5,000 rows of reference."""
    found, known = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before, after = chain(0.2, 0)(rng, 5000), chain(0.32, 0)(rng, ROWS)
        found.append(first_alarm(CLASSIFICATION, before, after))
        known.append(first_alarm(CLASSIFICATION, before, after, known=0.8))
    assert None not in found and None not in known
    assert np.median(known) <= np.median(found) <= np.median(known) + 4


def test_a_longer_reference_period_gives_a_tighter_bound() -> None:
    errors = chain(0.2, 0)(np.random.default_rng(3), 50_000)
    bounds = [reference_bound.upper_bound(errors[:rows], alpha=0.025) for rows in (100, 1000, 50_000)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 0.21


@pytest.mark.parametrize(("value", "low", "high"), [(0, 0.0, 0.6), (1, 1.0, 1.0)])
def test_a_reference_of_right_or_wrong_answers_only_has_a_bound(value: int, low: float, high: float) -> None:
    assert low < reference_bound.upper_bound(np.full(100, value), alpha=0.025) + 1e-12 <= high + 1e-9


def test_too_short_a_reference_has_none() -> None:
    with pytest.raises(ValueError, match="15 losses: a bound needs at least 16"):
        reference_bound.upper_bound(np.zeros(15), alpha=0.025)


def test_a_steady_reference_is_rarely_said_to_drift() -> None:
    said = [reference_bound.drifting(chain(0.2, 0.8)(np.random.default_rng(seed), 2000)) for seed in range(SEEDS)]
    assert sum(said) <= 0.03 * SEEDS
