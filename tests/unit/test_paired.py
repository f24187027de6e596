"""The paired test promotes equal models at no more than its rate, however they depend on one another, and a better one soon."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import paired_streams
from benchmarks.paired_streams import Pairs
from driftloop.drift.paired.pair_dependence import PairDependence
from driftloop.drift.paired.paired_test import BETTER, HOPELESS, OPEN, WORSE, PairedTest, PairedVerdict
from driftloop.errors import SettingsError
from driftloop.metrics import kpi

SEEDS = 400
BLOCKS = 30


def ended(kind: Pairs, seed: int, *, alpha: float = 0.05, blocks: int = BLOCKS, restarts: bool = False) -> tuple[PairedVerdict, int]:
    champion, challenger = paired_streams.losses(kind, seed=seed, blocks=blocks)
    test = PairedTest(alpha=alpha, blocks=0 if restarts else blocks, restarts=restarts)
    for block in range(blocks):
        verdict = test.update(champion[block], challenger[block])
        if verdict.decided:
            break
    return verdict, block + 1


@pytest.mark.parametrize(
    "kind",
    [Pairs("independent"), Pairs("runs", correlation=0.8), Pairs("wanders", correlation=0.5, wander=0.05), Pairs("as on ELEC", correlation=0.5, wander=0.1)],
    ids=lambda kind: kind.name,
)
def test_equal_models_are_promoted_in_no_more_than_the_stated_share(kind: Pairs) -> None:
    promoted = sum(ended(kind, seed)[0].decision == BETTER for seed in range(SEEDS))
    assert kpi.wilson_interval(promoted, SEEDS)[0] <= 0.05
    assert promoted / SEEDS <= 0.06


def test_a_perfect_model_beside_a_coin_is_promoted_after_the_first_block_of_48_rows() -> None:
    rng = np.random.default_rng(3)
    won = sum(PairedTest(alpha=0.05).update(rng.random(48) < 0.5, np.zeros(48, bool)).decision == BETTER for _ in range(200))
    assert won >= 185
    assert PairedTest(alpha=0.05).update(np.arange(48) % 2 == 0, np.zeros(48, bool)).decision == BETTER


def test_a_better_model_is_promoted_and_a_worse_one_dropped() -> None:
    better = [ended(Pairs("better", correlation=0.5, wander=0.05, lead=0.15), seed) for seed in range(60)]
    assert sum(verdict.decision == BETTER for verdict, _ in better) >= 55
    assert np.median([block for _, block in better]) <= 10
    worse = [ended(Pairs("worse", correlation=0.5, wander=0.05, lead=-0.15), seed) for seed in range(60)]
    assert all(verdict.decision in (WORSE, HOPELESS) for verdict, _ in worse)
    assert np.median([block for _, block in worse]) <= 6


def test_a_challenger_that_cannot_win_any_more_is_dropped_before_the_shadow_ends() -> None:
    blocks = [ended(Pairs("equal", correlation=0.5), seed)[1] for seed in range(40)]
    assert np.median(blocks) < BLOCKS - 5


def test_a_lead_that_begins_late_is_found_with_restarts() -> None:
    """The version before, in the shadow of one that is good for ten blocks and then worse."""
    kind = Pairs("good, then bad", correlation=0.5, wander=0.05, lead=-0.2, until=10)
    found = [ended(kind, seed, blocks=60, restarts=True) for seed in range(40)]
    assert sum(verdict.decision == BETTER for verdict, _ in found) >= 36
    assert min(block for _, block in found) > 10
    assert np.median([block for _, block in found]) <= 25


def test_equal_models_are_not_swapped_back_beyond_the_rate() -> None:
    kind = Pairs("equal", correlation=0.5, wander=0.05)
    assert sum(ended(kind, seed, blocks=60, restarts=True)[0].decision == BETTER for seed in range(200)) <= 12


def test_rows_that_one_model_has_no_loss_for_and_empty_blocks_are_left_out() -> None:
    test = PairedTest(alpha=0.05)
    assert test.update(np.array([]), np.array([])).decision == OPEN
    verdict = test.update(np.array([1, np.nan, 0.0]), np.array([0.0, 1, np.nan]))
    assert (verdict.rows, verdict.lead) == (1, 1.0)


def test_losses_beyond_the_bound_are_capped_and_the_lead_is_in_their_unit() -> None:
    rng = np.random.default_rng(0)
    test = PairedTest(alpha=0.05, bound=8.0)
    verdict = test.update(4 + rng.random(48), np.where(rng.random(48) < 0.1, 1e9, 1 + rng.random(48)))
    assert verdict.lead < 8 and np.isfinite(verdict.e_value)


def test_identical_models_are_never_told_apart() -> None:
    test, losses = PairedTest(alpha=0.05), np.arange(48) % 3 == 0
    for _ in range(10):
        verdict = test.update(losses, losses)
    assert (verdict.decision, verdict.e_value, verdict.p_value, verdict.lead) == (OPEN, 1.0, 1.0, 0.0)


def test_one_loss_a_block_can_be_compared_too() -> None:
    test = PairedTest(alpha=0.05)
    for _ in range(40):
        verdict = test.update(np.array([0.6]), np.array([0.1]))
    assert verdict.decision == BETTER


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_one_line(alpha: float) -> None:
    with pytest.raises(SettingsError, match="--promote_alpha is"):
        PairedTest(alpha=alpha)


def test_the_dependence_of_a_lasting_lead_is_not_taken_for_turns() -> None:
    rng = np.random.default_rng(1)
    steady = PairDependence()
    for _ in range(60):
        steady.add((rng.random(48) < 0.5).astype(float))
    assert steady.rows_in_one() < 2
