"""Without a threshold the rule asks for a fall against the reference period: how often it alarms without one, and how late with one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from driftloop.drift.reference import against_reference, reference_drift
from driftloop.drift.reference.against_reference import AgainstReference
from driftloop.drift.reference.reference_level import ReferenceLevel
from driftloop.drift.rules import catalogue
from driftloop.metrics.goal import Goal
from driftloop.metrics.task import CLASSIFICATION, REGRESSION, Task
from driftloop.predictions import table_goal
from driftloop.predictions.later import packed, rule_state
from driftloop.predictions.table_goal import TablePlan

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


def level_of(losses: np.ndarray) -> ReferenceLevel:
    return ReferenceLevel.of(losses / max(float(np.max(losses)), 1.0), block_size=BLOCK)


def first_alarm(task: Task, before: np.ndarray, after: np.ndarray, *, known: float = 0.0, block: int = BLOCK) -> int | None:
    """The block of the first alarm: against the reference period, or against a known threshold."""
    goal = Goal(task, known, ALPHA)
    rule = catalogue.for_goal("significant", goal) if known else against_reference.for_goal(goal)
    rule.prepare(before, block_size=block)
    return next((at for at in range(len(after) // block) if rule.update(after[at * block : (at + 1) * block]).drift), None)


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


@pytest.mark.parametrize("rows", [50, 200])
@pytest.mark.parametrize("name", ["independent", "rare", "autocorrelated", "rare and autocorrelated", "absolute errors"])
def test_a_short_reference_makes_it_slow_not_wrong(name: str, rows: int) -> None:
    task, draw = STEADY[name]
    alarms = 0
    for seed in range(SEEDS):
        losses = draw(np.random.default_rng(seed), rows + 1500)
        alarms += first_alarm(task, losses[:rows], losses[rows:], block=50) is not None
    assert alarms <= ALPHA * SEEDS


@pytest.mark.parametrize(("blocks", "rows"), [(3, 300), (10, 300), (20, 48), (100, 48)])
def test_an_accuracy_that_wanders_from_block_to_block_is_no_fall(blocks: int, rows: int) -> None:
    """By 2 points, with a correlation of .8: more slowly than a short reference period can show."""
    alarms = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        level = rng.standard_normal(blocks + 40)
        for at in range(1, len(level)):
            level[at] = 0.8 * level[at - 1] + 0.6 * level[at]
        errors = rng.random(len(level) * rows) < np.repeat(0.2 + 0.02 * level, rows)
        alarms += first_alarm(CLASSIFICATION, errors[: blocks * rows], errors[blocks * rows :], block=rows) is not None
    assert alarms <= ALPHA * SEEDS


@pytest.mark.parametrize("name", STEADY)
def test_the_line_is_over_the_true_mean_as_often_as_it_says(name: str) -> None:
    _, draw = STEADY[name]
    true = float(np.mean([draw(np.random.default_rng(10_000 + seed), 20_000).mean() for seed in range(20)]))
    under = 0
    for seed in range(SEEDS):
        losses = draw(np.random.default_rng(seed), REFERENCE)
        under += level_of(losses).upper(ALPHA) * max(losses.max(), 1) < true
    assert under <= 2 * ALPHA * SEEDS


def test_a_fall_is_found_about_as_soon_as_against_the_known_threshold() -> None:
    """From 80 % to 68 %, after 5,000 rows of reference."""
    found, known = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        before, after = chain(0.2, 0)(rng, 5000), chain(0.32, 0)(rng, ROWS)
        found.append(first_alarm(CLASSIFICATION, before, after))
        known.append(first_alarm(CLASSIFICATION, before, after, known=0.8))
    assert None not in found and None not in known
    assert np.median(found) <= np.median(known) + 1


def test_a_fall_is_found_much_sooner_than_by_a_rule_against_a_bound() -> None:
    """From 90 % to 85 %, after 3,000 rows: against a confidence bound of the reference period at half of alpha the median was block 25."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found.append(first_alarm(CLASSIFICATION, chain(0.1, 0)(rng, 3000), chain(0.15, 0)(rng, 10_000)))
    assert None not in found
    assert np.median(found) < 17


def test_a_fall_after_many_good_blocks_is_not_taken_for_autocorrelation() -> None:
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        good, bad = chain(0.09, 0)(rng, 62 * 48), chain(0.24, 0)(rng, 40 * 48)
        found.append(first_alarm(CLASSIFICATION, chain(0.09, 0)(rng, REFERENCE), np.concatenate([good, bad]), block=48))
    assert all(at is not None and 62 <= at < 77 for at in found)


def test_a_longer_reference_period_leaves_less_open() -> None:
    errors = chain(0.2, 0)(np.random.default_rng(3), 50_000)
    lines = [level_of(errors[:rows]).upper(0.025) for rows in (100, 1000, 50_000)]
    assert lines == sorted(lines, reverse=True)
    assert lines[-1] < 0.21


@pytest.mark.parametrize(("value", "low", "high"), [(0, 0.0, 0.6), (1, 0.97, 1.0)])
def test_a_reference_of_right_or_wrong_answers_only_has_a_level(value: int, low: float, high: float) -> None:
    assert low < level_of(np.full(100, value)).upper(0.025) <= high


def test_after_a_reference_without_an_error_many_errors_alarm() -> None:
    rng = np.random.default_rng(7)
    assert first_alarm(CLASSIFICATION, np.zeros(1000), np.zeros(ROWS)) is None
    assert first_alarm(CLASSIFICATION, np.zeros(1000), chain(0.3, 0)(rng, ROWS)) is not None


def test_after_a_reference_of_errors_only_nothing_can_be_worse() -> None:
    assert first_alarm(CLASSIFICATION, np.ones(1000), np.ones(ROWS)) is None


@pytest.mark.parametrize("value", [0.1, 2.0, 1e-9, 1e12])
def test_constant_losses_have_a_level(value: float) -> None:
    assert first_alarm(REGRESSION, np.full(500, value), np.full(ROWS, value)) is None
    assert first_alarm(REGRESSION, np.full(500, value), np.full(ROWS, 2 * value)) is not None


def test_losses_in_another_unit_have_the_same_evidence() -> None:
    losses = exponential(np.random.default_rng(5), 600)
    found = []
    for unit in (1.0, 1024.0):
        rule = against_reference.for_goal(Goal(REGRESSION))
        rule.prepare(unit * losses[:500], block_size=100)
        found.append(rule.update(1.5 * unit * losses[500:]).statistic)
    assert found[0] == pytest.approx(found[1])


def test_one_huge_loss_counts_as_the_cap() -> None:
    rule = against_reference.for_goal(Goal(REGRESSION))
    rule.prepare(exponential(np.random.default_rng(5), 500), block_size=100)
    first = rule.update(np.array([1e300]))
    assert not first.drift and "capped at" in first.message


def test_a_block_without_rows_leaves_the_evidence_as_it_is() -> None:
    rule = AgainstReference(alpha=ALPHA)
    rule.prepare(chain(0.2, 0)(np.random.default_rng(5), 500), block_size=100)
    before = rule.update(np.ones(5)).statistic
    nothing = rule.update(np.zeros(0))
    assert (nothing.kind, nothing.drift) == ("cannot tell", False)
    assert rule.evidence() == before


def test_it_cannot_tell_without_a_reference_period() -> None:
    rule = AgainstReference(alpha=ALPHA)
    assert rule.update(np.ones(100)).kind == "cannot tell"
    with pytest.raises(ValueError, match="no losses"):
        rule.prepare(np.zeros(0), block_size=100)
    with pytest.raises(ValueError, match="all losses are 0"):
        against_reference.for_goal(Goal(REGRESSION)).prepare(np.zeros(100), block_size=100)


def test_a_new_model_is_compared_with_the_same_reference_period() -> None:
    rng, rule = np.random.default_rng(5), AgainstReference(alpha=ALPHA)
    rule.prepare(chain(0.2, 0)(rng, 2000), block_size=100)
    worse = rng.random((10, 100)) < 0.5
    first = [rule.update(block) for block in worse]
    rule.reset()
    assert [rule.update(block) for block in worse] == first
    assert first[-1].drift


@pytest.mark.parametrize("task", [CLASSIFICATION, REGRESSION])
@pytest.mark.parametrize("at", [0, 1, 7])
def test_another_process_continues_the_same_watch(task: Task, at: int) -> None:
    rng = np.random.default_rng(at)
    losses = chain(0.2, 0.3)(rng, 2000) if task is CLASSIFICATION else exponential(rng, 2000)
    blocks = np.split(losses[1000:], 10)
    rule, second = against_reference.for_goal(Goal(task)), against_reference.for_goal(Goal(task))
    rule.prepare(losses[:1000], block_size=100)
    for block in blocks[:at]:
        rule.update(block)
    rule_state.give(second, packed.unpack(packed.pack(rule_state.taken(rule))))
    assert [rule.update(block) for block in blocks[at:]] == [second.update(block) for block in blocks[at:]]


def test_a_state_from_before_this_rule_continues_with_the_rule_against_a_bound() -> None:
    goal, errors = Goal(CLASSIFICATION, 0.75, ALPHA), np.ones(40)
    before = catalogue.for_goal("significant", Goal(CLASSIFICATION, 0.75, ALPHA / 2))
    before.update(errors)
    state = rule_state.taken(before)
    rule = table_goal.rule_of(TablePlan(), goal, state=state)
    rule_state.give(rule, state)
    assert rule.update(errors) == before.update(errors)


def test_a_steady_reference_is_rarely_said_to_drift() -> None:
    said = [reference_drift.drifting(chain(0.2, 0.8)(np.random.default_rng(seed), 2000)) for seed in range(SEEDS)]
    assert sum(said) <= 0.03 * SEEDS
